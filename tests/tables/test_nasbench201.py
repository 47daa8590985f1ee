"""The NAS-Bench-201 table: the benchmark's own figures, and one clear line for whatever is wrong with a file."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasbench.core.errors import BadInput, MissingData
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables import held_out
from nasbench.tables.nasbench201 import load, load_latency
from nasbench.tables.nasbench201_file import ACCURACY_FILE, CELLS, LATENCY_FILE, parse_cell

SPACE = NasBench201()
DEVICES = {
    *("1080ti_1", "1080ti_256", "1080ti_32", "2080ti_1", "2080ti_256", "2080ti_32", "essential_ph_1", "eyeriss"),
    *("gold_6226", "gold_6240", "pixel2", "pixel3", "raspi4", "titanxp_1", "titanxp_256", "titanxp_32"),
}


@pytest.fixture
def changed(table: Path, tmp_path: Path) -> Callable[[Callable[[pd.DataFrame], pd.DataFrame]], Path]:
    """Return a function that writes the accuracy table, changed, to a folder of its own."""

    def write(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        frame = change(pd.read_csv(table / ACCURACY_FILE, dtype=str))
        file = tmp_path / "changed" / ACCURACY_FILE
        file.parent.mkdir(parents=True)
        frame.to_csv(file, index=False, compression={"method": "gzip", "compresslevel": 1})
        return tmp_path / "changed"

    return write


# -- what it says ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("dataset", "mean", "best", "best_valid"),
    [("cifar10", 87.063, 94.3733, 84.892), ("cifar100", 61.406, 73.5133, 61.32)],
)
def test_all_cells_and_the_published_mean_and_maximum(
    table: Path, dataset: str, mean: float, best: float, best_valid: float
) -> None:
    scores, final = load(dataset, table), held_out.test_accuracies(dataset, table)
    assert len(scores.row) == len(scores.valid_accuracy) == len(final) == CELLS == 15_625
    assert set(scores.row) == {architecture.spec for architecture in SPACE.all()}
    assert sorted(scores.row.values()) == list(range(CELLS))
    assert final.mean() == pytest.approx(mean, abs=5e-4)
    assert final.max() == pytest.approx(best, abs=1e-6)
    assert scores.valid_accuracy.max() == pytest.approx(best_valid, abs=1e-6)


def test_every_row_belongs_to_the_cell_it_names(table: Path) -> None:
    frame = pd.read_csv(table / ACCURACY_FILE)
    scores, final = load("cifar100", table), held_out.test_accuracies("cifar100", table)
    assert frame["index"].tolist() == list(range(CELLS))
    for row in range(0, CELLS, 97):
        text = frame["arch"][row]
        assert scores.row[SPACE.parse(text).spec] == row and parse_cell(text) == SPACE.parse(text).spec
    assert np.array_equal(scores.valid_accuracy, frame["cifar100_valid_12"].to_numpy())
    assert np.array_equal(final, frame["cifar100_test_200"].to_numpy())


def test_the_cell_of_index_1835(table: Path) -> None:
    cell = SPACE.parse(
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
    )
    for dataset, expected in (("cifar10", 54.30), ("cifar100", 15.61)):
        row = load(dataset, table).row[cell.spec]
        assert row == 1835
        assert held_out.test_accuracies(dataset, table)[row] == pytest.approx(expected, abs=0.005)


def test_the_case_of_a_name_does_not_matter(table: Path) -> None:
    small, large, other = load("cifar10", table), load("CIFAR10", table), load("Cifar100", table)
    assert (small.dataset, large.dataset, other.dataset) == ("cifar10", "cifar10", "cifar100")
    assert small.fingerprint == large.fingerprint != other.fingerprint
    assert np.array_equal(held_out.test_accuracies("CIFAR10", table), held_out.test_accuracies("cifar10", table))


def test_an_unknown_data_set_names_those_there_are(table: Path) -> None:
    for read in (load, held_out.test_accuracies):
        with pytest.raises(BadInput, match=r"'cifar11'\. Did you mean 'cifar10'\? Allowed: cifar10, cifar100\."):
            read("cifar11", table)


# -- latency ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", ["raspi4", "eyeriss", "titanxp_32"])
def test_latencies_are_those_of_the_file(table: Path, device: str) -> None:
    cells = pd.read_csv(table / ACCURACY_FILE, usecols=["index", "arch"]).set_index("index")["arch"]
    measured = pd.read_csv(table / LATENCY_FILE, usecols=["index", device]).set_index("index")[device]
    latency = load_latency(device, table)
    assert len(latency) == CELLS
    for index in (0, 1, 1835, 6577, 15_624):
        assert latency[SPACE.parse(cells[index]).spec] == measured[index] > 0


def test_latencies_near_zero_survive(table: Path) -> None:
    """Cells whose input does not reach their output take a hundredth of a millisecond: measured, not missing."""
    latency = load_latency("raspi4", table)
    quick = [cell for cell in SPACE.all() if latency[cell.spec] < 0.1]
    assert len(quick) == 157 and not any(SPACE.is_connected(cell) for cell in quick)
    assert min(latency.values()) == 0.0113


def test_an_unknown_device_names_those_there_are(table: Path) -> None:
    with pytest.raises(BadInput, match=r"unknown device 'raspi5'\. Did you mean 'raspi4'\?") as error:
        load_latency("raspi5", table)
    assert set(str(error.value).partition("Allowed: ")[2].rstrip(".").split(", ")) == DEVICES


# -- what is wrong ---------------------------------------------------------------------------------------------------
def test_a_missing_file_says_what_it_is_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    for read in (load, held_out.test_accuracies):
        with pytest.raises(MissingData, match="NATS-tss-v1_0-3ffb9-simple"):
            read("cifar10")
    with pytest.raises(MissingData, match="no measured latencies"):
        load_latency("raspi4")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"index,arch\n0,x\n",
        lambda whole: gzip.compress(b""),
        lambda whole: whole[:-8],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:],
        lambda whole: gzip.compress(b"\xff\xfe\x00 no text"),
    ],
    ids=["empty", "not compressed", "compressed nothing", "no checksum", "half", "one byte", "no text"],
)
def test_a_damaged_file_is_bad_input(table: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "accuracy.csv.gz"
    file.write_bytes(damage((table / ACCURACY_FILE).read_bytes()))
    for read in (load, held_out.test_accuracies):
        with pytest.raises(BadInput, match=r"accuracy\.csv\.gz is (damaged|not a benchmark table)"):
            read("cifar10", tmp_path)


def one_cell_twice(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[1234, "arch"] = frame.loc[1235, "arch"]
    return frame


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.rename(columns={"index": "number"}), "no column 'index'"),
        (lambda frame: frame.drop(columns="cifar10_valid_12"), "Allowed: cifar100"),
        (lambda frame: frame.iloc[:-1], "15624 rows with 15624 different cells; the benchmark has 15625"),
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), "15626 rows with 15625 different cells"),
        (one_cell_twice, "15625 rows with 15624 different cells"),
    ],
    ids=["no index", "no scores", "a row too few", "a row too many", "one cell twice"],
)
def test_a_table_that_lacks_something_is_bad_input(changed, change, message: str) -> None:
    folder = changed(change)
    with pytest.raises(BadInput, match=message):
        load("cifar10", folder)


@pytest.mark.parametrize("score", ["many", "", "nan", "100.5", "-1", "inf"])
def test_scores_that_are_no_percentages_are_bad_input(tmp_path: Path, score: str) -> None:
    cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    text = f"index,arch,cifar10_valid_12,cifar100_valid_12\n0,{cell},50,50\n1,{cell},{score},50\n"
    (tmp_path / "accuracy.csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(BadInput, match=r"not a number|not finite|accuracies must be percentages between 0 and 100"):
        load("cifar10", tmp_path)
    with pytest.raises(BadInput, match="2 rows with 1 different cells"):  # the other data set's scores are fine
        load("cifar100", tmp_path)


def test_rows_of_different_length_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "accuracy.csv.gz").write_bytes(gzip.compress(b"index,arch,cifar10_valid_12\n0,x,1\n1,y\n"))
    with pytest.raises(BadInput, match="rows of different length"):
        load("cifar10", tmp_path)


def test_the_search_scores_do_not_depend_on_the_final_ones(changed, table: Path) -> None:
    folder = changed(lambda frame: frame.drop(columns=[name for name in frame if "_test_" in name]))
    assert load("cifar10", folder).fingerprint == load("cifar10", table).fingerprint
    with pytest.raises(BadInput, match="no column 'cifar10_test_200'"):
        held_out.test_accuracies("cifar10", folder)


def test_final_scores_after_twelve_epochs_are_refused(changed) -> None:
    folder = changed(lambda frame: frame.assign(cifar10_test_200=frame["cifar10_test_12"]))
    with pytest.raises(BadInput, match=r"89\.16 %: this is the 12-epoch table"):
        held_out.test_accuracies("cifar10", folder)


def test_search_and_final_scores_that_were_swapped_are_refused(changed) -> None:
    def swap(frame: pd.DataFrame) -> pd.DataFrame:
        names = {"cifar10_test_200": "cifar10_valid_12", "cifar10_valid_12": "cifar10_test_200"}
        return frame.rename(columns=names)

    with pytest.raises(BadInput, match="final scores are those after 200 epochs"):
        held_out.test_accuracies("cifar10", changed(swap))

"""The import of the original NATS-Bench folder: nothing in its pickles is executed, and all of it is there or none."""

from __future__ import annotations

import bz2
import collections
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.core.errors import BadInput, MissingData
from nasbench.tables import held_out, nasbench201, nasbench201_file, nats_bench
from nasbench.tables.nats_bench import COLUMNS, import_folder, read_cell, read_pickle

CELLS = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
)
# The benchmark's trainings: on what, tested on which sets, with which seeds.
TRAININGS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
SEEDS = {"12": (777,), "200": (777, 888, 999)}


def accuracy(cell: int, training: str, part: str, epochs: str, seed: int, epoch: int) -> float:
    """Return a score in percent that differs with everything it is of."""
    names = [f"{t} {p}" for t, parts in TRAININGS.items() for p in parts]
    base = 50.0 if epochs == "12" else 90.0
    part_of_it = names.index(f"{training} {part}") / 10 + cell + seed / 1000 / 3
    return base + part_of_it - 10 * (int(epochs) - 1 - epoch) / int(epochs)


def expected(cell: int) -> dict[str, float]:
    """Return what the columns of one cell must hold: the last epoch, averaged over the seeds."""
    return {
        column: float(
            np.mean([accuracy(cell, training, part, epochs, seed, int(epochs) - 1) for seed in SEEDS[epochs]])
        )
        for column, training, part, epochs in COLUMNS
    }


def record(cell: int) -> dict[str, Any]:
    """Build one cell's record with the benchmark's own classes, laid out as its files are: by number of epochs."""
    api = pytest.importorskip("nats_bench.api_utils", reason="the package nats-bench is not installed")
    by_epochs = {}
    for epochs, seeds in SEEDS.items():
        results = api.ArchResults(cell, CELLS[cell])
        for training, parts in TRAININGS.items():
            for seed in seeds:
                count = int(epochs)
                flat = collections.OrderedDict((epoch, 1.0) for epoch in range(count))
                config = {"channel": 16, "num_cells": 5, "arch_str": CELLS[cell], "class_num": 10}
                trial = api.ResultsCount(training, None, flat, flat, 0.1, 15.6, config, seed, count, None)
                trial.update_train_info(flat, flat, flat, flat)
                keys = [(part, epoch) for part in parts for epoch in range(count)]
                # The real files hold numbers of numpy among plain ones.
                scores = {f"{p}@{e}": np.float64(accuracy(cell, training, p, epochs, seed, e)) for p, e in keys}
                times = {f"{p}@{e}": 1.0 for p, e in keys}
                trial.update_eval(scores, times, times)
                results.update(training, seed, trial)
        by_epochs[epochs] = results.state_dict()
    return by_epochs


def write(file: Path, content: Any) -> Path:
    """Write a compressed pickle as the benchmark's are, with the names that numpy 1 gave to its numbers.

    Protocol 3 writes names in full and counts no bytes, so that a name can be exchanged.
    """
    data = pickle.dumps(content, protocol=3)
    file.write_bytes(bz2.compress(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")))
    return file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A benchmark of three cells, in a folder laid out like the original."""
    monkeypatch.setattr(nats_bench, "CELLS", len(CELLS))
    monkeypatch.setattr(nasbench201, "CELLS", len(CELLS))
    monkeypatch.setattr(nasbench201_file, "CELLS", len(CELLS))
    original = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    original.mkdir()
    write(original / "meta.pickle.pbz2", {"meta_archs": list(CELLS)})
    for cell in range(len(CELLS)):
        write(original / f"{cell:06d}.pickle.pbz2", record(cell))
    return original


# -- pickles ---------------------------------------------------------------------------------------------------------
class Touching:
    """What a malicious file would hold: reading it makes a file."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, eval, exec, os.mkdir, getattr, print])
def test_no_code_in_a_pickle_is_run(tmp_path: Path, function: Callable[..., Any], protocol: int) -> None:
    marker = tmp_path / "marker"
    arguments = {
        os.system: (f"touch {marker}",),
        os.mkdir: (str(marker),),
        getattr: ("text", "upper"),
        print: ("read",),
    }.get(function, (f"__import__('pathlib').Path({str(marker)!r}).touch()",))
    data = pickle.dumps({"12": [Touching(function, *arguments)]}, protocol=protocol)
    file = tmp_path / "000000.pickle.pbz2"
    file.write_bytes(bz2.compress(data))
    with pytest.raises(BadInput, match=r"000000\.pickle\.pbz2 is damaged or unsafe .* which no benchmark file needs"):
        read_pickle(file)
    assert not marker.exists()
    if function in (os.system, eval, exec, os.mkdir):  # and an unguarded reader would have run it
        pickle.loads(data)
        assert marker.exists()


def test_plain_containers_and_numbers_are_read(tmp_path: Path) -> None:
    plain = {
        "builtin": [1, 2.5, None, True, "text", b"bytes", (1, 2)],
        "ordered": collections.OrderedDict(x=1),
        "lists": collections.defaultdict(list, y=[2]),
        "number": np.float64(61.25),
    }
    assert read_pickle(write(tmp_path / "numpy1.pickle.pbz2", plain)) == plain
    file = tmp_path / "numpy2.pickle.pbz2"
    file.write_bytes(bz2.compress(pickle.dumps(plain | {"set": {1, 2}}, protocol=4)))
    assert read_pickle(file) == plain | {"set": {1, 2}}


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"no archive",
        lambda whole: whole[:-10],
        lambda whole: whole[:60] + b"\x00" + whole[61:],
        lambda whole: bz2.compress(b""),
        lambda whole: bz2.compress(b"no pickle"),
        lambda whole: bz2.compress(bz2.decompress(whole)[:-20]),
    ],
    ids=["empty", "no archive", "cut", "one byte", "nothing inside", "no pickle inside", "pickle cut"],
)
def test_a_damaged_file_is_bad_input(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = write(tmp_path / "f.pickle.pbz2", {"meta_archs": list(CELLS)})
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(BadInput, match="damaged or unsafe"):
        read_pickle(file)


# -- one cell --------------------------------------------------------------------------------------------------------
def test_a_cell_gives_the_last_epoch_averaged_over_its_seeds(tmp_path: Path) -> None:
    scores = read_cell(write(tmp_path / "000001.pickle.pbz2", record(1)))
    assert list(scores) == [column for column, *_ in COLUMNS]
    assert scores == pytest.approx(expected(1))
    assert len(set(scores.values())) == len(COLUMNS)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"12": []},
        {"12": {"all_results": {}, "dataset_seed": {}}, "200": {"all_results": {}, "dataset_seed": {}}},
        {"90": {"all_results": {}, "dataset_seed": {}}},
    ],
    ids=["list", "no states", "no results", "size space"],
)
def test_what_is_no_cell_is_bad_input(tmp_path: Path, content: Any) -> None:
    pytest.importorskip("nats_bench", reason="the package nats-bench is not installed")
    with pytest.raises(BadInput, match="is not a cell of the NATS-Bench topology space"):
        read_cell(write(tmp_path / "000000.pickle.pbz2", content))


# -- the folder ------------------------------------------------------------------------------------------------------
def test_a_folder_becomes_the_table(folder: Path, tmp_path: Path) -> None:
    done: list[int] = []
    file = import_folder(folder, tmp_path / "data", done.append)
    assert file == tmp_path / "data" / "nasbench201" / "accuracy.csv.gz"
    assert done == [1, 2, 3]
    header, rows = nasbench201_file.read_rows(file)
    assert header == ["index", "arch", *(column for column, *_ in COLUMNS)]
    assert [row[:2] for row in rows] == [[str(cell), CELLS[cell]] for cell in range(3)]
    for cell, row in enumerate(rows):
        assert [float(text) for text in row[2:]] == pytest.approx(list(expected(cell).values()), abs=5.1e-5)


def test_the_table_made_is_one_that_can_be_read(folder: Path, tmp_path: Path) -> None:
    import_folder(folder, tmp_path / "data")
    for dataset in ("cifar10", "cifar100", "imagenet16-120"):
        scores = nasbench201.load(dataset, tmp_path / "data")
        final = held_out.test_accuracies(dataset, tmp_path / "data")
        for cell, text in enumerate(CELLS):
            row = scores.row[nasbench201_file.parse_cell(text)]
            assert scores.valid_accuracy[row] == pytest.approx(expected(cell)[f"{scores.dataset}_valid_12"], abs=1e-4)
            assert final[row] == pytest.approx(expected(cell)[f"{scores.dataset}_test_200"], abs=1e-4)
    assert scores.dataset == "ImageNet16-120"


def test_the_same_folder_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one, two = (import_folder(folder, tmp_path / name) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def remove_a_cell(folder: Path) -> None:
    (folder / "000002.pickle.pbz2").unlink()


def damage_a_cell(folder: Path) -> None:
    (folder / "000002.pickle.pbz2").write_bytes(b"no archive")


def too_few_cells(folder: Path) -> None:
    write(folder / "meta.pickle.pbz2", {"meta_archs": list(CELLS[:2])})


def one_cell_twice(folder: Path) -> None:
    write(folder / "meta.pickle.pbz2", {"meta_archs": [CELLS[0], CELLS[1], CELLS[1]]})


def no_list_of_cells(folder: Path) -> None:
    write(folder / "meta.pickle.pbz2", [1, 2, 3])


def no_meta(folder: Path) -> None:
    (folder / "meta.pickle.pbz2").unlink()


def twelve_epochs_for_two_hundred(folder: Path) -> None:
    for cell in range(len(CELLS)):
        state = read_pickle(folder / f"{cell:06d}.pickle.pbz2")
        write(folder / f"{cell:06d}.pickle.pbz2", {"12": state["12"], "200": state["12"]})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (remove_a_cell, MissingData, r"000002\.pickle\.pbz2 is missing; the folder must hold 3 cells"),
        (no_meta, MissingData, r"meta\.pickle\.pbz2 is missing"),
        (damage_a_cell, BadInput, "damaged or unsafe"),
        (too_few_cells, BadInput, "2 cells; the topology space has 3"),
        (one_cell_twice, BadInput, "2 cells; the topology space has 3"),
        (no_list_of_cells, BadInput, "0 cells"),
        (twelve_epochs_for_two_hundred, BadInput, "this is the 12-epoch table"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_and_nothing_written(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], error: type[BadInput], message: str
) -> None:
    change(folder)
    with pytest.raises(error, match=message):
        import_folder(folder, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_table_that_is_there_survives_a_refused_import(folder: Path, tmp_path: Path) -> None:
    file = import_folder(folder, tmp_path / "data")
    before = file.read_bytes()
    damage_a_cell(folder)
    with pytest.raises(BadInput):
        import_folder(folder, tmp_path / "data")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]

"""The surrogate benchmark of Once-for-All sub-networks: exact where measured, its errors those that it states."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.evaluation import Proposal
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.ofa_mobilenetv3 import OfaMobileNetV3
from nasbench.tables.gaussian_process import GaussianProcess
from nasbench.tables.ofa_mobilenetv3 import (
    FILE,
    FOLDER,
    NOISE,
    ROWS,
    SQUARED_LENGTH,
    describe,
    import_file,
    is_original,
    load,
    read,
)
from nasbench.tables.table import Surrogate
from nasbench.testing import check_evaluator

SPACE = OfaMobileNetV3()


@pytest.fixture
def files(data: Path) -> list[Path]:
    paths = [data / FOLDER / name for name in ROWS]
    if not all(path.exists() for path in paths):
        pytest.skip(f"{FOLDER} is not in NASBENCH_DATA")
    return paths


@pytest.fixture(scope="module")
def kept() -> dict[str, Surrogate]:
    return {}


@pytest.fixture
def surrogate(files: list[Path], data: Path, kept: dict[str, Surrogate]) -> Surrogate:
    """The benchmark, fitted once for all tests of this file."""
    if "" not in kept:
        kept[""] = load("ImageNet", data)
    return kept[""]


def test_every_row_has_the_counted_costs_and_the_measured_accuracy(files: list[Path], surrogate: Surrogate) -> None:
    measured: dict[Architecture, list[list[float]]] = {}
    for file in files:
        by_search: dict[Architecture, list[float]] = {}
        with file.open(newline="") as text:
            for row in csv.DictReader(text):
                architecture = SPACE.parse(row["Sub-network"])
                assert SPACE.parameters(architecture) == int(row["Model Parameters"])
                assert SPACE.macs(architecture) == int(row["MACs"])
                by_search.setdefault(SPACE.canonical(architecture), []).append(float(row["Top-1 Acc (%)"]))
        for architecture, accuracies in by_search.items():
            assert len(set(accuracies)) == 1  # one search scores a network once and for all
            measured.setdefault(architecture, []).append(accuracies)
    assert len(measured) == len(surrogate.measured) == 1_357
    for architecture, searches in measured.items():
        score = surrogate.score(architecture)
        assert score.source == "table" and score.further == {"prediction_std": 0.0, "extrapolated": 0.0}
        assert score.valid_accuracy == pytest.approx(np.mean([found[0] for found in searches]), abs=1e-4)


def test_what_decides_nothing_does_not_hide_a_measurement(surrogate: Surrogate) -> None:
    spec = next(spec for spec in surrogate.measured if spec[40] == 2)
    other = Architecture(SPACE.name, (*spec[:3], 7, *spec[4:]))
    assert other.spec not in surrogate.measured and surrogate.score(other).source == "table"


def test_the_stated_error_is_that_of_refitting(surrogate: Surrogate) -> None:
    """By sklearn's folds and fits that see nothing of the part left out, not even for scaling."""
    architectures = [Architecture(SPACE.name, spec) for spec in surrogate.measured]
    features = np.array([describe(SPACE, architecture) for architecture in architectures])
    accuracies = np.array(list(surrogate.measured.values()))
    part = np.random.default_rng(7).permutation(len(accuracies)) % 5 == 0
    process = GaussianProcess(features[~part], accuracies[~part], squared_length=SQUARED_LENGTH, noise=NOISE)
    predicted = np.array([process.predict(row)[0] for row in features[part]])
    errors = np.abs(predicted - accuracies[part])
    assert errors.mean() == pytest.approx(surrogate.error["mean_absolute_error"], rel=0.15)
    assert (errors <= surrogate.error["nine_in_ten_within"]).mean() == pytest.approx(0.9, abs=0.05)
    assert surrogate.error["mean_absolute_error"] < 0.05 and surrogate.error["tau"] > 0.96
    assert surrogate.error["mean_absolute_error_other_search"] > surrogate.error["mean_absolute_error"]


def test_the_notes_state_the_error_and_that_nothing_is_held_out(surrogate: Surrogate) -> None:
    text = " ".join(surrogate.notes)
    assert f"{surrogate.error['mean_absolute_error']:.3f} points" in text and "no held-out score" in text
    assert "1,357 sub-networks were measured" in text and "without training of their own" in text


def test_predictions_outside_of_what_was_measured_say_so(surrogate: Surrogate) -> None:
    for kernel, expansion, depth in ((3, 3, 2), (7, 6, 4)):
        extreme = surrogate.score(Architecture(SPACE.name, (kernel,) * 20 + (expansion,) * 20 + (depth,) * 5))
        assert extreme.source == "predicted" and extreme.further["extrapolated"] == 1.0
    near = 0
    for spec in list(surrogate.measured)[::40]:
        architecture = SPACE.mutate(Architecture(SPACE.name, spec), np.random.default_rng(0))
        score = surrogate.score(architecture)
        near += score.source == "predicted" and not score.further["extrapolated"]
        assert abs(score.valid_accuracy - surrogate.measured[spec]) < 1.5
    assert near > 10


def test_the_evaluator_says_whether_a_score_was_measured(surrogate: Surrogate) -> None:
    looking_up = TableEvaluator(SPACE, surrogate, TableEvaluator.Config())
    measured = Architecture(SPACE.name, next(iter(surrogate.measured)))
    drawn = SPACE.sample(np.random.default_rng(0))
    for architecture, source in ((measured, "table"), (drawn, "predicted")):
        evaluation = looking_up.evaluate(Proposal(architecture), id=0, seed=0)
        assert evaluation.source == source
        assert set(evaluation.metrics) == {"valid_accuracy", "prediction_std", "extrapolated", "parameters", "macs"}
        assert evaluation.metrics["macs"] == SPACE.macs(architecture)
    check_evaluator(looking_up, [measured, drawn, *SPACE.sample_many(np.random.default_rng(1), 8)])


def test_the_features_end_with_the_code_of_the_space() -> None:
    for architecture in map(SPACE.canonical, SPACE.sample_many(np.random.default_rng(3), 20)):
        features = describe(SPACE, architecture)
        assert np.array_equal(features[12:], SPACE.encode(architecture))
        assert features[:2] == pytest.approx(np.log([SPACE.macs(architecture), SPACE.parameters(architecture)]))
        assert features[2:7].sum() == sum(block.kernel for block in SPACE.blocks(architecture))


def test_another_load_is_the_same_benchmark(surrogate: Surrogate, data: Path) -> None:
    again = load("imagenet", data / FOLDER)
    assert again.fingerprint == surrogate.fingerprint and again.error == surrogate.error
    for architecture in SPACE.sample_many(np.random.default_rng(2), 10):
        assert again.score(architecture) == surrogate.score(architecture)


def test_what_is_missing_or_unknown_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"'cifar10'\. Allowed: imagenet"):
        load("cifar10", data)
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    with pytest.raises(MissingData, match=r"mbnv3w10_evoga_acc\.csv\) are in none .* IntelLabs/DyNAS-T"):
        load("imagenet")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("75.448", "175.448", "line 2: .* an accuracy lies between 0 and 100"),
        ("75.448", "nan", "line 2: .* an accuracy lies between 0 and 100"),
        ("75.448", "high", "line 2: not a measured sub-network"),
        ("5029656", "5029657", "line 2: .* the network has"),
        ("255502624", "1", "line 2: .* the network has"),
        ("[5, 7, 5, 5, 3", "[5, 9, 5, 5, 3", "line 2: not a measured sub-network"),
        ("Top-1 Acc (%)", "accuracy", "line 2: not a measured sub-network"),
        ("\n", "", "0 rows; it must have 364"),
    ],
)
def test_a_changed_file_is_refused(files: list[Path], tmp_path: Path, old: str, new: str, message: str) -> None:
    text = files[0].read_text()
    (tmp_path / files[0].name).write_text(text.replace(old, new, 1) if old != "\n" else text.replace("\n", ""))
    with pytest.raises(BadInput, match=message):
        read(tmp_path / files[0].name, SPACE)


def test_the_converted_file_says_the_same(files: list[Path], surrogate: Surrogate, tmp_path: Path) -> None:
    assert is_original(files[0].parent) and is_original(files[1])
    assert import_file(files[1], tmp_path / "data") == tmp_path / "data" / FILE
    started = time.process_time()
    again = load("imagenet", tmp_path / "data")
    assert time.process_time() - started < 0.2
    assert again.file == tmp_path / "data" / FILE and again.fingerprint == surrogate.fingerprint
    assert (again.measured, again.error, again.notes) == (surrogate.measured, surrogate.error, surrogate.notes)
    for number in range(20):
        architecture = SPACE.sample(np.random.default_rng(number))
        assert again.score(architecture) == surrogate.score(architecture)
    again.file.write_bytes(again.file.read_bytes()[:-400])
    with pytest.raises(BadInput, match="is damaged"):
        load("imagenet", tmp_path / "data")


def test_an_import_needs_all_three_files(files: list[Path], tmp_path: Path) -> None:
    alone = tmp_path / files[0].name
    alone.write_bytes(files[0].read_bytes())
    with pytest.raises(MissingData, match=f"{list(ROWS)[1]} is missing"):
        import_file(alone, tmp_path / "data")
    assert not (tmp_path / "data").exists()

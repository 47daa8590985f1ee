"""NASLib's pickles: what is validation is found out from the numbers, and a test score never becomes a search score."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.core.errors import BadInput, MissingData
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables import held_out, naslib
from nasbench.tables.nasbench201_file import CELLS, import_file, opened
from nasbench.tables.table import Table, load_table
from tests.tables import naslib_file

EPOCHS = 3


@pytest.fixture
def accuracy(table: Path) -> Path:
    return table / "nasbench201" / "accuracy.csv.gz"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trainings of three epochs, and no data but what the test makes."""
    monkeypatch.setattr(naslib, "EPOCHS", EPOCHS)
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))


def converted(file: Path, target: Path) -> Table:
    assert naslib.is_original(file)
    naslib.import_file(file, target)
    found = load_table("nasbench201", "CIFAR10", target, several_epochs=True)
    assert isinstance(found, Table)
    return found


def test_validation_curves_with_the_benchmarks_test_accuracies(accuracy: Path, few: None, tmp_path: Path) -> None:
    import_file(accuracy, tmp_path / "data")
    file = naslib_file.write(tmp_path / "a.pickle", naslib_file.full_training(accuracy, EPOCHS))
    found = converted(file, tmp_path / "data")
    assert found.epochs == (1, 2, 3) and found.fidelities == ("epochs", "schedule_epochs") and found.classes == 10
    correct, final = naslib_file.curves(accuracy, EPOCHS), held_out.held_out_scores(found)
    known, cells = held_out.test_accuracies("cifar10", tmp_path / "data"), opened(accuracy).cells()
    assert set(found.row) == {architecture.spec for architecture in NasBench201.all()}
    for number in range(0, CELLS, 101):
        row = found.row[cells[number]]
        assert np.allclose(found.curves[:, row], correct[number] / 250)
        assert final[row] == known[number]
    assert "means over the trainings on all training images" in found.notes[0]
    assert np.array_equal(found.after(2).valid_accuracy, found.curves[1])
    with pytest.raises(BadInput, match="after 4 epochs"):
        found.after(4)
    # The scores of 12 epochs are what a search without fidelity goes by, as before.
    assert load_table("nasbench201", "cifar10", tmp_path / "data").fidelity == "12 epochs"


def test_without_the_table_those_of_the_same_trainings(accuracy: Path, few: None, tmp_path: Path) -> None:
    content = naslib_file.full_training(accuracy, EPOCHS)
    found = converted(naslib_file.write(tmp_path / "a.pickle", content), tmp_path / "data")
    cell, results = next(iter(content.items()))
    row = found.row[opened(accuracy).cells()[0]]
    assert held_out.held_out_scores(found)[row] == results["cifar10-valid"]["eval_acc1es"][-1] and cell.startswith("|")
    assert "the same trainings after the last epoch" in found.notes[0]
    assert load_table("nasbench201", "cifar10", tmp_path / "data").fingerprint == found.fingerprint


def test_the_pickle_of_last_epochs(accuracy: Path, few: None, tmp_path: Path) -> None:
    """``nb201_all.pickle`` has a number in place of a list, and the training on all images beside the other."""
    content = {
        cell: {
            "cifar10-valid": {"eval_acc1es": results["cifar10-valid"]["eval_acc1es"][EPOCHS - 1]},
            "cifar10": {"eval_acc1es": np.float32(results["cifar10-valid"]["eval_acc1es"][-1])},
        }
        for cell, results in naslib_file.full_training(accuracy, EPOCHS).items()
    }
    found = converted(naslib_file.write(tmp_path / "a.pickle", content), tmp_path / "data")
    assert found.epochs == (EPOCHS,) and found.fidelities == ()
    assert "a training on all training images" in found.notes[0]


# -- what is refused ---------------------------------------------------------------------------------------------------
def on_test_images(content: dict[str, Any]) -> None:
    for results in content.values():
        results["cifar10-valid"]["eval_acc1es"] = results["cifar10-valid"]["eval_acc1es"][-1:] * (EPOCHS + 1)


def other_data(content: dict[str, Any]) -> None:
    for results in content.values():
        results["cifar100"] = results.pop("cifar10-valid")


def without_test(content: dict[str, Any]) -> None:
    for results in content.values():
        results["cifar10-valid"]["eval_acc1es"].pop()


def mixed_up(content: dict[str, Any]) -> None:
    cells = list(content)
    for cell, other in zip(cells, np.random.default_rng(0).permutation(cells).tolist(), strict=True):
        content[cell]["cifar10-valid"]["eval_acc1es"][-1] = content[other]["cifar10-valid"]["eval_acc1es"][-1]


def first(content: dict[str, Any]) -> dict[str, Any]:
    return next(iter(content.values()))["cifar10-valid"]


CHANGES: list[tuple[Callable[[dict[str, Any]], object], type[BadInput], str]] = [
    (on_test_images, BadInput, "those of test images are not to be searched by"),
    (other_data, BadInput, "has results on cifar100, where validation accuracies cannot be told from"),
    (without_test, MissingData, "import the NAS-Bench-201 table"),
    (lambda content: content.popitem(), BadInput, "15624 cells, and 1 of the benchmark's 15625 are not among them"),
    (lambda content: first(content)["eval_acc1es"].pop(), BadInput, "not as many accuracies"),
    (lambda content: first(content)["eval_acc1es"].__setitem__(0, 101.0), BadInput, "between 0 and 100"),
    (lambda content: first(content)["eval_acc1es"].__setitem__(0, 33.3335), BadInput, "not to be searched by"),
    (lambda content: first(content)["eval_acc1es"].__setitem__(1, 33.3335), BadInput, "of 4 .* the first 1 are on"),
    (lambda content: first(content)["eval_acc1es"].__setitem__(3, 33.3335), BadInput, "at most one on test images"),
    (mixed_up, BadInput, "do not go with the test accuracies"),
]


def test_what_is_refused_and_that_nothing_is_written(accuracy: Path, few: None, tmp_path: Path) -> None:
    whole = {
        cell: results["cifar10-valid"]["eval_acc1es"]
        for cell, results in naslib_file.full_training(accuracy, EPOCHS).items()
    }
    for change, error, message in CHANGES:
        content = {cell: {"cifar10-valid": {"eval_acc1es": list(scores)}} for cell, scores in whole.items()}
        change(content)
        with pytest.raises(error, match=message):
            naslib.import_content(tmp_path / "a.pickle", content, tmp_path / "data")
        assert not (tmp_path / "data").exists()


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "is damaged"),
        (lambda whole: pickle.dumps({"|none~0|+|none~0|none~1|+|": Harmful()}), "'posix.mkdir' is not allowed"),
        (lambda whole: pickle.dumps(["|none~0|+|none~0|none~1|+|"]), "not a dictionary of NAS-Bench-201 cells"),
        (lambda whole: pickle.dumps({"|none~0|+|none~0|none~1|+|": {}}), "1 cells, and 15625"),
    ],
    ids=["cut", "harmful", "a list", "one cell"],
)
def test_a_damaged_or_harmful_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    file = tmp_path / "nb201_cifar10_full_training.pickle"
    file.write_bytes(damage(pickle.dumps({cell: {"cifar10-valid": {"eval_acc1es": [10.0]}}})))
    assert naslib.is_original(file)
    with pytest.raises(BadInput, match=message) as error:
        naslib.import_file(file, tmp_path / "data")
    assert "\n" not in str(error.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [file.name]


def test_other_files_are_not_taken_for_it(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"index,arch", pickle.dumps({"weights": [1.0]}))):
        file = tmp_path / str(number)
        file.write_bytes(content)
        assert not naslib.is_original(file)
    assert not naslib.is_original(tmp_path)

"""From a file of NASLib to the verdict of a search that scores at several numbers of epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasbench.core.architecture import Architecture
from nasbench.tables.table import load_table
from tests.cli.conftest import one_line
from tests.tables import naslib_file

SEARCH = ("search", "--space", "nasbench201", "--evaluator", "table", "--strategy", "hyperband", "--data-dir", "data")


def test_hyperband_on_an_imported_table(cli, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = table / "nasbench201" / "accuracy.csv.gz"
    monkeypatch.setenv("NASBENCH_DATA", str(Path("none").absolute()))
    said = cli("data", "import", accuracy, "--data-dir", "data")
    assert (said.code, said.out) == (0, "data/nasbench201/accuracy.npz\n")
    one_line(cli(*SEARCH, "--evaluations", 100), 2, "holds validation accuracy at one fidelity (12 epochs)")

    naslib_file.write(Path("nb201_cifar10_full_training.pickle"), naslib_file.full_training(accuracy))
    said = cli("data", "import", "nb201_cifar10_full_training.pickle", "--data-dir", "data")
    assert (said.code, said.out) == (0, "data/nasbench201/cifar10_epochs.npz\n")
    one_line(cli(*SEARCH, "--set", "maximum_epochs=81"), 2, "a schedule of 200 epochs, and not of 81")

    said = cli(*SEARCH, "--evaluations", 206, "--out", "run", "--json")
    assert said.code == 0, said.err
    config = json.loads(Path("run/config.json").read_text())["run"]
    assert config["strategy"]["settings"]["maximum_epochs"] == 200
    found = load_table("nasbench201", "cifar10", Path("data"), several_epochs=True)
    records = [json.loads(line) for line in Path("run/evaluations.jsonl").read_text().splitlines()]
    epochs = [dict(record["fidelity"])["epochs"] for record in records]
    assert set(epochs) == {2, 7, 22, 67, 200} and epochs.count(200) >= 3
    for record in records[::10]:
        row = found.row[Architecture.from_json(record["architecture"]).spec]
        at = found.epochs.index(dict(record["fidelity"])["epochs"])
        assert record["metrics"]["valid_accuracy"] == found.curves[at, row]
    result = json.loads(Path("run/result.json").read_text())
    best = max(
        (r for r, e in zip(records, epochs, strict=True) if e == 200), key=lambda r: r["metrics"]["valid_accuracy"]
    )
    assert result["architecture_spec"] == best["architecture"]
    # Going on costs the further epochs alone; so many cells could be trained to the end.
    spent = sum(
        e - (epochs[r["parent"]] if r.get("parent") is not None else 0) for r, e in zip(records, epochs, strict=True)
    )
    assert f"({-(-int(spent) // 200)} evaluations each)" in result["verdict_sentence"]
    assert result["random_curve"] is None and result["identity"]["method"] == "hyperband"
    assert any("up to 200" in note for note in result["notes"])

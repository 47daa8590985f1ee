"""``nasbench`` on a second benchmark table: imported, listed, searched to the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasbench.tables.nasbench_macro import FILE

TABLE = ["--space", "nasbench-macro", "--evaluator", "table"]


@pytest.fixture
def macro(cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with nothing but the imported table."""
    original = data / "nasbench_macro_cifar10.json"
    if not original.exists():
        pytest.skip(f"{original.name} is not in NASBENCH_DATA")
    folder = tmp_path / "data"
    monkeypatch.setenv("NASBENCH_DATA", str(folder))
    said = cli("data", "import", original)
    assert said.code == 0 and said.out.strip() == str(folder / FILE), said.err
    return folder


def test_the_import_is_listed_and_verified(cli, macro: Path) -> None:
    rows = cli("data", "list", "--json").json
    assert rows[FILE]["path"] == str(macro / FILE) and "nas-bench-macro_cifar10.json" in rows[FILE]["how"]
    facts = cli("data", "verify", "--json").json["nasbench-macro cifar10"]
    assert facts["cells"] == 6_561 and facts["mean test accuracy"] == pytest.approx(90.2447, abs=1e-4)


def test_another_json_file_is_refused(cli, macro: Path) -> None:
    Path("other.json").write_text("{}")
    said = cli("data", "import", "other.json")
    assert said.code == 2 and "nas-bench-macro_cifar10.json" in said.err
    Path("other.json").write_text('{"00000000": {"test_acc": [1, 2, 3]}}')
    said = cli("data", "import", "other.json")
    assert said.code == 2 and "1 entries; NAS-Bench-Macro has 6561 networks" in said.err


def test_a_search_reaches_its_verdict(cli, macro: Path) -> None:
    said = cli("search", *TABLE, "--strategy", "evolution", "--evaluations", 200, "--out", "run", "--json")
    assert said.code == 0, said.err
    result = said.json
    assert result["baseline"] == {
        "mean": pytest.approx(90.2447, abs=1e-4),
        "std": pytest.approx(2.6847, abs=1e-4),
        "n": 6561,
    }
    assert 92 < result["random_search"]["mean"] < 93.3 and result["metrics"]["test_accuracy"] > 91
    assert result["verdict"].startswith("one run: no test; beats ")
    assert set(result["metrics"]) >= {"valid_accuracy", "parameters", "macs", "test_accuracy"}
    stored = json.loads(Path("run/result.json").read_text())
    assert len(stored["notes"]) == 2 and stored["identity"]["recipe_hash"] == "table-nasbench-macro"
    assert all(note in Path("run/report.html").read_text() for note in stored["notes"])
    shown = cli("search", *TABLE, "--strategy", "evolution", "--evaluations", 200, "--out", "run")
    assert "Note: NAS-Bench-Macro has three trainings" in shown.out and "Verdict: One run" in shown.out


def test_one_network_is_looked_up_and_drawn(cli, macro: Path) -> None:
    metrics = cli("evaluate", "02012100", *TABLE, "--json").json["metrics"]
    assert metrics["valid_accuracy"] == 89.47 and metrics["test_accuracy"] == pytest.approx(89.06)
    assert cli("show", "02012100", "--space", "nasbench-macro", "--out", "network.svg").code == 0
    said = cli("evaluate", "02012104", *TABLE)
    assert said.code == 2 and "expected 8 digits" in said.err

"""``nasbench`` on the NAS-Bench-Graph tables: imported, listed, searched to the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasbench.tables import nasbench_graph
from tests.cli.conftest import one_line

TABLE = ["--space", "nasbench-graph", "--evaluator", "table"]

if nasbench_graph.original_file("cora") is None:
    pytest.skip("the package nas-bench-graph is not installed", allow_module_level=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    return tmp_path / "data"


def test_it_is_listed_imported_and_verified(cli, folder: Path) -> None:
    rows = cli("data", "list", "--json").json
    assert rows["nasbench_graph/cora.npz"]["path"].endswith("nas_bench_graph/light/cora.bench")
    said = cli("data", "import", "nasbench-graph")
    assert said.code == 0 and said.out.strip() == str(folder / "nasbench_graph"), said.err
    assert len(list((folder / "nasbench_graph").iterdir())) == 9
    assert cli("data", "list", "--json").json["nasbench_graph/cora.npz"]["path"] == str(
        folder / "nasbench_graph" / "cora.npz"
    )
    facts = cli("data", "verify", "--json").json
    assert facts["nasbench-graph cora"]["cells"] == 157_440
    assert facts["nasbench-graph cora"]["mean test accuracy"] == pytest.approx(77.6193, abs=1e-4)
    assert facts["nasbench-graph-proteins proteins"]["cells"] == 14_976


def test_a_search_reaches_its_verdict(cli, folder: Path) -> None:
    said = cli("search", *TABLE, "--strategy", "evolution", "--evaluations", 50, "--out", "run", "--json")
    assert said.code == 0, said.err
    result = said.json
    assert result["dataset"] == "cora" and result["verdict"].startswith("one run: no test; beats ")
    assert result["baseline"]["n"] == 157_440 and result["baseline"]["mean"] == pytest.approx(77.6193, abs=1e-4)
    assert set(result["metrics"]) >= {"valid_accuracy", "parameters", "test_accuracy"}
    stored = json.loads(Path("run/result.json").read_text())
    assert len(stored["notes"]) == 2 and stored["identity"]["recipe_hash"] == "table-nasbench-graph"
    assert Path("run/architecture.svg").exists() and Path("run/report.html").exists()


def test_proteins_is_a_space_of_its_own(cli, folder: Path) -> None:
    one_line(
        cli("search", *TABLE, "--dataset", "proteins", "--evaluations", 5), 2, "use --space nasbench-graph-proteins."
    )
    arguments = ["--space", "nasbench-graph-proteins", "--evaluator", "table", "--strategy", "reinforce"]
    said = cli("search", *arguments, "--evaluations", 50, "--out", "run", "--json")
    assert said.code == 0, said.err
    assert said.json["dataset"] == "proteins" and said.json["baseline"]["n"] == 14_976


def test_nothing_can_be_trained_on_images(cli, folder: Path) -> None:
    said = cli("search", "--space", "nasbench-graph", "--dataset", "digits", "--evaluator", "train", "--out", "run")
    one_line(said, 2, "are for data of kind 'node', and 'digits' is of kind 'image'")
    assert "with --evaluator table" in said.err and not Path("run").exists()


def test_one_network_is_looked_up_and_drawn(cli, folder: Path) -> None:
    metrics = cli("evaluate", "88811", *TABLE, "--json").json["metrics"]
    assert metrics["valid_accuracy"] == pytest.approx(79.1333, abs=1e-3)
    assert metrics["test_accuracy"] == pytest.approx(80.1667, abs=1e-3) and metrics["parameters"] == 502_535
    assert cli("show", "0121 gcn gin fc cheb", "--space", "nasbench-graph", "--out", "network.svg").code == 0
    one_line(cli("evaluate", "88888", *TABLE), 2, "four skips compute nothing")


def test_without_the_package_it_says_how_to_get_it(cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASBENCH_CACHE", str(folder.parent / "cache"))
    monkeypatch.setattr(nasbench_graph, "original_file", lambda dataset: None)
    one_line(cli("search", *TABLE, "--evaluations", 5), 2, "pip install 'nasbench[graph]'")
    one_line(cli("data", "import", "nasbench-graph"), 2, "pip install 'nasbench[graph]'")
    assert "missing" in cli("data", "list").out

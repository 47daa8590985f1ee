"""``nasbench data``: what there is, whether it is right, and what an import refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasbench.tables.nasbench201 import load
from nasbench.tables.nasbench201_file import ACCURACY_FILE, CONVERTED_ACCURACY
from nasbench.tables.table import TABLES, sources


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any data."""
    folder = tmp_path / "nothing"
    folder.mkdir()
    monkeypatch.setenv("NASBENCH_DATA", str(folder))
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    monkeypatch.setattr("nasbench.tables.nasbench_graph.original_file", lambda dataset: None)
    return folder


def test_list_says_where_everything_lies(cli, table: Path) -> None:
    said = cli("data", "list", "--data-dir", table, "--json")
    assert said.code == 0 and said.err == ""
    rows = said.json
    assert list(rows) == [
        *(source.file for space in TABLES for source in sources(space)),
        *("digits", "karate", "cifar10", "cifar100", "cora", "citeseer", "pubmed"),
    ]
    assert rows[CONVERTED_ACCURACY]["path"] == str(table / ACCURACY_FILE)
    assert all(set(row) == {"path", "how"} for row in rows.values())


def test_list_says_how_to_get_what_is_missing(cli, nothing: Path) -> None:
    rows = cli("data", "list", "--json").json
    assert {name for name, row in rows.items() if row["path"] is None} == set(rows) - {"digits", "karate"}
    assert "nasbench data import cifar10" in rows["cifar10"]["how"]
    assert "NATS-tss-v1_0-3ffb9-simple" in rows[CONVERTED_ACCURACY]["how"]
    shown = cli("data", "list")
    assert shown.code == 0 and "missing" in shown.out and "scikit-learn" in shown.out


def test_verify_tells_the_facts_that_were_checked(cli, table: Path) -> None:
    said = cli("data", "verify", "--data-dir", table, "--json")
    assert said.code == 0 and said.err == ""
    facts = said.json
    assert {"cifar10", "cifar100"} <= set(facts)
    for name, mean, best in (("cifar10", 87.0629, 84.892), ("cifar100", 61.4055, 61.32)):
        assert facts[name]["cells"] == 15_625 and facts[name]["file"] == str(table / ACCURACY_FILE)
        assert facts[name]["mean test accuracy"] == pytest.approx(mean, abs=1e-4)
        assert facts[name]["best validation accuracy"] == pytest.approx(best, abs=1e-3)
        assert facts[name]["fingerprint"] == load(name, table).fingerprint
    shown = cli("data", "verify", "--data-dir", table)
    assert shown.code == 0 and "15625" in shown.out and facts["cifar10"]["fingerprint"] in shown.out


def test_verify_without_a_table_is_bad_input(cli, nothing: Path) -> None:
    said = cli("data", "verify", "--json")
    assert said.code == 2 and said.out == "" and "nasbench data import FOLDER" in said.err


def test_verify_finds_damage(cli, table: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "accuracy.csv.gz").write_bytes((table / ACCURACY_FILE).read_bytes()[:-1000])
    said = cli("data", "verify", "--data-dir", damaged, "--json")
    assert said.code == 2 and said.out == "" and "is damaged" in said.err


def test_importing_a_folder_that_is_no_benchmark_writes_nothing(cli, nothing: Path) -> None:
    Path("photos").mkdir()
    Path("photos/cat.jpg").write_bytes(b"cat")
    said = cli("data", "import", "photos", "--data-dir", nothing)
    assert said.code == 2 and "meta.pickle.pbz2 is missing" in said.err and said.err.count("\n") == 1
    said = cli("data", "import", "photos/cat.jpg")
    assert said.code == 2 and "is a file; give the folder NATS-tss-v1_0-3ffb9-simple" in said.err
    assert not list(nothing.iterdir())

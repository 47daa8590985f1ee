"""``nasbench data`` with folders of graphs, whole ones and odd ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import one_line
from tests.datasets.planetoid_files import write


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty data folder."""
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    return tmp_path / "data"


@pytest.mark.parametrize("place", ["", "raw", "Cora/raw", "Cora"])
def test_import_then_list(cli, data: Path, place: str) -> None:
    before = cli("data", "list", "--json").json
    assert before["karate"]["path"] and before["cora"]["path"] is None and "ind.cora.x" in before["cora"]["how"]
    write(Path("my files") / place)
    said = cli("data", "import", "my files")
    assert (said.code, said.out.strip()) == (0, str(data / "planetoid")), said.err
    rows = cli("data", "list", "--json").json
    assert rows["cora"]["path"] == str(data / "planetoid" / "Cora" / "raw") and rows["pubmed"]["path"] is None
    again = cli("data", "import", data / "planetoid")
    assert again.code == 0 and cli("data", "list", "--json").json == rows


def test_list_names_the_data_sets(cli) -> None:
    assert {"cora", "citeseer", "pubmed", "karate"} <= set(cli("list", "--json").json["data sets"])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_odd_folders_are_refused_in_one_line(cli, data: Path) -> None:
    write(Path("lacking"), graph=None)
    one_line(cli("data", "import", "lacking"), 2, "lacking lacks ind.cora.graph; get it from https://")
    write(Path("evil"), graph=Evil())
    one_line(cli("data", "import", "evil"), 2, "'posix.mkdir' is not allowed in such a file; it was not executed")
    write(Path("torn"), allx=b"\x80\x02}q")
    one_line(cli("data", "import", "torn"), 2, "ind.cora.allx is damaged")
    write(Path("mixed"))
    write(Path("mixed/citeseer"), "citeseer", ty=b"")
    one_line(cli("data", "import", "mixed/citeseer"), 2, "ind.citeseer.ty is damaged")
    write(Path("folders"))
    Path("folders/ind.cora.ty").unlink()
    Path("folders/ind.cora.ty").mkdir()
    one_line(cli("data", "import", "folders"), 2, "ind.cora.ty cannot be read: Is a directory")
    one_line(cli("data", "import", "mixed/ind.cora.graph"), 2, "or the folder with the files ind.cora.*")
    one_line(cli("data", "import", "Cora"), 2, "Cora is not downloaded; give the eight files ind.cora.x")
    one_line(cli("data", "import", "karat"), 2, "unknown data set to import 'karat'")
    Path("stored/processed").mkdir(parents=True)
    one_line(cli("data", "import", "stored"), 2, "needs no import: use it as --dataset stored")
    assert not data.exists() and not Path("executed").exists()

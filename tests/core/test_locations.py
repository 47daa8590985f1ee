from pathlib import Path

import pytest

from nasbench.core.errors import BadInput
from nasbench.core.locations import cache_folder, data_folders, find


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("given", "variable", "user"):
        (tmp_path / name / "set").mkdir(parents=True)
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path / "variable"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user"))
    return tmp_path


def test_the_search_order(folders):
    assert data_folders(folders / "given") == [folders / "given", folders / "variable", folders / "user"]
    for name in ("user", "variable", "given"):
        file = folders / name / "set" / "table.csv"
        file.write_text(name)
        assert find("set/table.csv", folders / "given") == file


def test_the_preferred_name_wins_within_a_folder_only(folders):
    (folders / "user" / "first.zip").touch()
    (folders / "variable" / "second.zip").touch()
    assert find(["first.zip", "second.zip"]) == folders / "variable" / "second.zip"
    (folders / "variable" / "first.zip").touch()
    assert find(["first.zip", "second.zip"]) == folders / "variable" / "first.zip"


def test_a_data_folder_may_be_the_data_set_itself(folders, monkeypatch):
    own = folders / "given" / "set"
    file = own / "table.csv"
    file.touch()
    renamed = folders / "renamed"
    renamed.mkdir()
    (renamed / "table.csv").touch()
    assert find("set/table.csv", own) == file
    assert find("set/table.csv", renamed) == renamed / "table.csv"
    assert find("set/table.csv", file) == file
    assert find("set", own) == own
    monkeypatch.chdir(own)
    assert find("set", Path()) == Path()


def test_nothing_found(folders):
    assert find("other", folders / "given") is None
    assert find([], folders / "given") is None


def test_a_given_folder_must_exist(folders):
    with pytest.raises(BadInput, match="does not exist"):
        data_folders(folders / "absent")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("NASBENCH_CACHE")
    assert "nasbench" in str(cache_folder())

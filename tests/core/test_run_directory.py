"""A run folder: new, resumed, refused with the difference, locked."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasbench.core.errors import BadInput, RunLocked
from nasbench.core.run_directory import differences, open_run, read_config

CONFIG = {"space": {"name": "darts", "settings": {"operations": "darts"}}, "seed": 0}


def test_the_same_configuration_resumes_and_another_is_refused_with_the_difference(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", CONFIG, {"python": "3"}) as run:
        assert not run.resumed
    with open_run(tmp_path / "run", CONFIG, {"python": "4"}) as run:
        assert run.resumed
    other = {"space": {"name": "darts", "settings": {"operations": "sharper"}}, "seed": 1}
    with pytest.raises(BadInput) as error:
        open_run(tmp_path / "run", other, {})
    assert "seed is 0 there and 1 here" in str(error.value)
    assert "space.settings.operations is 'darts' there and 'sharper' here" in str(error.value)
    assert read_config(tmp_path / "run") == CONFIG
    with open_run(tmp_path / "run", CONFIG, {}):
        pass


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.json.7.part").write_text('{"form')  # killed while the run began
    with open_run(run, CONFIG, {}) as opened:
        assert not opened.resumed
    (run / "final").mkdir()
    leftovers = [run / ".model.safetensors.7.part", run / "final" / ".training-00.json.7.part"]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    with open_run(run, CONFIG, {}):
        assert not any(leftover.exists() for leftover in leftovers)
    assert sorted(path.name for path in run.iterdir()) == [".lock", "config.json", "final"]


def test_two_processes_cannot_have_one_run(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG, {}), pytest.raises(RunLocked, match="in use by another process"):
        open_run(tmp_path, CONFIG, {})


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match="not empty and not a run"):
        open_run(tmp_path, CONFIG, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write to"):
        open_run(tmp_path / "file" / "run", CONFIG, {})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"run": 3}'])
def test_a_damaged_configuration_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadInput):
        open_run(tmp_path, CONFIG, {})


def test_two_checkpoints_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    with open_run(tmp_path, CONFIG, {}) as run:
        assert run.last_checkpoint(100, 100) is None
        for step in (1, 2, 10, 11):
            run.checkpoint({"step": step, "evaluations": step, "units": 0})
        assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == ["000000010.json", "000000011.json"]
        assert run.last_checkpoint(100, 0) == {"step": 11, "evaluations": 11, "units": 0}
        assert run.last_checkpoint(10, 0) == {"step": 10, "evaluations": 10, "units": 0}
        assert run.last_checkpoint(9, 0) is None  # the ledger lost its end: replay from the beginning


def test_differences_names_missing_keys() -> None:
    assert differences({"a": 1}, {"b": 2}) == ["a is 1 there and None here", "b is None there and 2 here"]

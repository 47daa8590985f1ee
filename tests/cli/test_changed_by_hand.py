"""Files of a run that were edited, damaged or moved: one line each, and never a silent mixture."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import one_line

TABLE = ["--space", "nasbench201", "--evaluator", "table", "--evaluations", "10"]


@pytest.fixture
def finished(cli, table):
    """Return the command line, with a finished run in the folder ``run``."""
    assert cli("search", *TABLE, "--out", "run").code == 0
    return cli


def test_an_edited_configuration_is_refused(finished) -> None:
    text = Path("run/config.json").read_text()
    Path("run/config.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    one_line(finished("search", "--resume", "--out", "run"), 2, "was changed since the run began")
    one_line(finished("search", *TABLE, "--out", "run"), 2, "was changed since the run began")


@pytest.mark.parametrize("environment", ["5", "null", '{"data_dir": 5, "folder": []}'])
def test_a_damaged_environment_does_no_harm(finished, environment: str) -> None:
    stored = json.loads(Path("run/config.json").read_text())
    stored["environment"] = json.loads(environment)
    Path("run/config.json").write_text(json.dumps(stored))
    assert finished("search", "--resume", "--out", "run").code == 0


@pytest.mark.parametrize("content", ["{}", '{"format": 1}', "{", '{"format": 1, "final": 5}'])
def test_a_damaged_result_is_one_line_everywhere(finished, content: str) -> None:
    Path("run/result.json").write_text(content)
    one_line(finished("search", *TABLE, "--out", "run"), 2, "result.json")
    one_line(finished("show", "run", "--out", "cell.svg"), 2, "result.json")
    one_line(finished("leaderboard", "run"), 2, "no finished run")


@pytest.mark.parametrize("metrics", ['"x"', "[]", '{"valid_accuracy": "x"}', "3"])
def test_a_ledger_with_odd_metrics_is_one_line(finished, metrics: str) -> None:
    Path("run/result.json").unlink()
    lines = Path("run/evaluations.jsonl").read_text().splitlines()
    record = json.loads(lines[2])
    record["metrics"] = json.loads(metrics)
    lines[2] = json.dumps(record)
    Path("run/evaluations.jsonl").write_text("\n".join(lines) + "\n")
    one_line(finished("search", *TABLE, "--out", "run"), 2, "line 3")


def test_a_ledger_that_lost_its_end_is_made_whole_again(finished) -> None:
    whole = Path("run/evaluations.jsonl").read_text()
    Path("run/result.json").unlink()
    Path("run/evaluations.jsonl").write_text(whole[: len(whole) // 2])
    assert finished("search", *TABLE, "--out", "run").code == 0
    assert Path("run/evaluations.jsonl").read_text() == whole


def test_a_copied_run_names_the_folder_where_it_is(finished) -> None:
    shutil.copytree("run", "copy")
    assert finished("search", *TABLE, "--out", "copy", "--json").json["run"] == "copy"


def test_a_finished_run_needs_no_lock_and_no_permission_to_write(finished) -> None:
    Path("run/.lock").unlink()
    assert finished("search", *TABLE, "--out", "run", "--json").code == 0
    assert not Path("run/.lock").exists()


def test_a_report_that_cannot_be_written_is_a_warning(cli, table, monkeypatch) -> None:
    from nasbench.experiments import search

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(search, "write_run_report", full)
    said = cli("search", *TABLE, "--out", "run", "--json")
    assert said.code == 0 and said.json["evaluations"] == 10
    assert "warning: the report could not be written" in said.err


def test_links_are_followed_and_pipes_written_to(finished, tmp_path: Path) -> None:
    Path("link.csv").symlink_to("real.csv")
    Path("real.csv").write_text("")
    assert finished("leaderboard", "run", "--csv", "link.csv").code == 0
    assert Path("link.csv").is_symlink() and Path("real.csv").read_text().startswith("schema_version")
    if os.name == "posix":
        assert finished("leaderboard", "run", "--csv", "/dev/null").code == 0
        assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("option", [("--time", "inf"), ("--time", "nan"), ("--set", "recipe.learning_rate=inf")])
def test_infinite_values_are_refused_and_leave_nothing(cli, option: tuple[str, str]) -> None:
    said = cli("search", *option, "--out", "run")
    assert said.code == 2 and said.err.count("\n") == 1 and "finite" in said.err
    assert not Path("run").exists()


def test_version_and_help_without_arguments(cli) -> None:
    assert cli("--version").out.startswith("nasbench ")
    said = cli()
    assert said.code == 2 and said.err.count("\n") > 5 and "Usage" in said.err


def test_resume_takes_no_other_options(finished) -> None:
    one_line(finished("search", "--resume", "--out", "run", "--baseline-size", 7), 2, "leave out --baseline-size")


def test_an_evaluation_folder_is_not_a_search(cli, tmp_path: Path) -> None:
    cell = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|skip_connect~1|none~2|"
    small = ["--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0", "--set", "recipe.channels=2"]
    options = [
        "evaluate",
        cell,
        "--space",
        "nasbench201",
        *small,
        "--set",
        "recipe.cells=1",
        "--seeds",
        1,
        "--out",
        "ev",
    ]
    assert cli(*options, "--json").code == 0
    assert cli(*options, "--evaluations", 9, "--json").code == 0  # searching has nothing to do with it
    one_line(cli("search", "--resume", "--out", "ev"), 2, "holds the evaluation of one architecture")
    one_line(cli("show", "nowhere/run"), 2, "there is no run folder nowhere/run")


def test_runs_of_other_spaces_fidelities_and_failures_do_not_share_a_row(cli) -> None:
    small = ["--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0", "--set", "recipe.channels=2"]
    tiny = [
        "--strategy",
        "random",
        "--evaluations",
        2,
        "--seeds",
        1,
        "--baseline-size",
        2,
        *small,
        "--set",
        "recipe.cells=1",
    ]
    for i, extra in enumerate(([], ["--set", "operations=sharper"], ["--set", "evaluator.batch_size=64"])):
        assert cli("search", *tiny, *extra, "--out", f"runs/{i}").code == 0
    rows = cli("leaderboard", "runs", "--json").json["rows"]
    assert [row["n_runs"] for row in rows] == [1, 1, 1]
    for seed in (1, 2):
        broken = ["--set", "recipe.learning_rate=1e30", "--seed", seed, "--out", f"failed/{seed}"]
        assert cli("search", *tiny, *broken).code == 1
    result = json.loads(Path("failed/1/result.json").read_text())
    assert result["identity"]["sampler"] == json.loads(Path("runs/0/result.json").read_text())["identity"]["sampler"]
    rows = cli("leaderboard", "failed", "--json").json["rows"]
    assert [(row["n_runs"], row["test_mean"]) for row in rows] == [(2, 10.0)]

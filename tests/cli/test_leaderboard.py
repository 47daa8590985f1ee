"""``nasbench leaderboard`` on real runs: searches of the NAS-Bench-201 table, some of them not comparable."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import Settings, resolve_settings
from nasbench.experiments.search import run_search
from nasbench.reports.leaderboard_rows import COLUMNS

SEEDS = range(6)


@pytest.fixture(scope="module")
def made() -> list[Path]:
    """Remember the folder that `runs` fills once for all tests of this file."""
    return []


@pytest.fixture
def runs(table: Path, made: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs at several depths: two methods on CIFAR-10, one on CIFAR-100, one with a larger budget."""
    if made:
        return made[0]
    folder = tmp_path_factory.mktemp("runs")

    def run(place: str, strategy: str, dataset: str, evaluations: int, seed: int) -> None:
        settings = Settings(evaluator="table", strategy=strategy, dataset=dataset, evaluations=evaluations, seed=seed)
        run_search(Parts(resolve_settings(settings), table), folder / place / f"seed{seed}", pictures=False)

    for seed in SEEDS:
        run("here/random", "random", "cifar10", 60, seed)
        run("here/and/deeper/evolution", "evolution", "cifar10", 60, seed)
    for seed in range(2):
        run("other-data", "random", "cifar100", 60, seed)
        run("longer", "random", "cifar10", 90, seed)
    made.append(folder)
    return folder


def read(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


def only(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """Return the one row with these values."""
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def test_random_search_cannot_be_told_from_random(cli, runs: Path) -> None:
    said = cli("leaderboard", runs / "here", "--csv", "board.csv", "--json")
    assert said.code == 0 and said.err == ""
    rows = said.json["rows"]
    assert [row["method"] for row in rows] and len(rows) == 2
    for row in rows:
        assert (row["space"], row["dataset"], row["n_runs"], row["seeds"]) == (
            "nasbench201",
            "cifar10",
            6,
            "0;1;2;3;4;5",
        )
        assert row["random_mean"] == pytest.approx(87.0629, abs=1e-4)
        assert row["rs_mean"] == pytest.approx(93.5485, abs=1e-4)
        assert row["ri"] == pytest.approx(100 * (row["test_mean"] / row["random_mean"] - 1))
        assert row["ri_ci_low"] < row["ri"] < row["ri_ci_high"]
        assert row["not_comparable"] is None and row["evaluations"] == 60 and row["failed"] == 0
    random = only(rows, method="random")
    assert random["verdict"] == "cannot be told from random" and random["p_holm"] >= 0.05
    assert random["p_holm"] >= random["p_rs"]
    means = {row["method"]: row["test_mean"] for row in rows}
    assert [row["method"] for row in rows] == sorted(means, key=lambda method: -means[method])
    assert [row["rank_mean"] for row in rows] == [1.0, 2.0]


def test_the_file_has_every_column_in_order_and_the_same_numbers(cli, runs: Path) -> None:
    said = cli("leaderboard", runs, "--csv", "board.csv", "--json")
    header = Path("board.csv").read_text().partition("\n")[0]
    assert header == ",".join(COLUMNS)
    written, shown = read(Path("board.csv")), said.json["rows"]
    assert len(written) == len(shown) == 4
    for text, row in zip(written, shown, strict=True):
        assert list(row) == list(COLUMNS)
        for column, value in row.items():
            if isinstance(value, float):
                assert float(text[column]) == value, column
            elif not isinstance(value, bool):
                assert text[column] == ("" if value is None else str(value)), column


def test_data_sets_have_rows_of_their_own(cli, runs: Path) -> None:
    rows = cli("leaderboard", runs / "here" / "random", runs / "other-data", "--json").json["rows"]
    ten, hundred = only(rows, dataset="cifar10"), only(rows, dataset="cifar100")
    assert (ten["n_runs"], hundred["n_runs"]) == (6, 2)
    assert hundred["random_mean"] == pytest.approx(61.4055, abs=1e-4)
    assert hundred["test_mean"] < ten["test_mean"] and hundred["not_comparable"] is ten["not_comparable"] is None
    assert hundred["verdict"] == "2 runs: no test" and hundred["p_holm"] is None


def test_another_budget_keeps_its_row_and_says_why_it_is_not_ranked(cli, runs: Path) -> None:
    said = cli("leaderboard", runs, "--json")
    assert said.code == 0
    rows = [row for row in said.json["rows"] if row["dataset"] == "cifar10"]
    longer = only(rows, evaluations=90)
    assert longer["not_comparable"] == "budget differs: 90 evaluations, ranked rows have 60 evaluations"
    assert longer["rank_mean"] is None and longer["n_runs"] == 2 and longer["rs_mean"] > 93.6
    assert [row["not_comparable"] for row in rows if row is not longer] == [None, None]
    assert rows[-1] is longer


def test_a_run_copied_elsewhere_counts_once_and_a_damaged_one_is_named(cli, runs: Path, tmp_path: Path) -> None:
    source = (runs / "here" / "random" / "seed0" / "result.json").read_bytes()
    for name, content in (("copy", source), ("torn", source[:-100])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_bytes(content)
    said = cli("leaderboard", runs / "here", tmp_path, "--json")
    assert said.code == 0
    assert only(said.json["rows"], method="random")["n_runs"] == 6
    lines = said.err.splitlines()
    assert len(lines) == 2 and all(line.startswith("nasbench: warning: ") for line in lines)
    assert any("torn: result.json is skipped" in line for line in lines)
    assert any("copy: the same run as" in line and "counts once" in line for line in lines)


def test_people_read_tables(cli, runs: Path) -> None:
    said = cli("leaderboard", runs, "--markdown", "board.md")
    assert said.code == 0
    assert "nasbench201, cifar10" in said.out and "nasbench201, cifar100" in said.out
    text = Path("board.md").read_text()
    assert text.startswith("| rank | method | space | data set | runs |")
    assert "| random | nasbench201 | cifar10 | 6 |" in text and "cannot be told from random" in text
    assert len(text.splitlines()) == 2 + 4


def test_no_finished_run_is_bad_input(cli, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = cli("leaderboard", "empty", "--json")
    assert said.code == 2 and said.out == "" and "no finished run" in said.err
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_bytes((runs / "here" / "random" / "seed0" / "config.json").read_bytes())
    assert cli("leaderboard", unfinished).code == 2


def test_a_file_that_cannot_be_written_is_one_line(cli, runs: Path) -> None:
    for option in ("--csv", "--markdown"):
        said = cli("leaderboard", runs / "other-data", option, "nowhere/board")
        assert said.code == 2 and "cannot write" in said.err and said.err.count("\n") == 1


def test_the_page_has_regrets_and_compares_over_data_sets(cli, runs: Path, table: Path) -> None:
    said = cli("leaderboard", runs, "--html", "page.html", "--csv", "board.csv", "--json", "--data-dir", table)
    assert said.code == 0, said.err
    board = said.json
    regrets = [line for line in board["regrets"] if line["dataset"] == "cifar10"]
    assert [line["rank"] for line in regrets] == [1, 2]
    assert regrets[0]["validation_final"] <= regrets[1]["validation_final"]
    for line in regrets:
        row = only(board["rows"], dataset="cifar10", method=line["method"], evaluations=60)
        assert row["regret_final"] == pytest.approx(94.3733 - row["test_mean"], abs=1e-4)
        assert line["test_final"] == row["regret_final"] and line["test_area"] == row["regret_auc"]
        assert line["validation_final"] == pytest.approx(84.892 - row["val_mean"], abs=1e-3)
        assert line["validation_final"] < line["validation_area"] < line["validation_log_area"]
    (pair,) = (pair for pair in board["pairs"] if pair["dataset"] == "cifar10")
    # Evolution skips isomorphs in its first population, hence the draws are the same only up to the first of those.
    assert pair["paired"] and pair["why"] == "runs with the same seed share at least their first 9 evaluations"
    assert board["over_data_sets"]["notes"][0].startswith("No two methods are ranked on the same two data sets")
    curves = next(task for task in board["anytime"] if task["dataset"] == "cifar10")
    assert curves["simulated_seconds"] is None and curves["validation_accuracy_by_seconds"] is None
    assert curves["validation_regret"]["random"]["at"][-1] == 60
    assert all(row["regret_auc"] != "" for row in read(Path("board.csv")))
    page = Path("page.html").read_text()
    for words in ("ranked by validation regret", "random search, exact", "no simulated time", "<svg", "evolution"):
        assert words in page, words


def test_without_the_table_there_is_no_regret_and_the_page_says_why(
    cli, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing").mkdir()
    for variable, value in (("NASBENCH_DATA", "nothing"), ("XDG_DATA_HOME", "nowhere")):
        monkeypatch.setenv(variable, str(tmp_path / value))
    said = cli("leaderboard", runs / "other-data", "--html", "page.html", "--json", "--data-dir", "nothing")
    assert said.code == 0 and said.err == "" and said.json["regrets"] == []
    assert said.json["rows"][0]["regret_final"] is None
    assert "its table is in none of the data folders" in Path("page.html").read_text()


def test_what_was_done_to_real_runs_is_named(cli, runs: Path, tmp_path: Path) -> None:
    """Evolution: a seed dropped, one unfinished, one architecture picked by its test accuracy, one ledger cut."""
    shutil.copytree(runs / "here", tmp_path / "here")
    evolution = tmp_path / "here" / "and" / "deeper" / "evolution"
    shutil.rmtree(evolution / "seed1")
    (evolution / "seed5" / "result.json").unlink()
    picked = json.loads((evolution / "seed2" / "result.json").read_text())
    ledger = [json.loads(line) for line in (evolution / "seed2" / "evaluations.jsonl").read_text().splitlines()]
    worst = min(ledger, key=lambda record: record["metrics"]["valid_accuracy"])["architecture"]
    picked |= {"architecture_spec": worst, "final": picked["final"] | {"test_accuracies": [94.37]}}
    (evolution / "seed2" / "result.json").write_text(json.dumps(picked))
    lines = (evolution / "seed3" / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (evolution / "seed3" / "evaluations.jsonl").write_text("".join(lines[:-1]))
    said = cli("leaderboard", tmp_path / "here", "--json")
    assert said.code == 0
    warnings = said.json["warnings"]
    for words in (
        *("seeds 1 are missing between the others", "1 run recommended another architecture", "1 run not finished"),
        "the ledger of 1 run holds another number of evaluations",
    ):
        assert any(words in warning for warning in warnings), (words, warnings)
    assert said.err.splitlines() == [f"nasbench: warning: {warning}" for warning in warnings]


def test_a_control_with_shuffled_rewards(cli, runs: Path, table: Path) -> None:
    """It is run like any search, says in ledger and result what it is, and stands beside the ranking."""
    search = ["search", "--space", "nasbench201", "--evaluator", "table", "--strategy", "random", "--evaluations", 60]
    said = cli(*search, "--set", "evaluator.shuffle=true", "--out", "control/0", "--json")
    assert said.code == 0, said.err
    result = json.loads(Path("control/0/result.json").read_text())
    assert result["identity"]["method"] == "random with shuffled rewards" and result["identity"]["source"] == "shuffled"
    assert "It is a control and no result" in result["notes"][0]
    real = [json.loads(line) for line in (runs / "here/random/seed0/evaluations.jsonl").read_text().splitlines()]
    dealt = [json.loads(line) for line in Path("control/0/evaluations.jsonl").read_text().splitlines()]
    assert [record["architecture"] for record in dealt] == [record["architecture"] for record in real]
    assert {record["source"] for record in dealt} == {"shuffled"}
    assert sum(a["metrics"] == b["metrics"] for a, b in zip(dealt, real, strict=True)) < 5

    said = cli("leaderboard", runs / "here", "control", "--html", "page.html", "--json", "--data-dir", table)
    assert said.code == 0 and said.err == ""
    row = only(said.json["rows"], method="random with shuffled rewards")
    assert row["rank_mean"] is row["p_holm"] is None and row["verdict"] == "a control"
    assert [r["rank_mean"] for r in said.json["rows"]] == [1.0, 2.0, None]
    listed = {control["name"]: control for control in said.json["controls"]}
    assert listed["oracle"]["test"] == listed["proxy ceiling"]["test"] == pytest.approx(94.3733)
    assert listed["random search, same cost"]["test"] == pytest.approx(93.5485, abs=1e-4)
    assert listed["random, entered as a method"]["outcome"] == "as it should be"
    assert listed["random with shuffled rewards"]["expected"] == pytest.approx(87.0629, abs=1e-4)
    assert len(said.json["regrets"]) == 2 and "shuffled" not in json.dumps(said.json["pairs"])
    page = Path("page.html").read_text()
    assert "random with shuffled rewards" in page and "It is a control and no result" in page
    refused = cli(*search, "--set", "shuffle=perhaps")
    assert refused.code == 2 and "evaluator.shuffle" in refused.err

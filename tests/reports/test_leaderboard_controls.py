"""Controls stand beside the ranking, never in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.protocol.table_controls import TableControls
from nasbench.reports.fairness import cautions
from nasbench.reports.leaderboard import leaderboard, rows_of, short_rows
from nasbench.reports.leaderboard_across import duels, ranked_rows
from nasbench.reports.leaderboard_anytime import Anytime
from nasbench.reports.leaderboard_controls import controls
from nasbench.reports.leaderboard_page import render, to_json
from nasbench.reports.leaderboard_tasks import what_would_change
from tests.reports.results import runs

GOOD = [93.0, 93.2, 92.8, 93.1, 92.9]
FAIR = [91.2, 90.8, 91.5, 90.6, 91.0]
BLIND = [60.0, 92.0, 85.0, 10.0, 88.0]
TABLE = TableControls(np.linspace(50, 90, 1000), np.concatenate([np.full(40, 10.0), np.linspace(50, 94, 960)]))


def shuffled(method: str = "evolution", tests: list[float] = BLIND, **more: Any) -> list[Any]:
    named = f"{method} with shuffled rewards"
    return runs(named, list(tests), [2.0] * len(tests), source="shuffled", fidelity="f-shuffled", **more)


def by_name(results: list[Any], table: TableControls | None = TABLE) -> dict[str, Any]:
    board = leaderboard(results)
    found = controls(rows_of(board), board.runs, [rank is not None for rank in board.ranks], table)
    return {control.name: control for control in found}


def test_a_control_is_neither_ranked_nor_tested_nor_an_opponent() -> None:
    methods = [*runs("evolution", GOOD, [90.0] * 5), *runs("random", FAIR, [50.0] * 5)]
    without, board = leaderboard(methods), leaderboard([*methods, *shuffled(), *shuffled("random")])
    rows = rows_of(board)
    assert rows[:2] == rows_of(without)  # the ranks and the corrected p-values are those without controls
    assert board.ranks == [1, 2, None, None] and board.warnings == []
    for row in rows[2:]:
        assert (row["verdict"], row["not_comparable"]) == ("a control", "its rewards were shuffled")
        assert row["rank_mean"] is row["p_holm"] is None and what_would_change(row) is None
    assert set(ranked_rows(board)["plain", "digits"]) == {"evolution", "random"}
    assert len(duels(board, Anytime())) == 1
    assert short_rows(board)[2]["verdict"] == "a control" and short_rows(board)[2]["rank"] == "–"
    assert cautions(board, Anytime()) == []


def test_shuffled_random_search_is_no_random_search_to_compare_trained_runs_with() -> None:
    results = [*runs("evolution", GOOD), *runs("random with shuffled rewards", BLIND, source="shuffled")]
    assert rows_of(leaderboard(results))[0]["p_rs"] is None
    named = [*runs("evolution", GOOD), *runs("random(batch=1) with shuffled rewards", BLIND, source="shuffled")]
    assert rows_of(leaderboard(named))[0]["p_rs"] is None


def test_more_controls_than_methods_do_not_decide_what_is_comparable() -> None:
    board = leaderboard([*runs("evolution", GOOD, [90.0] * 5), *shuffled(), *shuffled("random"), *shuffled("x")])
    assert board.ranks == [1, None, None, None]


def test_the_exact_controls() -> None:
    found = by_name(runs("evolution", GOOD, [90.0] * 5))
    assert list(found) == ["oracle", "proxy ceiling", "random search, same cost", "average random architecture"]
    assert (found["oracle"].test, found["oracle"].validation) == (94.0, 90.0)
    assert (found["random search, same cost"].test, found["random search, same cost"].std) == (91.0, 1.5)
    assert found["average random architecture"].test == TABLE.average
    assert all(control.runs is None and control.outcome == "" for control in found.values())
    assert by_name(runs("evolution", GOOD, [90.0] * 5), None) == {}


@pytest.mark.parametrize(
    ("tests", "outcome"),
    [(BLIND, "as it should be"), ([94.0] * 6, "not as it should be"), ([93.0] * 3, "not tested")],
)
def test_the_outcome_of_shuffled_rewards_is_that_of_a_rank_test(tests: list[float], outcome: str) -> None:
    control = by_name(shuffled(tests=tests))["evolution with shuffled rewards"]
    assert (control.runs, control.test, control.expected) == (len(tests), np.mean(tests), TABLE.average)
    assert control.p_value == TABLE.blind(tests)[1]
    assert control.outcome == outcome
    unknown = by_name(shuffled(tests=tests), None)["evolution with shuffled rewards"]
    assert unknown.expected == 80.0 and unknown.p_value is None  # the mean is in the results, the distribution is not


def test_random_search_as_a_method_is_a_control_and_stays_ranked() -> None:
    results = [*runs("random", GOOD, [40.0, 60.0, 55.0, 45.0, 50.0]), *runs("evolution", GOOD, [90.0] * 5)]
    control = by_name(results)["random, entered as a method"]
    assert (control.expected, control.runs, control.p_value, control.outcome) == (91.0, 5, 1.0, "as it should be")
    assert "random, entered as a method" not in by_name(runs("random", GOOD))  # trained: nothing exact beside it


def test_page_and_object_show_controls_even_alone(tmp_path: Path) -> None:
    for results in (shuffled(), [*runs("evolution", GOOD, [90.0] * 5), *shuffled()]):
        board = leaderboard(results)
        page = render(board, Anytime(), [])
        assert "Controls" in page and "evolution with shuffled rewards" in page
        assert "What would change the verdict on evolution with" not in page
        (control,) = to_json(board, Anytime(), [])["controls"]
        assert (control["name"], control["dataset"]) == ("evolution with shuffled rewards", "digits")
        assert (control["runs"], control["outcome"]) == (5, "not tested")
    assert "Nothing but controls" in render(leaderboard(shuffled()), Anytime(), [])

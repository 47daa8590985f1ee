from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.reports.leaderboard import collect, leaderboard
from nasbench.reports.leaderboard_across import duels, largest_block, over_data_sets, ranked_rows
from nasbench.reports.leaderboard_anytime import Anytime, add_anytime, over_evaluations, over_seconds
from nasbench.reports.leaderboard_rows import COLUMNS
from nasbench.reports.leaderboard_tasks import anytime_curves, regret_lines, what_would_change
from tests.reports.ledgers import board_of_six_data_sets, write_runs
from tests.reports.results import runs

GOOD, FAIR = [93.0, 93.2, 92.8, 93.1, 92.9, 93.0], [91.2, 90.8, 91.5, 90.6, 91.0, 91.1]


def test_methods_are_compared_where_all_of_them_are_ranked() -> None:
    tasks = {name: ("space", name) for name in "abcd"}
    ranked = {
        tasks["a"]: {"x": 0, "y": 1, "z": 2},
        tasks["b"]: {"x": 3, "y": 4, "z": 5},
        tasks["c"]: {"x": 6, "y": 7},
        tasks["d"]: {"x": 8},
    }
    assert largest_block(ranked) == (["x", "y"], [tasks["a"], tasks["b"], tasks["c"]])
    del ranked[tasks["c"]]
    assert largest_block(ranked) == (["x", "y", "z"], [tasks["a"], tasks["b"]])
    assert largest_block({tasks["a"]: {"x": 0, "y": 1}}) == ([], [])
    assert largest_block({tasks["a"]: {"x": 0}, tasks["b"]: {"x": 1}}) == ([], [])


def test_over_data_sets_says_what_is_left_out() -> None:
    results = [
        *(run for name in ("a", "b") for run in runs("x", GOOD, dataset=name) + runs("y", FAIR, dataset=name)),
        *runs("x", GOOD, dataset="c"),
        *runs("z", FAIR, dataset="a"),
    ]
    across, notes = over_data_sets(leaderboard(results))
    assert across is not None
    assert (across.methods, across.data_sets) == (["x", "y"], ["plain, a", "plain, b"])
    assert across.average_ranks == [1, 2]
    assert across.scale == "standard deviation"
    assert across.normalised[0][1].tolist() == pytest.approx([(score - 91) / np.sqrt(0.5) for score in GOOD])
    assert notes == [
        "Left out, because not ranked on each of these data sets: z.",
        "Left out, because not all of these methods are ranked there: plain, c.",
    ]


def test_rows_that_are_not_ranked_count_nowhere() -> None:
    other = [*runs("x", GOOD, dataset="b", recipe_hash="other")]
    results = [*(run for name in "ab" for run in runs("y", FAIR, dataset=name) + runs("w", GOOD, dataset=name)), *other]
    across, _ = over_data_sets(leaderboard([*results, *runs("x", GOOD, dataset="a")]))
    assert across is not None and across.methods == ["w", "y"]
    assert over_data_sets(leaderboard(runs("x", GOOD)))[0] is None


def test_two_versions_of_one_method_are_two_methods() -> None:
    results = [*runs("x", GOOD), *runs("x", FAIR, method_version="2")]
    assert set(ranked_rows(leaderboard(results))["plain", "digits"]) == {
        "x [version 1, uniform]",
        "x [version 2, uniform]",
    }


def test_methods_with_a_shared_start_are_compared_in_pairs(tmp_path: Path) -> None:
    write_runs(tmp_path, "evolution", GOOD, own=1)
    write_runs(tmp_path, "random", FAIR, own=2)
    results, anytime = add_anytime(collect([tmp_path]))
    (duel,) = duels(leaderboard(results), anytime)
    assert duel.methods == ("evolution", "random")
    assert duel.result.paired and duel.result.p_value == duel.p_holm == pytest.approx(2 / 64)
    assert duel.result.why == "runs with the same seed share at least their first 6 evaluations"
    (alone,) = duels(leaderboard(results), Anytime())
    assert not alone.result.paired and alone.result.why == "it is not known what the runs evaluated"


def test_runs_that_share_a_seed_are_no_pairs() -> None:
    twice = runs("x", GOOD[:2]) + [run | {"seed": 0} for run in runs("x", GOOD[2:4], hardware="other")]
    for place, run in enumerate(twice):
        run["identity"] |= {"run_id": str(place), "config_hash": str(place)}
    (duel,) = duels(leaderboard([*twice, *runs("y", FAIR)]), Anytime())
    assert not duel.result.paired and len(ranked_rows(leaderboard(twice))["plain", "digits"]) == 1


def test_trained_runs_have_curves_of_evaluations_and_of_seconds(tmp_path: Path) -> None:
    write_runs(tmp_path, "evolution", GOOD, own=1)
    results, anytime = add_anytime(collect([tmp_path]))
    table = leaderboard(results)
    curves = anytime_curves({"evolution": table.runs[0]}, anytime)
    assert curves.validation_regret == curves.test_regret == {}
    curve, by_time = curves.validation["evolution"], curves.seconds["evolution"]
    best = np.array([anytime.courses[run["run"]].best_validation for run in table.runs[0]])
    assert curve.at.tolist() == list(range(1, 13))
    assert curve.median.tolist() == np.median(best, axis=0).tolist()
    assert (by_time.at[0], by_time.at[-1]) == (2, 36)
    assert by_time.median[-1] == curve.median[-1]
    assert (np.diff(by_time.median) >= 0).all()
    assert curves.to_json()["simulated_seconds"] is None
    assert table.frame["regret_final"].isna().all() and table.frame["regret_auc"].isna().all()


def test_curves_of_different_lengths() -> None:
    curve = over_evaluations([np.array([3.0, 1.0]), np.array([4.0, 4.0, 0.0])])
    assert curve.median.tolist() == [3.5, 2.5, 0.5]
    assert over_seconds([]) is None


def test_a_run_without_a_ledger_has_no_course_and_says_so(tmp_path: Path) -> None:
    (write_runs(tmp_path, "evolution", GOOD)[2] / "evaluations.jsonl").unlink()
    results, anytime = add_anytime(collect([tmp_path]))
    assert len(anytime.courses) == 5 and len(results) == 6
    assert len(anytime.notes) == 1 and "no course of" in anytime.notes[0]
    assert anytime_curves({"evolution": results}, anytime).validation == {}


def test_searches_for_other_goals_have_no_course(tmp_path: Path) -> None:
    write_runs(tmp_path, "nsga2", GOOD)
    results, anytime = add_anytime([run | {"objectives": ["valid_accuracy:max"]} for run in collect([tmp_path])])
    assert anytime.courses == {} and len(anytime.notes) == 1 and len(results) == 6
    assert "not chosen by validation accuracy alone" in anytime.notes[0]


def test_a_table_that_is_another_or_nowhere_gives_no_regret(tmp_path: Path, table: Path) -> None:
    percentiles = [90.0] * 6
    where = {"space": "nasbench201", "dataset": "cifar10", "percentiles": percentiles}
    write_runs(tmp_path / "runs", "evolution", GOOD, **where)
    results, anytime = add_anytime(collect([tmp_path / "runs"]), table)
    assert anytime.regrets == {} and "not the one that it searched" in anytime.notes[0]
    (tmp_path / "empty").mkdir()
    assert regret_lines({"evolution": results}, anytime) == []


def row(**changes: Any) -> dict[str, Any]:
    known = dict.fromkeys(COLUMNS) | {"n_runs": 10, "verdict": "cannot be told from random", "random_source": "trained"}
    return known | {"test_mean": 92.0, "random_mean": 91.9, "test_std": 0.3, "random_std": 0.4, **changes}


def test_what_would_change_a_verdict() -> None:
    assert what_would_change(row(verdict="better than random")) is None
    assert what_would_change(row(n_runs=3)) == "2 more runs: from 5 on there is a test."
    assert "A baseline of at least 5" in (what_would_change(row(verdict="no random baseline: no test")) or "")
    assert what_would_change(row()) == "About 198 runs, if the effect is as large as seen."
    exact = row(random_source="table-exact", p_rs=0.2, rs_percentile=60)
    assert what_would_change(exact) == "About 66 runs, if the effect is as large as seen."
    assert "No affordable number" in (what_would_change(exact | {"rs_percentile": 50}) or "")
    assert "correction for many comparisons" in (what_would_change(exact | {"rs_percentile": 99}) or "")
    against_runs = row(p_rs=0.2, gain_over_rs=0.2, rs_std=0.3)
    assert what_would_change(against_runs) == "About 37 runs, if the effect is as large as seen."


def test_six_data_sets_are_ranked(tmp_path: Path) -> None:
    board_of_six_data_sets(tmp_path)
    across, notes = over_data_sets(leaderboard(add_anytime(collect([tmp_path]))[0]))
    assert across is not None and across.ranking is not None and notes == []
    assert across.methods[0] == "a<b & c" and across.methods[-1] == "random"
    assert len(across.data_sets) == 6 and across.ranking.differs

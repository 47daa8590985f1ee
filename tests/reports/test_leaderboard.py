from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from nasbench.core.errors import BadInput
from nasbench.reports.leaderboard import collect, leaderboard, to_markdown, to_text, write_csv
from nasbench.reports.leaderboard_rows import COLUMNS
from tests.reports.results import BASELINE_SCORES, make_result, runs, trained_baseline, write_run

GOOD = [93.0, 93.2, 92.8, 93.1, 92.9]
FAIR = [91.2, 90.8, 91.5, 90.6, 91.0]


def rows_of(results: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the rows by method, what is missing as None."""
    frame = leaderboard(results).frame.astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    return {row["method"]: row for row in rows}


# -- one row, by hand ------------------------------------------------------------------------------------------------
def test_a_row_of_trained_runs_agrees_with_hand_computed_numbers() -> None:
    row = rows_of(runs("evolution", [92.0, 93.0, 94.0, 93.0, 93.0]))["evolution"]
    y, x = [92.0, 93.0, 94.0, 93.0, 93.0], BASELINE_SCORES
    assert row["n_runs"] == 5
    assert row["seeds"] == "0;1;2;3;4"
    assert row["test_mean"] == pytest.approx(93.0)
    assert row["test_std"] == pytest.approx(math.sqrt(0.5))
    half = 2.7764451 * math.sqrt(0.5 / 5)
    assert (row["test_ci_low"], row["test_ci_high"]) == pytest.approx((93 - half, 93 + half))
    assert (row["test_median"], row["test_iqm"], row["test_min"], row["test_max"]) == pytest.approx((93, 93, 92, 94))
    assert (row["random_n"], row["random_mean"], row["random_source"]) == (6, pytest.approx(91.0), "trained")
    assert row["random_std"] == pytest.approx(math.sqrt(2.5 / 5))
    assert row["ri"] == pytest.approx(100 * 2 / 91)
    assert row["p_value"] == pytest.approx(stats.ttest_ind(y, x, equal_var=False).pvalue)
    assert (row["p_test"], row["paired"]) == ("Welch", False)
    assert row["p_improve"] == pytest.approx((5.5 + 4 * 6) / 30)  # 92 wins five times and ties once
    assert row["val_mean"] == pytest.approx(92.0)
    assert (row["evaluations"], row["unique_evaluations"], row["failed"]) == (100, 90, 5)
    assert (row["search_seconds"], row["final_seconds"], row["params"]) == (10, 30, 1000)
    assert row["verdict"] == "better than the average random architecture"
    assert row["rs_mean"] is None
    assert row["regret_auc"] is None


def test_p_improve_counts_ties_half() -> None:
    row = rows_of(runs("evolution", [91.0, 92.0]))["evolution"]
    # 91 beats 90 and 90.5, ties with two 91; 92 beats five and ties with one
    assert row["p_improve"] == pytest.approx((2 + 1 + 5 + 0.5) / 12)


def test_several_final_trainings_make_one_number_a_run() -> None:
    row = rows_of([make_result(seed=0, test=[90.0, 92.0]), make_result(seed=1, test=[93.0, 95.0])])["evolution"]
    assert row["n_runs"] == 2
    assert row["test_mean"] == pytest.approx(92.5)
    assert row["test_std"] == pytest.approx(3 / math.sqrt(2))


def test_runs_on_a_table_are_tested_by_rank_against_random_search() -> None:
    row = rows_of(runs("evolution", GOOD, [90, 95, 85, 92, 88]))["evolution"]
    assert row["rs_percentile"] == pytest.approx(90)
    assert row["p_rs"] == pytest.approx(2 * stats.norm.sf(0.4 * math.sqrt(60)))
    assert (row["rs_mean"], row["rs_std"], row["gain_over_rs"]) == pytest.approx((91, 1.5, 2))
    assert row["ri"] == pytest.approx(100 * 13 / 80)
    assert (row["p_test"], row["random_source"]) == ("one-sample t", "table-exact")
    assert row["p_value"] == pytest.approx(stats.ttest_1samp(GOOD, 80).pvalue)
    assert row["verdict"] == "better than random"


@pytest.mark.parametrize(
    ("percentiles", "words"),
    [
        ([5, 8, 2, 10, 6], "worse than random"),
        ([50, 30, 70, 60, 40], "cannot be told from random"),
        ([99, 98, 97, 96, 95], "better than random"),
    ],
)
def test_random_on_a_table_is_judged_by_the_same_test(percentiles: list[float], words: str) -> None:
    assert rows_of(runs("random", FAIR, percentiles))["random"]["verdict"] == words


def test_trained_runs_are_compared_with_random_search_where_it_was_run_often_enough() -> None:
    rows = rows_of(runs("evolution", GOOD) + runs("random", FAIR))
    evolution, random = rows["evolution"], rows["random"]
    assert evolution["p_rs"] == pytest.approx(stats.ttest_ind(GOOD, FAIR, equal_var=False).pvalue)
    assert evolution["gain_over_rs"] == pytest.approx(np.mean(GOOD) - np.mean(FAIR))
    assert evolution["rs_percentile"] == 100
    assert evolution["verdict"] == "better than random"
    assert random["p_rs"] is None
    assert random["verdict"] == "cannot be told from the average random architecture"
    few = rows_of(runs("evolution", GOOD) + runs("random", FAIR[:4]))["evolution"]
    assert few["p_rs"] is None
    assert few["verdict"] == "better than the average random architecture"


def test_a_verdict_needs_five_random_architectures_too() -> None:
    row = rows_of(runs("evolution", GOOD, baseline=trained_baseline([90.0, 91.0, 92.0])))["evolution"]
    assert row["p_value"] is None
    assert row["ri"] == pytest.approx(100 * (93 / 91 - 1))
    assert row["verdict"] == "no random baseline: no test"


@pytest.mark.parametrize(("n", "words"), [(1, "one run: no test"), (2, "2 runs: no test"), (4, "4 runs: no test")])
def test_fewer_than_five_runs_get_no_p_value(n: int, words: str) -> None:
    for percentiles in (None, [90.0] * n):
        row = rows_of(runs("evolution", GOOD[:n], percentiles))["evolution"]
        assert row["verdict"] == words
        assert row["p_value"] is row["p_rs"] is row["p_holm"] is row["p_test"] is None


def test_holm_adjusts_over_all_rows_and_decides_the_verdict() -> None:
    # mean percentile 75: z = 0.25 * sqrt(60) = 1.936, p = 0.0528; 78: p = 0.0301
    alone = rows_of(runs("a", GOOD, [78] * 5))["a"]
    assert alone["p_rs"] == pytest.approx(2 * stats.norm.sf(0.28 * math.sqrt(60)))
    assert alone["p_holm"] == pytest.approx(alone["p_rs"])
    assert alone["verdict"] == "better than random"
    both = rows_of(runs("a", GOOD, [78] * 5) + runs("b", FAIR, [50] * 5))
    assert both["a"]["p_holm"] == pytest.approx(2 * alone["p_rs"])
    assert both["a"]["verdict"] == "cannot be told from random"
    assert both["b"]["p_holm"] == pytest.approx(1.0)


def test_no_claim_over_the_average_architecture_while_the_interval_contains_zero() -> None:
    row = rows_of(runs("evolution", FAIR))["evolution"]
    assert row["ri_ci_low"] < 0 < row["ri_ci_high"]
    assert row["verdict"] == "cannot be told from the average random architecture"


@given(st.lists(st.floats(85, 97), min_size=5, max_size=8))
def test_the_verdict_never_contradicts_interval_and_p_value(scores: list[float]) -> None:
    row = rows_of(runs("evolution", list(scores)))["evolution"]
    claimed = not row["verdict"].startswith("cannot")
    assert claimed == (row["p_holm"] < 0.05 and not row["ri_ci_low"] <= 0 <= row["ri_ci_high"])
    if claimed:
        assert row["verdict"].startswith("better" if row["ri"] > 0 else "worse")


def test_the_shared_baseline_counts_with_all_its_architectures() -> None:
    larger = trained_baseline([*BASELINE_SCORES, 94.0, 94.0])
    results = [*runs("evolution", GOOD), *runs("local", FAIR, baseline=larger)]
    assert {row["random_n"] for row in rows_of(results).values()} == {8}
    other = trained_baseline([80.0] * 9, key="another pool")
    assert rows_of([*runs("evolution", GOOD), *runs("local", FAIR, baseline=other)])["evolution"]["random_n"] == 6


# -- ranking ---------------------------------------------------------------------------------------------------------
def test_methods_are_ranked_by_mean_test_accuracy_and_ties_share_their_rank() -> None:
    table = leaderboard([*runs("a", [90.0, 92.0]), *runs("b", [93.0, 95.0]), *runs("c", [91.0, 91.0])])
    assert table.frame["method"].tolist() == ["b", "a", "c"]
    assert table.ranks == [1, 2.5, 2.5]
    assert table.frame["rank_mean"].tolist() == [1, 2.5, 2.5]


def test_rank_mean_averages_over_data_sets() -> None:
    results = [
        *runs("a", [90.0, 92.0], dataset="one"),
        *runs("b", [93.0, 95.0], dataset="one"),
        *runs("a", [70.0, 72.0], dataset="two"),
        *runs("b", [60.0, 61.0], dataset="two"),
        *runs("b", [50.0, 51.0], dataset="three"),
    ]
    table = leaderboard(results)
    found = dict(zip(table.frame["method"], table.frame["rank_mean"], strict=True))
    assert found == pytest.approx({"a": 1.5, "b": 4 / 3})


@pytest.mark.parametrize(
    ("field", "value"),
    [("recipe_hash", "recipe-b"), ("split", "seed 1"), ("protocol_version", 2), ("data_fingerprint", "data-b")],
)
def test_rows_that_differ_in_what_matters_are_not_ranked_together(field: str, value: Any) -> None:
    results = [*runs("a", GOOD), *runs("b", FAIR), *runs("c", [99.0, 99.0, 99.5], **{field: value})]
    table = leaderboard(results)
    rows = rows_of(results)
    assert rows["a"]["rank_mean"] == 1
    assert rows["b"]["rank_mean"] == 2
    assert rows["a"]["not_comparable"] is rows["b"]["not_comparable"] is None
    assert rows["c"]["rank_mean"] is None
    assert rows["c"]["not_comparable"].startswith(f"{field} differs: {value}, ranked rows have ")
    assert table.frame["method"].tolist() == ["a", "b", "c"]
    assert table.ranks == [1, 2, None]


def test_searches_by_shared_weights_are_ranked_with_those_that_train_candidates() -> None:
    """Their budgets are epochs and candidates; both costs are shown."""
    shared = {"source": "shared", "fidelity": "a"}
    rows = rows_of(
        [
            *runs("evolution", FAIR, fidelity="b"),
            *runs("random", FAIR, fidelity="b"),
            *runs("darts", GOOD, evaluations=12, **shared),
            *runs("darts(epochs=3)", GOOD, evaluations=3, **shared),
            *runs("other recipe", GOOD, evaluations=12, recipe_hash="recipe-b", **shared),
            *runs("other fidelity", GOOD, fidelity="c"),
        ]
    )
    ranks = {method: row["rank_mean"] for method, row in rows.items()}
    assert ranks["darts"] == ranks["darts(epochs=3)"] == 1.5
    assert ranks["evolution"] == ranks["random"] == 3.5
    assert rows["darts"]["gain_over_rs"] == pytest.approx(np.mean(GOOD) - np.mean(FAIR))
    assert rows["other recipe"]["not_comparable"].startswith("recipe_hash differs")
    assert rows["other fidelity"]["not_comparable"].startswith("fidelity differs: c")
    alone = rows_of(
        [*runs("darts", GOOD, evaluations=12, **shared), *runs("sharpdarts", FAIR, evaluations=9, **shared)]
    )
    assert alone["darts"]["rank_mean"] == 1
    assert "budget differs" in alone["sharpdarts"]["not_comparable"]


def test_another_budget_or_another_unit_of_it_is_not_ranked_together() -> None:
    seconds = [result | {"budget": "60 seconds"} for result in runs("c", GOOD)]
    rows = rows_of([*runs("a", GOOD), *runs("a2", GOOD), *runs("b", FAIR, evaluations=500), *seconds])
    assert rows["b"]["not_comparable"] == "budget differs: 500 evaluations, ranked rows have 100 evaluations"
    assert rows["c"]["not_comparable"] == "budget differs: 60 seconds, ranked rows have 100 evaluations"


def test_one_method_with_two_recipes_makes_two_rows() -> None:
    table = leaderboard([*runs("a", GOOD), *runs("a", FAIR[:3], recipe_hash="recipe-b"), *runs("b", FAIR)])
    assert sorted(table.frame.loc[table.frame["method"] == "a", "n_runs"]) == [3, 5]


def test_the_comparable_group_with_most_rows_is_ranked_and_more_runs_break_a_tie() -> None:
    rows = rows_of([*runs("a", GOOD[:2], recipe_hash="z"), *runs("b", GOOD)])
    assert rows["b"]["rank_mean"] == 1
    assert "recipe_hash" in rows["a"]["not_comparable"]
    rows = rows_of([*runs("a", GOOD[:2], recipe_hash="z"), *runs("c", GOOD[:2], recipe_hash="z"), *runs("b", GOOD)])
    assert rows["a"]["rank_mean"] is not None
    assert "recipe_hash differs: recipe-a, ranked rows have z" in rows["b"]["not_comparable"]


def test_a_single_run_is_never_ranked() -> None:
    rows = rows_of([make_result("a", test=99.0), *runs("b", FAIR)])
    assert rows["a"]["rank_mean"] is None
    assert rows["a"]["not_comparable"] == "one run"
    assert rows["b"]["rank_mean"] == 1
    assert leaderboard([make_result("a")]).ranks == [None]


def test_random_search_under_other_conditions_is_no_opponent() -> None:
    rows = rows_of([*runs("evolution", GOOD), *runs("random", FAIR, recipe_hash="recipe-b")])
    assert rows["evolution"]["p_rs"] is None


# -- duplicates and failures -----------------------------------------------------------------------------------------
def test_the_same_run_twice_counts_once() -> None:
    results = runs("a", GOOD)
    again = [dict(result, run=f"copy/{result['seed']}") for result in results]
    rerun = [dict(result, identity=result["identity"] | {"run_id": "new", "code_version": "0.2"}) for result in results]
    once, twice = leaderboard(results), leaderboard([*results, *again, *rerun])
    pd.testing.assert_frame_equal(once.frame, twice.frame)
    assert len(twice.warnings) == 10
    assert twice.warnings[0] == "copy/0: the same run as runs/a-0; it counts once."


def test_the_same_settings_on_another_data_set_are_no_duplicate() -> None:
    assert len(leaderboard([*runs("a", GOOD), *runs("a", FAIR, dataset="other")]).frame) == 2


def test_failed_runs_count_at_chance() -> None:
    row = rows_of(runs("a", [90.0, None, 92.0, 91.0, 90.0], classes=10))["a"]
    assert row["n_runs"] == 5
    assert row["test_min"] == 10
    assert row["test_mean"] == pytest.approx((90 + 10 + 92 + 91 + 90) / 5)
    table_row = rows_of(runs("b", [93.0, None, 93.0, 93.0, 93.0], [90, 0, 90, 90, 90], classes=10))["b"]
    assert table_row["rs_percentile"] == pytest.approx(72)


def test_a_failed_run_on_a_table_beats_no_random_search_even_without_a_percentile() -> None:
    results = runs("b", [93.0] * 4, [90] * 4, classes=10)
    failed = make_result("b", 4, None, percentile=0, classes=10)
    failed["random_search"] = None
    assert rows_of([*results, failed])["b"]["rs_percentile"] == pytest.approx(72)


def test_a_failed_run_without_known_classes_is_reported_and_never_dropped() -> None:
    rows = rows_of([*runs("a", [99.0, None, 99.0, 99.0, 99.0]), *runs("b", FAIR)])
    assert rows["a"]["n_runs"] == 5
    assert rows["a"]["test_mean"] is rows["a"]["rank_mean"] is None
    assert rows["a"]["not_comparable"] == "1 failed run and an unknown number of classes"
    assert rows["a"]["verdict"] == "5 runs: no test"
    assert rows["b"]["rank_mean"] == 1


# -- collecting ------------------------------------------------------------------------------------------------------
def test_collect_finds_runs_at_any_depth_and_each_once(tmp_path: Path) -> None:
    for result in runs("a", GOOD[:2]):
        write_run(tmp_path / "deep" / "deeper" / f"run{result['seed']}", result)
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.json").write_text("{}")
    found = collect([tmp_path, tmp_path / "deep" / "deeper" / "run0"])
    assert [result["seed"] for result in found] == [0, 1]
    assert found[0]["run"] == str(tmp_path / "deep" / "deeper" / "run0")
    assert found[0]["budget"] == "100 evaluations"
    assert leaderboard(found).warnings == []


def test_evaluations_at_several_numbers_of_epochs_are_another_budget(tmp_path: Path) -> None:
    (result,) = runs("hyperband", GOOD[:1])
    write_run(tmp_path / "run", result)
    config = {"run": {"evaluations": 100, "strategy": {"name": "hyperband", "settings": {"maximum_epochs": 8}}}}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert collect([tmp_path])[0]["budget"] == "100 evaluations of up to 8 epochs"


def test_what_cannot_be_read_is_skipped_and_reported(tmp_path: Path) -> None:
    write_run(tmp_path / "a-good", make_result())
    (write_run(tmp_path / "b-torn", make_result(seed=1)) / "result.json").write_text('{"format": 1,')
    write_run(tmp_path / "c-later", make_result(seed=2) | {"format": 9})
    lacking = make_result(seed=3)
    del lacking["identity"]["recipe_hash"]
    write_run(tmp_path / "d-lacking", lacking)
    table = leaderboard(collect([tmp_path]))
    assert len(table.frame) == 1
    assert table.frame["n_runs"].tolist() == [1]
    assert sum("skipped" in warning for warning in table.warnings) == 3
    assert "b-torn" in table.warnings[0]
    assert "format 9" in table.warnings[1]
    assert "identity.recipe_hash: field required" in table.warnings[2]


def test_no_finished_run_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished run"):
        collect([tmp_path])
    with pytest.raises(BadInput, match="not a folder"):
        collect([tmp_path / "missing"])
    (write_run(tmp_path / "torn", make_result()) / "result.json").write_text("[]")
    with pytest.raises(BadInput, match=r"no finished run.*torn.*skipped"):
        collect([tmp_path])


# -- files -----------------------------------------------------------------------------------------------------------
def test_csv_round_trip_is_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    results = [*runs("a", rng.uniform(90, 95, 7).tolist()), *runs("b(x=1, y=2)", [92.0 + 1 / 3, 91.1])]
    table = leaderboard(results)
    write_csv(table, tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert header[0] == "schema_version"
    assert header[-1] == "not_comparable"
    assert all(line[0] == "1" for line in lines)
    for line, row in zip(lines, table.frame.to_dict("records"), strict=True):
        for text, value in zip(line, row.values(), strict=True):
            if isinstance(value, float):
                assert text == "" if math.isnan(value) else float(text) == value
            else:
                assert text == ("" if value is None else str(value))


def test_columns_are_those_of_the_protocol_whatever_is_known() -> None:
    assert tuple(leaderboard([make_result()]).frame.columns) == COLUMNS
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_order_of_the_runs_does_not_matter() -> None:
    results = [*runs("a", GOOD), *runs("b", FAIR), *runs("random", FAIR[::-1])]
    pd.testing.assert_frame_equal(leaderboard(results).frame, leaderboard(results[::-1]).frame)


def test_the_terminal_fits_80_columns_and_shows_markup_as_it_is() -> None:
    table = leaderboard([*runs("a[bold]", GOOD), *runs("b", FAIR), make_result("c", test=99.0)])
    console = Console(width=80, record=True, file=sys.stderr)
    with console.capture() as capture:
        console.print(to_text(table))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("plain, digits", "a[bold]", "93.00", "+2.20", "average", "one run"):
        assert word in text


def test_markdown_has_one_line_a_row() -> None:
    lines = to_markdown(leaderboard([*runs("a|b", GOOD), *runs("c", FAIR)])).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| 1 | a\\|b | plain | digits | 5 | 93.00 ± 0.16 | 91.00 | +2.20 [")
    assert json.dumps(lines[2]).count(" | ") == 11


def test_importing_the_room_is_quick() -> None:
    code = (
        "import sys, nasbench.reports.leaderboard, nasbench.reports.run_report, nasbench.reports.drawing, "
        "nasbench.reports.plots; print([m for m in ('torch', 'pandas', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from nasbench.reports.plots import baseline_distribution, search_curve
from tests.reports.results import exact_baseline, make_result, trained_baseline


def evaluations(scores: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"id": i, "metrics": {"valid_accuracy": score}}
        if score is not None
        else {"id": i, "metrics": {}, "status": "failed", "error": "diverged"}
        for i, score in enumerate(scores)
    ]


def words(svg: str) -> list[str]:
    """Return the texts of a picture; the glyphs themselves are outlines, each text preceded by a comment."""
    ElementTree.fromstring(svg)
    return re.findall(r"<!-- (.*?) -->", svg)


def ticks(svg: str, axis: str) -> list[float]:
    found = re.findall(rf'<g id="{axis}tick_\d+">.*?<!-- (.*?) -->', svg, flags=re.DOTALL)
    return [float(text.replace("−", "-")) for text in found]


def with_random_curve(result: dict[str, Any]) -> dict[str, Any]:
    curve = {"evaluations": [1, 10, 100], "mean": [70.0, 85.0, 90.0], "low": [60.0, 83.0, 89.0], "high": [80, 88, 91]}
    return result | {"random_curve": curve}


def test_the_curve_names_what_it_shows() -> None:
    svg = search_curve(with_random_curve(make_result()), evaluations([80.0, 85.0, None, 83.0]))
    assert {"evaluations", "validation accuracy (%)", "random search, mean", "one evaluation"} <= set(words(svg))
    assert "best so far, evolution" in words(svg)
    assert "evaluations not shown: 1 failed" in words(svg)
    assert "random search, mean" not in words(search_curve(make_result(), evaluations([80.0])))


def test_failures_at_chance_do_not_squash_the_curve() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(88, 92, 60)
    scores[::7] = 10.0
    svg = search_curve(make_result(), evaluations([90.0, *scores.tolist()]))
    assert min(ticks(svg, "y")) > 80
    assert "evaluations not shown: 9 below this range" in words(svg)


def test_what_was_trained_for_fewer_epochs_is_no_best_so_far() -> None:
    rows = evaluations([70.0, 95.0, 71.0, 80.0])
    for row, epochs in zip(rows, (1, 1, 3, 9), strict=True):
        row["fidelity"] = [["epochs", epochs], ["schedule_epochs", 9]]
    assert "one evaluation, fewer epochs" in words(svg := search_curve(make_result(), rows))
    assert max(ticks(svg, "y")) < 95  # the range is that of the whole trainings
    assert "one evaluation, fewer epochs" not in words(search_curve(make_result(), rows[-1:]))


def test_a_failure_first_does_not_hide_the_search() -> None:
    svg = search_curve(make_result(), evaluations([None, None, 50.0, 60.0]))
    assert "evaluations not shown: 2 failed" in words(svg)
    assert min(ticks(svg, "y")) < 60 <= max(ticks(svg, "y")) + 5


@pytest.mark.parametrize("scores", [[], [None, None], [70.0], [70.0, 70.0], [float("nan"), 70.0]])
def test_curves_of_odd_searches_are_drawn(scores: list[float | None]) -> None:
    assert "validation accuracy (%)" in words(search_curve(make_result(), evaluations(scores)))


def test_the_distribution_shows_random_architectures_and_the_found_one() -> None:
    svg = baseline_distribution(make_result(test=[92.0, 93.0, 94.0]))
    assert "random architectures, 91.00 % (mean of 6)" in words(svg)
    assert "found, 93.00 % (mean of 3 trainings)" in words(svg)
    assert {"its single trainings", "one random architecture", "test accuracy (%)"} <= set(words(svg))
    assert "its single trainings" not in words(baseline_distribution(make_result(test=93.0)))


def test_a_long_tail_is_cut_and_counted() -> None:
    baseline = exact_baseline()
    baseline["histogram"] = {"edges": [10.0, 11.0, 80.0, 85.0, 90.0, 95.0], "counts": [30, 0, 200, 500, 270]}
    svg = baseline_distribution(make_result(test=94.0, percentile=90, baseline=baseline))
    assert "3.0 % of them lie further left" in words(svg)
    assert min(ticks(svg, "x")) > 60


def test_the_found_architecture_is_never_cut_off() -> None:
    baseline = trained_baseline([10.0, *np.linspace(88, 92, 60).tolist()])
    assert min(ticks(baseline_distribution(make_result(test=50.0, baseline=baseline)), "x")) <= 50
    assert min(ticks(baseline_distribution(make_result(test=91.0, baseline=baseline)), "x")) >= 80


@pytest.mark.parametrize(
    "baseline",
    [
        None,
        {"mean": 80.0, "std": 2.0, "n": 5, "scores": None, "histogram": None},
        {"mean": 80.0, "std": None, "n": 1, "scores": [80.0], "histogram": None},
        {"mean": 80.0, "std": 0.0, "n": 4, "scores": [80.0] * 4, "histogram": None},
    ],
)
def test_odd_baselines_are_drawn(baseline: dict[str, Any] | None) -> None:
    for test in (None, 80.0, [81.0, 82.0]):
        svg = baseline_distribution(make_result(test=test) | {"baseline": baseline})
        assert "test accuracy (%)" in words(svg)


def test_the_same_run_gives_the_same_bytes() -> None:
    result, rows = with_random_curve(make_result(test=[92.0, 93.0])), evaluations([80.0, 85.0])
    assert search_curve(result, rows) == search_curve(result, rows)
    assert baseline_distribution(result) == baseline_distribution(result)

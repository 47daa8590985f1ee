"""What is said of one space and data set: ranks of optimisers, regrets, curves, what would change a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasbench.protocol.anytime import Floats
from nasbench.protocol.power import runs_needed, runs_needed_by_rank
from nasbench.protocol.verdict import MIN_RUNS
from nasbench.reports.leaderboard_anytime import Anytime, Curves, over_evaluations, over_seconds
from nasbench.reports.leaderboard_rows import SHUFFLED, Run

MANY_RUNS = 1000


@dataclass(frozen=True)
class RegretLine:
    """Regrets of one method in percentage points, means over its runs; ``rank`` is by validation regret.

    The rank is that of the final validation regret and, where it ties, of its area. ``area`` is the mean over
    evaluations and ``log_area`` over their logarithm.
    """

    method: str
    runs: int
    evaluations: int
    rank: float
    validation_final: float
    validation_area: float
    validation_log_area: float
    test_final: float
    test_final_std: float
    test_area: float
    test_log_area: float


def regret_lines(members: Mapping[str, Sequence[Run]], anytime: Anytime) -> list[RegretLine]:
    """Return the regrets of the methods of one data set, the best optimiser first; of those all of whose runs have one.

    ``members`` are the runs of the ranked rows by the label of their method.
    """
    found: list[tuple[str, dict[str, float], int, int]] = []
    for method, runs in members.items():
        regrets = [anytime.regrets[run["run"]] for run in runs if run["run"] in anytime.regrets]
        if len(regrets) < len(runs):
            continue
        means: dict[str, float] = {}
        for name, side in (("validation", 0), ("test", 1)):
            for part in ("final", "area", "log_area"):
                means[f"{name}_{part}"] = float(np.mean([getattr(pair[side], part) for pair in regrets]))
        finals = [pair[1].final for pair in regrets]
        means["test_final_std"] = float(np.std(finals, ddof=1)) if len(finals) > 1 else 0.0
        found.append((method, means, len(runs), regrets[0][0].curve.size))
    keys = [(round(means["validation_final"], 9), round(means["validation_area"], 9)) for _, means, _, _ in found]
    lines = [
        RegretLine(
            method=method,
            runs=runs,
            evaluations=evaluations,
            rank=1 + sum(other < key for other in keys) + (keys.count(key) - 1) / 2,
            **means,
        )
        for (method, means, runs, evaluations), key in zip(found, keys, strict=True)
    ]
    return sorted(lines, key=lambda line: (line.rank, line.method))


@dataclass(frozen=True)
class AnytimeCurves:
    """Curves by method. Regrets in percentage points on a table, best validation accuracy (%) elsewhere.

    ``seconds`` are over the seconds that evaluators worked, empty on a table, where a look-up takes no time that means
    anything; tables hold no training times, so there is no simulated time.
    """

    validation_regret: dict[str, Curves]
    test_regret: dict[str, Curves]
    validation: dict[str, Curves]
    seconds: dict[str, Curves]

    def to_json(self) -> dict[str, Any]:
        def written(curves: Mapping[str, Curves]) -> dict[str, Any] | None:
            return {method: curve.to_json() for method, curve in curves.items()} or None

        return {
            "validation_regret": written(self.validation_regret),
            "test_regret": written(self.test_regret),
            "validation_accuracy": written(self.validation),
            "validation_accuracy_by_seconds": written(self.seconds),
            "simulated_seconds": None,
        }


def anytime_curves(members: Mapping[str, Sequence[Run]], anytime: Anytime) -> AnytimeCurves:
    """Return the curves of the methods of one data set, of those all of whose runs are known."""
    curves = AnytimeCurves({}, {}, {}, {})
    for method, runs in members.items():
        regrets = [anytime.regrets[run["run"]] for run in runs if run["run"] in anytime.regrets]
        courses = [anytime.courses[run["run"]] for run in runs if run["run"] in anytime.courses]
        if len(regrets) == len(runs):
            curves.validation_regret[method] = over_evaluations([validation.curve for validation, _ in regrets])
            curves.test_regret[method] = over_evaluations([test.curve for _, test in regrets])
        if len(courses) == len(runs):
            curves.validation[method] = over_evaluations([course.best_validation for course in courses])
            by_seconds = over_seconds(courses)
            if by_seconds is not None:
                curves.seconds[method] = by_seconds
    return curves


def random_search_behind(runs: Sequence[Run], best_validation: float | None) -> dict[str, Floats] | None:
    """Return the curve of random search with the largest budget among the runs; None if no run knows it.

    Mean and quartiles by name, as validation regret where the best validation accuracy of the space is given.
    """
    known = [run["random_curve"] for run in runs if run.get("random_curve")]
    if not known:
        return None
    longest = max(known, key=lambda curve: curve["evaluations"][-1])
    curve = {name: np.asarray(longest[name], dtype=np.float64) for name in ("mean", "low", "high")}
    if best_validation is not None:
        curve = {name: best_validation - values for name, values in curve.items()}
        curve["low"], curve["high"] = curve["high"], curve["low"]
    return {"at": np.asarray(longest["evaluations"], dtype=np.float64), **curve}


def what_would_change(row: Mapping[str, Any]) -> str | None:
    """Say how many runs would tell a method from its baseline, None where the verdict is already clear."""
    verdict = str(row["verdict"])
    if row["source"] == SHUFFLED:
        return None
    if row["n_runs"] < MIN_RUNS:
        return f"{MIN_RUNS - row['n_runs']} more runs: from {MIN_RUNS} on there is a test."
    if "no random baseline" in verdict:
        return f"A baseline of at least {MIN_RUNS} random architectures."
    if not verdict.startswith("cannot be told"):
        return None
    needed: int | None
    if row["p_rs"] is not None and row["random_source"] == "table-exact":
        needed = runs_needed_by_rank(row["rs_percentile"] / 100)
    elif row["p_rs"] is not None:
        needed = runs_needed(row["gain_over_rs"], row["test_std"], row["rs_std"])
    else:
        exact = row["random_source"] == "table-exact"
        needed = runs_needed(
            row["test_mean"] - row["random_mean"], row["test_std"], 0.0 if exact else row["random_std"]
        )
    if needed is None:
        return "No affordable number of runs, if the effect is as small as seen."
    if needed > MANY_RUNS:
        return f"More than {MANY_RUNS:,} runs: the effect seen is next to nothing."
    if needed <= row["n_runs"]:
        return "A few more runs, if the effect is as large as seen: the correction for many comparisons hides it."
    return f"About {needed:,} runs, if the effect is as large as seen."

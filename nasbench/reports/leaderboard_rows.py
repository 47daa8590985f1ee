"""One row of the leaderboard: the runs of one method under one set of conditions, summed up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nasbench.protocol.comparisons import interquartile_mean
from nasbench.protocol.power import LEVEL
from nasbench.protocol.random_search import rank_test
from nasbench.protocol.statistics import (
    mean_interval,
    one_sample_t,
    probability_of_improvement,
    relative_improvement,
    relative_improvement_exact,
    welch,
)
from nasbench.protocol.verdict import MIN_RUNS

SCHEMA_VERSION = 1
COLUMNS = (
    *("schema_version", "run_id", "method", "method_version", "config_hash", "recipe_hash", "protocol_version"),
    *("code_version", "data_fingerprint", "space", "space_version", "sampler", "dataset", "n_runs", "seeds"),
    *("val_mean", "test_mean", "test_std", "test_ci_low", "test_ci_high", "test_median", "test_iqm", "test_min"),
    *("test_max", "random_n", "random_mean", "random_std", "random_source", "ri", "ri_ci_low", "ri_ci_high"),
    *("p_value", "p_test", "paired", "p_holm", "p_improve", "rs_mean", "rs_std", "gain_over_rs", "p_rs"),
    *("rs_percentile", "evaluations", "unique_evaluations", "failed", "fidelity", "source", "search_seconds"),
    *("simulated_seconds", "selection_seconds", "final_seconds", "tuning_seconds", "gpu_hours", "energy_wh"),
    *("hardware", "params", "flops", "latency_ms", "regret_auc", "regret_final", "rank_mean", "verdict"),
    "not_comparable",
)
"""Every column, in the order of the file. Accuracies and improvements are in percent, costs are means over the runs."""

Run = Mapping[str, Any]


SHARED = "shared weights"
BANKS = ("shared-gnn",)
"""Evaluators that train each candidate from weights of earlier ones: they pay in candidates, as training does, and are
ranked with their like alone."""
SHUFFLED = "shuffled"
"""The source of scores that say nothing of the architecture they stand beside: the run is a control."""


class Conditions(NamedTuple):
    """What rows must have in common to be ranked together; see `fits`."""

    protocol_version: Any
    recipe_hash: Any
    split: Any
    data_fingerprint: Any
    space_version: Any
    fidelity: Any
    budget: str

    @property
    def shared(self) -> bool:
        """Whether candidates are scored by shared weights."""
        return str(self.fidelity).startswith(SHARED)

    def fits(self, other: Conditions) -> bool:
        """Whether rows of these conditions may be ranked together.

        A method that trains a supernet pays in epochs and not in candidates: its budget and fidelity say nothing beside
        those of a method that trains candidates. What both cost stands in the table, in seconds.
        """
        return self == other or (self[:5] == other[:5] and self.shared != other.shared)


class RowKey(NamedTuple):
    """Runs with the same key make one row."""

    space: str
    dataset: str
    method: str
    method_version: Any
    sampler: Any
    conditions: Conditions


def row_key(run: Run) -> RowKey:
    """Return the row that a run belongs to. Without a stated budget it is the number of evaluations made."""
    identity = run["identity"]
    has_supernet = identity["source"] == "shared" and run.get("evaluator") not in BANKS
    conditions = Conditions(
        identity["protocol_version"],
        identity["recipe_hash"],
        identity["split"],
        identity["data_fingerprint"],
        identity["space_version"],
        f"{SHARED}, {identity['fidelity']}" if has_supernet else identity["fidelity"],
        run.get("budget") or f"{run['evaluations']} evaluations",
    )
    return RowKey(
        run["space"], run["dataset"], identity["method"], identity["method_version"], identity["sampler"], conditions
    )


def is_random_search(method: str) -> bool:
    """Whether the label is that of random search, with or without settings."""
    return method.partition("(")[0] == "random"


def is_control(runs: Sequence[Run]) -> bool:
    """Whether these runs are a control, which is not ranked and takes part in no comparison of methods."""
    return bool(runs[0]["identity"].get("source") == SHUFFLED)


def test_scores(runs: Sequence[Run]) -> list[float] | None:
    """Return one test accuracy (%) a run, the mean of its final trainings; a failed run counts at chance.

    None if a run failed and the number of classes is not known: leaving the run out would flatter the method.
    """
    scores = []
    for run in runs:
        found = [score for score in (run["final"] or {}).get("test_accuracies") or [] if score is not None]
        if found:
            scores.append(float(np.mean(found)))
            continue
        classes = run["identity"].get("classes")
        if not classes:
            return None
        scores.append(100 / classes)
    return scores


def make_row(key: RowKey, runs: Sequence[Run], baseline: Run, random_search: list[float] | None) -> dict[str, Any]:
    """Return the row of these runs; ``p_holm``, ``rank_mean`` and ``verdict`` need the whole table and stay None.

    ``baseline`` is the JSON object of the random architectures, ``random_search`` the final test accuracies of random
    search's own runs under the same conditions, where nothing is known exactly.
    """
    scores = test_scores(runs)
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row.update(_identity(key, runs))
    row.update(_costs(runs))
    row.update(
        random_n=baseline.get("n"),
        random_mean=baseline.get("mean"),
        random_std=baseline.get("std"),
        random_source=baseline.get("source"),
    )
    if scores is None:
        failed = sum(not _succeeded(run) for run in runs)
        row["not_comparable"] = f"{failed} failed run{'s' * (failed > 1)} and an unknown number of classes"
        return row
    row.update(_test_accuracy(scores))
    row.update(_against_random_architectures(scores, baseline))
    row.update(_against_random_search(scores, runs, random_search))
    return row


def _identity(key: RowKey, runs: Sequence[Run]) -> dict[str, Any]:
    def listed(name: str) -> str | None:
        return _join(run["identity"].get(name) for run in runs)

    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": listed("run_id"),
        "method": key.method,
        "method_version": key.method_version,
        "config_hash": listed("config_hash"),
        "recipe_hash": key.conditions.recipe_hash,
        "protocol_version": key.conditions.protocol_version,
        "code_version": listed("code_version"),
        "data_fingerprint": key.conditions.data_fingerprint,
        "space": key.space,
        "space_version": listed("space_version"),
        "sampler": key.sampler,
        "dataset": key.dataset,
        "n_runs": len(runs),
        "seeds": _join(sorted(run["seed"] for run in runs)),
        "evaluations": _mean(run["evaluations"] for run in runs),
        "unique_evaluations": _mean(run["unique_evaluations"] for run in runs),
        "failed": sum(run["failed"] or 0 for run in runs),
        "fidelity": listed("fidelity"),
        "source": listed("source"),
        "hardware": listed("hardware"),
    }


def _costs(runs: Sequence[Run]) -> dict[str, Any]:
    names = ("search_seconds", "simulated_seconds", "selection_seconds", "final_seconds", "tuning_seconds", "gpu_hours")
    costs = {name: _mean(run["costs"].get(name) for run in runs) for name in (*names, "energy_wh")}
    metrics = [run["metrics"] or {} for run in runs]
    return {
        **costs,
        "val_mean": _mean(m.get("valid_accuracy") for m in metrics),
        "params": _mean(m.get("parameters") for m in metrics),
        "flops": _mean(m.get("flops") for m in metrics),
        "latency_ms": _mean(m.get("latency_ms") for m in metrics),
        "regret_auc": _mean(m.get("regret_auc") for m in metrics),
        "regret_final": _mean(m.get("regret_final") for m in metrics),
    }


def _test_accuracy(scores: list[float]) -> dict[str, Any]:
    interval = mean_interval(scores)
    return {
        "test_mean": float(np.mean(scores)),
        "test_std": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "test_ci_low": interval[0] if interval else None,
        "test_ci_high": interval[1] if interval else None,
        "test_median": float(np.median(scores)),
        "test_iqm": float(interquartile_mean(scores)),
        "test_min": min(scores),
        "test_max": max(scores),
    }


def _against_random_architectures(scores: list[float], baseline: Run) -> dict[str, Any]:
    """Compare with the average random architecture of the space, trained with the same recipe or known exactly."""
    mean, sample = baseline.get("mean"), baseline.get("scores")
    if mean is None:
        return {}
    if baseline.get("source") == "table-exact":
        improvement, test, p_value = (
            relative_improvement_exact(scores, mean),
            "one-sample t",
            one_sample_t(scores, mean),
        )
    elif sample:
        improvement, test, p_value = relative_improvement(scores, sample), "Welch", welch(scores, sample)
    else:
        return {"ri": relative_improvement_exact(scores, mean).value}
    enough = min(len(scores), baseline.get("n") or 0) >= MIN_RUNS and p_value is not None
    return {
        "ri": improvement.value,
        "ri_ci_low": improvement.low,
        "ri_ci_high": improvement.high,
        "p_value": p_value if enough else None,
        "p_test": test if enough else None,
        "paired": False if enough else None,
        "p_improve": probability_of_improvement(scores, sample) if sample else None,
    }


def _against_random_search(scores: list[float], runs: Sequence[Run], other: list[float] | None) -> dict[str, Any]:
    """Compare with random search of the same cost: its exact distribution on a table, else its runs."""
    mean = float(np.mean(scores))
    exact = [run["random_search"] for run in runs if (run["random_search"] or {}).get("mean") is not None]
    if exact:
        expected = float(np.mean([record["mean"] for record in exact]))
        row = {"rs_mean": expected, "rs_std": exact[0]["std"], "gain_over_rs": mean - expected}
        percentiles = [percentile for run in runs if (percentile := _percentile(run)) is not None]
        if len(percentiles) == len(runs):
            percentile, p_value = rank_test(np.array(percentiles) / 100)
            row["rs_percentile"] = 100 * percentile
            row["p_rs"] = p_value if len(runs) >= MIN_RUNS else None
        return row
    if other is None:
        return {}
    return {
        "rs_mean": float(np.mean(other)),
        "rs_std": float(np.std(other, ddof=1)),
        "gain_over_rs": mean - float(np.mean(other)),
        "rs_percentile": 100 * probability_of_improvement(scores, other),
        "p_rs": welch(scores, other) if len(scores) >= MIN_RUNS else None,
    }


def _percentile(run: Run) -> float | None:
    """Return the run's place among random searches, 0 to 100; a failed run beats none of them."""
    if not _succeeded(run):
        return 0.0
    percentile = (run["random_search"] or {}).get("percentile")
    return None if percentile is None else float(percentile)


def _succeeded(run: Run) -> bool:
    return any(score is not None for score in (run["final"] or {}).get("test_accuracies") or [])


def _mean(values: Iterable[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _join(values: Iterable[Any]) -> str | None:
    """Write the different values in their order, separated by semicolons."""
    return ";".join(dict.fromkeys(str(value) for value in values if value is not None)) or None


def decisive_p(row: Run) -> float | None:
    """Return the p-value on which the verdict rests: against random search where there is one."""
    p_value: float | None = row["p_value"] if row["p_rs"] is None else row["p_rs"]
    return p_value


def verdict(row: Run) -> str:
    """Say in words what the row shows, by the p-value adjusted for all comparisons of the table.

    A difference from the average random architecture is claimed only if the interval of ``ri`` excludes zero too.
    """
    runs = row["n_runs"]
    if row["source"] == SHUFFLED:
        return "a control"
    if runs < MIN_RUNS or row["test_mean"] is None:
        return "one run: no test" if runs == 1 else f"{runs} runs: no test"
    if row["p_holm"] is None:
        return "no random baseline: no test"
    significant = row["p_holm"] < LEVEL
    if row["p_rs"] is not None:
        other = "random"
        better = row["rs_percentile"] > 50 if row["random_source"] == "table-exact" else row["gain_over_rs"] > 0
    else:
        other = "the average random architecture"
        significant = significant and not row["ri_ci_low"] <= 0 <= row["ri_ci_high"]
        better = row["ri"] > 0
    if not significant:
        return f"cannot be told from {other}"
    return f"{'better' if better else 'worse'} than {other}"

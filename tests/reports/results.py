"""Finished runs for the tests of this room, built from a few numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nasbench.core.decision_space import Choice, DecisionSpace

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

BASELINE_SCORES = [90.0, 91.0, 92.0, 91.5, 90.5, 91.0]


class Cells(DecisionSpace):
    """Six decisions "target<-source", as in NAS-Bench-201."""

    name = "cells"
    decisions = tuple(Choice(f"{target}<-{source}", OPERATIONS) for target in (1, 2, 3) for source in range(target))

    def build(self, architecture: Any, task: Any, size: Any = None) -> Any:
        raise NotImplementedError


class Plain(DecisionSpace):
    """Ten decisions in a row, as a user's own space has them."""

    name = "plain"
    decisions = (
        *(Choice(f"width{i}", (16, 32, 64)) for i in range(8)),
        Choice("kernel", (3, 5)),
        Choice("activation", ("relu", "gelu")),
    )

    def build(self, architecture: Any, task: Any, size: Any = None) -> Any:
        raise NotImplementedError


def trained_baseline(scores: list[float] | None = None, key: str = "pool") -> dict[str, Any]:
    scores = BASELINE_SCORES if scores is None else scores
    mean = sum(scores) / len(scores)
    return {
        "mean": mean,
        "std": (sum((score - mean) ** 2 for score in scores) / (len(scores) - 1)) ** 0.5,
        "n": len(scores),
        "median": sorted(scores)[len(scores) // 2],
        "source": "trained",
        "sampler": "uniform",
        "key": key,
        "scores": scores,
        "histogram": None,
        "failures": [],
    }


def exact_baseline() -> dict[str, Any]:
    return {
        "mean": 80.0,
        "std": 10.0,
        "n": 1000,
        "median": 82.0,
        "source": "table-exact",
        "sampler": "uniform",
        "key": "table",
        "scores": None,
        "histogram": {"edges": [10.0, 50.0, 80.0, 90.0, 95.0], "counts": [40, 160, 700, 100]},
        "failures": [],
    }


def make_result(
    method: str = "evolution",
    seed: int = 0,
    test: float | list[float] | None = 92.0,
    *,
    percentile: float | None = None,
    space: str = "plain",
    dataset: str = "digits",
    evaluations: int = 100,
    baseline: dict[str, Any] | None = None,
    **identity: Any,
) -> dict[str, Any]:
    """Return a ``result.json``; ``percentile`` makes it a run on a table, ``test`` None a run that failed."""
    on_table = percentile is not None
    tests = [] if test is None else test if isinstance(test, list) else [test]
    return {
        "format": 1,
        "protocol_version": 1,
        "space": space,
        "strategy": method.partition("(")[0],
        "dataset": dataset,
        "evaluator": "table" if on_table else "train",
        "seed": seed,
        "evaluations": evaluations,
        "unique_evaluations": evaluations - 10,
        "failed": 1,
        "architecture": "some",
        "architecture_spec": None,
        "metrics": {"valid_accuracy": 90.0 + seed, "parameters": 1000.0},
        "final": {"test_accuracies": tests, "valid_accuracies": [None] * len(tests), "seeds": list(range(len(tests)))},
        "baseline": baseline or (exact_baseline() if on_table else trained_baseline()),
        "random_search": {
            "mean": 91.0 if on_table else None,
            "std": 1.5 if on_table else None,
            "percentile": percentile,
        },
        "random_curve": None,
        "relative_improvement": {"value": 1.0, "low": None, "high": None, "p_value": None},
        "verdict": "one run: no test",
        "verdict_sentence": "One run: no test. The run reaches a mean score of 92.",
        "runs_needed": None,
        "costs": {"search_seconds": 10.0, "baseline_seconds": 60.0, "final_seconds": 30.0, "selection_seconds": 0.0},
        "run": f"runs/{method}-{seed}",
        "seconds": 100.0,
        "identity": {
            "run_id": f"{method}/{space}/{dataset}/{evaluations}/{seed}/{sorted(identity.items())}",
            "method": method,
            "method_version": "1",
            "config_hash": f"{method}/{evaluations}",
            "recipe_hash": "recipe-a",
            "protocol_version": 1,
            "code_version": "0.1.0",
            "data_fingerprint": "data-a",
            "split": "seed 0",
            "space_version": "1",
            "sampler": "uniform",
            "fidelity": None,
            "source": "table" if on_table else "trained",
            "hardware": "two cores",
        }
        | identity,
    }


def runs(method: str, tests: list[float | None], percentiles: list[float] | None = None, **more: Any) -> list[Any]:
    """Return one result for each test accuracy, with seeds 0, 1, ..."""
    return [
        make_result(method, seed, test, percentile=None if percentiles is None else percentiles[seed], **more)
        for seed, test in enumerate(tests)
    ]


def write_run(folder: Path, result: dict[str, Any], rows: list[dict[str, Any]] | None = None) -> Path:
    """Write the three files of a finished run."""
    folder.mkdir(parents=True)
    run = {"space": {"name": result["space"], "settings": {}}, "evaluations": result["evaluations"], "time": None}
    environment = {"python": "3.11", "command": ["nasbench", "search", "--out", "my run"], "hardware": "two cores"}
    (folder / "config.json").write_text(json.dumps({"format": 1, "run": run, "environment": environment}))
    lines = [json.dumps(row) + "\n" for row in rows or []]
    (folder / "evaluations.jsonl").write_text("".join(lines))
    (folder / "result.json").write_text(json.dumps(result))
    return folder

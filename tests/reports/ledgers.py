"""Finished runs with ledgers, for the tests of what the leaderboard reads from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.reports.results import make_result, trained_baseline, write_run


def evaluations(seed: int, count: int = 12, *, own: int | None = None, source: str = "trained") -> list[dict[str, Any]]:
    """Return the records of a search: the first six depend on ``seed`` alone, the others also on ``own``."""
    first, rest = np.random.default_rng(seed), np.random.default_rng([seed, own or 0])
    records = []
    for i in range(count):
        rng = first if i < 6 or own is None else rest
        spec = [int(choice) for choice in rng.integers(0, 9, 4)]
        score = round(float(rng.normal(85 + 0.2 * i, 1)), 2)
        records.append(
            {
                "id": i,
                "architecture": ["plain", spec],
                "metrics": {"valid_accuracy": score},
                "source": source,
                "seed": i,
                "seconds": 0.0 if source == "table" else 2.0 + i % 3,
            }
        )
    return records


def best_of(records: list[dict[str, Any]]) -> list[Any]:
    return max(records, key=lambda record: record["metrics"]["valid_accuracy"])["architecture"]


def write_runs(
    folder: Path, method: str, tests: list[float | None], *, own: int | None = None, count: int = 12, **more: Any
) -> list[Path]:
    """Write one run for each test accuracy, with seeds 0, 1, ..., and a ledger of ``count`` evaluations each."""
    source = "table" if "percentiles" in more else "trained"
    percentiles = more.pop("percentiles", [None] * len(tests))
    written = []
    for seed, (test, percentile) in enumerate(zip(tests, percentiles, strict=True)):
        records = evaluations(seed, count, own=own, source=source)
        result = make_result(method, seed, test, percentile=percentile, **{"evaluations": count, **more})
        result["architecture_spec"] = best_of(records)
        written.append(write_run(folder / f"{method}-{result['dataset']}-{seed}", result, records))
    return written


def board_of_six_data_sets(folder: Path, methods: int = 4) -> None:
    """Write a leaderboard over six data sets: clear differences, five runs each, a baseline of twelve."""
    rng = np.random.default_rng(5)
    for place, dataset in enumerate(("one", "two", "three", "four", "five", "six")):
        baseline = trained_baseline(rng.normal(88 - place, 1, 12).tolist(), key=dataset)
        for i, method in enumerate(("random", "evolution", "local-search", "a<b & c")[:methods]):
            tests = (89 - place + 0.6 * i + rng.normal(0, 0.2, 5)).tolist()
            write_runs(folder, method, tests, own=i, dataset=dataset, baseline=baseline)

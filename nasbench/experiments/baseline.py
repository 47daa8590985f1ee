"""The random-architecture baseline of a space, task and recipe, by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import RunConfig
from nasbench.experiments.reporter import Reporter
from nasbench.experiments.search import random_baseline


def measure_baseline(config: RunConfig, data_dir: Path | None, reporter: Reporter | None = None) -> dict[str, Any]:
    """Return the baseline and, on a table, random search at the configured number of evaluations."""
    parts = Parts(config, data_dir)
    random_search: dict[str, float | None] = {"mean": None, "std": None}
    if parts.on_table:
        base = parts.table_judge.baseline()
        if config.evaluations is not None:
            search = parts.table_judge.random_search(config.evaluations)
            random_search = {"mean": search.mean, "std": search.std}
    else:
        base = random_baseline(parts, config.baseline, reporter or Reporter())
    return {
        "space": config.space.name,
        "dataset": config.dataset,
        "evaluator": config.evaluator.name,
        "evaluations": config.evaluations,
        "baseline": base.to_json(),
        "random_search": random_search,
    }

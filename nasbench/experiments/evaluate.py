"""Score one architecture as the final evaluation of a search does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from nasbench.core.evaluation import Proposal
from nasbench.core.run_directory import open_run
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import RunConfig
from nasbench.experiments.environment import describe_environment
from nasbench.experiments.reporter import Reporter
from nasbench.experiments.search import final_training
from nasbench.protocol.scores import FinalScores


def evaluate_architecture(
    config: RunConfig, text: str, out: Path | None, data_dir: Path | None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Return metrics and cost of one architecture; keep the trained network in ``out`` if one is given.

    Raises BadInput if the text is not an architecture of the space.
    """
    parts = Parts(config, data_dir)
    architecture = parts.space.parse(text)
    metrics: dict[str, float | None]
    final: FinalScores | None
    if parts.on_table:
        if out is not None and reporter is not None:
            reporter.note(f"nothing is kept in {out}: the scores come from a table")
        metrics = dict(parts.evaluator.evaluate(Proposal(architecture), id=0, seed=0).metrics)
        final = parts.table_judge.final(architecture) if parts.judged else None
    else:
        reporter = reporter or Reporter()
        if out is None:
            with tempfile.TemporaryDirectory() as folder:
                final = final_training(parts, architecture, config.seeds, Path(folder), reporter)
        else:
            whole = parts.complete_config.model_dump(mode="json")
            keys = ("space", "dataset", "evaluator", "recipe", "seed", "seeds", "data_fingerprint", "own_code")
            identity = {"architecture": architecture.to_json(), **{key: whole[key] for key in keys}}
            with open_run(out, identity, describe_environment(data_dir)):
                final = final_training(parts, architecture, config.seeds, out, reporter)
        valid = [value for value in final.valid_accuracies if value is not None]
        metrics = {"valid_accuracy": sum(valid) / len(valid) if valid else None}
        metrics["parameters"] = None if final.parameters is None else float(final.parameters)
    metrics["test_accuracy"] = None if final is None else sum(final.test_accuracies) / len(final.test_accuracies)
    return {
        "architecture": parts.space.format(architecture),
        "space": config.space.name,
        "dataset": config.dataset,
        "evaluator": config.evaluator.name,
        "metrics": metrics,
        "seconds": 0.0 if final is None else final.seconds,
    }

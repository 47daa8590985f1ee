"""The result of a run as one JSON object: what was found, what random gives, what it cost, what it compares with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench import __version__
from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.state import digest
from nasbench.experiments.assemble import NO_HELD_OUT, Parts
from nasbench.experiments.config import RunConfig, config_model, guided_by_recipe
from nasbench.experiments.environment import hardware
from nasbench.protocol.scores import PROTOCOL_VERSION, TABLE_SAMPLER, TRAINING_SAMPLER, Baseline, FinalScores
from nasbench.protocol.stored_result import FORMAT
from nasbench.protocol.verdict import Verdict

FURTHER = ("objectives", "constraints", "front", "hypervolume", "reference_point", "predictor")
"""What a result has only where objectives or constraints were named, or a predictor guided the search."""

SHUFFLED = "with shuffled rewards"


def make_result(
    parts: Parts,
    ledger: Ledger,
    search_seconds: float,
    run: Path,
    *,
    architecture: Architecture,
    final: FinalScores,
    baseline: Baseline,
    verdict: Verdict,
    random_search: dict[str, Any],
    random_curve: dict[str, Any] | None,
) -> dict[str, Any]:
    """Put together ``result.json``. Accuracies and the relative improvement are percentages, times seconds."""
    improvement = verdict.relative_improvement
    known = [score for score in final.valid_accuracies if score is not None]
    metrics = _searched(ledger, architecture)
    if known and (parts.evaluator.source != "table" or metrics["valid_accuracy"] is None):
        metrics["valid_accuracy"] = sum(known) / len(known)
    metrics["test_accuracy"] = sum(final.test_accuracies) / len(final.test_accuracies)
    measured = metrics.get("parameters")
    metrics["parameters"] = measured if final.parameters is None else float(final.parameters)
    words, percentile = verdict.words, random_search["percentile"]
    if len(final.test_accuracies) == 1 and percentile is not None:
        words += f"; beats {percentile:.0f} % of random searches of the same cost"
    return {
        **_head(parts, ledger),
        "architecture": parts.space.format(architecture),
        "architecture_spec": architecture.to_json(),
        "metrics": metrics,
        "final": final.to_json(),
        "baseline": baseline.to_json(),
        "random_search": random_search,
        "random_curve": random_curve,
        "relative_improvement": {
            "value": improvement.value,
            "low": improvement.low,
            "high": improvement.high,
            "p_value": verdict.p_value,
        },
        "verdict": words,
        "verdict_sentence": verdict.sentence,
        "runs_needed": verdict.runs_needed,
        "costs": {
            "search_seconds": search_seconds,
            "selection_seconds": 0.0,
            "final_seconds": final.seconds,
            "baseline_seconds": baseline.seconds,
        },
        "identity": identity(parts),
        "notes": list(parts.notes),
        "run": str(run),
        "seconds": search_seconds + final.seconds + baseline.seconds,
    }


def unjudged_result(
    parts: Parts, ledger: Ledger, search_seconds: float, run: Path, architecture: Architecture
) -> dict[str, Any]:
    """Put together the result of a search on a benchmark without held-out scores: what it found, and no verdict."""
    metrics = _searched(ledger, architecture)
    if metrics["valid_accuracy"] is None:
        metrics |= parts.evaluator.evaluate(Proposal(architecture), id=0, seed=0).metrics
    final = FinalScores((), (metrics["valid_accuracy"],), (), 0.0)
    sentence = (
        "No held-out score. The accuracy by which the search chose is the only one there is, and the largest of many "
        "is too high: whether searching helped cannot be said."
    )
    if metrics.get("prediction_std"):
        sentence += f" That of the found architecture is predicted, standard deviation {metrics['prediction_std']:.2g}"
        sentence += ", outside of what was measured." if metrics.get("extrapolated") else "."
    return {
        **_head(parts, ledger),
        **dict.fromkeys(("baseline", "random_curve", "runs_needed")),
        "architecture": parts.space.format(architecture),
        "architecture_spec": architecture.to_json(),
        "metrics": {"parameters": None, **metrics, "test_accuracy": None},
        "final": final.to_json(),
        "random_search": dict.fromkeys(("mean", "std", "percentile")),
        "relative_improvement": dict.fromkeys(("value", "low", "high", "p_value")),
        "verdict": NO_HELD_OUT,
        "verdict_sentence": sentence,
        "costs": {"search_seconds": search_seconds, "selection_seconds": 0.0, "final_seconds": 0.0},
        "identity": identity(parts),
        "notes": list(parts.notes),
        "run": str(run),
        "seconds": search_seconds,
    }


def _searched(ledger: Ledger, architecture: Architecture) -> dict[str, float | None]:
    """Return the metrics that the search knew of an architecture.

    A strategy may recommend what it never had scored (its last discretisation): then the search knows no score of it.
    """
    scored = [e for e in ledger.evaluations if e.architecture == architecture and e.status == "ok"]
    latest = max(scored, key=lambda evaluation: (evaluation.weights, evaluation.epochs), default=None)
    metrics: dict[str, float | None] = {"valid_accuracy": None, **(latest.metrics if latest else {})}
    metrics["search_valid_accuracy"] = metrics["valid_accuracy"]
    return metrics


def failed_result(parts: Parts, ledger: Ledger, search_seconds: float, run: Path, reason: str) -> dict[str, Any]:
    """Put together the result of a search in which no candidate succeeded: it counts, at chance, in a leaderboard."""
    nothing = ("architecture", "architecture_spec", "final", "baseline", "random_curve", "runs_needed")
    return {
        **_head(parts, ledger),
        **dict.fromkeys(nothing),
        "metrics": dict.fromkeys(("valid_accuracy", "test_accuracy", "parameters")),
        "random_search": dict.fromkeys(("mean", "std", "percentile")),
        "relative_improvement": dict.fromkeys(("value", "low", "high", "p_value")),
        "verdict": "the search failed",
        "verdict_sentence": reason,
        "costs": {"search_seconds": search_seconds, "selection_seconds": 0.0, "final_seconds": 0.0},
        "identity": identity(parts),
        "run": str(run),
        "seconds": search_seconds,
    }


def _head(parts: Parts, ledger: Ledger) -> dict[str, Any]:
    config, space, evaluations = parts.config, parts.space, ledger.evaluations
    return {
        "format": FORMAT,
        "protocol_version": PROTOCOL_VERSION,
        "space": config.space.name,
        "strategy": config.strategy.name,
        "dataset": config.dataset,
        "evaluator": config.evaluator.name,
        "seed": config.seed,
        "evaluations": len(evaluations),
        "unique_evaluations": len({space.canonical(e.architecture) for e in evaluations}),
        "failed": sum(e.status == "failed" for e in evaluations),
    }


def identity(parts: Parts) -> dict[str, Any]:
    """Return what decides with which other results this one may be compared."""
    config = parts.complete_config
    resolved, recipe = config.model_dump(mode="json"), config.recipe
    return {
        "run_id": digest(resolved)[:16],
        "method": method_label(config, type(parts.strategy)),
        "method_version": config.own_code.get("strategy", __version__),
        "config_hash": digest(resolved | {"seed": None})[:16],
        "recipe_hash": recipe.fingerprint() if recipe is not None else f"table-{config.space.name}",
        "protocol_version": PROTOCOL_VERSION,
        "code_version": __version__,
        "data_fingerprint": config.data_fingerprint,
        "split": f"seed {recipe.split_seed}" if recipe is not None else "benchmark",
        "space_version": digest([config.space.settings, config.own_code.get("space")])[:16],
        "sampler": TABLE_SAMPLER if parts.on_table else TRAINING_SAMPLER,
        "classes": parts.classes,
        "fidelity": "-".join([parts.evaluator.fingerprint, *filter(None, [config.own_code.get("evaluator")])]),
        "source": parts.evaluator.source,
        "hardware": hardware(),
    }


def method_label(config: RunConfig, strategy: type) -> str:
    """Return the strategy's name with the settings that are not its defaults, its objectives and constraints.

    A control is named as one.
    """
    model = config_model(strategy)
    defaults: dict[str, Any] = {}
    if model is not None:
        stated = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
        # As in the configuration, which is JSON.
        defaults = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in {**stated, **guided_by_recipe(model, config.recipe, config.space.name)}.items()
        }
    changed = {key: value for key, value in config.strategy.settings.items() if value != defaults.get(key)}
    inside = ", ".join(f"{key}={value}" for key, value in changed.items())
    label = f"{config.strategy.name}({inside})" if inside else config.strategy.name
    if config.objectives:
        label += f" for {', '.join(config.objectives)}"
    if config.constraints:
        label += f" with {', '.join(config.constraints)}"
    return f"{label} {SHUFFLED}" if config.evaluator.settings.get("shuffle") else label


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return the object that ``nasbench search --json`` prints."""
    keys = ("space", "strategy", "dataset", "evaluator", "seed", "evaluations", "architecture", "metrics")
    return {
        **{key: result[key] for key in keys},
        "baseline": {key: (result["baseline"] or {}).get(key) for key in ("mean", "std", "n")},
        "random_search": {key: result["random_search"][key] for key in ("mean", "std")},
        **{key: result[key] for key in ("relative_improvement", "verdict", "run", "seconds")},
        **{key: result[key] for key in FURTHER if key in result},
    }

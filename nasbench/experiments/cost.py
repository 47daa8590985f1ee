"""What a run will cost, before it begins."""

from __future__ import annotations

import math

from nasbench.core.abilities import Timed
from nasbench.experiments.assemble import Parts
from nasbench.tables.table import Table


def whole_trainings(parts: Parts, epochs: float) -> int:
    """Return how many architectures of the run's table could be trained to the end in so many epochs, rounded up."""
    assert isinstance(parts.table, Table) and parts.table.epochs
    return max(1, math.ceil(epochs / parts.table.epochs[-1]))


def estimate(parts: Parts) -> dict[str, float]:
    """Return the estimated seconds of search, baseline and final training, and their sum.

    A look-up in a table costs next to nothing. For training, a few steps of one random architecture are timed; of a
    strategy that learns and is `Timed`, a few steps of a unit, which uses up the strategy of ``parts``. A user's own
    evaluator, other learning, and the decisions of a selection by perturbation count as free.
    """
    config = parts.config
    if parts.on_table:
        seconds = 1e-4 * config.evaluations if config.evaluations is not None else config.time or 0.0
        return {"search_seconds": seconds, "total_seconds": seconds}
    from nasbench.core.seeding import generator
    from nasbench.evaluators.train import cost_estimate

    task, recipe = parts.search_task, config.recipe
    assert task is not None and recipe is not None
    architecture = parts.space.sample(generator(config.seed, "cost"))
    own = config.evaluator.name != "train"  # nobody but its author knows what a user's own evaluator costs
    overrides = {} if own else {key: value for key, value in config.evaluator.settings.items() if value is not None}
    repeats = overrides.pop("repeats", 1)
    one = 0.0 if own else cost_estimate(parts.space, architecture, task, recipe, overrides) * repeats
    final = cost_estimate(parts.space, architecture, task, recipe, {})
    missing = config.baseline - parts.training_judge.cached(config.baseline)
    if isinstance(parts.strategy, Timed):
        one += parts.strategy.seconds_of_a_unit()
    search = one * config.evaluations if config.evaluations is not None else config.time or 0.0
    epochs_of = getattr(parts.strategy, "epochs_of", None)
    if epochs_of is not None and config.evaluations is not None:
        search = one / recipe.epochs * epochs_of(config.evaluations)
    costs = {"search_seconds": search, "baseline_seconds": final * missing, "final_seconds": final * config.seeds}
    return {**costs, "total_seconds": sum(costs.values())}

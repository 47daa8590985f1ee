"""What a run will cost, before it begins."""

from __future__ import annotations

import math

from nasbench.core.abilities import Timed
from nasbench.core.architecture import Architecture
from nasbench.core.errors import TooLarge
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import GRAPH_EVALUATORS, TRAINERS
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
    from nasbench.evaluators import graph_training, train

    task, recipe = parts.search_task, config.recipe
    assert task is not None and recipe is not None
    rng = generator(config.seed, "cost")
    architecture = parts.space.sample(rng)
    if isinstance(recipe, GraphRecipe):
        architecture = _one_that_fits(parts.space, task, recipe, rng)
    name, settings = config.evaluator.name, config.evaluator.settings
    own = name not in (*TRAINERS, *GRAPH_EVALUATORS)  # nobody but its author knows what a user's own evaluator costs
    overrides = {} if own else {key: value for key, value in settings.items() if value is not None}
    if name == "shared-gnn":  # a training from other weights, but a training
        overrides = {"epochs": settings["epochs"]}
    repeats = overrides.pop("repeats", 1)

    def cost_of(changes: dict[str, float]) -> float:
        if isinstance(recipe, GraphRecipe):
            return graph_training.cost_estimate(parts.space, architecture, task, recipe, changes)
        return train.cost_estimate(parts.space, architecture, task, recipe, changes)

    one = 0.0 if own else cost_of(overrides) * repeats
    final = cost_of({})
    missing = config.baseline - parts.training_judge.cached(config.baseline)
    if isinstance(parts.strategy, Timed):
        one += parts.strategy.seconds_of_a_unit()
    search = one * config.evaluations if config.evaluations is not None else config.time or 0.0
    epochs_of = getattr(parts.strategy, "epochs_of", None)
    if epochs_of is not None and config.evaluations is not None:
        search = one / recipe.epochs * epochs_of(config.evaluations)
    costs = {"search_seconds": search, "baseline_seconds": final * missing, "final_seconds": final * config.seeds}
    return {**costs, "total_seconds": sum(costs.values())}


def _one_that_fits(space: SearchSpace, task: SearchTask, recipe: GraphRecipe, rng: Rng) -> Architecture:
    """Draw an architecture that the recipe's memory allows, if one of a hundred is one; one refused costs nothing."""
    from nasbench.evaluators.graph_memory import networks_that_fit

    for _ in range(100):
        architecture = space.sample(rng)
        try:
            networks_that_fit(space, architecture, task, recipe.memory_gib)
        except TooLarge:
            continue
        break
    return architecture

"""A small problem for differentiable strategies: images whose class is a colour, a cell of NAS-Bench-201."""

from __future__ import annotations

from typing import Any

import torch

from nasbench.catalog import STRATEGIES, resolve
from nasbench.core.problem import Budget, Problem, SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.datasets.images import Images
from nasbench.evaluators.recipe import Recipe
from nasbench.evaluators.shared import SharedEvaluator
from nasbench.networks.device import prepare, seeded
from nasbench.networks.shared_weights import SharedWeights
from nasbench.search_spaces.nasbench201 import NasBench201, NasBench201Size
from nasbench.strategies.differentiable.strategy import Differentiable

EPOCHS = 3
SIZE = NasBench201Size(channels=2, cells=1)
RECIPE = Recipe(name="tiny", channels=2, cells=1, crop_padding=1, cutout=0, auxiliary_weight=0.0, drop_path=0.0)


def coloured(count: int, seed: int) -> Images:
    """Return noise [count, 3, 8, 8] in which the channel of the label, 0 to 2, is brighter."""
    drawing = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 160, (count, 3, 8, 8), generator=drawing, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    pixels[torch.arange(count), labels] += 60
    return Images(pixels, labels)


TASK = SearchTask("colours", "image", (3, 8, 8), 3, coloured(24, 0), coloured(24, 1), "colours")


def parts(
    name: str, *, space: SearchSpace | None = None, size: Any = SIZE, evaluations: int = EPOCHS, **settings: Any
) -> tuple[Problem, Differentiable, SharedEvaluator, SharedWeights]:
    """Return all that a search needs, new, with weights that depend on the seed alone."""
    space = space or NasBench201()
    problem = Problem(space, TASK, Budget(evaluations=evaluations), seed=3)
    with seeded(5):
        shared = SharedWeights(prepare(space.relax(TASK, size)))  # type: ignore[attr-defined]
    strategy = resolve("strategy", name, STRATEGIES)
    given = {"batch_size": 12, "crop_padding": 1, "flip": True, **settings}
    made = strategy(problem, strategy.Config(**given), generator(3, "strategy"), shared)
    return problem, made, SharedEvaluator(space, TASK, RECIPE, None, shared), shared

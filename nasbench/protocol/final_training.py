"""One final training: an architecture's network, trained by the whole recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.datasets.images import Images
from nasbench.evaluators import graph_training, training
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.graph_stack import Parts
from nasbench.evaluators.recipes import AnyRecipe


@dataclass(frozen=True)
class FinalTraining:
    """A trained network, and how to score it.

    ``score`` gives the accuracy on a part of the task, in percent; ``valid_accuracy`` is that on the validation part,
    None where the recipe trains on it too. ``mean_std``, two tensors [channels], normalises images, None other data.
    """

    module: nn.Module
    score: Callable[[Any], float]
    valid_accuracy: float | None
    mean_std: tuple[Tensor, Tensor] | None


def trains_on_validation(recipe: AnyRecipe) -> bool:
    """Say whether final networks are trained on the validation part too, which then scores nothing."""
    return not isinstance(recipe, GraphRecipe) and recipe.final_data == "train+validation"


def train_final(
    space: SearchSpace, architecture: Architecture, search: SearchTask, recipe: AnyRecipe, seed: int, parts: Parts
) -> FinalTraining:
    """Train an architecture; ``parts`` keeps what trainings on the same graphs share."""
    if isinstance(recipe, GraphRecipe):
        ((network, record),) = graph_training.build_and_train(space, architecture, search, recipe, [seed], parts=parts)

        def score_graphs(data: Any) -> float:
            return graph_training.accuracy(network, data, recipe.threads, parts)

        return FinalTraining(network, score_graphs, record.valid_accuracy, None)
    whole = trains_on_validation(recipe)
    data = _joined(search.train, search.validation) if whole else search.train
    trained, done = training.build_and_train(space, architecture, search, recipe, seed, data=data)

    def score(images: Any) -> float:
        return training.accuracy(trained, images, done.mean_std, threads=recipe.threads)

    return FinalTraining(trained, score, None if whole else score(search.validation), done.mean_std)


def _joined(a: Images, b: Images) -> Images:
    return Images(torch.cat([a.images, b.images]), torch.cat([a.labels, b.labels]))

"""One final training: an architecture's network, trained by the whole recipe and tested once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nasbench.core.architecture import Architecture
from nasbench.core.problem import Task
from nasbench.core.search_space import SearchSpace
from nasbench.datasets.images import Images
from nasbench.evaluators import graph_training, training
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.graph_stack import Parts
from nasbench.evaluators.recipes import AnyRecipe


@dataclass(frozen=True)
class FinalTraining:
    """A trained network with its accuracies in percent.

    ``valid_accuracy`` is None where the recipe trains on the validation part too. ``mean_std``, two tensors [channels],
    normalises images; None for other data.
    """

    module: nn.Module
    test_accuracy: float
    valid_accuracy: float | None
    mean_std: tuple[Tensor, Tensor] | None


def trains_on_validation(recipe: AnyRecipe) -> bool:
    """Say whether final networks are trained on the validation part too, which then scores nothing."""
    return not isinstance(recipe, GraphRecipe) and recipe.final_data == "train+validation"


def train_and_test(
    space: SearchSpace, architecture: Architecture, task: Task, recipe: AnyRecipe, seed: int, parts: Parts
) -> FinalTraining:
    """Train and test an architecture; ``parts`` keeps what trainings on the same graphs share."""
    search = task.search
    if isinstance(recipe, GraphRecipe):
        ((network, record),) = graph_training.build_and_train(space, architecture, search, recipe, [seed], parts=parts)
        tested = graph_training.accuracy(network, task.test, recipe.threads, parts)
        return FinalTraining(network, tested, record.valid_accuracy, None)
    whole = trains_on_validation(recipe)
    data = _joined(search.train, search.validation) if whole else search.train
    network, done = training.build_and_train(space, architecture, search, recipe, seed, data=data)

    def score(images: Any) -> float:
        return training.accuracy(network, images, done.mean_std, threads=recipe.threads)

    return FinalTraining(network, score(task.test), None if whole else score(search.validation), done.mean_std)


def _joined(a: Images, b: Images) -> Images:
    return Images(torch.cat([a.images, b.images]), torch.cat([a.labels, b.labels]))

"""Training networks on graphs, several of one architecture at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nasbench.core.architecture import Architecture
from nasbench.core.errors import Diverged
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.datasets.graphs import Graphs, Nodes
from nasbench.evaluators.building import build_network, seed_of_part, whole_fidelity
from nasbench.evaluators.graph_memory import networks_that_fit
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.graph_stack import Parts, Stack, is_stackable, stack_of
from nasbench.networks import device as settings
from nasbench.networks.graph_layers import Dropout

FIDELITIES = ("epochs",)
"""What a proposal's fidelity may change."""


@dataclass(frozen=True)
class GraphTrainingRecord:
    """What the training of one network did.

    ``epoch`` is the one whose weights were kept, from 1, and ``valid_accuracy`` (percent) and ``valid_loss`` (nats) are
    its; the ``last_`` ones are those of the last epoch. ``train_loss`` is that of the last step. ``seconds`` is the
    network's share of the time. ``courses`` has (epoch, accuracy, loss) of validation for every look at it.
    """

    epoch: int
    epochs: int
    valid_accuracy: float
    valid_loss: float
    last_valid_accuracy: float
    train_loss: float
    seconds: float
    course: tuple[tuple[int, float, float], ...]


def train_stack(
    stack: Stack,
    train: Nodes | Graphs,
    validation: Nodes | Graphs,
    recipe: GraphRecipe,
    dropout: Dropout,
    *,
    ended: Callable[[], None] = lambda: None,
) -> list[GraphTrainingRecord]:
    """Train the networks of a stack in place, with gradients of the sum of their losses, which they do not share.

    Every step sees all that there is to train on. The weights kept are those that the recipe's selection names; those
    of the last epoch are still there when ``ended`` is called.
    Raises Diverged if the loss of any network is not finite.
    """
    started = time.perf_counter()
    first, others = stack.weights()
    decay = recipe.weight_decay
    groups: list[dict[str, Any]] = [{"params": first}, {"params": others}]
    groups[1]["weight_decay"] = decay if recipe.decayed == "all layers" else 0.0
    rate = recipe.learning_rate
    optimiser = torch.optim.Adam([g for g in groups if g["params"]], lr=rate, weight_decay=decay, fused=True)
    count = len(stack.networks)
    labels = train.labels.repeat(count)
    best = [(-1.0, -math.inf)] * count  # accuracy, and the loss with its sign turned
    epochs, patience = [0] * count, [0] * count
    courses: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]
    lowest = [(-1.0, math.inf)] * count
    for epoch in range(1, recipe.epochs + 1):
        logits = stack.logits(train, dropout)
        loss = functional.cross_entropy(logits.flatten(0, 1), labels) * count
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if epoch % recipe.evaluate_every and epoch < recipe.epochs:
            continue
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss was {loss.item()} in epoch {epoch}.")
        for number, (accuracy, valid_loss) in enumerate(zip(*scores(stack, validation), strict=True)):
            if recipe.patience is not None and patience[number] >= recipe.patience:
                continue
            courses[number].append((epoch, accuracy, valid_loss))
            if (accuracy, -valid_loss) > best[number]:
                best[number], epochs[number] = (accuracy, -valid_loss), epoch
                if recipe.selection == "best":
                    stack.remember(number)
            highest, least = lowest[number]
            is_better = accuracy >= highest or valid_loss <= least
            patience[number] = 0 if is_better else patience[number] + 1
            lowest[number] = max(highest, accuracy), min(least, valid_loss)
        if recipe.patience is not None and min(patience) >= recipe.patience:
            break
    ended()
    stack.write(remembered=recipe.selection == "best")
    seconds = (time.perf_counter() - started) / count
    records = []
    for course, kept in zip(courses, epochs, strict=True):
        chosen = next(point for point in course if point[0] == kept) if recipe.selection == "best" else course[-1]
        records.append(
            GraphTrainingRecord(
                chosen[0], epoch, chosen[1], chosen[2], course[-1][1], loss.item() / count, seconds, tuple(course)
            )
        )
    return records


@torch.no_grad()
def scores(stack: Stack, data: Nodes | Graphs) -> tuple[list[float], list[float]]:
    """Return accuracy (percent) and mean cross-entropy (nats) of every network on a part of a task."""
    logits = stack.logits(data, None)
    hits = (logits.argmax(2) == data.labels).float().mean(1) * 100
    losses = functional.cross_entropy(logits.flatten(0, 1), data.labels.repeat(len(logits)), reduction="none").view(
        len(logits), -1
    )
    return hits.tolist(), losses.mean(1).tolist()


def accuracy(network: nn.Module, data: Nodes | Graphs, threads: int = 1, parts: Parts | None = None) -> float:
    """Return the percentage of nodes or graphs that a network classifies rightly."""
    parts = parts or Parts()
    with settings.threads(threads):
        return scores(stack_of([network.to(settings.device())], parts), parts.placed(data))[0][0]


def build_and_train(
    space: SearchSpace,
    architecture: Architecture,
    task: SearchTask,
    recipe: GraphRecipe,
    seeds: Sequence[int],
    *,
    overrides: Mapping[str, float] = MappingProxyType({}),
    parts: Parts | None = None,
    start: Callable[[nn.Module, int], None] = lambda network, seed: None,
) -> list[tuple[nn.Module, GraphTrainingRecord]]:
    """Build and train an architecture once a seed: a function of architecture, task, recipe and seeds.

    Several are trained side by side, with the dropout of one generator: a network depends on all the seeds, and is as
    good as one trained by itself. ``start`` may change the weights of a network before it is trained. ``parts`` keeps
    what does not change between trainings on the same task. Where the recipe's memory is too small for all of them,
    as many as fit are trained side by side, and then the next.
    Raises BadInput for an override that is not allowed or a foreign architecture, TooLarge if a single one does not
    fit, Diverged as `train_stack` does.
    """
    recipe = adapt(recipe, space, overrides)
    fitting = networks_that_fit(space, architecture, task, recipe.memory_gib)
    if len(seeds) > fitting:
        groups = [seeds[first : first + fitting] for first in range(0, len(seeds), fitting)]
        trained = [
            build_and_train(space, architecture, task, recipe, group, parts=parts, start=start) for group in groups
        ]
        return [one for group in trained for one in group]
    place, parts = settings.device(), parts or Parts()
    train, validation = parts.placed(task.train), parts.placed(task.validation)
    built = []
    with settings.deterministic(), settings.threads(recipe.threads):
        for seed in seeds:
            network = build(space, architecture, task, recipe, seed).to(place)
            start(network, seed)
            built.append(network)
        if len(built) > 1 and not is_stackable(built[0]):
            singles = [
                build_and_train(space, architecture, task, recipe, [seed], parts=parts, start=start) for seed in seeds
            ]
            return [one for single in singles for one in single]
        mixed = seed_of_part(seeds[0], f"dropout {list(seeds[1:])}")
        dropout = Dropout(recipe.dropout, recipe.attention_dropout, mixed)
        with settings.seeded(mixed):
            records = train_stack(stack_of(built, parts), train, validation, recipe, dropout)
    return list(zip(built, records, strict=True))


def build(
    space: SearchSpace, architecture: Architecture, task: SearchTask, recipe: GraphRecipe, seed: int
) -> nn.Module:
    """Build an architecture's network with the recipe's dropout, and weights drawn from the seed."""
    wanted = {"dropout": recipe.dropout, "attention_dropout": recipe.attention_dropout}
    return build_network(space, architecture, task, wanted, seed)


def check_buildable(space: SearchSpace, task: SearchTask, recipe: GraphRecipe) -> None:
    """Build one network: what keeps all of them from being built, as a package that is not installed, shows at once.

    Raises MissingData or BadInput as the space's ``build`` does.
    """
    build(space, space.sample(generator(0, "whether networks can be built")), task, recipe, 0)


def adapt(recipe: GraphRecipe, space: SearchSpace, overrides: Mapping[str, float]) -> GraphRecipe:
    """Return the recipe at another fidelity. Raises BadInput for an unknown key or a value that is no whole number."""
    for key, value in overrides.items():
        recipe = recipe.shortened(whole_fidelity(space, key, value, FIDELITIES))
    return recipe


def cost_estimate(
    space: SearchSpace,
    architecture: Architecture,
    task: SearchTask,
    recipe: GraphRecipe,
    overrides: Mapping[str, float] = MappingProxyType({}),
    epochs: int = 10,
) -> float:
    """Return the seconds that training and scoring one architecture takes on this machine, from a few timed epochs."""
    whole, parts = adapt(recipe, space, overrides), Parts()
    few = whole.model_copy(update={"epochs": min(epochs, whole.epochs), "patience": None, "selection": "last"})
    build_and_train(space, architecture, task, few.shortened(1), [0], parts=parts)  # makes what trainings share
    ((_, record),) = build_and_train(space, architecture, task, few, [0], parts=parts)
    return record.seconds / few.epochs * whole.epochs

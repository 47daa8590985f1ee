"""Training one network: the plain loop, and from an architecture to a trained network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, Diverged
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.datasets.augment import Augment
from nasbench.datasets.images import Images
from nasbench.datasets.scoring import percent_correct
from nasbench.evaluators.building import build_network, seed_of_part, whole_fidelity
from nasbench.evaluators.recipe import Recipe
from nasbench.evaluators.training_state import restore_training, training_state
from nasbench.networks import device as settings

# A network that guesses has a loss of ln(classes). An epoch whose mean is this many times larger is not coming back.
EXPLODED = 100.0

FIDELITIES = ("epochs", "schedule_epochs", "batch_size", "channels", "cells")
"""What a proposal's fidelity may change; the last two where the space's Size has them.

``epochs`` alone squeezes the recipe's schedule into so many epochs. With ``schedule_epochs`` the schedule is that of so
many, and the training stops after ``epochs`` of them, from where it can go on.
"""


@dataclass(frozen=True)
class TrainingRecord:
    """What a training did.

    ``losses`` holds one mean cross-entropy an epoch, in nats: with the recipe's label smoothing, without the auxiliary
    head's share. ``epochs`` is where the training stands, counted from its beginning. ``mean_std``, two tensors
    [channels], is what the network's inputs were and must be normalised with. ``state`` is what it takes to go on, see
    `training_state`.
    """

    losses: list[float]
    seconds: float
    epochs: int
    mean_std: tuple[Tensor, Tensor]
    state: dict[str, Any] = field(default_factory=dict, repr=False)


def train_network(
    module: nn.Module,
    train: Images,
    recipe: Recipe,
    seed: int,
    *,
    epochs: int | None = None,
    stop: int | None = None,
    state: Mapping[str, Any] | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    mean_std: tuple[Tensor, Tensor] | None = None,
) -> TrainingRecord:
    """Train ``module`` in place: a function of its weights, the images, the recipe and the seed.

    Every epoch is a new permutation cut into batches. The incomplete batch at its end is left out (normalisation
    statistics of a few images are poor): other images each time. Fewer images than one batch make one batch. ``epochs``
    squeezes or stretches the recipe's schedule, ``on_epoch`` is called with the epoch from 1 and its mean loss,
    ``mean_std`` defaults to the statistics of ``train``. The network is left in training mode.

    The schedule may be gone through in parts. ``stop`` ends the training after so many of its epochs. Given the
    ``state`` of that record, and the same images, recipe and seed, it goes on: 0..a and then a..b equal 0..b, on the
    CPU to the last bit.

    Raises Diverged when the loss is not finite or an epoch's mean loss is far above guessing.
    """
    started = time.perf_counter()
    recipe = recipe if epochs is None else recipe.shortened(epochs)
    place = settings.device()
    mean, std = mean_std or train.statistics()
    mean, std = mean.to(place), std.to(place)
    train = train.to(place)
    batch_size = min(recipe.batch_size, len(train))
    steps = len(train) // batch_size
    rates = learning_rates(recipe, steps)
    shuffling = torch.Generator().manual_seed(seed_of_part(seed, "shuffling"))
    augmenting = torch.Generator(place).manual_seed(seed_of_part(seed, "augmentation"))
    generators = {"shuffling": shuffling, "augmentation": augmenting}
    augment = Augment(mean, std, crop_padding=recipe.crop_padding, flip=recipe.flip, cutout=recipe.cutout)

    settings.prepare(module).train()
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimiser = torch.optim.SGD(
        weights,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    set_drop_path = getattr(module, "set_drop_path", None)
    losses: list[float] = []
    with settings.seeded(seed_of_part(seed, "drop path")), settings.deterministic(), settings.threads(recipe.threads):
        if state is not None:
            restore_training(state, module, optimiser, generators)
        first, last = 0 if state is None else state["epochs"], recipe.epochs if stop is None else stop
        assert 0 <= first < last <= recipe.epochs
        for epoch in range(first, last):
            if set_drop_path is not None:
                set_drop_path(recipe.drop_path * epoch / recipe.epochs)
            order = torch.randperm(len(train), generator=shuffling)[: steps * batch_size].to(place)
            epoch_loss = torch.zeros((), device=place)
            for step, batch in enumerate(order.view(steps, batch_size)):
                images = settings.to_device(augment(train.images[batch], augmenting))
                with settings.autocast():
                    output = module(images)
                loss, objective = _losses(output, train.labels[batch], recipe)
                optimiser.zero_grad()
                torch.autograd.backward(objective)
                if recipe.gradient_clip is not None:
                    nn.utils.clip_grad_norm_(weights, recipe.gradient_clip)
                optimiser.param_groups[0]["lr"] = rates[epoch * steps + step]
                optimiser.step()
                epoch_loss += loss.detach()
                if place.type == "cpu" and not math.isfinite(epoch_loss.item()):  # elsewhere it would wait for the step
                    raise Diverged(f"the loss was {loss.item()} in epoch {epoch + 1}, step {step + 1}.")
            losses.append(epoch_loss.item() / steps)
            _check_loss(losses[-1], epoch, output)
            if on_epoch is not None:
                on_epoch(epoch + 1, losses[-1])
        reached = training_state(last, module, optimiser, generators)
    return TrainingRecord(losses, time.perf_counter() - started, last, (mean.cpu(), std.cpu()), reached)


def learning_rates(recipe: Recipe, steps: int) -> list[float]:
    """Return the learning rate of every step: a linear warm-up, then half a cosine (SGDR, ICLR 2017, eq. 5)."""
    repeat = steps if recipe.schedule == "cosine per epoch" else 1
    total = recipe.epochs * steps // repeat
    warmup = round(total * recipe.warmup_epochs / recipe.epochs)
    rising = [recipe.learning_rate * (i + 1) / (warmup + 1) for i in range(warmup)]
    low, height = recipe.learning_rate_end, recipe.learning_rate - recipe.learning_rate_end
    cosine = [low + height * 0.5 * (1 + math.cos(math.pi * i / (total - warmup))) for i in range(total - warmup)]
    return [rate for rate in rising + cosine for _ in range(repeat)]


def accuracy(
    module: nn.Module, images: Images, mean_std: tuple[Tensor, Tensor], batch_size: int = 512, threads: int = 1
) -> float:
    """Return the percentage of images that the network classifies rightly, in evaluation mode (it stays in it).

    Normalisation layers use the statistics collected while training.
    """
    module.eval()
    return percent_correct(module, images, mean_std, batch_size=batch_size, threads=threads)


def build_and_train(
    space: SearchSpace,
    architecture: Architecture,
    task: SearchTask,
    recipe: Recipe,
    seed: int,
    *,
    data: Images | None = None,
    overrides: Mapping[str, float] = MappingProxyType({}),
    state: Mapping[str, Any] | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> tuple[nn.Module, TrainingRecord]:
    """Build an architecture's network and train it: a function of architecture, task, recipe and seed.

    It is trained on ``data``, by default the task's training part, whose statistics normalise the inputs in either
    case. ``overrides`` is a proposal's fidelity, see `FIDELITIES`. The recipe's own channels and cells mean nothing to
    a space whose Size lacks them. With the ``state`` of an earlier record that training goes on.

    Raises BadInput for an override that is not allowed, a size that the space refuses or a foreign architecture, and
    Diverged as `train_network` does.
    """
    recipe = adapt(recipe, space, overrides)
    network = build(space, architecture, task, recipe, seed)
    train = task.train if data is None else data
    record = train_network(
        network,
        train,
        recipe,
        seed,
        stop=epochs_within(overrides),
        state=state,
        on_epoch=on_epoch,
        mean_std=task.train.statistics(),
    )
    return network, record


def build(space: SearchSpace, architecture: Architecture, task: SearchTask, recipe: Recipe, seed: int) -> nn.Module:
    """Build an architecture's network at the recipe's size, with weights drawn from the seed.

    The network gets an auxiliary head if the recipe gives one a weight and the space's Size has ``auxiliary``. Raises
    BadInput for a size that the space refuses.
    """
    auxiliary = True if recipe.auxiliary_weight > 0 else None
    wanted = {"channels": recipe.channels, "cells": recipe.cells, "auxiliary": auxiliary}
    return build_network(space, architecture, task, wanted, seed)


def adapt(recipe: Recipe, space: SearchSpace, overrides: Mapping[str, float]) -> Recipe:
    """Return the recipe at another fidelity. Raises BadInput for an unknown key or a value that is no whole number."""
    if not overrides:
        return recipe
    fields = space.Size.model_fields if space.Size is not None else {}
    allowed = [key for key in FIDELITIES if key in fields or key not in ("channels", "cells")]
    whole = {key: whole_fidelity(space, key, value, allowed) for key, value in overrides.items()}
    epochs = whole.pop("epochs", recipe.epochs)
    schedule = whole.pop("schedule_epochs", epochs)
    if epochs > schedule:
        raise BadInput(f"the fidelity 'epochs' ({epochs}) must not exceed 'schedule_epochs' ({schedule}).")
    return recipe.shortened(schedule).model_copy(update=whole)


def epochs_within(overrides: Mapping[str, float]) -> int | None:
    """Return after how many epochs of the schedule a training stops; None: it goes through all of it."""
    return int(overrides["epochs"]) if "schedule_epochs" in overrides and "epochs" in overrides else None


def count_parameters(module: nn.Module) -> int:
    """Return the number of weights that are used after training: all but those of a child called ``auxiliary``."""
    return sum(weight.numel() for name, weight in module.named_parameters() if not name.startswith("auxiliary."))


def _losses(output: Tensor | tuple[Tensor, Tensor], labels: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return the network's own cross-entropy and the objective with the auxiliary head's share; in float32."""
    logits, auxiliary = output if isinstance(output, tuple) else (output, None)
    loss = cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    if auxiliary is None or recipe.auxiliary_weight == 0:
        return loss, loss
    extra = cross_entropy(auxiliary.float(), labels, label_smoothing=recipe.label_smoothing)
    return loss, loss + recipe.auxiliary_weight * extra


def _check_loss(loss: float, epoch: int, output: Tensor | tuple[Tensor, Tensor]) -> None:
    classes = (output[0] if isinstance(output, tuple) else output).shape[1]
    if not loss <= EXPLODED * math.log(max(classes, 2)):
        raise Diverged(f"the mean loss was {loss:.4g} in epoch {epoch + 1}; guessing gives {math.log(classes):.4g}.")

"""Epochs of a bilevel search: alpha learns on validation images, the weights on training images, in turns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from nasbench.core.errors import BadInput, Diverged
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.datasets.augment import Augment
from nasbench.datasets.images import Images
from nasbench.datasets.scoring import percent_correct
from nasbench.networks import device as settings
from nasbench.networks.shared_weights import batch_statistics
from nasbench.strategies.differentiable.bilevel import Tensors, WeightStep, architecture_gradient
from nasbench.strategies.differentiable.coefficients import Coefficients
from nasbench.strategies.differentiable.config import DifferentiableConfig
from nasbench.strategies.differentiable.measures import SKIP
from nasbench.strategies.differentiable.regularisers import auxiliary_skip, with_auxiliary_skip, zero_one_loss
from nasbench.strategies.differentiable.schedule import Moment
from nasbench.strategies.differentiable.stopping import dominant_eigenvalue

INITIAL_ALPHA = 1e-3
"""Standard deviation of alpha at the beginning, as in the program of Liu et al., ICLR 2019; the paper has zero."""


class BilevelTraining:
    """A supernet, its alpha {kind: [edges, operations]} and the optimisers of both.

    Images are augmented alike for both. An epoch is a function of the state and of its ``seed``.
    """

    def __init__(
        self,
        supernet: nn.Module,
        task: SearchTask,
        rule: Coefficients,
        config: DifferentiableConfig,
        *,
        alpha_learning_rate: float,
        seed: int,
    ) -> None:
        """Raises BadInput where the supernet lacks what a regulariser needs."""
        self.supernet, self.task, self.rule, self.config = supernet, task, rule, config
        place = settings.device()
        drawing = torch.Generator().manual_seed(seed)
        scale = INITIAL_ALPHA if config.alpha == "learned" else 0.0
        shapes: dict[str, tuple[int, int]] = supernet.architecture_shape()  # type: ignore[operator]
        self.alpha = {
            kind: (scale * torch.randn(shape, generator=drawing)).to(place).requires_grad_()
            for kind, shape in shapes.items()
        }
        self.operations: tuple[str, ...] = tuple(supernet.operations)  # type: ignore[arg-type]
        if config.auxiliary_skip != "none" and SKIP not in self.operations:
            raise BadInput(f"an auxiliary skip needs a space with the operation {SKIP}.")
        self.over_block = bool(getattr(supernet, "softmax_over_block", False))
        self.weights = dict(supernet.named_parameters())
        self.optimiser = torch.optim.SGD(
            self.weights.values(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.alpha_optimiser = torch.optim.Adam(
            self.alpha.values(),
            lr=alpha_learning_rate,
            betas=config.alpha_momentum,
            weight_decay=config.alpha_weight_decay,
        )
        mean, std = task.train.statistics()
        self.mean_std = mean.to(place), std.to(place)
        self.augment = Augment(
            *self.mean_std, crop_padding=config.crop_padding or 0, flip=bool(config.flip), cutout=config.cutout or 0
        )
        self.batch_size = min(config.batch_size, len(task.train), len(task.validation))
        self.steps = len(task.train) // self.batch_size

    # -- what alpha says -------------------------------------------------------------------------------------------
    def mixing(self, alpha: Tensors, drawing: torch.Generator, *, progress: float, training: bool) -> dict[str, Tensor]:
        """Return the coefficients of every kind of cell, those of an auxiliary skip included."""
        mixed = {}
        for kind, logits in alpha.items():
            rows = logits.reshape(1, -1) if self.over_block else logits
            factors = self.rule.coefficients(rows, progress=progress, generator=drawing, training=training)
            mixed[kind] = factors.reshape(logits.shape)
            if self.config.auxiliary_skip != "none":
                beta = auxiliary_skip(progress, self.config.auxiliary_skip)
                mixed[kind] = with_auxiliary_skip(mixed[kind], self.operations.index(SKIP), beta)
        return mixed

    def decode_weights(self) -> dict[str, Tensor]:
        """Return the strengths by which an architecture is read off now, float32 on the CPU."""
        strengths = {}
        for kind, logits in self.alpha.items():
            rows = logits.detach().reshape(1, -1) if self.over_block else logits.detach()
            strengths[kind] = self.rule.decode_weights(rows).reshape(logits.shape).float().cpu()
        return strengths

    # -- epochs ------------------------------------------------------------------------------------------------------
    def bilevel_epoch(self, moment: Moment, seed: int) -> dict[str, float]:
        """Train alpha and weights for one epoch of the training part; return its measures (losses in nats)."""
        return self._epoch(moment, seed, None)

    def tuning_epoch(self, coefficients: Tensors, moment: Moment, seed: int) -> dict[str, float]:
        """Train the weights alone for one epoch, the operations mixed by fixed ``coefficients``."""
        return self._epoch(moment, seed, coefficients)

    def _epoch(self, moment: Moment, seed: int, fixed: Tensors | None) -> dict[str, float]:
        place = settings.device()
        self.optimiser.param_groups[0]["lr"] = moment.learning_rate
        augmenting, drawing = (
            torch.Generator(where).manual_seed(_part(seed, part))
            for where, part in ((place, "augmentation"), (torch.device("cpu"), "coefficients"))
        )
        train, validation = self.task.train.to(place), self.task.validation.to(place)
        count = self.steps * self.batch_size
        order = permutations(len(train), count, _part(seed, "training order"))
        other = permutations(len(validation), count, _part(seed, "validation order"))
        batches = zip(order.view(-1, self.batch_size).to(place), other.view(-1, self.batch_size).to(place), strict=True)
        sums = torch.zeros(3, dtype=torch.float64, device=place)
        self.supernet.train()
        with settings.deterministic(), settings.threads(self.config.threads):
            for training_batch, validation_batch in batches:
                inputs, labels = self._batch(train, training_batch, augmenting)
                alpha_loss = torch.zeros((), device=place)
                if fixed is None and self.config.alpha == "learned":
                    held = self._batch(validation, validation_batch, augmenting)
                    alpha_loss = self._alpha_step(held, (inputs, labels), moment, drawing)
                if fixed is None:
                    with torch.no_grad():
                        mixed = self.mixing(self.alpha, drawing, progress=moment.progress, training=True)
                else:
                    mixed = dict(fixed)
                loss, correct = self._weight_step(inputs, labels, mixed)
                sums += torch.stack([loss.double(), alpha_loss.double(), correct.double()])
                if place.type == "cpu" and not math.isfinite(float(sums[:2].sum())):
                    raise Diverged("the loss of the supernet is not finite; a lower learning_rate may help.")
        train_loss, alpha_loss_sum, correct_sum = sums.tolist()
        measures = {
            "train_loss": train_loss / self.steps,
            "train_accuracy": 100 * correct_sum / count,
            "learning_rate": moment.learning_rate,
        }
        if fixed is None and self.config.alpha == "learned":
            measures["alpha_loss"] = alpha_loss_sum / self.steps
        return measures

    def eigenvalue(self, moment: Moment, seed: int) -> float:
        """Return the dominant eigenvalue of the Hessian of the validation loss at alpha, on one batch."""
        place = settings.device()
        validation = self.task.validation.to(place)
        batch = permutations(len(validation), self.batch_size, _part(seed, "eigenvalue")).to(place)
        images, labels = self._batch(
            validation, batch, torch.Generator(place).manual_seed(_part(seed, "eigenvalue images"))
        )
        drawing = torch.Generator()
        start = torch.Generator().manual_seed(_part(seed, "eigenvalue start"))

        def loss(alpha: Mapping[str, Tensor]) -> Tensor:
            drawing.manual_seed(0)
            mixed = self.mixing(alpha, drawing, progress=moment.progress, training=False)
            return cross_entropy(self.supernet(images, mixed).float(), labels)

        self.supernet.requires_grad_(False)
        try:
            with batch_statistics(self.supernet), settings.deterministic(), settings.threads(self.config.threads):
                return dominant_eigenvalue(loss, self.alpha, start)
        finally:
            self.supernet.requires_grad_(True)

    def accuracy(self, coefficients: Tensors) -> float:
        """Return the percentage of validation images that the supernet, mixed so, classifies rightly."""
        placed = {kind: factors.to(settings.device()) for kind, factors in coefficients.items()}
        with batch_statistics(self.supernet):
            return percent_correct(
                lambda images: self.supernet(images, placed),
                self.task.validation,
                self.mean_std,
                batch_size=max(self.batch_size, 256),
                threads=self.config.threads,
            )

    # -- steps -------------------------------------------------------------------------------------------------------
    def _batch(self, images: Images, positions: Tensor, augmenting: torch.Generator) -> tuple[Tensor, Tensor]:
        return settings.to_device(self.augment(images.images[positions], augmenting)), images.labels[positions]

    def _alpha_step(
        self, held: tuple[Tensor, Tensor], training: tuple[Tensor, Tensor], moment: Moment, drawing: torch.Generator
    ) -> Tensor:
        """Take a step of alpha; return the validation loss (of order 2: at the weights as they are now)."""
        if self.config.order == 2:
            return self._second_order_step(held, training, moment, drawing)
        images, labels = held
        # With the weights frozen their gradients, a third of the work, are not computed.
        self.supernet.requires_grad_(False)
        with settings.autocast():
            mixed = self.mixing(self.alpha, drawing, progress=moment.progress, training=False)
            logits = self.supernet(images, mixed)
        loss = cross_entropy(logits.float(), labels)
        torch.autograd.backward(self._regularised(loss, self.alpha))
        self.supernet.requires_grad_(True)
        self.alpha_optimiser.step()
        self.alpha_optimiser.zero_grad()
        return loss.detach()

    def _second_order_step(
        self, held: tuple[Tensor, Tensor], training: tuple[Tensor, Tensor], moment: Moment, drawing: torch.Generator
    ) -> Tensor:
        # All passes of one gradient must draw the same numbers. All in float32: a perturbed weight loses in bfloat16.
        here = drawing.get_state()
        seen: list[Tensor] = []

        def loss(batch: tuple[Tensor, Tensor], weights: Tensors, alpha: Tensors, *, weight_step: bool) -> Tensor:
            drawing.set_state(here)
            mixed = self.mixing(alpha, drawing, progress=moment.progress, training=weight_step)
            logits = functional_call(self.supernet, dict(weights), (batch[0], mixed))
            return cross_entropy(logits, batch[1])

        def validation_loss(weights: Tensors, alpha: Tensors) -> Tensor:
            value = loss(held, weights, alpha, weight_step=False)
            seen.append(value.detach())
            return self._regularised(value, alpha)

        gradients = architecture_gradient(
            lambda weights, alpha: loss(training, weights, alpha, weight_step=True),
            validation_loss,
            self.weights,
            self.alpha,
            order=2,
            step=WeightStep.of(self.optimiser, self.weights),
        )
        for kind, gradient in gradients.items():
            self.alpha[kind].grad = gradient
        self.alpha_optimiser.step()
        self.alpha_optimiser.zero_grad()
        return seen[-1]

    def _regularised(self, loss: Tensor, alpha: Tensors) -> Tensor:
        if self.config.zero_one_loss == 0:
            return loss
        return loss + zero_one_loss(alpha.values(), self.config.zero_one_loss)

    def _weight_step(self, images: Tensor, labels: Tensor, mixed: Tensors) -> tuple[Tensor, Tensor]:
        with settings.autocast():
            logits = self.supernet(images, mixed)
        loss = cross_entropy(logits.float(), labels)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.weights.values(), self.config.gradient_clip)
        self.optimiser.step()
        return loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()

    # -- state -------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        return {
            "alpha": {kind: logits.detach() for kind, logits in self.alpha.items()},
            "alpha_optimiser": _optimiser_state(self.alpha_optimiser, self.alpha),
            "optimiser": _optimiser_state(self.optimiser, self.weights),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for kind, logits in self.alpha.items():
                logits.copy_(state["alpha"][kind])
        _restore_optimiser(self.alpha_optimiser, self.alpha, state["alpha_optimiser"])
        _restore_optimiser(self.optimiser, self.weights, state["optimiser"])


def permutations(size: int, count: int, seed: int) -> Tensor:
    """Return ``count`` positions below ``size``: one random order after another, the last one cut off."""
    drawing = torch.Generator().manual_seed(seed)
    rounds = math.ceil(count / size)
    return torch.cat([torch.randperm(size, generator=drawing) for _ in range(rounds)])[:count]


def _part(seed: int, part: str) -> int:
    return int(generator(seed, part).integers(2**63))


def _optimiser_state(optimiser: torch.optim.Optimizer, parameters: Tensors) -> dict[str, dict[str, Any]]:
    """Return the optimiser's tensors by the name of the parameter."""
    return {
        name: {key: value for key, value in optimiser.state[parameter].items() if value is not None}
        for name, parameter in parameters.items()
        if parameter in optimiser.state
    }


def _restore_optimiser(
    optimiser: torch.optim.Optimizer, parameters: Tensors, state: Mapping[str, Mapping[str, Any]]
) -> None:
    optimiser.state.clear()
    for name, values in state.items():
        parameter = parameters[name]
        optimiser.state[parameter] = {key: _placed_like(value, parameter) for key, value in values.items()}


def _placed_like(value: Any, parameter: Tensor) -> Any:
    """Return a copy of a tensor, in the order in memory that the parameter has if it has its shape."""
    if not isinstance(value, Tensor):
        return value
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value.clone()

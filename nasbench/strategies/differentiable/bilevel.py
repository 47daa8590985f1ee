"""The gradient of the validation loss with respect to alpha (Liu et al., DARTS, ICLR 2019, section 2.3).

The losses are pure functions of (network weights, alpha), both dictionaries of tensors; with
`torch.func.functional_call` any module gives one. Nothing here changes its arguments. A loss that draws random numbers
must draw the same ones at every call of one gradient: the second order is a difference of two of its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from nasbench.core.errors import BadInput

Tensors = Mapping[str, Tensor]
Loss = Callable[[Tensors, Tensors], Tensor]
"""(weights, alpha) -> scalar."""

PERTURBATION = 0.01
"""Length of the perturbation of the weights in the finite difference (Liu et al., ICLR 2019, section 2.3)."""


@dataclass(frozen=True)
class WeightStep:
    """The next step of the optimiser of the weights: w - learning_rate (momentum m + gradient + weight_decay w).

    ``buffers`` holds m by the name of the weight; a missing one is zero.
    """

    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 3e-4
    buffers: Tensors = field(default_factory=dict)

    @classmethod
    def of(cls, optimizer: torch.optim.SGD, weights: Tensors) -> WeightStep:
        """Return the step that ``optimizer`` would take for its parameters ``weights``, by name.

        Raise BadInput if it has several groups of parameters, Nesterov momentum or dampening.
        """
        group, *others = optimizer.param_groups
        if others or group["nesterov"] or group["dampening"]:
            raise BadInput("second order needs SGD with one group of parameters, without Nesterov or dampening.")
        states = {name: optimizer.state.get(weight, {}).get("momentum_buffer") for name, weight in weights.items()}
        buffers = {name: buffer for name, buffer in states.items() if buffer is not None}
        return cls(float(group["lr"]), group["momentum"], group["weight_decay"], buffers)

    def after(self, weights: Tensors, gradients: Tensors) -> dict[str, Tensor]:
        """Return the weights after the step."""
        moved = {}
        for name, weight in weights.items():
            direction = gradients[name] + self.weight_decay * weight
            if name in self.buffers:
                direction = direction + self.momentum * self.buffers[name]
            moved[name] = weight - self.learning_rate * direction
        return moved


def architecture_gradient(
    training_loss: Loss,
    validation_loss: Loss,
    weights: Tensors,
    alpha: Tensors,
    *,
    order: Literal[1, 2],
    step: WeightStep,
) -> dict[str, Tensor]:
    """Return the gradient for alpha by name: ``order`` 1 takes the weights as they are, 2 as after the next step."""
    if order == 1:
        return first_order_gradient(validation_loss, weights, alpha)
    if order == 2:
        return second_order_gradient(training_loss, validation_loss, weights, alpha, step)
    raise BadInput(f"the architecture gradient has order 1 or 2, not {order}.")


def first_order_gradient(loss: Loss, weights: Tensors, alpha: Tensors) -> dict[str, Tensor]:
    """Return the partial derivative of ``loss`` with respect to alpha, weights held fixed."""
    frozen, leaves = _detached(weights), _leaves(alpha)
    return _gradients(loss(frozen, leaves), leaves)


def second_order_gradient(
    training_loss: Loss, validation_loss: Loss, weights: Tensors, alpha: Tensors, step: WeightStep
) -> dict[str, Tensor]:
    """Return the gradient of ``validation_loss``(w', alpha), where w' = ``step`` on ``training_loss`` depends on alpha.

    With v the gradient at w' for the weights, xi the learning rate and e = 0.01 / |v|, the norm over all weights
    (equations 7 and 8): dL_val(w', alpha)/dalpha - xi [dL_train(w + e v, alpha)/dalpha - the same at w - e v] / (2 e).
    Five passes forward and backward. Keep it in float32 or wider: e v is lost in the digits of a bfloat16 weight.
    """
    here, fixed = _leaves(weights), _detached(alpha)
    training_gradients = _gradients(training_loss(here, fixed), here)
    weights = _detached(weights)

    ahead, leaves = _leaves(step.after(weights, training_gradients)), _leaves(alpha)
    both = {("weights", name): leaf for name, leaf in ahead.items()} | {("alpha", n): t for n, t in leaves.items()}
    gradients = dict(zip(both, _grad(validation_loss(ahead, leaves), list(both.values())), strict=True))
    direct = {name: gradients["alpha", name] for name in alpha}
    v = {name: gradients["weights", name] for name in weights}

    norm = torch.stack([direction.norm() for direction in v.values()]).norm()
    # Without a gradient there is nothing to perturb by, and the difference below is 0.
    epsilon = PERTURBATION / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    plus = first_order_gradient(training_loss, {n: w + epsilon * v[n] for n, w in weights.items()}, alpha)
    minus = first_order_gradient(training_loss, {n: w - epsilon * v[n] for n, w in weights.items()}, alpha)
    return {name: direct[name] - step.learning_rate * (plus[name] - minus[name]) / (2 * epsilon) for name in alpha}


def _detached(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _leaves(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}


def _gradients(loss: Tensor, leaves: Tensors) -> dict[str, Tensor]:
    return dict(zip(leaves, _grad(loss, list(leaves.values())), strict=True))


def _grad(loss: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    # Leaves that the loss does not use (alpha of a kind of cell that the network lacks) have the gradient 0.
    return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)

"""The activations of graph layers, by the names of `nasbench.networks.graph_layer_choices.ACTIVATIONS`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def _linear(x: Tensor) -> Tensor:
    return x


# With torch's defaults, as GraphNAS' program has them: leaky_relu's slope is 0.01, elu's alpha 1.
ACTIVATION_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "linear": _linear,
    "softplus": functional.softplus,
    "leaky_relu": functional.leaky_relu,
    "relu6": functional.relu6,
    "elu": functional.elu,
}

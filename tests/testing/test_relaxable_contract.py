"""The contract of a space with a continuous relaxation: each deliberately broken one is caught, its fault named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.problem import SearchTask
from nasbench.testing import ContractBroken, check_space


class Mixture(nn.Module):
    """A layer that weights three activations: the supernet of `Relaxed`."""

    operations: tuple[str, ...] = ("relu", "gelu", "tanh")

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, 8), nn.Linear(8, classes)

    def architecture_shape(self) -> dict[str, tuple[int, int]]:
        return {"layers": (2, 3)}

    def edge_labels(self) -> dict[str, list[str]]:
        return {"layers": ["0 -> 1", "1 -> 2"]}

    def forward(self, images: torch.Tensor, coefficients: dict[str, torch.Tensor]) -> torch.Tensor:
        x = self.first(images.flatten(1))
        for relu, gelu, tanh in coefficients["layers"]:
            x = relu * x.relu() + gelu * nn.functional.gelu(x) + tanh * x.tanh()
        return self.last(x)


class Relaxed(DecisionSpace):
    """A relaxable space without fault: the broken ones below differ from it, or from its supernet, in one thing."""

    name = "relaxed"
    decisions = (Choice("0 -> 1", Mixture.operations), Choice("1 -> 2", Mixture.operations))
    network: type[nn.Module] = Mixture

    def one_hot(self, architecture: Architecture) -> dict[str, Any]:
        return {"layers": np.eye(3, dtype=np.float32)[[Mixture.operations.index(op) for op in architecture.spec]]}

    def discretize(self, weights: dict[str, Any]) -> Architecture:
        return Architecture(self.name, tuple(Mixture.operations[i] for i in weights["layers"].argmax(axis=1)))

    def relax(self, task: SearchTask, size: Any = None) -> nn.Module:
        return self.network(int(np.prod(task.input_shape)), task.classes)

    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        layers = [{"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}[op]() for op in architecture.spec]
        inputs = int(np.prod(task.input_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), *layers, nn.Linear(8, task.classes))


class DecodesTheFirstEdgeOnly(Relaxed):
    def discretize(self, weights: dict[str, Any]) -> Architecture:
        return Architecture(self.name, (super().discretize(weights).spec[0],) * 2)


class SoftOneHot(Relaxed):
    def one_hot(self, architecture: Architecture) -> dict[str, Any]:
        return {kind: 0.9 * table + 0.05 for kind, table in super().one_hot(architecture).items()}


class OneHotWithoutTheSupernetsShape(Relaxed):
    def one_hot(self, architecture: Architecture) -> dict[str, Any]:
        return {"layers": np.pad(super().one_hot(architecture)["layers"], [(0, 0), (0, 1)])}


class NamesOneOperationTooFew(Relaxed):
    class network(Mixture):
        operations = ("relu", "gelu")


class NamesOneEdgeTooMany(Relaxed):
    class network(Mixture):
        def edge_labels(self) -> dict[str, list[str]]:
            return {"layers": ["0 -> 1", "1 -> 2", "2 -> 3"]}


class NamesTwoEdgesAlike(Relaxed):
    class network(Mixture):
        def edge_labels(self) -> dict[str, list[str]]:
            return {"layers": ["0 -> 1", "0 -> 1"]}


class SupernetWithOneClassTooMany(Relaxed):
    def relax(self, task: SearchTask, size: Any = None) -> nn.Module:
        return Mixture(int(np.prod(task.input_shape)), task.classes + 1)


class IgnoresItsCoefficients(Relaxed):
    class network(Mixture):
        def forward(self, images: torch.Tensor, coefficients: dict[str, torch.Tensor]) -> torch.Tensor:
            return super().forward(images, {"layers": torch.ones(2, 3)})


BROKEN = [
    (DecodesTheFirstEdgeOnly, "discretize reads another architecture off its one_hot"),
    (SoftOneHot, "one_hot must hold nothing but 0 and 1"),
    (OneHotWithoutTheSupernetsShape, r"one_hot has the shapes .*\(2, 4\)"),
    (NamesOneOperationTooFew, "the supernet names 2 operations"),
    (NamesOneEdgeTooMany, "edge_labels names {'layers': 3} edges"),
    (NamesTwoEdgesAlike, r"two edges of \['layers'\] the same name"),
    (SupernetWithOneClassTooMany, r"the supernet returns \(2, 11\), not \(2, 10\)"),
    (IgnoresItsCoefficients, r"does not depend on the coefficients of \['layers'\]"),
]


def test_the_space_that_the_broken_ones_vary_is_not_broken() -> None:
    check_space(Relaxed(), size="small")


@pytest.mark.parametrize(("space", "fault"), BROKEN, ids=[space.__name__ for space, _ in BROKEN])
def test_a_broken_relaxation_is_caught(space: type[Relaxed], fault: str) -> None:
    with pytest.raises(ContractBroken, match=fault):
        check_space(space(), size="small")


def test_no_supernet_is_built_without_a_size() -> None:
    check_space(SupernetWithOneClassTooMany())

"""Both supernets as the papers write them: one module for each operation on each edge, and a sum over all of them.

The yardstick for the supernets of `nasbench.search_spaces`, which compute the same faster: results must agree with it
(tests/search_spaces/test_supernets.py), times are held against it (benchmarks/supernet_speed.py). A mixed operation is
equation 2 of Liu et al., DARTS, ICLR 2019; pooling in a DARTS cell has its own batch norm on every edge (appendix
A.1.1), and ``none`` is a module that multiplies by zero.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nasbench.networks.nasbench201_operations import Zero, nasbench201_operation
from nasbench.networks.operations import darts_operation
from nasbench.search_spaces.darts import SUPERNET_SIZE, Darts, DartsSize
from nasbench.search_spaces.darts_network import CellPlan, Preprocess, Stem, plan_cells
from nasbench.search_spaces.nasbench201 import EDGES as BENCHMARK_EDGES
from nasbench.search_spaces.nasbench201 import OPERATIONS as BENCHMARK_OPERATIONS
from nasbench.search_spaces.nasbench201 import NasBench201Size
from nasbench.search_spaces.nasbench201_network import network_around

NODES = 4
EDGES = [(source, target) for target in range(2, NODES + 2) for source in range(target)]


def add_up(terms: Sequence[Tensor]) -> Tensor:
    return functools.reduce(operator.add, terms)


class HalvedZero(Zero):
    """``none`` at stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, ::2, ::2])


class MixedOperation(nn.Module):
    """The sum over all operations of weight times output."""

    def __init__(self, operations: Sequence[nn.Module]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operations)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return add_up([weight * operation(x) for weight, operation in zip(weights, self.operations, strict=True)])


def darts_mixture(names: Sequence[str], channels: int, stride: int, *, sharp: bool) -> MixedOperation:
    operations: list[nn.Module] = []
    for name in names:
        if name == "none":
            operations.append(Zero() if stride == 1 else HalvedZero())
        elif "pool" in name:
            pool = darts_operation(name, channels, stride, sharp=sharp, affine=False)
            operations.append(nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False)))
        else:
            operations.append(darts_operation(name, channels, stride, sharp=sharp, affine=False))
    return MixedOperation(operations)


class DartsCell(nn.Module):
    def __init__(self, names: Sequence[str], plan: CellPlan, *, sharp: bool) -> None:
        super().__init__()
        self.preprocess = Preprocess(plan, affine=False)
        self.edges = nn.ModuleList(
            darts_mixture(names, plan.channels, 2 if plan.reduction and source < 2 else 1, sharp=sharp)
            for source, _ in EDGES
        )

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor) -> Tensor:
        states = self.preprocess(older, newer)
        for target in range(2, NODES + 2):
            rows = [row for row, edge in enumerate(EDGES) if edge[1] == target]
            states.append(add_up([self.edges[row](states[EDGES[row][0]], weights[row]) for row in rows]))
        return torch.cat(states[2:], dim=1)


class TextbookDarts(nn.Module):
    """The supernet of ``space``: images [N, C, H, W] and mixing weights to logits [N, classes]."""

    def __init__(
        self, space: Darts, input_shape: tuple[int, int, int], classes: int, size: DartsSize = SUPERNET_SIZE
    ) -> None:
        super().__init__()
        plans = plan_cells(size)
        self.operations = ("none", *space.operations)
        self.kinds = ["reduce" if plan.reduction else "normal" for plan in plans]
        self.stem = Stem(input_shape[0], size)
        self.cells = nn.ModuleList(DartsCell(self.operations, plan, sharp=space.sharp) for plan in plans)
        self.classifier = nn.Linear(NODES * plans[-1].channels, classes)

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        older, newer = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            older, newer = newer, cell(older, newer, weights[kind])
        logits: Tensor = self.classifier(newer.mean(dim=(2, 3)))
        return logits

    def fast_name(self, name: str) -> str:
        """Return the name that an entry of this network's ``state_dict`` has in that of `Darts.relax`.

        There, ``none`` has no place and the batch norms after a pooling are one for all edges that leave a node, so
        several entries here, equal after the same steps, go by one name there.
        """
        match name.split("."):
            case ["cells", cell, "edges", edge, "operations", column, *rest] if "pool" in self.operations[int(column)]:
                source, operation = EDGES[int(edge)][0], self.operations[int(column)]
                return ".".join(["cells", cell, "pool_norms", str(source), operation, *rest[1:]])
            case ["cells", cell, "edges", edge, "operations", column, *rest]:
                return ".".join(["cells", cell, "edges", edge, "operations", str(int(column) - 1), *rest])
        return name


class NasBench201Cell(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            MixedOperation([nasbench201_operation(name, channels, affine=False) for name in BENCHMARK_OPERATIONS])
            for _ in BENCHMARK_EDGES
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            rows = [row for row, edge in enumerate(BENCHMARK_EDGES) if edge[0] == node]
            nodes.append(add_up([self.edges[row](nodes[BENCHMARK_EDGES[row][1]], weights[row]) for row in rows]))
        return nodes[-1]


class TextbookNasBench201(nn.Module):
    """The supernet of NAS-Bench-201: images [N, C, H, W] and mixing weights to logits [N, classes]."""

    operations = BENCHMARK_OPERATIONS

    def __init__(self, input_channels: int, classes: int, size: NasBench201Size) -> None:
        super().__init__()
        stem, body, classifier = network_around(
            NasBench201Cell, input_channels, classes, channels=size.channels, cells=size.cells
        )
        self.stem, self.body, self.classifier = stem, nn.ModuleList(body), classifier

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        x = self.stem(images)
        for module in self.body:
            x = module(x, weights["cell"]) if isinstance(module, NasBench201Cell) else module(x)
        logits: Tensor = self.classifier(x)
        return logits

    def fast_name(self, name: str) -> str:
        """Return the name that an entry of this network's ``state_dict`` has in that of `NasBench201.relax`."""
        return name


Textbook = TextbookDarts | TextbookNasBench201


def to_textbook(textbook: Textbook, fast: nn.Module) -> dict[str, Tensor]:
    """Return the state of a fast supernet as a ``state_dict`` of the ``textbook`` one."""
    state = fast.state_dict()
    return {name: state[textbook.fast_name(name)] for name in textbook.state_dict()}


def from_textbook(textbook: Textbook) -> dict[str, Tensor]:
    """Return the state of a ``textbook`` supernet as a ``state_dict`` of the fast one; of several equals, the first."""
    state: dict[str, Tensor] = {}
    for name, value in textbook.state_dict().items():
        state.setdefault(textbook.fast_name(name), value)
    return state

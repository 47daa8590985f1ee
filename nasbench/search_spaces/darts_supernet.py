"""The continuous relaxation of the DARTS space: each edge mixes all operations (Liu et al., ICLR 2019, section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasbench.core.errors import BadInput
from nasbench.networks.operations import darts_operation
from nasbench.search_spaces.darts_genotype import KINDS, NODES
from nasbench.search_spaces.darts_network import CellPlan, Preprocess, Stem, plan_cells

if TYPE_CHECKING:
    from nasbench.search_spaces.darts import DartsSize

EDGES = tuple((source, node + 2) for node in range(NODES) for source in range(node + 2))
"""The 14 edges (source, target) of a cell, in the order of the rows of the coefficients: by target, then source."""


class MixedOperation(nn.Module):
    """The sum of all operations on one edge, each times its coefficient.

    The batch norms have no scale and shift, so that only the coefficients set how much an operation counts (Liu et al.,
    ICLR 2019, appendix A.1.1); each pooling is followed by one as well. ``none`` adds zero and is not computed.
    """

    def __init__(self, operations: Sequence[str], channels: int, stride: int, *, sharp: bool) -> None:
        super().__init__()
        self.columns = [column for column, name in enumerate(operations) if name != "none"]
        self.operations = nn.ModuleList()
        for name in (operations[column] for column in self.columns):
            operation = darts_operation(name, channels, stride, sharp=sharp, affine=False)
            if "pool" in name:
                operation = nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
            self.operations.append(operation)

    def forward(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Mix with ``coefficients`` [operations], ``none`` included."""
        first, *others = zip(self.columns, self.operations, strict=True)
        mixed: Tensor = coefficients[first[0]] * first[1](x)
        for column, operation in others:
            mixed = torch.addcmul(mixed, coefficients[column], operation(x))
        return mixed


class MixedCell(nn.Module):
    """A cell in which every node reads all its predecessors through mixed operations."""

    def __init__(self, operations: Sequence[str], plan: CellPlan, *, sharp: bool) -> None:
        super().__init__()
        self.preprocess = Preprocess(plan, affine=False)
        self.edges = nn.ModuleList(
            MixedOperation(operations, plan.channels, 2 if plan.reduction and source < 2 else 1, sharp=sharp)
            for source, _ in EDGES
        )

    def forward(self, older: Tensor, newer: Tensor, coefficients: Tensor) -> Tensor:
        """Return [N, 4 x channels, H, W]; ``coefficients`` is [14, operations]."""
        states = self.preprocess(older, newer)
        for (source, target), edge, row in zip(EDGES, self.edges, coefficients, strict=True):
            output = edge(states[source], row)
            if target == len(states):
                states.append(output)
            else:
                states[target] = states[target] + output
        return torch.cat(states[2:], dim=1)


class DartsSupernet(nn.Module):
    """Images [N, C, H, W] and mixing weights to logits [N, classes].

    ``operations`` are the columns of the coefficients, ``none`` first. The coefficients are an argument and no
    parameters of this module: all its parameters are network weights.
    """

    def __init__(
        self,
        operations: Sequence[str],
        input_shape: tuple[int, int, int],
        classes: int,
        size: DartsSize,
        *,
        sharp: bool = False,
    ) -> None:
        super().__init__()
        plans = plan_cells(size)
        self.operations = tuple(operations)
        self.stem = Stem(input_shape[0], size)
        self.kinds = ["reduce" if plan.reduction else "normal" for plan in plans]
        self.cells = nn.ModuleList(MixedCell(operations, plan, sharp=sharp) for plan in plans)
        self.classifier = nn.Linear(NODES * plans[-1].channels, classes)

    def architecture_shape(self) -> dict[str, tuple[int, int]]:
        """Return the shape (edges, operations) of the coefficients of each kind of cell."""
        return {kind: (len(EDGES), len(self.operations)) for kind in KINDS}

    def forward(self, images: Tensor, coefficients: Mapping[str, Tensor]) -> Tensor:
        """Return the logits for ``coefficients`` (mixing weights, not logits) of the shapes of `architecture_shape`."""
        for kind, shape in self.architecture_shape().items():
            if kind not in coefficients or coefficients[kind].shape != shape:
                raise BadInput(f"the supernet needs coefficients '{kind}' of shape {shape}.")
        older, newer = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            older, newer = newer, cell(older, newer, coefficients[kind])
        logits: Tensor = self.classifier(newer.mean(dim=(2, 3)))
        return logits

"""The stand-alone network of the DARTS space: stem, stacked cells, linear classifier (Liu et al., ICLR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from nasbench.core.errors import BadInput
from nasbench.networks.heads import AuxiliaryHead
from nasbench.networks.operations import FactorizedReduce, ReluConvNorm, darts_operation, drop_path
from nasbench.search_spaces.darts_genotype import NODES

if TYPE_CHECKING:
    from nasbench.search_spaces.darts import DartsSize

Edge = tuple[int, int, str]


class CellPlan(NamedTuple):
    """One cell in the stack: its kind, its channels, and what comes in from the two cells before it."""

    reduction: bool
    channels: int
    before_previous: int
    previous: int
    previous_reduced: bool


def reductions(cells: int) -> set[int]:
    """Return the positions of the reduction cells: one third and two thirds of the depth.

    Two cells would both be reductions by that rule, and a single one too. So that the normal cell always has a part in
    the network, two cells are a normal and a reduction cell, and one cell is a normal cell.
    """
    return {cells // 3, 2 * cells // 3} if cells >= 3 else {cells - 1} - {0}


def plan_cells(size: DartsSize) -> list[CellPlan]:
    """Return the stack of cells; a reduction doubles the channels, and the output of a cell joins its four nodes."""
    channels, plans = size.channels, []
    stem = channels if size.stem == "imagenet" else 3 * channels
    before_previous, previous, previous_reduced = stem, stem, size.stem == "imagenet"
    for position in range(size.cells):
        reduction = position in reductions(size.cells)
        channels *= 1 + reduction
        plans.append(CellPlan(reduction, channels, before_previous, previous, previous_reduced))
        before_previous, previous, previous_reduced = previous, NODES * channels, reduction
    return plans


class Stem(nn.Module):
    """Turn images into the inputs of the first cell.

    ``cifar``: one 3x3 convolution to 3 x channels, given twice. ``imagenet``: the image reduced four- and eightfold.
    """

    def __init__(self, image_channels: int, size: DartsSize) -> None:
        super().__init__()
        channels = size.channels
        if size.stem == "cifar":
            self.first = nn.Sequential(
                nn.Conv2d(image_channels, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels)
            )
            self.second: nn.Module = nn.Identity()
        else:
            self.first = nn.Sequential(
                nn.Conv2d(image_channels, channels // 2, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels // 2),
                nn.ReLU(),
                nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels),
            )
            self.second = ReluConvNorm(channels, channels, 3, stride=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(images)
        return first, self.second(first)


class Preprocess(nn.Module):
    """Bring both inputs of a cell to its channels and to the size of the newer one."""

    def __init__(self, plan: CellPlan, *, affine: bool = True) -> None:
        super().__init__()
        reduce = FactorizedReduce if plan.previous_reduced else ReluConvNorm
        self.older = reduce(plan.before_previous, plan.channels, affine=affine)
        self.newer = ReluConvNorm(plan.previous, plan.channels, affine=affine)

    def forward(self, older: Tensor, newer: Tensor) -> list[Tensor]:
        return [self.older(older), self.newer(newer)]


class Cell(nn.Module):
    """One cell with its chosen operations; ``edges`` are (source, target, operation), in the order of the targets."""

    def __init__(self, edges: Sequence[Edge], plan: CellPlan, *, sharp: bool) -> None:
        super().__init__()
        self.preprocess = Preprocess(plan)
        self.sources = [source for source, _, _ in edges]
        self.operations = nn.ModuleList(
            darts_operation(name, plan.channels, 2 if plan.reduction and source < 2 else 1, sharp=sharp)
            for source, _, name in edges
        )

    def forward(self, older: Tensor, newer: Tensor, drop_probability: float = 0.0) -> Tensor:
        """Return [N, 4 x channels, H, W]; the outputs of operations are dropped per sample, except identities."""
        states = self.preprocess(older, newer)
        incoming: list[Tensor] = []
        for source, operation in zip(self.sources, self.operations, strict=True):
            output = operation(states[source])
            if drop_probability > 0 and not isinstance(operation, nn.Identity):
                output = drop_path(output, drop_probability)
            incoming.append(output)
            if len(incoming) == 2:
                states.append(incoming[0] + incoming[1])
                incoming = []
        return torch.cat(states[2:], dim=1)


class DartsNetwork(nn.Module):
    """Images [N, C, H, W] to logits [N, classes]; with an auxiliary head (logits, auxiliary logits) while training.

    ``cells`` holds the edges of the ``normal`` and the ``reduce`` cell. Raises BadInput if the auxiliary head, which
    stands after the cell at two thirds of the depth, does not fit the feature map there.
    """

    def __init__(
        self,
        cells: Mapping[str, Sequence[Edge]],
        input_shape: tuple[int, int, int],
        classes: int,
        size: DartsSize,
        *,
        sharp: bool = False,
    ) -> None:
        super().__init__()
        plans = plan_cells(size)
        self.drop_probability = 0.0
        self.stem = Stem(input_shape[0], size)
        self.cells = nn.ModuleList(
            Cell(cells["reduce" if plan.reduction else "normal"], plan, sharp=sharp) for plan in plans
        )
        self.classifier = nn.Linear(NODES * plans[-1].channels, classes)
        self.auxiliary_position = 2 * size.cells // 3
        self.auxiliary: AuxiliaryHead | None = None
        if size.auxiliary:
            before = plans[: self.auxiliary_position + 1]
            halvings = sum(plan.reduction for plan in before) + 3 * (size.stem == "imagenet")
            height, width = (-(-length // 2**halvings) for length in input_shape[1:])
            imagenet = size.stem == "imagenet"
            self.auxiliary = AuxiliaryHead(
                NODES * before[-1].channels,
                classes,
                (height, width),
                stride=2 if imagenet else 3,
                last_norm=not imagenet,
            )

    def set_drop_path(self, probability: float) -> None:
        """Drop each path with ``probability`` in [0, 1) from now on, while training."""
        if not 0 <= probability < 1:
            raise BadInput(f"the probability of dropping a path must be at least 0 and less than 1, not {probability}.")
        self.drop_probability = probability

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        older, newer = self.stem(images)
        drop_probability = self.drop_probability if self.training else 0.0
        auxiliary_logits = None
        for position, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, drop_probability)
            if self.training and self.auxiliary is not None and position == self.auxiliary_position:
                auxiliary_logits = self.auxiliary(newer)
        logits: Tensor = self.classifier(newer.mean(dim=(2, 3)))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

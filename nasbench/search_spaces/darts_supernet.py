"""The continuous relaxation of the DARTS space: each edge mixes all operations (Liu et al., ICLR 2019, section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench.core.errors import BadInput
from nasbench.networks.batch_norm import normalise, normalise_together
from nasbench.networks.mixing import (
    add,
    add_product,
    average_pool,
    concatenate,
    halve,
    run,
    run_factorized,
    run_separable,
)
from nasbench.networks.operations import FactorizedReduce, darts_operation
from nasbench.networks.small_maps import (
    SeparableConvs,
    average_pool_small,
    is_small,
    preprocess_small,
    reduce_together,
)
from nasbench.search_spaces.darts import EDGES, DartsSize
from nasbench.search_spaces.darts_genotype import KINDS, NODES
from nasbench.search_spaces.darts_network import CellPlan, Preprocess, Stem, plan_cells


class MixedOperation(nn.Module):
    """The weights of all operations on one edge but ``none``, in the order of the columns; `MixedCell` applies them.

    The batch norms have no scale and shift, so that only the coefficients set how much an operation counts (Liu et al.,
    ICLR 2019, appendix A.1.1). Pooling has its place here and its batch norm in the cell.
    """

    def __init__(self, operations: Sequence[str], channels: int, stride: int, *, sharp: bool) -> None:
        super().__init__()
        self.operations = nn.ModuleList(
            darts_operation(name, channels, stride, sharp=sharp, affine=False) for name in operations if name != "none"
        )


class MixedCell(nn.Module):
    """A cell in which every node reads all its predecessors through mixed operations.

    Each pooling is followed by a batch norm without scale and shift. It is computed source by source, since all edges
    that leave a node share its ReLU, its pooled maps and their norms: on every edge those norms would see the same map,
    so one for a node and pooling, ``pool_norms[source][name]``, stands for all. ``none`` adds zero and is not computed.
    """

    def __init__(self, operations: Sequence[str], plan: CellPlan, *, sharp: bool) -> None:
        super().__init__()
        self.columns = [(column, name) for column, name in enumerate(operations) if name != "none"]
        self.sharp = sharp
        self.strides = [2 if plan.reduction and source < 2 else 1 for source in range(NODES + 1)]
        self.preprocess = Preprocess(plan, affine=False)
        self.edges = nn.ModuleList(
            MixedOperation(operations, plan.channels, self.strides[source], sharp=sharp) for source, _ in EDGES
        )
        self.pool_norms = nn.ModuleList(
            nn.ModuleDict({name: nn.BatchNorm2d(plan.channels, affine=False) for name in operations if "pool" in name})
            for _ in self.strides
        )
        # The first two nodes are known at the same time and have edges to the same targets.
        self.stages = [SmallStage(self, sources) for sources in ((0, 1), *((node,) for node in range(2, NODES + 1)))]
        columns = len(operations)
        self.order = torch.tensor([row * columns + column for stage in self.stages for row, column in stage.order])
        depthwise = [m for m in self.edges.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
        self.mean_width = mean(convolution.in_channels for convolution in depthwise)

    def forward(self, older: Tensor, newer: Tensor, coefficients: Tensor) -> Tensor:
        """Return [N, 4 x channels, H, W]; ``coefficients`` is [14, operations]."""
        if is_small(newer, self.mean_width, self.strides[0]):
            return self._forward_small(older, newer, coefficients)
        rows = [row.unbind() for row in coefficients.unbind()]
        inputs = [run(self.preprocess.older, older), run(self.preprocess.newer, newer)]
        nodes: list[Tensor | None] = [*inputs, *[None] * NODES]
        for source in range(NODES + 1):
            x = nodes[source]
            assert x is not None
            shared = self._shared(x, source)
            for row, (start, target) in enumerate(EDGES):
                if start == source:
                    edge = self.edges[row]
                    assert isinstance(edge, MixedOperation)
                    nodes[target] = self._add_edge(nodes[target], edge, rows[row], shared)
        return concatenate([node for node in nodes[2:] if node is not None])

    def _forward_small(self, older: Tensor, newer: Tensor, coefficients: Tensor) -> Tensor:
        """Return the same for small maps, which stay in the order [C, N, H, W] in memory between such cells."""
        parts = torch.split(coefficients.flatten()[self.order], [len(stage.order) for stage in self.stages])
        inputs = [preprocess_small(self.preprocess.older, older), preprocess_small(self.preprocess.newer, newer)]
        nodes: list[Tensor] = []
        rest = self.stages[0](torch.stack(inputs), parts[0])
        for stage, part in zip(self.stages[1:], parts[1:], strict=True):
            nodes.append(rest[0])
            rest = rest[1:] + stage(rest[:1], part)
        return torch.cat([*nodes, rest[0]]).transpose(0, 1)

    def _shared(self, x: Tensor, source: int) -> dict[str, Tensor]:
        """Return what all edges leaving ``source`` need of its map ``x``, by the operation's name or its own."""
        stride = self.strides[source]
        shared = {"relu": functional.relu(x)}
        if stride == 1:
            shared["skip_connect"] = x
        else:
            shared["even"], shared["below"] = halve(shared["relu"])
        norms = self.pool_norms[source]
        assert isinstance(norms, nn.ModuleDict)
        for name, norm in norms.items():
            assert isinstance(norm, nn.BatchNorm2d)
            if name == "max_pool_3x3":
                pooled = functional.max_pool2d(x, 3, stride, padding=1)
            else:
                pooled = average_pool(x, stride, count_padding=self.sharp)
            shared[name] = normalise(pooled, norm)
        return shared

    def _add_edge(
        self, total: Tensor | None, edge: MixedOperation, row: Sequence[Tensor], shared: Mapping[str, Tensor]
    ) -> Tensor | None:
        """Return ``total`` plus all operations on an edge times their coefficients ``row``."""
        for (column, name), operation in zip(self.columns, edge.operations, strict=True):
            coefficient = row[column]
            if name in shared:
                total = add_product(total, coefficient, shared[name])
            elif isinstance(operation, FactorizedReduce):
                total = add(total, run_factorized(operation, shared["even"], shared["below"], coefficient))
            else:
                assert isinstance(operation, nn.Sequential)
                x = shared["even"] if "even" in shared and name.startswith("dil_") else shared["relu"]
                total = add(total, run_separable(operation, x, coefficient))
        return total


class SmallStage:
    """All operations on the edges that leave some nodes of a `MixedCell`, applied together to small maps.

    It holds references to the modules of the cell. ``order`` lists (edge, column) of the coefficients that it takes.
    """

    def __init__(self, cell: MixedCell, sources: Sequence[int]) -> None:
        rows = [row for source in sources for row, (start, _) in enumerate(EDGES) if start == source]
        self.targets = len(rows) // len(sources)
        self.stride, self.sharp = cell.strides[sources[0]], cell.sharp
        pool_norms = [cast(nn.ModuleDict, cell.pool_norms[source]) for source in sources]
        self.pools = list(pool_norms[0])
        self.pool_norms = [cast(nn.BatchNorm2d, norms[name]) for name in self.pools for norms in pool_norms]
        self.reductions: list[FactorizedReduce] = []
        shared, skips = [], []
        separable: dict[tuple[int, ...], dict[int, list[Any]]] = {}  # by the widths and the column
        for position, (column, name) in enumerate(cell.columns):
            operations = [cast(MixedOperation, cell.edges[row]).operations[position] for row in rows]
            if name in self.pools:
                shared.append(column)
            elif name == "skip_connect":
                skips.append(column)
                self.reductions = [operation for operation in operations if isinstance(operation, FactorizedReduce)]
            else:
                widths = tuple(layer.out_channels for layer in operations[0].children() if isinstance(layer, nn.Conv2d))
                separable.setdefault(widths, {})[column] = operations
        self.convolutions = [SeparableConvs(list(group.values())) for group in separable.values()]
        groups = [shared, skips, *map(list, separable.values())]
        self.order = [(row, column) for group in groups for column in group for row in rows]
        self.sizes = [len(group) * len(rows) for group in groups]

    def __call__(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Return sums [targets, C, N, H', W'] for maps [sources, C, N, H, W] and the coefficients at ``order``."""
        relu = functional.relu(x)
        of_pools, of_skips, *of_convolutions = torch.split(coefficients, self.sizes)
        terms = [
            convolutions(relu, part) for convolutions, part in zip(self.convolutions, of_convolutions, strict=True)
        ]
        maps = self._pool(x)
        if self.reductions:
            terms.append(reduce_together(self.reductions, relu, of_skips))
        else:
            maps, of_pools = torch.cat([maps, x]), torch.cat([of_pools, of_skips])
        total = of_pools.view(-1, self.targets).t() @ maps.flatten(1)
        for term in terms:
            total += term.view(-1, *total.shape).sum(dim=0)
        return total.view(-1, *maps.shape[1:])

    def _pool(self, x: Tensor) -> Tensor:
        """Return the pooled and normalised maps [pools x sources, C, N, H', W']."""
        images, pooled = x.flatten(0, 1), []
        for name in self.pools:
            if name == "max_pool_3x3":
                pooled.append(functional.max_pool2d(images, 3, self.stride, padding=1))
            else:
                pooled.append(average_pool_small(images, self.stride, count_padding=self.sharp))
        maps = torch.cat(pooled)
        return normalise_together(maps.view(-1, *x.shape[1:3], *maps.shape[2:]), self.pool_norms)


class DartsSupernet(nn.Module):
    """Images [N, C, H, W] and mixing weights to logits [N, classes].

    ``operations`` are the columns of the coefficients, ``none`` first. The coefficients are an argument and no
    parameters of this module: all its parameters are network weights. Fast on the CPU in channels-last order
    (`nasbench.networks.device.prepare`), and for one gradient at a time: of the coefficients with the parameters
    frozen, or of the parameters with the coefficients detached.
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

    def edge_labels(self) -> dict[str, list[str]]:
        """Return the names of the rows of each kind, in the numbers of a genotype: "0 -> 2", "1 -> 2", "0 -> 3", ..."""
        return {kind: [f"{source} -> {target}" for source, target in EDGES] for kind in KINDS}

    def nodes(self) -> list[list[int]]:
        """Return the rows of the edges into each node; an architecture keeps two of each, in both kinds of cell."""
        return [[row for row, (_, target) in enumerate(EDGES) if target == node + 2] for node in range(NODES)]

    def forward(self, images: Tensor, coefficients: Mapping[str, Tensor]) -> Tensor:
        """Return the logits for ``coefficients`` (mixing weights, not logits) of the shapes of `architecture_shape`."""
        for kind, shape in self.architecture_shape().items():
            if kind not in coefficients or coefficients[kind].shape != shape:
                raise BadInput(f"the supernet needs coefficients '{kind}' of shape {shape}.")
        older = run(self.stem.first, images)
        newer = run(self.stem.second, older)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            older, newer = newer, cell(older, newer, coefficients[kind])
        logits: Tensor = self.classifier(newer.mean(dim=(2, 3)))
        return logits

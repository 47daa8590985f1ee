"""The continuous relaxation of the NAS-Bench-201 space: each edge mixes all operations.

Dong & Yang, NAS-Bench-201, ICLR 2020, section 2; relaxed as in Liu et al., DARTS, ICLR 2019, section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from nasbench.core.errors import BadInput
from nasbench.networks.batch_norm import normalise
from nasbench.networks.mixing import add, add_product, average_pool, run
from nasbench.networks.nasbench201_operations import Reduction, nasbench201_operation
from nasbench.networks.operations import ReluConvNorm
from nasbench.search_spaces.nasbench201 import EDGES, OPERATIONS
from nasbench.search_spaces.nasbench201_network import network_around


class MixedOperation(nn.Module):
    """The weights of all operations on one edge, in the order of the columns; `MixedCell` applies them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(nasbench201_operation(name, channels, affine=False) for name in OPERATIONS)


class MixedCell(nn.Module):
    """A cell in which each of three nodes reads all before it through mixed operations; the last is the output.

    Batch norms have no scale and shift, so that only the coefficients set how much an operation counts. The cell is
    computed source by source, since all edges that leave a node share its ReLU and its average. ``none`` adds zero and
    is not computed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(MixedOperation(channels) for _ in EDGES)

    def forward(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Return a map like ``x``, [N, channels, H, W]; ``coefficients`` is [6, 5]."""
        rows = [row.unbind() for row in coefficients.unbind()]
        totals: list[Tensor | None] = [None] * 4
        for source in range(3):
            relu = functional.relu(x)
            unweighted = {"skip_connect": x, "avg_pool_3x3": average_pool(x)}
            for row, (node, start) in enumerate(EDGES):
                if start == source:
                    edge = self.edges[row]
                    assert isinstance(edge, MixedOperation)
                    totals[node] = self._add_edge(totals[node], edge, rows[row], unweighted, relu)
            output = totals[source + 1]
            assert output is not None
            x = output
        return x

    def _add_edge(
        self,
        total: Tensor | None,
        edge: MixedOperation,
        row: Sequence[Tensor],
        unweighted: Mapping[str, Tensor],
        relu: Tensor,
    ) -> Tensor | None:
        """Return ``total`` plus all operations on an edge times their coefficients ``row``."""
        for name, coefficient, operation in zip(OPERATIONS, row, edge.operations, strict=True):
            if name in unweighted:
                total = add_product(total, coefficient, unweighted[name])
            elif isinstance(operation, ReluConvNorm):
                _, convolution, norm = operation
                assert isinstance(norm, nn.BatchNorm2d)
                total = add(total, normalise(convolution(relu), norm, coefficient))
        return total


class NasBench201Supernet(nn.Module):
    """Images [N, C, H, W] and mixing weights to logits [N, classes].

    Around the cells everything is as in `NasBench201Network`. ``operations`` are the columns of the coefficients, which
    are an argument and no parameters of this module: all its parameters are network weights. Its state is named as that
    of one module for each edge and operation. Fast under the conditions of `DartsSupernet`.
    """

    operations = OPERATIONS

    def __init__(self, input_channels: int, classes: int, *, channels: int, cells: int) -> None:
        super().__init__()
        stem, body, classifier = network_around(MixedCell, input_channels, classes, channels=channels, cells=cells)
        self.stem, self.body, self.classifier = stem, nn.ModuleList(body), classifier

    def architecture_shape(self) -> dict[str, tuple[int, int]]:
        """Return the shape (edges, operations) of the coefficients of the one kind of cell."""
        return {"cell": (len(EDGES), len(OPERATIONS))}

    def edge_labels(self) -> dict[str, list[str]]:
        """Return the names of the rows, "0 -> 1", "0 -> 2", "1 -> 2" and so on; node 0 is the input, 3 the output."""
        return {"cell": [f"{source} -> {node}" for node, source in EDGES]}

    def forward(self, images: Tensor, coefficients: Mapping[str, Tensor]) -> Tensor:
        """Return the logits for ``coefficients`` (mixing weights, not logits) of the shape of `architecture_shape`."""
        shape = self.architecture_shape()["cell"]
        if "cell" not in coefficients or coefficients["cell"].shape != shape:
            raise BadInput(f"the supernet needs coefficients 'cell' of shape {shape}.")
        x = run(self.stem, images)
        for module in self.body:
            x = module(x, coefficients["cell"]) if isinstance(module, MixedCell) else _reduce(module, x)
        return run(self.classifier, x)


def _reduce(reduction: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(reduction, Reduction)
    return run(reduction.shortcut, x) + run(reduction.convolutions, x)

"""The DARTS search space: a normal and a reduction cell, stacked (Liu, Simonyan, Yang, DARTS, ICLR 2019, section 2.1).

With the operations of sharpDARTS as well (Hundt, Jain, Hager, sharpDARTS, 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, unknown
from nasbench.search_spaces.darts_genotype import (
    KINDS,
    NODES,
    canonical_cell,
    cell_edges,
    format_genotype,
    parse_genotype,
)

if TYPE_CHECKING:
    import networkx as nx

    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.darts_network import DartsNetwork
    from nasbench.search_spaces.darts_supernet import DartsSupernet

DARTS_OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
OPERATIONS: dict[str, tuple[str, ...]] = {
    "darts": DARTS_OPERATIONS,
    "sharpsepconv-darts": DARTS_OPERATIONS,
    "sharpdarts": (
        "max_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "dil_conv_3x3",
        "flood_conv_3x3",
        "dil_flood_conv_3x3",
        "choke_conv_3x3",
        "dil_choke_conv_3x3",
    ),
    "sharper": (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
        "dil_conv_3x3",
        "dil_conv_5x5",
        "flood_conv_3x3",
        "flood_conv_5x5",
        "dil_flood_conv_3x3",
    ),
}
"""The operations a cell can hold, by the name of the set. The supernet has ``none`` before them."""

CELL_LENGTH = 3 * NODES
EDGES = tuple((source, node + 2) for node in range(NODES) for source in range(node + 2))
"""The 14 edges (source, target) of a cell, in the order of the rows of the weights: by target, then source."""


class DartsSize(BaseModel):
    """What a network can vary around its cells. Defaults: Liu et al., DARTS, ICLR 2019, appendix A.2.1 (CIFAR-10)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: int = Field(
        default=36, ge=2, multiple_of=2, description="channels of a node in the first cell, an even number"
    )
    cells: int = Field(default=20, ge=1, description="number of cells")
    auxiliary: bool = Field(default=False, description="an auxiliary classifier after cell 2/3, for training")
    stem: Literal["cifar", "imagenet"] = Field(
        default="cifar", description="imagenet: the stem reduces the image eightfold"
    )


SUPERNET_SIZE = DartsSize(channels=16, cells=8)
"""The size in which DARTS searches (Liu et al., ICLR 2019, appendix A.1.1)."""


class DartsConfig(BaseModel):
    """The arguments of `Darts`."""

    model_config = ConfigDict(extra="forbid")

    operations: str = Field(default="darts", description=f"the set of operations: {', '.join(OPERATIONS)}")


class Darts(DecisionSpace):
    """Two cells of four nodes; each node sums one operation on each of two inputs, chosen from all before it.

    ``operations`` names the set: ``darts`` (7 operations), ``sharpsepconv-darts`` (the same names, every convolution a
    `SharpSepConv`), ``sharpdarts`` (8, with choke and flood convolutions) or ``sharper`` (11, with larger kernels).
    """

    task_kinds: ClassVar[tuple[str, ...]] = ("image",)
    Config: ClassVar[type[BaseModel]] = DartsConfig
    Size = DartsSize

    def __init__(self, operations: str = "darts") -> None:
        if operations not in OPERATIONS:
            raise unknown("set of operations", operations, OPERATIONS)
        self.name = "darts" if operations == "darts" else f"darts-{operations}"
        self.operations = OPERATIONS[operations]
        self.sharp = operations != "darts"
        decisions = []
        for kind in KINDS:
            for i in range(NODES):
                decisions += [
                    Choice(f"{kind}{i}.inputs", tuple(combinations(range(i + 2), 2)), kind),
                    Choice(f"{kind}{i}.first", self.operations, kind),
                    Choice(f"{kind}{i}.second", self.operations, kind),
                ]
        self.decisions = tuple(decisions)

    def canonical(self, architecture: Architecture) -> Architecture:
        normal, reduce = self._cells(architecture)
        return Architecture(self.name, canonical_cell(normal) + canonical_cell(reduce))

    def format(self, architecture: Architecture) -> str:
        return format_genotype(self._cells(architecture))

    def parse(self, text: str) -> Architecture:
        """Read a genotype as the literature prints it, or a name such as ``DARTS_V2``; see `parse_genotype`."""
        normal, reduce = parse_genotype(text, self.operations)
        return Architecture(self.name, normal + reduce)

    def cell_edges(self, architecture: Architecture, kind: str) -> list[tuple[int, int, str]]:
        """Return the 8 edges (source, target, operation) of the cell ``kind``; 0, 1 are its inputs, 2..5 its nodes."""
        if kind not in KINDS:
            raise unknown("kind of cell", kind, KINDS)
        return cell_edges(self._cells(architecture)[KINDS.index(kind)])

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return both cells, unconnected: input, operation, sum and concat nodes, with attributes ``op`` and ``cell``.

        Nodes are named ``(kind, number)`` for inputs 0, 1 and sums 2..5, ``(kind, (source, target))`` for operations
        and ``(kind, "output")``.
        """
        import networkx as nx

        graph: nx.DiGraph[Any] = nx.DiGraph()
        for kind in KINDS:
            for number, op in enumerate(("c_{k-2}", "c_{k-1}", *["sum"] * NODES)):
                graph.add_node((kind, number), op=op, cell=kind)
            graph.add_node((kind, "output"), op="concat", cell=kind)
            for source, target, operation in self.cell_edges(architecture, kind):
                graph.add_node((kind, (source, target)), op=operation, cell=kind)
                graph.add_edge((kind, source), (kind, (source, target)))
                graph.add_edge((kind, (source, target)), (kind, target))
            graph.add_edges_from(((kind, node), (kind, "output")) for node in range(2, NODES + 2))
        return graph

    def build(self, architecture: Architecture, task: SearchTask, size: DartsSize | None = None) -> DartsNetwork:
        """Return the stand-alone network for images of ``task.input_shape`` = (channels, height, width).

        Raises BadInput for tasks without images, and where the auxiliary head does not fit the feature map.
        """
        from nasbench.search_spaces.darts_network import DartsNetwork

        self.check(architecture)
        cells = {kind: self.cell_edges(architecture, kind) for kind in KINDS}
        return DartsNetwork(cells, _image_shape(task), task.classes, size or DartsSize(), sharp=self.sharp)

    def relax(self, task: SearchTask, size: DartsSize | None = None) -> DartsSupernet:
        """Return the network that mixes all operations on all edges; 8 cells of 16 channels unless ``size`` is given.

        It has no auxiliary head, whatever ``size`` says.
        """
        from nasbench.search_spaces.darts_supernet import DartsSupernet

        operations = ("none", *self.operations)
        return DartsSupernet(operations, _image_shape(task), task.classes, size or SUPERNET_SIZE, sharp=self.sharp)

    def discretize(self, weights: Mapping[str, np.ndarray]) -> Architecture:
        """Return the architecture that mixing weights decode to (Liu et al., DARTS, ICLR 2019, section 2.4).

        ``weights`` maps each kind to [14 edges, operations with ``none`` first], after the softmax. Each node keeps the
        two inputs whose strongest operation other than ``none`` weighs most, with that operation; the lower index wins
        a tie.
        """
        spec: list[Any] = []
        for kind in KINDS:
            edges = np.asarray(weights[kind])
            expected = (len(EDGES), len(self.operations) + 1)
            if edges.shape != expected or not np.isfinite(edges).all():
                raise BadInput(f"weights of '{kind}' must be finite numbers of shape {expected}, not {edges.shape}.")
            first_edge = 0
            for i in range(NODES):
                real = edges[first_edge : first_edge + i + 2, 1:]
                a, b = sorted(np.argsort(-real.max(axis=1), kind="stable")[:2].tolist())
                spec += [(a, b), *(self.operations[int(real[source].argmax())] for source in (a, b))]
                first_edge += i + 2
        return Architecture(self.name, tuple(spec))

    def one_hot(self, architecture: Architecture) -> dict[str, np.ndarray]:
        """Return the weights that decode to the architecture: for each kind [14, operations with ``none`` first].

        Each of the 8 edges that the cell has holds a 1, in the column of its operation; all else is 0.
        """
        self.check(architecture)
        weights = {}
        for kind in KINDS:
            weights[kind] = np.zeros((len(EDGES), len(self.operations) + 1), dtype=np.float32)
            for source, target, operation in self.cell_edges(architecture, kind):
                weights[kind][EDGES.index((source, target)), 1 + self.operations.index(operation)] = 1
        return weights

    def _cells(self, architecture: Architecture) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return architecture.spec[:CELL_LENGTH], architecture.spec[CELL_LENGTH:]


def _image_shape(task: SearchTask) -> tuple[int, int, int]:
    if len(task.input_shape) != 3:
        raise BadInput(
            f"this space builds networks for images of shape (channels, height, width); task '{task.name}' has inputs "
            f"of shape {tuple(task.input_shape)}."
        )
    channels, height, width = task.input_shape
    return channels, height, width

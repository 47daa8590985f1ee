"""The search space of NAS-Bench-201: one cell of four nodes and six edges, five operations an edge, 15,625 cells.

Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020; the topology
space of Dong et al., "NATS-Bench", TPAMI 2021.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.architecture import Architecture, Value
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, nearest
from nasbench.core.search_space import image_channels
from nasbench.core.seeding import Rng
from nasbench.search_spaces import nasbench201_classes
from nasbench.search_spaces.nasbench201_classes import Operations, incoming

if TYPE_CHECKING:
    import networkx as nx

    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.nasbench201_network import NasBench201Network
    from nasbench.search_spaces.nasbench201_supernet import NasBench201Supernet

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations in the order of the benchmark."""

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""The edges as (node, source) in the order of the benchmark's strings. Node 0 is the input, node 3 the output."""

# A node uniformly, then one of its edges, in one draw: 6, 3 + 3 and 2 + 2 + 2 chances of 18.
_BENCHMARK_POSITIONS = tuple(position for position, (node, _) in enumerate(EDGES) for _ in range(6 // node))


class NasBench201Size(BaseModel):
    """What `NasBench201.build` can vary; the defaults are those of the benchmark.

    ``channels`` of the first stage, doubled at each of the two reductions, and ``cells`` in a stage.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: int = Field(default=16, ge=1)
    cells: int = Field(default=5, ge=1)


class NasBench201(DecisionSpace):
    """The cells of NAS-Bench-201. A spec holds the operation names of `EDGES`; text is the benchmark's own string.

    `sample` is uniform over the 15,625 cells, the 341 that connect nothing included.
    """

    name = "nasbench201"
    decisions = tuple(Choice(f"{node}<-{source}", OPERATIONS, group=f"node{node}") for node, source in EDGES)
    task_kinds: ClassVar[tuple[str, ...]] = ("image",)
    Size: ClassVar[type[BaseModel] | None] = NasBench201Size

    @classmethod
    def all(cls) -> list[Architecture]:
        """Return the 15,625 cells in product order: from all edges "none", the last edge changing fastest.

        This is not the order of the benchmark's own indices.
        """
        return [Architecture(cls.name, spec) for spec in itertools.product(OPERATIONS, repeat=len(EDGES))]

    def mutate_as_benchmark(self, architecture: Architecture, rng: Rng) -> Architecture:
        """Change one edge as the benchmark's own regularised evolution does: a node, then one of its edges, uniformly.

        Edge 1<-0 thus changes three times as often as an edge of node 3; `mutate` treats all edges alike.
        """
        position = _BENCHMARK_POSITIONS[int(rng.random() * len(_BENCHMARK_POSITIONS))]
        return self.change(architecture, position, rng)

    # -- sameness ----------------------------------------------------------------------------------------------------
    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the first cell, in the order of `all`, that the benchmark counts as isomorphic (6,466 classes).

        See `nasbench201_classes.benchmark_string` for what that means. Raises BadInput if it is no cell of this space.
        """
        try:
            return _representatives()[architecture.spec]
        except (KeyError, TypeError):
            self.check(architecture)
            raise

    def graph_hash(self, architecture: Architecture, *, flatten_add: bool = True) -> str:
        """Return a hash of what the cell computes, for predictors: see `nasbench201_classes.graph_hash`."""
        return nasbench201_classes.graph_hash(_operations(architecture), flatten_add=flatten_add)

    def is_connected(self, architecture: Architecture) -> bool:
        """Say whether a path without "none" leads from input to output; 341 cells have none and can't learn."""
        reached = [True]
        for row in incoming(_operations(architecture)):
            reached.append(any(reached[source] and operation != "none" for source, operation in enumerate(row)))
        return reached[-1]

    def graph(self, architecture: Architecture) -> nx.DiGraph[str]:
        """Return the cell as a graph whose nodes are operations, each with the attribute ``op``.

        Nodes: "input", "node1", "node2", "node3" (op "sum"), "output", and one for every edge that is not "none", named
        as its decision ("3<-1") with the operation's name as ``op``.
        """
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("input", op="input")
        names = ["input", "node1", "node2", "node3"]
        for node, row in enumerate(incoming(_operations(architecture)), start=1):
            graph.add_node(names[node], op="sum")
            for source, operation in enumerate(row):
                if operation != "none":
                    edge = f"{node}<-{source}"
                    graph.add_node(edge, op=operation)
                    nx.add_path(graph, [names[source], edge, names[node]])
        graph.add_node("output", op="output")
        graph.add_edge("node3", "output")
        return graph

    # -- notation ----------------------------------------------------------------------------------------------------
    def format(self, architecture: Architecture) -> str:
        """Write the benchmark's string, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
        return "+".join(
            "".join(f"|{operation}~{source}" for source, operation in enumerate(row)) + "|"
            for row in incoming(_operations(architecture))
        )

    def parse(self, text: str) -> Architecture:
        nodes = text.split("+")
        if len(nodes) != 3:
            raise _unreadable(text, f"it has {len(nodes)} nodes joined by '+', not 3")
        operations: list[str] = []
        for node, part in enumerate(nodes, start=1):
            edges = part.split("|")
            if len(edges) != node + 2 or edges[0] or edges[-1]:
                raise _unreadable(text, f"node {node} must be written with {node} edges between bars")
            for source, edge in enumerate(edges[1:-1]):
                operation, _, number = edge.rpartition("~")
                if number != str(source):
                    raise _unreadable(text, f"edge {node}<-{source} must end in '~{source}', not be {edge[:40]!r}")
                if operation not in OPERATIONS:
                    hint = nearest(operation[:40], OPERATIONS)
                    raise BadInput(
                        f"edge {node}<-{source} has the unknown operation {operation[:40]!r}.{hint} "
                        f"Allowed: {', '.join(OPERATIONS)}."
                    )
                operations.append(operation)
        return Architecture(self.name, tuple(operations))

    # -- networks ----------------------------------------------------------------------------------------------------
    def build(
        self, architecture: Architecture, task: SearchTask, size: NasBench201Size | None = None
    ) -> NasBench201Network:
        """Return the benchmark's network for images [n, c, h, w] of the task's shape; it returns logits [n, classes].

        Raises BadInput if the cell is none of this space or the task has no images.
        """
        from nasbench.search_spaces.nasbench201_network import NasBench201Network

        self.check(architecture)
        size = size or NasBench201Size()
        return NasBench201Network(
            _operations(architecture),
            image_channels(self.name, task),
            task.classes,
            channels=size.channels,
            cells=size.cells,
        )

    def relax(self, task: SearchTask, size: NasBench201Size | None = None) -> NasBench201Supernet:
        """Return the network that mixes all operations on all edges; it takes coefficients {"cell": [6, 5]}, too.

        Rows are in the order of `EDGES`, columns in that of `OPERATIONS`. Raises BadInput if the task has no images.
        """
        from nasbench.search_spaces.nasbench201_supernet import NasBench201Supernet

        size = size or NasBench201Size()
        return NasBench201Supernet(
            image_channels(self.name, task), task.classes, channels=size.channels, cells=size.cells
        )

    def discretize(self, weights: Mapping[str, np.ndarray]) -> Architecture:
        """Return the cell with the strongest operation on each edge, ``none`` included, as the benchmark decodes.

        ``weights`` holds "cell": [6 edges, 5 operations] (Dong & Yang, ICLR 2020, section 4); of equal ones the first
        operation wins.
        """
        edges, expected = np.asarray(weights["cell"]), (len(EDGES), len(OPERATIONS))
        if edges.shape != expected or not np.isfinite(edges).all():
            raise BadInput(f"weights of 'cell' must be finite numbers of shape {expected}, not {edges.shape}.")
        return Architecture(self.name, tuple(OPERATIONS[int(column)] for column in edges.argmax(axis=1)))

    def one_hot(self, architecture: Architecture) -> dict[str, np.ndarray]:
        """Return the weights that decode to the cell, {"cell": [6, 5]}: a 1 for the operation of each edge, else 0."""
        self.check(architecture)
        columns = [OPERATIONS.index(operation) for operation in _operations(architecture)]
        return {"cell": np.eye(len(OPERATIONS), dtype=np.float32)[columns]}

    def parameters(
        self,
        architecture: Architecture,
        classes: int = 10,
        size: NasBench201Size | None = None,
        *,
        input_channels: int = 3,
    ) -> int:
        """Return the number of weights of the network that `build` returns, without building it."""
        size = size or NasBench201Size()
        stages = [size.channels, 2 * size.channels, 4 * size.channels]
        kernels = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
        cell_kernels = [kernels[operation] for operation in _operations(architecture) if operation in kernels]
        stem = _convolution(input_channels, stages[0], 3)
        cells = sum(_convolution(width, width, kernel) for width in stages for kernel in cell_kernels)
        reductions = sum(
            _convolution(narrow, wide, 3)
            + _convolution(wide, wide, 3)
            + narrow * wide  # the shortcut has no batch norm
            for narrow, wide in itertools.pairwise(stages)
        )
        head = 2 * stages[-1] + (stages[-1] + 1) * classes
        return stem + size.cells * cells + reductions + head


@cache
def _representatives() -> dict[tuple[Value, ...], Architecture]:
    """Return the representative of every cell's isomorphism class by the cell's spec."""
    first: dict[str, Architecture] = {}
    return {
        cell.spec: first.setdefault(nasbench201_classes.benchmark_string(_operations(cell)), cell)
        for cell in NasBench201.all()
    }


def _operations(architecture: Architecture) -> Operations:
    return cast(Operations, architecture.spec)


def _convolution(inputs: int, outputs: int, kernel: int) -> int:
    """Count the weights of a convolution without bias and of its batch norm."""
    return kernel * kernel * inputs * outputs + 2 * outputs


def _unreadable(text: str, reason: str) -> BadInput:
    return BadInput(
        f"cannot read the cell {text[:160]!r}: {reason}. Expected '|OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2|' "
        f"with OP one of {', '.join(OPERATIONS)}."
    )

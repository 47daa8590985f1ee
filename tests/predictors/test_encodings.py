"""Encodings: against a second way to compute them, for whole spaces at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.seeding import generator
from nasbench.predictors.cell_encoding import (
    CellEncoding,
    PathEncoding,
    depth,
    layer_paths,
    live_edges,
    operation_paths,
)
from nasbench.predictors.encodings import Encoding, GraphCounts, OneHot, Positions
from nasbench.predictors.features import encoding_of
from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.hypercuboid import HyperCuboid
from nasbench.search_spaces.nasbench201 import EDGES, OPERATIONS, NasBench201

SPACE = NasBench201()
CELLS = SPACE.all()
NUMBERS = Positions(SPACE)(CELLS)


class Conditional(DecisionSpace):
    name = "conditional"
    decisions = (
        Choice("head", ("none", "wide")),
        Choice("width", (1, 2, 3), active=lambda settings: settings["head"] == "wide"),
        Choice("act", ("relu", "gelu")),
    )

    def build(self, architecture: Architecture, task: Any, size: Any = None) -> Any:
        raise TypeError("nothing to build")


@pytest.mark.parametrize("space", [Conditional(), Darts(), HyperCuboid(), SPACE], ids=lambda space: space.name)
def test_one_hot_is_the_code_of_the_representative(space: DecisionSpace) -> None:
    architectures = space.sample_many(generator(0, "test"), 60)
    encoding = OneHot(space)
    expected = np.stack([space.encode(space.canonical(architecture)) for architecture in architectures])
    assert encoding.width == expected.shape[1]
    assert encoding(architectures).dtype == np.float32
    assert np.array_equal(encoding(architectures), expected)


def simple_paths(cell: Architecture) -> list[tuple[str, ...]]:
    """The operations on all ways from input to output, by a graph search."""
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
    graph.add_nodes_from(range(4))
    for (node, source), operation in zip(EDGES, cell.spec, strict=True):
        if operation != "none":
            graph.add_edge(source, node, operation=operation)
    return [tuple(graph.edges[edge]["operation"] for edge in path) for path in nx.all_simple_edge_paths(graph, 0, 3)]


def path_column(path: Sequence[str], kinds: Sequence[str], shortest: int) -> int:
    code = 0
    for operation in path:
        code = code * len(kinds) + kinds.index(operation)
    return sum(len(kinds) ** length for length in range(shortest, len(path))) + code


def test_paths_of_cells_are_those_of_a_graph_search() -> None:
    some = generator(1, "test").integers(len(CELLS), size=300)
    for row, by_operation, by_layer, length in zip(
        some, operation_paths(NUMBERS[some]), layer_paths(NUMBERS[some]), depth(NUMBERS[some])[:, 0], strict=True
    ):
        paths = simple_paths(CELLS[row])
        assert set(np.flatnonzero(by_operation)) == {path_column(path, OPERATIONS[1:], 1) for path in paths}
        layers = [tuple(operation for operation in path if operation != "skip_connect") for path in paths]
        counts = Counter(path_column(path, OPERATIONS[2:], 0) for path in layers)
        assert {i: int(n) for i, n in enumerate(by_layer) if n} == counts
        assert length == max((sum("conv" in operation for operation in path) for path in paths), default=-1)


def test_live_edges_are_those_on_a_way_from_input_to_output() -> None:
    on_a_way = np.zeros(NUMBERS.shape, dtype=bool)
    for way in ([3], [0, 4], [1, 5], [0, 2, 5]):
        whole = (NUMBERS[:, way] != 0).all(axis=1)
        on_a_way[np.ix_(whole, way)] = True
    assert np.array_equal(live_edges(NUMBERS), np.where(on_a_way, NUMBERS, 0))


def test_cells_without_a_way_have_no_paths() -> None:
    connected = np.array([SPACE.is_connected(cell) for cell in CELLS])
    assert (connected == operation_paths(NUMBERS).any(axis=1)).all()
    assert (connected == (depth(NUMBERS)[:, 0] >= 0)).all()
    assert (~connected).sum() == 341


def test_cells_that_compute_the_same_have_the_same_paths_of_layers() -> None:
    paths, first = layer_paths(NUMBERS), {}
    for row, cell in enumerate(CELLS[::3]):
        first.setdefault(SPACE.graph_hash(cell), []).append(3 * row)
    assert any(len(rows) > 1 for rows in first.values())
    for rows in first.values():
        assert (paths[rows] == paths[rows[0]]).all()


def test_cell_encodings_have_the_width_they_say() -> None:
    for encoding in (CellEncoding(SPACE), PathEncoding(SPACE)):
        features = encoding(CELLS[:50])
        assert features.shape == (50, encoding.width)
        assert features.dtype == np.float32
        assert encoding([]).shape == (0, encoding.width)


def test_a_row_is_computed_once() -> None:
    class Counting(Encoding):
        width = 1
        encoded = 0

        def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
            self.encoded += len(architectures)
            return np.array([[CELLS.index(cell)] for cell in architectures], dtype=np.float32)

    encoding = Counting()
    asked = [CELLS[2], CELLS[1], CELLS[2]]
    assert encoding(asked)[:, 0].tolist() == [2, 1, 2]
    assert encoding([CELLS[1], CELLS[0]])[:, 0].tolist() == [1, 0]
    assert encoding.encoded == 3


def test_the_memory_of_an_encoding_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasbench.predictors.encodings.REMEMBERED", 4)
    encoding = OneHot(SPACE)
    for start in range(0, 12, 3):
        rows = CELLS[start : start + 3]
        assert np.array_equal(encoding(rows), encoding.encode(rows))
        assert len(encoding._rows) <= 4


def test_graph_counts_tell_operations_apart_and_not_the_writing_of_a_graph() -> None:
    space = Darts()
    encoding = GraphCounts(space)
    architecture = space.sample(generator(3, "test"))
    assert np.array_equal(encoding([space.canonical(architecture)]), encoding([architecture]))
    others = [neighbor for neighbor in space.neighbors(architecture) if neighbor.spec[1] != architecture.spec[1]]
    assert (encoding(others) != encoding([architecture])).any(axis=1).all()


def test_every_space_has_an_encoding_that_suits_it() -> None:
    assert isinstance(encoding_of(SPACE), CellEncoding)
    assert isinstance(encoding_of(Darts()), OneHot)

"""Encodings: against a second way to compute them, for whole spaces at once."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.seeding import generator
from nasbench.predictors.encodings import Encoding, GraphCounts, OneHot, graph_counts
from nasbench.predictors.path_encoding import PathEncoding
from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.hypercuboid import HyperCuboid
from nasbench.search_spaces.nasbench201 import EDGES, OPERATIONS, NasBench201

SPACE = NasBench201()
CELLS = SPACE.all()


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


def path_column(path: Sequence[str]) -> int:
    code = 0
    for operation in path:
        code = code * 4 + OPERATIONS.index(operation) - 1
    return sum(4**length for length in range(1, len(path))) + code


def test_paths_of_cells_are_those_of_a_graph_search() -> None:
    some = [CELLS[i] for i in generator(1, "test").integers(len(CELLS), size=300)]
    features = PathEncoding(SPACE)(some)
    assert features.shape == (300, 84)
    assert features.dtype == np.float32
    for cell, row in zip(some, features, strict=True):
        assert set(np.flatnonzero(row)) == {path_column(path) for path in simple_paths(cell)}


def test_cells_without_a_way_have_no_paths() -> None:
    connected = np.array([SPACE.is_connected(cell) for cell in CELLS])
    assert (connected == PathEncoding(SPACE).encode(CELLS).any(axis=1)).all()
    assert (~connected).sum() == 341


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


def test_graph_counts_are_the_labels_of_the_weisfeiler_lehman_test() -> None:
    for space in (SPACE, Darts()):
        for architecture in space.sample_many(generator(4, "test"), 20):
            graph = space.graph(space.canonical(architecture))
            labels = {node: str(op) for node, op in graph.nodes(data="op")}
            counts = Counter(labels.values())
            for _ in range(2):
                labels = {
                    node: f"{label}({','.join(sorted(labels[source] for source in graph.predecessors(node)))})"
                    for node, label in labels.items()
                }
                counts.update(labels.values())
            expected = np.zeros(256)
            for label, count in counts.items():
                expected[zlib.crc32(label.encode()) % 256] += count
            assert np.allclose(GraphCounts(space)([architecture])[0], np.log1p(expected))


def test_isomorphs_have_one_row_and_neighbors_another() -> None:
    space = Darts()
    encoding = GraphCounts(space)
    architecture = space.sample(generator(3, "test"))
    assert np.array_equal(encoding([space.canonical(architecture)]), encoding([architecture]))
    others = [neighbor for neighbor in space.neighbors(architecture) if neighbor.spec[1] != architecture.spec[1]]
    assert (encoding(others) != encoding([architecture])).any(axis=1).all()


def test_searches_of_one_space_share_what_is_remembered() -> None:
    assert graph_counts(SPACE) is graph_counts(SPACE)
    assert graph_counts(SPACE) is not graph_counts(NasBench201())

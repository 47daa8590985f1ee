"""Graphs in memory, against the same things done densely by brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.datasets.graphs import Graph, Graphs, Nodes, csr, packed, rows, tidy_edges


def sparse(dense: torch.Tensor) -> torch.Tensor:
    """The same numbers in CSR, by scipy."""
    from scipy.sparse import csr_matrix

    m = csr_matrix(dense.numpy())
    parts = (torch.from_numpy(part.astype(np.int64)) for part in (m.indptr, m.indices))
    return csr(*parts, torch.from_numpy(m.data), tuple(dense.shape))


def adjacency(graph: Graph) -> torch.Tensor:
    dense = torch.zeros(graph.nodes, graph.nodes)
    dense[graph.edges[1], graph.edges[0]] = 1
    return dense


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = draw(st.integers(1, 8))
    ends = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(ends, ends), max_size=30))
    values = draw(st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.5]), min_size=3 * nodes, max_size=3 * nodes))
    dense = torch.tensor(values).reshape(nodes, 3)
    tidy = tidy_edges(torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T, nodes)
    return Graph(sparse(dense) if draw(st.booleans()) else dense, tidy)


@settings(max_examples=40)
@given(st.integers(1, 6), st.data())
def test_tidy_edges(nodes: int, data: st.DataObject) -> None:
    ends = st.integers(0, nodes - 1)
    pairs = data.draw(st.lists(st.tuples(ends, ends), max_size=20))
    wanted = sorted({(target, source) for source, target in pairs if source != target})
    found = tidy_edges(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T, nodes)
    assert found.dtype == torch.int64 and found.flip(0).T.tolist() == [list(pair) for pair in wanted]
    assert torch.equal(tidy_edges(found, nodes), found)


@settings(max_examples=40)
@given(graphs(), st.data())
def test_subgraph_and_rows(graph: Graph, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, graph.nodes - 1), unique=True))
    index = torch.tensor(chosen, dtype=torch.int64)
    part = graph.subgraph(index)
    assert part.is_sparse == graph.is_sparse and part.width == graph.width
    assert torch.equal(adjacency(part), adjacency(graph)[index][:, index])
    assert torch.equal(part.features.to_dense(), graph.features.to_dense()[index])
    twice = torch.cat([index, index])
    assert torch.equal(rows(graph.features, twice).to_dense(), graph.features.to_dense()[twice])
    if chosen:
        with pytest.raises(BadInput, match="each of its nodes once"):
            graph.subgraph(twice)


@settings(max_examples=40)
@given(graphs(), st.data())
def test_fields_loops_and_degrees(graph: Graph, data: st.DataObject) -> None:
    start = data.draw(st.sets(st.integers(0, graph.nodes - 1)))
    dense, reach = adjacency(graph), torch.zeros(graph.nodes)
    reach[list(start)] = 1
    for field in graph.receptive_field(torch.tensor(sorted(start), dtype=torch.int64), 3):
        assert field.tolist() == reach.nonzero().flatten().tolist()
        into = graph.edges_into(field)
        looped = dense + torch.eye(graph.nodes)
        assert into.shape[1] == int(looped[field].sum()) and torch.isin(into[1], field).all()
        reach = ((reach + reach @ dense) > 0).float()
    assert torch.equal(graph.degrees, dense.sum(1).long())
    keys = graph.with_loops()[1] * graph.nodes + graph.with_loops()[0]
    assert (keys[1:] > keys[:-1]).all() and len(keys) == graph.edges.shape[1] + graph.nodes


@settings(max_examples=40)
@given(st.lists(graphs(), min_size=1, max_size=4), st.data())
def test_graphs_and_their_subsets(several: list[Graph], data: st.DataObject) -> None:
    starts = np.cumsum([0, *(graph.nodes for graph in several)])
    edges = torch.cat([graph.edges + int(start) for graph, start in zip(several, starts, strict=False)], dim=1)
    features = torch.cat([graph.features.to_dense() for graph in several])
    sizes = torch.tensor([graph.nodes for graph in several])
    labels = torch.arange(len(several))
    whole = Graphs(Graph(features, edges), torch.repeat_interleave(sizes), labels)
    assert torch.equal(whole.sizes, sizes) and len(whole) == len(several)
    order = data.draw(st.lists(st.sampled_from(range(len(several))), unique=True, min_size=1))
    part = whole.subset(np.array(order))
    assert part.labels.tolist() == order
    for position, number in enumerate(order):
        nodes = (part.membership == position).nonzero().flatten()
        one = part.graph.subgraph(nodes)
        assert torch.equal(one.edges, several[number].edges)
        assert torch.equal(one.features, several[number].features.to_dense())


def test_packed_keeps_the_numbers() -> None:
    dense = torch.zeros(200, 600)
    dense[torch.arange(200), torch.arange(200) * 3] = torch.arange(200).float()
    assert packed(dense).layout == torch.sparse_csr and torch.equal(packed(dense).to_dense(), dense)
    assert torch.equal(packed(dense).values(), torch.arange(1, 200).float())
    for kept in (dense[:10], torch.ones(200, 600)):
        assert packed(kept) is kept


def test_parts_share_a_graph_and_have_digests() -> None:
    graph = Graph(torch.eye(3), torch.tensor([[1, 0], [0, 1]]))
    train, valid = (Nodes(graph, torch.tensor([node]), torch.tensor([0])) for node in (0, 1))
    assert train.to("cpu").graph is valid.to("cpu").graph is graph
    assert train.digest() == Nodes(graph, torch.tensor([0]), torch.tensor([0])).digest() != valid.digest()
    others = [
        Graph(torch.eye(3), torch.tensor([[1], [0]])),
        Graph(2 * torch.eye(3), graph.edges),
        Graph(sparse(torch.eye(3)), graph.edges),
    ]
    assert len({graph.digest(), *(other.digest() for other in others)}) == 4


GRAPH = Graph(torch.eye(3), torch.tensor([[1, 0], [0, 1]]))
INTS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Graph(torch.eye(3).double(), GRAPH.edges), "features must be float32"),
        (lambda: Graph(torch.eye(3).to_sparse_coo(), GRAPH.edges), "dense or sparse CSR"),
        (lambda: Graph(torch.eye(3), GRAPH.edges.int()), "edges must be int64"),
        (lambda: Graph(torch.eye(3), torch.tensor([[0], [3]])), "names node 3; the graph has nodes 0 to 2"),
        (lambda: Graph(torch.eye(3), torch.tensor([[0, 1], [1, 0]])), "sorted by target and source"),
        (lambda: Graph(torch.eye(3), torch.tensor([[1, 1], [0, 0]])), "without loops and duplicates"),
        (lambda: Graph(torch.eye(3), torch.tensor([[1], [1]])), "without loops and duplicates"),
        (lambda: tidy_edges(torch.tensor([[0], [-1]]), 3), "names node -1"),
        (lambda: Nodes(GRAPH, torch.tensor([3]), INTS[:1]), "within 0 to 2"),
        (lambda: Nodes(GRAPH, INTS, INTS[:1]), r"labels must be int64 \[2\]"),
        (lambda: Graphs(GRAPH, torch.tensor([0, 0, 2]), INTS), "leave no graph without a node"),
        (lambda: Graphs(GRAPH, torch.tensor([0, 1, 1]), INTS), "joins two different graphs"),
        (lambda: Graphs(GRAPH, INTS, INTS), r"membership must be int64 \[3\]"),
    ],
)
def test_what_does_not_fit_is_refused(make, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()

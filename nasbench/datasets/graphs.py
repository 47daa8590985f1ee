"""Graphs in memory: the form in which every task on graphs holds its data. Labels stand beside a graph, never in it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nasbench.core.errors import BadInput
from nasbench.networks.sparse_products import csr

# Dropout is drawn for stored numbers alone, so rows of a bag of words cost a hundredth of what they would cost dense.
MOST_STORED = 0.25
LEAST_NUMBERS = 100_000


class _Digested(ABC):
    """What tensors make up, identified by them."""

    @abstractmethod
    def _contents(self) -> tuple[Tensor, ...]: ...

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256(type(self).__name__.encode())
        for tensor in self._contents():
            total.update(f" {_form(tensor)} ".encode())
            total.update(np.ascontiguousarray(tensor.cpu().numpy()).data.cast("B") if tensor.numel() else b"")
        return total.hexdigest()

    def digest(self) -> str:
        """Return the SHA-256, in hex, of all that this holds; computed once. Dense and sparse features differ in it."""
        return self._digest


@dataclass(frozen=True, eq=False)
class Graph(_Digested):
    """One graph, connected or not, without labels.

    ``features``: float32 [nodes, features], dense or in the layout ``torch.sparse_csr``. ``edges``: int64 [2, directed
    edges], row 0 the source and row 1 the target of a message, sorted by target and then by source, no loop and no
    edge twice (`tidy_edges` makes them so). An undirected graph has each edge in both directions.
    """

    features: Tensor
    edges: Tensor
    _copies: dict[str, Graph] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        features, edges = self.features, self.edges
        if features.dtype != torch.float32 or features.ndim != 2:
            raise BadInput(f"features must be float32 [nodes, features], not {_form(features)}.")
        if features.layout not in (torch.strided, torch.sparse_csr):
            raise BadInput(f"features must be dense or sparse CSR, not {features.layout}.")
        if edges.dtype != torch.int64 or edges.ndim != 2 or len(edges) != 2:
            raise BadInput(f"edges must be int64 [2, edges], not {_form(edges)}.")
        check_edges(edges, self.nodes)
        keys = edges[1] * self.nodes + edges[0]
        if (keys[1:] <= keys[:-1]).any() or (edges[0] == edges[1]).any():
            raise BadInput("edges must be sorted by target and source, without loops and duplicates; use tidy_edges.")

    @property
    def nodes(self) -> int:
        """The number of nodes."""
        return len(self.features)

    @property
    def width(self) -> int:
        """The number of features of a node."""
        return self.features.shape[1]

    @property
    def is_sparse(self) -> bool:
        """Whether the features are stored in CSR."""
        return self.features.layout == torch.sparse_csr

    @cached_property
    def degrees(self) -> Tensor:
        """Edges that end in each node, loops not counted, int64 [nodes]."""
        return torch.bincount(self.edges[1], minlength=self.nodes)

    @cached_property
    def _looped(self) -> Tensor:
        loops = torch.arange(self.nodes, device=self.edges.device)
        both = torch.cat([self.edges, torch.stack([loops, loops])], dim=1)
        return both[:, torch.argsort(both[1] * self.nodes + both[0])]

    def with_loops(self) -> Tensor:
        """Return the edges and one loop for each node, in the same order, int64 [2, edges + nodes]; computed once."""
        return self._looped

    def edges_into(self, nodes: Tensor) -> Tensor:
        """Return those of the edges with loops that end in one of the nodes, int64 [2, n], numbered as in the graph."""
        mask = torch.zeros(self.nodes, dtype=torch.bool, device=self.edges.device)
        mask[nodes] = True
        looped = self.with_loops()
        return looped[:, mask[looped[1]]]

    def receptive_field(self, nodes: Tensor, hops: int) -> list[Tensor]:
        """Return what a network of ``hops`` layers reads for these nodes, ``hops + 1`` rising lists of node numbers.

        The first is the nodes themselves; each next one adds the sources of all edges that end in the one before it.
        """
        mask = torch.zeros(self.nodes, dtype=torch.bool, device=self.edges.device)
        mask[nodes] = True
        fields = [mask.nonzero().flatten()]
        for _ in range(hops):
            mask[self.edges[0, mask[self.edges[1]]]] = True
            fields.append(mask.nonzero().flatten())
        return fields

    def subgraph(self, nodes: Tensor) -> Graph:
        """Return the graph induced by these nodes, no node twice, numbered in the order given."""
        position = torch.full((self.nodes,), -1, device=self.edges.device)
        position[nodes] = torch.arange(len(nodes), device=self.edges.device)
        if int((position >= 0).sum()) < len(nodes):
            raise BadInput("a subgraph must name each of its nodes once.")
        ends = position[self.edges]
        return Graph(rows(self.features, nodes), tidy_edges(ends[:, (ends >= 0).all(0)], len(nodes)))

    def to(self, device: torch.device | str) -> Graph:
        """Return the same graph on a device; the same object each time, so that what shares a graph goes on sharing."""
        key = str(torch.device(device))
        if key not in self._copies:
            features, edges = self.features.to(device), self.edges.to(device)
            here = features is self.features and edges is self.edges
            self._copies[key] = self if here else Graph(features, edges)
        return self._copies[key]

    def _contents(self) -> tuple[Tensor, ...]:
        f = self.features
        stored = (f.crow_indices(), f.col_indices(), f.values()) if self.is_sparse else (f,)
        return (torch.tensor(f.shape), *stored, self.edges)


@dataclass(frozen=True, eq=False)
class Nodes(_Digested):
    """The nodes of one graph that a part of a task scores: ``index`` int64 [n] and their ``labels`` int64 [n].

    Where a search may see the whole graph (transductive), the parts share one `Graph` object; else each has its own.
    """

    graph: Graph
    index: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.index.dtype != torch.int64 or self.index.ndim != 1:
            raise BadInput(f"the index of nodes must be int64 [n], not {_form(self.index)}.")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.index.shape:
            raise BadInput(f"labels must be int64 [{len(self.index)}], not {_form(self.labels)}.")
        if len(self.index) and not 0 <= int(self.index.min()) <= int(self.index.max()) < self.graph.nodes:
            raise BadInput(f"the index of nodes must lie within 0 to {self.graph.nodes - 1}.")

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str) -> Nodes:
        """Return the same nodes on a device; parts that share a graph share it there too."""
        return Nodes(self.graph.to(device), self.index.to(device), self.labels.to(device))

    def _contents(self) -> tuple[Tensor, ...]:
        return (*self.graph._contents(), self.index, self.labels)


@dataclass(frozen=True, eq=False)
class Graphs(_Digested):
    """Several labelled graphs, held as one that is not connected.

    ``membership``: int64 [nodes], rising, the number of each node's graph; every graph has a node. ``labels``: int64
    [graphs].
    """

    graph: Graph
    membership: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise BadInput(f"labels must be int64 [graphs], not {_form(self.labels)}.")
        if self.membership.dtype != torch.int64 or self.membership.shape != (self.graph.nodes,):
            raise BadInput(f"membership must be int64 [{self.graph.nodes}], not {_form(self.membership)}.")
        present, count = torch.unique_consecutive(self.membership), len(self.labels)
        if not torch.equal(present, torch.arange(count, device=present.device)):
            raise BadInput(f"membership must rise from 0 to {count - 1} and leave no graph without a node.")
        if not torch.equal(*self.membership[self.graph.edges]):
            raise BadInput("an edge joins two different graphs.")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph, int64 [graphs]."""
        return torch.bincount(self.membership, minlength=len(self))

    def subset(self, index: Tensor | np.ndarray) -> Graphs:
        """Return the graphs of these numbers, no number twice, in that order."""
        chosen = torch.as_tensor(index, dtype=torch.int64, device=self.labels.device)
        ends = self.sizes.cumsum(0)
        nodes, membership = _ranges((ends - self.sizes)[chosen], self.sizes[chosen])
        return Graphs(self.graph.subgraph(nodes), membership, self.labels[chosen])

    def to(self, device: torch.device | str) -> Graphs:
        """Return the same graphs on a device."""
        return Graphs(self.graph.to(device), self.membership.to(device), self.labels.to(device))

    def _contents(self) -> tuple[Tensor, ...]:
        return (*self.graph._contents(), self.membership, self.labels)


def tidy_edges(edges: Tensor, nodes: int) -> Tensor:
    """Return edges int64 [2, n] without loops and duplicates, sorted by target and source. Directions stay as given."""
    check_edges(edges, nodes)
    edges = edges[:, edges[0] != edges[1]]
    keys = torch.unique(edges[1] * nodes + edges[0])
    return torch.stack([keys % max(nodes, 1), torch.div(keys, max(nodes, 1), rounding_mode="floor")])


def check_edges(edges: Tensor, nodes: int) -> None:
    """Raise BadInput if an edge names a node that is not there."""
    if edges.shape[1] and not 0 <= int(edges.min()) <= int(edges.max()) < nodes:
        low, high = int(edges.min()), int(edges.max())
        raise BadInput(f"an edge names node {low if low < 0 else high}; the graph has nodes 0 to {nodes - 1}.")


def rows(features: Tensor, index: Tensor) -> Tensor:
    """Return the rows of these numbers, in that order and in the layout of ``features`` (dense or sparse CSR)."""
    if features.layout != torch.sparse_csr:
        return features.index_select(0, index)
    starts = features.crow_indices()
    counts = (starts[1:] - starts[:-1])[index]
    stored, _ = _ranges(starts[index], counts)
    crow = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    columns, values = features.col_indices()[stored], features.values()[stored]
    return csr(crow, columns, values, (len(index), features.shape[1]))


def packed(features: Tensor) -> Tensor:
    """Return dense features in CSR where that pays: a large matrix in which most numbers are zero; else as they are."""
    if features.layout != torch.strided or features.numel() < LEAST_NUMBERS:
        return features
    filled = features != 0
    counts = filled.sum(1)
    if int(counts.sum()) > MOST_STORED * features.numel():
        return features
    crow = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return csr(crow, filled.nonzero()[:, 1], features[filled], (features.shape[0], features.shape[1]))


def _ranges(starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers start..start+length-1 of each range, one after the other, and the range each belongs to."""
    owner = torch.repeat_interleave(lengths)
    offset = starts - (lengths.cumsum(0) - lengths)
    return torch.arange(len(owner), device=owner.device) + offset[owner], owner


def _form(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"

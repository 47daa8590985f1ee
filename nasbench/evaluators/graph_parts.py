"""What a network of so many layers reads to score a part of a task on graphs, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nasbench.datasets.graphs import Graph, Graphs, Nodes, rows
from nasbench.networks.graph_layers import Block, SparseInput
from nasbench.networks.sparse_products import Pattern, multiply


@dataclass(frozen=True, eq=False)
class GraphPart:
    """The receptive field of the nodes that a part scores, layer by layer.

    ``features`` are those of the outermost nodes, [there, features] or sparse. Each of the ``blocks`` is one layer's,
    the first layer's first. ``index`` int64 [scored] is where a scored node stands among what the last layer gives;
    None where all nodes of a graph are averaged (``membership``, a pattern [graphs, nodes]).
    """

    features: Tensor | SparseInput
    blocks: tuple[Block, ...]
    index: Tensor | None = None
    membership: Pattern | None = None

    def scored(self, values: Tensor) -> Tensor:
        """Return the logits of what is scored, [networks, scored, classes], of [networks, nodes, classes]."""
        if self.index is not None:
            return values.index_select(1, self.index)
        assert self.membership is not None
        shares = torch.ones_like(self.membership.row, dtype=values.dtype)
        networks, nodes, classes = values.shape
        sums = multiply(self.membership, shares, values.transpose(0, 1).reshape(nodes, networks * classes))
        counts = self.membership.starts.diff()[:, None]
        return (sums / counts).view(-1, networks, classes).transpose(0, 1)


def part_of(data: Nodes | Graphs, layers: int) -> GraphPart:
    """Return what a network of ``layers`` layers reads to score nodes or graphs."""
    if isinstance(data, Graphs):
        everything = torch.arange(data.graph.nodes, device=data.labels.device)
        block = _block(data.graph, everything, everything)
        membership = Pattern.of(data.membership, everything, len(data), data.graph.nodes)
        return GraphPart(_features(data.graph.features), (block,) * layers, membership=membership)
    fields = data.graph.receptive_field(data.index, layers)
    blocks = tuple(_block(data.graph, fields[hop + 1], fields[hop]) for hop in reversed(range(layers)))
    index = torch.searchsorted(fields[0], data.index)
    return GraphPart(_features(rows(data.graph.features, fields[-1])), blocks, index=index)


def _block(graph: Graph, there: Tensor, wanted: Tensor) -> Block:
    source, target = graph.edges_into(wanted)
    edges = Pattern.of(torch.searchsorted(wanted, target), torch.searchsorted(there, source), len(wanted), len(there))
    degrees = (graph.degrees[there] + 1).to(graph.features.dtype)
    return Block(edges, torch.searchsorted(there, wanted), degrees)


def _features(features: Tensor) -> Tensor | SparseInput:
    if features.layout != torch.sparse_csr:
        return features
    counts = features.crow_indices().diff()
    row = torch.repeat_interleave(counts)
    nodes, width = features.shape
    return SparseInput(Pattern.of(row, features.col_indices(), nodes, width), features.values())

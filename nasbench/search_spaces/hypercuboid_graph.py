"""The weighted grid of the HyperCuboid: its graph, its longest path, and how a path is written.

Hundt, Jain, Hager, sharpDARTS, arXiv 1903.09900, 2019 (Differentiable Hyperparameter Grid Search). A path is a tuple:
the stem's width, then operation and width of each block in turn. It crosses each block once, in one operation.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasbench.core.errors import BadInput, nearest, unknown

if TYPE_CHECKING:
    import networkx as nx

SYMBOLS = {
    "sharp_sep_conv_3x3": "S",
    "resizable_pool_3x3": "P",
    "sharp_sep_conv_5x5": "S5",
    "sharp_sep_conv_7x7": "S7",
    "resizable_avg_pool_3x3": "A",
}
"""The operations a block can hold, and how the text format writes them."""

KNOWN_PATHS = {
    # Hundt, Jain, Hager, sharpDARTS, 2019: found with Max-W, found with plain softmax weights, and made by hand.
    "MULTI_CHANNEL_MAX_W": "256: P->128, P->256 | P->32, P->256 | S->256, P->256 | P->256, P->256",
    "MULTI_CHANNEL_SCALAR": "32: S->32, P->128 | S->128, P->32 | P->256, P->256 | P->256, P->256",
    "MULTI_CHANNEL_HANDMADE": "32: S->32, P->64 | S->64, P->128 | S->128, P->256 | S->256, P->256",
}
"""Paths of the literature by name."""

STRIDES = (1, 2)
LONGEST_TEXT = 1_000

Path = tuple[Any, ...]
Weights = Mapping[str, np.ndarray]
"""For each block its weights [edges, operations]; edges are the pairs (input width, output width) of `Axes.edges`."""


class Block(NamedTuple):
    """One block: every width in, every width out, by every operation with this stride."""

    layer: int
    stride: int

    @property
    def kind(self) -> str:
        return f"layer{self.layer}_stride{self.stride}"


@dataclass(frozen=True)
class Axes:
    """The axes of the HyperCuboid: layers x strides (1, 2) x widths in x widths out x operations."""

    layers: int
    widths: tuple[int, ...]
    operations: tuple[str, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks in the order of the data flow: each layer has one of stride 1, then one of stride 2."""
        return tuple(Block(layer, stride) for layer in range(self.layers) for stride in STRIDES)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The (input width, output width) of the rows of a block's weights: the output width changes fastest."""
        return tuple((inputs, outputs) for inputs in self.widths for outputs in self.widths)


class Step(NamedTuple):
    """One operation of a path."""

    block: Block
    operation: str
    inputs: int
    outputs: int


def path_steps(axes: Axes, path: Path) -> list[Step]:
    """Return the operations of a path, one for each block."""
    widths = path[::2]
    return [
        Step(block, operation, inputs, outputs)
        for block, operation, (inputs, outputs) in zip(axes.blocks, path[1::2], itertools.pairwise(widths), strict=True)
    ]


# -- the graph -------------------------------------------------------------------------------------------------------
def grid_graph(axes: Axes, weights: Weights | None = None) -> nx.DiGraph[str]:
    """Return the relaxed network as a graph from "Source" to "Linear"; every node has the attribute ``op``.

    The nodes of operations have the attribute ``step``, and the edge from each to the sum behind it has its weight as
    ``weight`` (1 where ``weights`` are not given). No other edge has a weight.
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_node("Source", op="images")
    into: dict[int, str] = {}
    for width in axes.widths:
        graph.add_node(f"Conv3x3_{width}", op=f"conv_3x3 {width}")
        graph.add_node(f"BatchNorm_{width}", op="batch_norm")
        nx.add_path(graph, ["Source", f"Conv3x3_{width}", f"BatchNorm_{width}"])
        into[width] = f"BatchNorm_{width}"
    for block in axes.blocks:
        table = np.ones((len(axes.edges), len(axes.operations))) if weights is None else weights[block.kind]
        sums = {width: f"{block.kind}_add_{width}" for width in axes.widths}
        graph.add_nodes_from(sums.values(), op="sum")
        for (inputs, outputs), row in zip(axes.edges, np.asarray(table, dtype=np.float64).tolist(), strict=True):
            for operation, weight in zip(axes.operations, row, strict=True):
                node = f"{block.kind}_{inputs}_to_{outputs}_{operation}"
                graph.add_node(node, op=operation, step=Step(block, operation, inputs, outputs))
                graph.add_edge(into[inputs], node)
                graph.add_edge(node, sums[outputs], weight=weight)
        into = sums
    graph.add_node("add_SharpSepConv", op="sum")
    for width in axes.widths:
        graph.add_node(f"SharpSepConv_{width}", op="sharp_sep_conv_3x3")
        nx.add_path(graph, [into[width], f"SharpSepConv_{width}", "add_SharpSepConv"])
    graph.add_node("global_pooling", op="global_average_pool")
    graph.add_node("Linear", op="linear")
    nx.add_path(graph, ["add_SharpSepConv", "global_pooling", "Linear"])
    return graph


def chain_graph(axes: Axes, path: Path) -> nx.DiGraph[int]:
    """Return the stand-alone network of a path as a graph: a chain whose nodes have the attribute ``op``."""
    import networkx as nx

    labels = ["input", f"conv_3x3 {path[0]}"]
    for block, operation, inputs, outputs in path_steps(axes, path):
        labels.append(f"{operation} {inputs}→{outputs}{' /2' if block.stride == 2 else ''}")
    labels += [f"sharp_sep_conv_3x3 {path[-1]}→features", "output"]
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from((number, {"op": label}) for number, label in enumerate(labels))
    nx.add_path(graph, range(len(labels)))
    return graph


def count_paths(graph: nx.DiGraph[str]) -> int:
    """Return the number of paths from "Source" to "Linear"."""
    import networkx as nx

    count = dict.fromkeys(graph, 0)
    count["Source"] = 1
    for node in nx.topological_sort(graph):
        for successor in graph.successors(node):
            count[successor] += count[node]
    return count["Linear"]


def longest_path(graph: nx.DiGraph[str]) -> list[str]:
    """Return the nodes of the path from "Source" to "Linear" whose weights have the largest sum.

    Of equal paths the first in the order of widths and operations wins, from the last block to the first.
    """
    import networkx as nx

    # All paths have equally many edges without a weight, so what these count decides nothing. Counting more than any
    # weight takes away, they keep a beginning at "Source" worth more than none, be the weights negative.
    weights = [float(data["weight"]) for *_, data in graph.edges(data=True) if "weight" in data]
    return list(nx.dag_longest_path(graph, weight="weight", default_weight=1 + math.ceil(max(map(abs, weights)))))


def path_of_nodes(graph: nx.DiGraph[str], nodes: list[str]) -> Path:
    """Return the path (stem's width, then operations and widths) through these nodes of the grid."""
    steps: list[Step] = [graph.nodes[node]["step"] for node in nodes if "step" in graph.nodes[node]]
    return (steps[0].inputs, *(value for step in steps for value in (step.operation, step.outputs)))


# -- how sure the longest path is ------------------------------------------------------------------------------------
def checked_weights(axes: Axes, weights: Weights) -> dict[str, np.ndarray]:
    """Return the weights of all blocks as float64 arrays [edges, operations]; raise BadInput if they are not that."""
    shape = (len(axes.edges), len(axes.operations))
    checked = {}
    for block in axes.blocks:
        if block.kind not in weights:
            raise BadInput(f"weights of '{block.kind}' are missing; needed are those of all blocks, of shape {shape}.")
        table = np.asarray(weights[block.kind], dtype=np.float64)
        if table.shape != shape or not np.isfinite(table).all():
            raise BadInput(f"weights of '{block.kind}' must be finite numbers of shape {shape}, not {table.shape}.")
        checked[block.kind] = table
    return checked


def best_paths(axes: Axes, weights: Weights, count: int = 2) -> list[tuple[Path, float]]:
    """Return the ``count`` paths with the largest sums of weights, and the sums, the largest first.

    By dynamic programming over the blocks: a part of one of the best paths is one of the best that end at its node.
    """
    kept: dict[int, list[tuple[Path, float]]] = {width: [((width,), 0.0)] for width in axes.widths}
    for block in axes.blocks:
        longer: dict[int, list[tuple[Path, float]]] = {width: [] for width in axes.widths}
        for (inputs, outputs), row in zip(axes.edges, weights[block.kind].tolist(), strict=True):
            for operation, weight in zip(axes.operations, row, strict=True):
                longer[outputs] += [((*path, operation, outputs), total + weight) for path, total in kept[inputs]]
        kept = {width: heapq.nlargest(count, paths, key=lambda scored: scored[1]) for width, paths in longer.items()}
    return heapq.nlargest(count, itertools.chain(*kept.values()), key=lambda scored: scored[1])


class Margin(NamedTuple):
    """How far the longest path is ahead, in sums of one weight for each block.

    ``best`` and ``second`` are the two largest sums, ``mean`` the mean over all paths. Where ``best - second`` is small
    against ``best - mean``, or against what weights change in an epoch, the choice of the path is close to arbitrary.
    """

    best: float
    second: float
    mean: float

    @property
    def relative(self) -> float:
        """The lead over the second path as a share of the lead over the mean path; 0 if all paths are equal."""
        return (self.best - self.second) / (self.best - self.mean) if self.best > self.mean else 0.0


def path_margin(axes: Axes, weights: Weights) -> Margin:
    """Return the margin of the longest path; with a single path in the grid, ``second`` is minus infinity."""
    sums = [total for _, total in best_paths(axes, weights, 2)]
    second = sums[1] if len(sums) > 1 else -np.inf
    # A path that is uniformly random crosses each block in a uniformly random entry.
    return Margin(sums[0], second, float(sum(weights[block.kind].mean() for block in axes.blocks)))


# -- notation --------------------------------------------------------------------------------------------------------
def format_path(axes: Axes, path: Path) -> str:
    """Write a path as ``32: S->32, P->64 | S->64, P->128``: stem, then layers, each with its strides 1 and 2."""
    steps = [f"{SYMBOLS[step.operation]}->{step.outputs}" for step in path_steps(axes, path)]
    return f"{path[0]}: " + " | ".join(", ".join(layer) for layer in zip(*[iter(steps)] * len(STRIDES), strict=True))


def parse_path(axes: Axes, text: str) -> Path:
    """Read the text of `format_path`, or the name of one of `KNOWN_PATHS`; raise BadInput on anything else."""
    width = axes.widths[0]
    example = f"{width}: " + " | ".join([", ".join([f"{SYMBOLS[axes.operations[0]]}->{width}"] * 2)] * axes.layers)
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"a path has at most {LONGEST_TEXT} characters, for example '{example}'.")
    text = " ".join(text.split())
    if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", text):
        if text not in KNOWN_PATHS:
            raise unknown("path", _short(text), KNOWN_PATHS)
        text = KNOWN_PATHS[text]
    stem, colon, rest = text.partition(":")
    layers = rest.split("|")
    if not colon or len(layers) != axes.layers:
        found = f"{len(layers)} layers" if colon else "no ':' after the stem's width"
        raise BadInput(f"cannot read '{_short(text)}': {found}; expected {axes.layers} layers like '{example}'.")
    path: list[Any] = [_read_width(axes, stem, "the stem")]
    for number, layer in enumerate(layers):
        steps = layer.split(",")
        if len(steps) != len(STRIDES):
            raise BadInput(
                f"layer {number} has {len(steps)} operations, '{_short(layer)}'; expected two, of stride 1 and 2, "
                f"like 'S->32, P->64'."
            )
        for stride, step in zip(STRIDES, steps, strict=True):
            where = f"layer {number}, stride {stride}"
            symbol, arrow, width_text = step.partition("->")
            if not arrow:
                raise BadInput(f"{where}: expected 'operation->width' like 'S->32', got '{_short(step)}'.")
            path += [_read_operation(axes, symbol, where), _read_width(axes, width_text, where)]
    return tuple(path)


def _read_width(axes: Axes, text: str, where: str) -> int:
    allowed = {str(width): width for width in axes.widths}
    if text.strip() not in allowed:
        raise BadInput(f"{where}: the width cannot be '{_short(text)}'. Allowed: {', '.join(allowed)}.")
    return allowed[text.strip()]


def _read_operation(axes: Axes, text: str, where: str) -> str:
    allowed = {SYMBOLS[operation]: operation for operation in axes.operations}
    if text.strip() not in allowed:
        hint = nearest(_short(text), allowed)
        meanings = ", ".join(f"{symbol} ({operation})" for symbol, operation in allowed.items())
        raise BadInput(f"{where}: unknown operation '{_short(text)}'.{hint} Allowed: {meanings}.")
    return allowed[text.strip()]


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."

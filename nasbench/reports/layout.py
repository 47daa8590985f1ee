"""Where to draw the nodes of a small directed graph so that nothing overlaps.

Layered drawing (Sugiyama, Tagawa, Toda, IEEE Trans. SMC 11(2), 1981): every node gets a column, an edge that skips
columns gets a free place in each of them, columns are ordered by barycentres to save crossings, and heights are the
least-squares ones that keep the order and the distances. An edge therefore never runs through a node.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

SWEEPS = 12
PASSING = 0.55
"""Room that an edge takes in a column it passes, as a share of a node's."""

Node = Hashable
Edge = tuple[Node, Node]


@dataclass(frozen=True)
class Layout:
    """Places in units of columns (x, from 0) and rows (y, from 0 downwards).

    ``routes`` gives, for each edge, the places it passes between its two nodes.
    """

    places: dict[Node, tuple[int, float]]
    routes: dict[Edge, list[tuple[int, float]]]
    columns: int
    rows: float


def layered_layout(edges: list[Edge], columns: Mapping[Node, int]) -> Layout:
    """Lay out a graph whose nodes have been given columns; every edge must lead to a later column."""
    chains = {edge: _chain(edge, columns) for edge in edges}
    column_of = dict(columns)
    for chain in chains.values():
        for passing in chain[1:-1]:
            column_of[passing] = passing[2]
    steps = [step for chain in chains.values() for step in pairwise(chain)]
    order = _order(steps, column_of)
    heights = _heights(steps, order, set(columns))
    top = min(heights.values())
    places = {node: (column, heights[node] - top) for node, column in column_of.items()}
    return Layout(
        {node: places[node] for node in columns},
        {edge: [places[passing] for passing in chain[1:-1]] for edge, chain in chains.items()},
        1 + max(columns.values()),
        max(y for _, y in places.values()),
    )


def _chain(edge: Edge, columns: Mapping[Node, int]) -> list[Any]:
    source, target = edge
    passed = range(columns[source] + 1, columns[target])
    return [source, *((source, target, column) for column in passed), target]


def _order(steps: list[Edge], column_of: Mapping[Node, int]) -> list[list[Node]]:
    """Order each column so that few edges cross: the best of a few barycentre sweeps to and fro."""
    order: list[list[Node]] = [[] for _ in range(1 + max(column_of.values()))]
    for node, column in column_of.items():
        order[column].append(node)
    before, after = _neighbours(steps)
    best, fewest = [list(column) for column in order], _crossings(steps, order, column_of)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        neighbours = before if forward else after
        positions = {node: i for column in order for i, node in enumerate(column)}
        for nodes in order if forward else order[::-1]:
            centres = {
                node: float(np.mean([positions[other] for other in neighbours[node]]))
                if neighbours.get(node)
                else float(positions[node])
                for node in nodes
            }
            nodes.sort(key=centres.__getitem__)
            positions.update({node: i for i, node in enumerate(nodes)})
        crossings = _crossings(steps, order, column_of)
        if crossings < fewest:
            best, fewest = [list(column) for column in order], crossings
    return best


def _neighbours(steps: list[Edge]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    before: dict[Node, list[Node]] = {}
    after: dict[Node, list[Node]] = {}
    for source, target in steps:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    return before, after


def _crossings(steps: list[Edge], order: list[list[Node]], column_of: Mapping[Node, int]) -> int:
    positions = {node: i for column in order for i, node in enumerate(column)}
    total = 0
    for column in range(len(order) - 1):
        ends = np.array([(positions[s], positions[t]) for s, t in steps if column_of[s] == column]).reshape(-1, 2)
        sides = np.sign(ends[:, None] - ends[None])
        total += int((sides[..., 0] * sides[..., 1] < 0).sum()) // 2
    return total


def _heights(steps: list[Edge], order: list[list[Node]], nodes: set[Node]) -> dict[Node, float]:
    """Move every node towards the mean of its neighbours, as far as order and distances within a column allow."""
    from scipy.optimize import isotonic_regression

    before, after = _neighbours(steps)
    offsets = []
    for column in order:
        half = [0.5 if node in nodes else PASSING / 2 for node in column]
        centres = np.cumsum(half) + np.concatenate(([0.0], np.cumsum(half)[:-1]))
        offsets.append(centres - centres.mean())
    heights = {
        node: float(y)
        for column, centre in zip(order, offsets, strict=True)
        for node, y in zip(column, centre, strict=True)
    }
    for sweep in range(4 * SWEEPS):
        forward = sweep % 2 == 0
        for column, centre in list(zip(order, offsets, strict=True))[:: 1 if forward else -1]:
            wanted = []
            for node in column:
                near = [heights[other] for other in (*before.get(node, ()), *after.get(node, ()))]
                wanted.append(np.mean(near) if near else heights[node])
            fitted = np.asarray(isotonic_regression(np.array(wanted) - centre).x) + centre
            heights.update(zip(column, fitted.tolist(), strict=True))
    return heights

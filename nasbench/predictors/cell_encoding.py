"""Cells of NAS-Bench-201 as numbers: live edges, counts, depth and paths, for many cells at once.

The path encoding is that of White et al., BANANAS, AAAI 2021, section 3: one column a sequence of operations on a way
from input to output. A cell is a row of six numbers in `OPERATIONS`, 0 for "none", on the edges of `EDGES`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.predictors.encodings import Encoding, Positions
from nasbench.search_spaces.nasbench201 import OPERATIONS, NasBench201

NONE, SKIP, CONV_1X1, CONV_3X3, POOL = range(len(OPERATIONS))
WAYS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""The four ways from input to output, as positions in `EDGES`: directly, over node 1, over node 2, over both."""


def live_edges(cells: np.ndarray) -> np.ndarray:
    """Set every edge to "none" that input does not reach or that does not reach the output; integers [n, 6]."""
    on = cells != NONE
    from_1 = on[:, 0]  # the input reaches node 1
    from_2 = on[:, 1] | (on[:, 2] & from_1)
    to_2 = on[:, 5]  # node 2 reaches the output
    to_1 = on[:, 4] | (on[:, 2] & to_2)
    always = np.ones(len(cells), dtype=bool)
    return np.where(np.stack([to_1, to_2, from_1 & to_2, always, from_1, from_2], axis=1), cells, NONE)


def operation_paths(cells: np.ndarray) -> np.ndarray:
    """Return which sequences of 1 to 3 operations lead from input to output: 0 or 1, float32 [n, 4 + 16 + 64]."""
    present: np.ndarray = np.minimum(_paths(cells, SKIP), 1)
    return present


def layer_paths(cells: np.ndarray) -> np.ndarray:
    """Return how many ways apply a sequence of 0 to 3 layers, skip connections aside: float32 [n, 1 + 3 + 9 + 27]."""
    return _paths(cells, CONV_1X1)


def _paths(cells: np.ndarray, first: int) -> np.ndarray:
    """Count the sequences of operations not below ``first`` along the ways without "none"."""
    kinds = len(OPERATIONS) - first
    starts = np.cumsum([0, *(kinds**length for length in range(4))])[:4] - (first == SKIP)  # no path of length 0
    counts = np.zeros((len(cells), int(starts[3]) + kinds**3), dtype=np.float32)
    for way in WAYS:
        operations = cells[:, way]
        code, length = np.zeros((2, len(cells)), dtype=np.intp)
        for operation in operations.T:
            is_layer = operation >= first
            code = np.where(is_layer, code * kinds + operation - first, code)
            length += is_layer
        rows = np.flatnonzero((operations != NONE).all(axis=1))
        counts[rows, (starts[length] + code)[rows]] += 1  # one way has one path, so no index comes twice
    return counts


def layer_counts(cells: np.ndarray) -> np.ndarray:
    """Return how often each operation but "none" occurs: float32 [n, 4]."""
    return np.stack([(cells == operation).sum(axis=1) for operation in range(SKIP, POOL + 1)], axis=1, dtype=np.float32)


def depth(cells: np.ndarray) -> np.ndarray:
    """Return the largest number of convolutions on a way from input to output, -1 without any way: float32 [n, 1]."""
    convolutions = ((cells == CONV_1X1) | (cells == CONV_3X3)).astype(np.float32)
    lengths = [
        np.where((cells[:, way] != NONE).all(axis=1), convolutions[:, way].sum(axis=1), np.float32(-1)) for way in WAYS
    ]
    longest: np.ndarray = np.max(lengths, axis=0)
    return longest[:, None]


class CellEncoding(Encoding):
    """Live edges one-hot, counts of live operations, depth, and paths of layers: 30 + 4 + 1 + 40 columns.

    What the network computes, not how the cell is written: edges that carry nothing are dropped, skip connections
    are spliced out of the paths.
    """

    width = 75

    def __init__(self, space: NasBench201) -> None:
        super().__init__()
        self._positions = Positions(space)

    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        cells = live_edges(self._positions(architectures))
        edges = np.eye(len(OPERATIONS), dtype=np.float32)[cells].reshape(len(cells), -1)
        return np.concatenate([edges, layer_counts(cells), depth(cells), layer_paths(cells)], axis=1)


class PathEncoding(Encoding):
    """The path encoding of BANANAS without "none": 4 + 16 + 64 columns of 0 and 1."""

    width = 84

    def __init__(self, space: NasBench201) -> None:
        super().__init__()
        self._positions = Positions(space)

    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return operation_paths(self._positions(architectures))

"""The path encoding of NAS-Bench-201 cells (White et al., BANANAS, AAAI 2021, section 3), for many cells at once.

One column a sequence of operations on a way from input to output; edges without operation end a way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.predictors.encodings import Encoding, Positions
from nasbench.search_spaces.nasbench201 import OPERATIONS, NasBench201

WAYS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""The four ways from input to output, as positions in `EDGES`: directly, over node 1, over node 2, over both."""
KINDS = len(OPERATIONS) - 1  # without "none", which is number 0
STARTS = {1: 0, 2: KINDS, 3: KINDS + KINDS**2}
"""The first column of the paths of so many operations."""


class PathEncoding(Encoding):
    """Which sequences of 1 to 3 operations lead from input to output: 4 + 16 + 64 columns of 0 and 1."""

    width = KINDS + KINDS**2 + KINDS**3

    def __init__(self, space: NasBench201) -> None:
        super().__init__()
        self._positions = Positions(space)

    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        cells = self._positions(architectures)
        present = np.zeros((len(cells), self.width), dtype=np.float32)
        for way in WAYS:
            operations = cells[:, way]
            rows = np.flatnonzero((operations != 0).all(axis=1))
            powers = KINDS ** np.arange(len(way))[::-1]
            present[rows, STARTS[len(way)] + (operations[rows] - 1) @ powers] = 1
        return present

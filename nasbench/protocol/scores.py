"""What the protocol measures: final scores of one architecture, and the random-architecture baseline."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

PROTOCOL_VERSION = 1
BINS = 60
TABLE_SAMPLER = "uniform over all encodings"
TRAINING_SAMPLER = "the space's reference distribution"


@dataclass(frozen=True)
class FinalScores:
    """Accuracies in percent of one architecture, one entry a final training (a table has one)."""

    test_accuracies: tuple[float, ...]
    valid_accuracies: tuple[float | None, ...]
    seeds: tuple[int, ...]
    seconds: float
    parameters: int | None = None
    failures: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Baseline:
    """Test accuracy in percent of random architectures: of all of them where a table is exact, else of ``n`` trained.

    ``std`` is the sample's (n - 1) for trained ones and the population's where the table is exact. ``sampler`` names
    the reference distribution. ``valid_scores`` are their validation accuracies, None where there are none.
    """

    mean: float
    std: float | None
    median: float
    n: int
    source: Literal["trained", "table-exact"]
    sampler: str
    key: str
    seconds: float = 0.0
    scores: tuple[float, ...] | None = None
    valid_scores: tuple[float, ...] | None = None
    histogram: dict[str, list[float]] | None = None
    failures: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def histogram(scores: np.ndarray) -> dict[str, list[float]]:
    """Return counts over equal bins, as plain lists."""
    counts, edges = np.histogram(scores, bins=BINS)
    return {"edges": edges.tolist(), "counts": counts.astype(float).tolist()}

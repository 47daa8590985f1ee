"""The contract of a predictor: how good would an architecture be, from its description alone?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng


class Prediction(NamedTuple):
    """What a predictor expects of n architectures, float64.

    ``mean`` [n] in the unit of the targets; ``std`` [n] how unsure it is of each, in the same unit; None where the
    method does not say.
    """

    mean: np.ndarray
    std: np.ndarray | None = None


class Predictor(ABC):
    """Learns from measured architectures of one space what to expect of others.

    A fit forgets what was fitted before, so it is a function of its arguments and of the state of ``rng``, from which
    all randomness comes. ``predict`` draws nothing.
    """

    def __init__(self, space: SearchSpace, rng: Rng) -> None:
        self.space = space
        self.rng = rng

    @abstractmethod
    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        """Learn from architectures and their targets [n], finite numbers in any unit; return self.

        Raises BadInput if there are none, if the lengths differ or a target is not finite.
        """

    @abstractmethod
    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        """Return what to expect of each architecture. Raises BadInput before the first `fit`."""

    def leave_one_out(self, architectures: Sequence[Architecture], targets: np.ndarray) -> np.ndarray:
        """Return what to expect of each architecture [n] from all others: fitted n times, if there is no shorter way.

        What was fitted before is forgotten. Raises BadInput as `fit` does, and with less than two architectures.
        """
        targets = np.asarray(targets, dtype=np.float64)
        expected = np.empty(len(targets))
        for i in range(len(targets)):
            others = [architecture for j, architecture in enumerate(architectures) if j != i]
            expected[i] = self.fit(others, np.delete(targets, i)).predict(architectures[i : i + 1]).mean[0]
        return expected

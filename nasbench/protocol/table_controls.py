"""What a leaderboard on a table is held against: the most that can be reached, and what knowing nothing gives.

All of it is exact. The best of the space by test accuracy (the *oracle*) is a ceiling that no honest search can plan to
reach; the *proxy ceiling*, the test accuracy of the best by validation accuracy, is where a perfect optimiser of what
searches may see would end. Where the second lies below the first, or below what methods reach, more optimisation no
longer helps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nasbench.protocol.random_search import Floats, RandomSearch, rank_test
from nasbench.protocol.verdict import MIN_RUNS


class TableControls:
    """Exact controls on one table; accuracies in percent.

    Attributes:
        oracle, oracle_validation: best test accuracy, and the validation accuracy there, the mean of equally good ones.
        proxy_ceiling, best_validation: best validation accuracy, and the test accuracy there, equals sharing it.
        average, std, average_validation: of a random architecture.
    """

    def __init__(self, validation: Floats, held_out: Floats) -> None:
        self._validation, self._held_out = validation, held_out
        self.oracle = float(held_out.max())
        self.oracle_validation = float(validation[held_out == self.oracle].mean())
        self.best_validation = float(validation.max())
        self.proxy_ceiling = float(held_out[validation == self.best_validation].mean())
        self.average, self.std = float(held_out.mean()), float(held_out.std())
        self.average_validation = float(validation.mean())

    def blind(self, scores: ArrayLike) -> tuple[float, float | None]:
        """Test whether runs with these final test accuracies ended with architectures drawn blindly.

        Returns the percent of architectures that a run beats on average, ties counting half, which is 50 of blind ones,
        and the two-sided p-value of the rank test, None below five runs. The scores are skewed; a t-test would mislead.
        """
        one_draw = RandomSearch(self._validation, self._held_out, 1)
        percentile, p_value = rank_test(one_draw.percentiles(scores))
        return 100 * percentile, p_value if np.size(scores) >= MIN_RUNS else None

"""Random search on a space that was evaluated as a whole, computed exactly instead of sampled.

Random search of k evaluations draws k of the N cells without replacement and recommends the one with the best proxy
score (the validation score of the search). Which cell that is has a distribution in closed form, so on a table its
mean, spread and every quantile are known without sampling error and in milliseconds. A run of any method is then
placed in that distribution: "beats 68 % of random searches of the same cost".

Random search as the baseline to beat: Li and Talwalkar, "Random search and reproducibility for neural architecture
search", UAI 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from nasbench.core.errors import BadInput
from nasbench.protocol.statistics import as_scores

Floats = NDArray[np.float64]

SAME_SCORE = 1e-9
"""Relative difference below which two scores count as the same: the mean of three seeds depends on their order."""


class RandomSearch:
    """The exact distribution of the final score of random search with ``k`` evaluations.

    Args:
        proxy: [N] score by which the search picks, one per cell; higher is better.
        final: [N] score by which the picked cell is judged, in the same order.
        k: evaluations, at least 1. From N on the whole table has been seen and the best proxy is picked for certain.

    ``weights`` [N] is the probability that a cell is the one picked: with cells i = 1..N from the best proxy to the
    worst it is C(N - i, k - 1) / C(N, k). Cells of the same proxy share the probability of their block equally, as a
    search that meets them in random order would have it.

    Raises BadInput where the arrays differ in length, are empty or hold values that are not finite, or k is below 1.
    """

    def __init__(self, proxy: ArrayLike, final: ArrayLike, k: int) -> None:
        self.proxy = as_scores(proxy, "proxy scores")
        self.final = as_scores(final, "final scores")
        if self.proxy.size != self.final.size:
            raise BadInput(f"{self.proxy.size} proxy scores but {self.final.size} final scores: one each per cell.")
        self.k = k
        best_first = np.argsort(-self.proxy, kind="stable")
        weights = np.empty_like(self.proxy)
        weights[best_first] = _share_within_ties(self.proxy[best_first], -np.diff(_none_of_best(self.proxy.size, k)))
        self.weights: Floats = weights

        worst_first = np.argsort(self.final, kind="stable")
        self._scores = self.final[worst_first]
        self._cumulative = np.concatenate([[0.0], np.cumsum(weights[worst_first])])
        self._cumulative /= self._cumulative[-1]

    @property
    def mean(self) -> float:
        """Expected final score."""
        return float((self.weights * self.final).sum())

    @property
    def std(self) -> float:
        """Standard deviation of the final score over random searches (of the distribution itself: no ddof)."""
        return math.sqrt(float((self.weights * (self.final - self.mean) ** 2).sum()))

    def quantile(self, q: float) -> float:
        """The smallest final score that at least the share ``q`` (0 to 1) of random searches does not exceed."""
        if not 0 <= q <= 1:
            raise BadInput(f"a quantile is a share between 0 and 1, not {q}.")
        # The tolerance absorbs the rounding of the cumulative sum; q = 0 gives the worst score that can be picked.
        index = np.searchsorted(self._cumulative[1:], max(q - 1e-12, 1e-15), side="left")
        return float(self._scores[min(int(index), self._scores.size - 1)])

    def percentile(self, score: float) -> float:
        """Share (0 to 1) of random searches that end below ``score``, those that end at it counting half."""
        return float(self.percentiles([score])[0])

    def percentiles(self, scores: ArrayLike) -> Floats:
        """`percentile` of each of the scores."""
        scores = as_scores(scores)
        margin = SAME_SCORE * np.abs(scores)
        less = self._cumulative[np.searchsorted(self._scores, scores - margin, side="left")]
        not_above = self._cumulative[np.searchsorted(self._scores, scores + margin, side="right")]
        return np.asarray((less + not_above) / 2, dtype=np.float64)

    def expected_best_proxy(self, k: int) -> float:
        """Expected proxy score of the cell that a random search of ``k`` evaluations picks from this table."""
        return float(proxy_curve(self.proxy, [k])[0][0])


def proxy_curve(proxy: ArrayLike, ks: Sequence[int] | NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """The best proxy score so far of exact random search after each number of evaluations in ``ks``.

    Args:
        proxy: [N] proxy score of every cell of the space.
        ks: numbers of evaluations, each at least 1.

    Returns:
        mean, 25 % and 75 % quantile, each [len(ks)].
    """
    best_first = -np.sort(-as_scores(proxy, "proxy scores"))
    mean, low, high = (np.empty(len(ks)) for _ in range(3))
    for i, k in enumerate(ks):
        none_of_best = _none_of_best(best_first.size, k)
        mean[i] = -(np.diff(none_of_best) * best_first).sum()  # a BLAS product would wait for threads on busy cores
        # The best proxy is at most that of rank j (from 0) unless one of the j better cells was drawn; a quantile is
        # the smallest proxy, hence the last rank, at which that probability still reaches q.
        low[i], high[i] = (best_first[np.count_nonzero(none_of_best[:-1] >= q - 1e-12) - 1] for q in (0.25, 0.75))
    return mean, low, high


def resampled_curve(scores: ArrayLike, ks: Sequence[int] | NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """The best score so far of random search, estimated from ``m`` random architectures of an unlisted space.

    Draws k times with replacement from the m scores, in closed form: P(best <= i-th smallest) = (i / m)^k. The curve
    cannot exceed the best of the m and flattens towards it as k approaches m, where the real one would go on rising:
    past a fraction of m it is a lower bound.

    Args:
        scores: [m] scores of independent random architectures.
        ks: numbers of evaluations, each at least 1.

    Returns:
        mean, 25 % and 75 % quantile, each [len(ks)].
    """
    worst_first = np.sort(as_scores(scores))
    steps = np.arange(worst_first.size + 1) / worst_first.size
    mean, low, high = (np.empty(len(ks)) for _ in range(3))
    for i, k in enumerate(ks):
        _check_evaluations(k)
        cumulative = steps**k
        mean[i] = np.diff(cumulative) @ worst_first
        low[i], high[i] = (worst_first[np.searchsorted(cumulative[1:], q - 1e-12)] for q in (0.25, 0.75))
    return mean, low, high


def rank_test(u: ArrayLike) -> tuple[float, float]:
    """Test whether runs with the percentiles ``u`` [n] (0 to 1) are just random searches.

    Under that hypothesis each percentile is uniform, with mean 1/2 and variance 1/12 (less where scores tie, which
    errs on the safe side), so z = (mean(u) - 1/2) * sqrt(12 n) is close to normal from five runs on.

    Returns:
        the mean percentile (0 to 1) and the two-sided p-value.
    """
    u = as_scores(u, "percentiles")
    if ((u < 0) | (u > 1)).any():
        raise BadInput("percentiles must lie between 0 and 1.")
    mean = float(u.mean())
    return mean, float(2 * special.ndtr(-abs(mean - 0.5) * math.sqrt(12 * u.size)))


def _none_of_best(size: int, k: int) -> Floats:
    """[size + 1]: probability that k draws without replacement contain none of the best j cells, j = 0..size.

    C(N - j, k) / C(N, k) as a running product of 1 - k / (N - i): differences of log-gammas of large N would cancel.
    """
    _check_evaluations(k)
    probability = np.zeros(size + 1)
    left = np.arange(size, k, -1)  # N, ..., k + 1 cells, from which the k could all still be drawn; none if k >= N
    probability[0] = 1.0
    probability[1 : left.size + 1] = np.exp(np.cumsum(np.log1p(-k / left)))
    return probability


def _share_within_ties(ordered: Floats, weights: Floats) -> Floats:
    """Replace the weights of equal neighbours of the ordered scores by their average."""
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) != 0]))
    lengths = np.diff(np.concatenate([starts, [ordered.size]]))
    return np.asarray(np.repeat(np.add.reduceat(weights, starts) / lengths, lengths), dtype=np.float64)


def _check_evaluations(k: int) -> None:
    if k < 1:
        raise BadInput(f"random search needs at least 1 evaluation, not {k}.")

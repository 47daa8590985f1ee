"""Comparing the runs of a method with a baseline: relative improvement, its interval, and tests.

Throughout, ``y`` holds one final score per independent run of the method and ``x`` one score per member of the baseline
(a random architecture, or a run of random search); higher is better. Given the test images the two samples are
independent, so nothing here is paired.

The functions are pure arithmetic. Where too few runs make an answer meaningless it is ``None``, never NaN: a single run
has no variance, hence no interval and no p-value. How many runs a *verdict* asks for is decided in ``verdict.py``.

A group whose scores are all the same has variance zero. If that holds for both groups the limit is taken: the interval
is the point itself, and p is 1 where the means agree and 0 where they differ.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from nasbench.core.errors import BadInput

CONFIDENCE = 0.95
"""Level of every interval."""

MAX_SPLITS = 200_000
"""Up to this many splits the permutation test looks at every one; beyond it the Mann-Whitney test takes over."""


@dataclass(frozen=True, slots=True)
class RelativeImprovement:
    """How far a method's mean lies above the baseline's, in percent of the baseline's mean.

    ``low`` and ``high`` bound the 95 % interval; they, ``standard_error`` (percent) and ``degrees_of_freedom`` are None
    where a single run allows no interval. ``degrees_of_freedom`` is None too where no score varies at all.
    """

    value: float
    low: float | None
    high: float | None
    standard_error: float | None
    degrees_of_freedom: float | None

    def excludes_zero(self) -> bool:
        """Whether there is an interval and it does not contain zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class _Moments:
    """Size, mean and variance (ddof 1; None for a single score) of a sample."""

    size: int
    mean: float
    variance: float | None


def as_scores(values: ArrayLike, name: str = "scores") -> NDArray[np.float64]:
    """Return the scores as a flat array of floats.

    Raises BadInput for an empty list or a value that is not finite: a failed run is scored at its real accuracy or at
    chance, never left out and never NaN.
    """
    scores = np.asarray(values, dtype=np.float64).ravel()
    if scores.size == 0:
        raise BadInput(f"{name}: there are none; at least one is needed.")
    if not np.isfinite(scores).all():
        raise BadInput(f"{name}: every value must be a finite number; score a failed run at chance.")
    return scores


def relative_improvement(y: ArrayLike, x: ArrayLike) -> RelativeImprovement:
    """Relative improvement of the runs ``y`` [n] over the baseline ``x`` [m], in percent, with its 95 % interval.

    ``100 * (mean(y) - mean(x)) / mean(x)`` (Yang et al., "NAS evaluation is frustratingly hard", ICLR 2020, section 3).
    The interval is that of the delta method with Welch's degrees of freedom; the percentile bootstrap would be far too
    narrow for a handful of runs. The denominator is the size of the baseline's mean, so that a gain is positive also
    where scores are negative.

    Raises BadInput where the baseline's mean is zero.
    """
    method, baseline = _moments(as_scores(y)), _moments(as_scores(x, "baseline scores"))
    value = _relative(method.mean, baseline.mean)
    if method.variance is None or baseline.variance is None:
        return RelativeImprovement(value, None, None, None, None)
    a, b = method.variance / method.size, baseline.variance / baseline.size
    error = 100 * math.sqrt(a / baseline.mean**2 + method.mean**2 * b / baseline.mean**4)
    return _interval(value, error, _welch_degrees_of_freedom(method, baseline))


def relative_improvement_exact(y: ArrayLike, mean: float) -> RelativeImprovement:
    """Relative improvement of the runs ``y`` [n] over a baseline whose mean is known exactly, in percent.

    For spaces that were evaluated as a whole: the baseline has no sampling error, so the interval is the one-sample one
    with n - 1 degrees of freedom, the limit of `relative_improvement` for infinitely many random architectures.

    Raises BadInput where the baseline's mean is zero.
    """
    method = _moments(as_scores(y))
    value = _relative(method.mean, mean)
    if method.variance is None:
        return RelativeImprovement(value, None, None, None, None)
    error = 100 * math.sqrt(method.variance / method.size) / abs(mean)
    return _interval(value, error, method.size - 1 if error > 0 else None)


def welch(y: ArrayLike, x: ArrayLike) -> float | None:
    """Two-sided p-value of Welch's t-test that ``y`` [n] and ``x`` [m] have one mean; None where n or m is 1."""
    method, baseline = _moments(as_scores(y)), _moments(as_scores(x, "baseline scores"))
    if method.variance is None or baseline.variance is None:
        return None
    error = math.sqrt(method.variance / method.size + baseline.variance / baseline.size)
    return _t_test(method.mean - baseline.mean, error, _welch_degrees_of_freedom(method, baseline))


def one_sample_t(y: ArrayLike, mean: float) -> float | None:
    """Two-sided p-value of the t-test that the runs ``y`` [n] have the known mean; None for a single run."""
    method = _moments(as_scores(y))
    if method.variance is None:
        return None
    error = math.sqrt(method.variance / method.size)
    return _t_test(method.mean - mean, error, method.size - 1 if error > 0 else None)


def permutation_test(y: ArrayLike, x: ArrayLike) -> float | None:
    """Two-sided p-value of the permutation test on the difference of means; None where n or m is 1.

    Exact, over all C(n + m, n) splits (the observed one among them, so p is never below 1 / C(n + m, n)), up to
    `MAX_SPLITS` of them; beyond, the Mann-Whitney test, held to the same bound.
    """
    y, x = as_scores(y), as_scores(x, "baseline scores")
    if y.size < 2 or x.size < 2:
        return None
    smaller, larger = (y, x) if y.size <= x.size else (x, y)
    pooled = np.concatenate([smaller, larger])
    splits = math.comb(pooled.size, smaller.size)
    if splits > MAX_SPLITS:
        from scipy import stats  # a second to import, and seldom needed

        p = float(stats.mannwhitneyu(y, x, alternative="two-sided").pvalue)
        return min(1.0, max(p, 1 / splits)) if math.isfinite(p) else 1.0
    chosen = np.fromiter(
        itertools.chain.from_iterable(itertools.combinations(range(pooled.size), smaller.size)),
        dtype=np.intp,
        count=splits * smaller.size,
    ).reshape(splits, smaller.size)
    # Given the pooled scores the difference of means is a function of one group's sum. Centring first keeps the
    # rounding far below the tolerance, which counts splits that tie with the observed one as ties.
    centred = pooled - pooled.mean()
    distances = np.abs(centred[chosen].sum(axis=1))
    tolerance = 1e-9 * max(float(np.abs(centred).max()), np.finfo(np.float64).tiny)
    return float(np.count_nonzero(distances >= distances[0] - tolerance)) / splits


def mean_interval(y: ArrayLike) -> tuple[float, float] | None:
    """The 95 % t interval (low, high) of the mean of ``y``; None for a single score."""
    sample = _moments(as_scores(y))
    if sample.variance is None:
        return None
    half = _t_quantile(sample.size - 1) * math.sqrt(sample.variance / sample.size)
    return sample.mean - half, sample.mean + half


def probability_of_improvement(y: ArrayLike, x: ArrayLike) -> float:
    """Share of the pairs of a score of ``y`` and one of ``x`` that ``y`` wins, a tie counting half; 0 to 1."""
    y, x = as_scores(y), np.sort(as_scores(x, "baseline scores"))
    below, not_above = np.searchsorted(x, y, side="left"), np.searchsorted(x, y, side="right")
    return float((below + not_above).mean() / (2 * x.size))


def _moments(scores: NDArray[np.float64]) -> _Moments:
    if scores.size == 1:
        return _Moments(1, float(scores[0]), None)
    if (scores == scores[0]).all():
        return _Moments(scores.size, float(scores[0]), 0.0)  # numpy's sums would leave a variance of some 1e-28
    return _Moments(scores.size, float(scores.mean()), float(scores.var(ddof=1)))


def _relative(mean: float, baseline_mean: float) -> float:
    if baseline_mean == 0 or not math.isfinite(baseline_mean):
        raise BadInput(f"a relative improvement needs a baseline with a mean other than zero, not {baseline_mean}.")
    return 100 * (mean - baseline_mean) / abs(baseline_mean)


def _welch_degrees_of_freedom(method: _Moments, baseline: _Moments) -> float | None:
    """Welch-Satterthwaite degrees of freedom of the difference of two means; None where neither sample varies."""
    assert method.variance is not None and baseline.variance is not None
    a, b = method.variance / method.size, baseline.variance / baseline.size
    if a + b == 0:
        return None
    share_a, share_b = a / (a + b), b / (a + b)  # shares first: the squares of tiny variances would underflow
    return 1 / (share_a**2 / (method.size - 1) + share_b**2 / (baseline.size - 1))


def _interval(value: float, error: float, degrees_of_freedom: float | None) -> RelativeImprovement:
    half = 0.0 if degrees_of_freedom is None else _t_quantile(degrees_of_freedom) * error
    return RelativeImprovement(value, value - half, value + half, error, degrees_of_freedom)


def _t_quantile(degrees_of_freedom: float) -> float:
    return float(special.stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))


def _t_test(difference: float, error: float, degrees_of_freedom: float | None) -> float:
    if degrees_of_freedom is None:
        return 1.0 if difference == 0 else 0.0
    return float(2 * special.stdtr(degrees_of_freedom, -abs(difference) / error))

"""Comparing several methods over several data sets, and a search over its course.

Sources: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006 (ranks, Friedman,
Nemenyi); Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021
(interquartile mean, stratified bootstrap, performance profile, probability of improvement).

Scores of different data sets are not on one scale: normalise them (`normalised_scores`) before pooling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from nasbench.core.errors import BadInput
from nasbench.protocol.statistics import CONFIDENCE, as_scores, probability_of_improvement

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


def holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p-values [n], in the given order: below alpha keeps the chance of any false find below alpha."""
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    return _unsort(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Benjamini and Hochberg's adjusted p-values [n]: below alpha keeps the share of false finds below alpha."""
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * p.size / np.arange(1, p.size + 1)
    return _unsort(np.minimum.accumulate(stepped[::-1])[::-1], order)


def ranks(scores: ArrayLike) -> Floats:
    """Ranks of the methods within each data set: 1 for the highest score, the average rank for ties.

    Args:
        scores: [methods, data sets].

    Returns:
        [methods, data sets]; its mean over the data sets is a method's average rank.
    """
    from scipy import stats  # a second to import

    return np.asarray(stats.rankdata(-_table(scores), axis=0), dtype=np.float64)


def friedman(scores: ArrayLike) -> tuple[float, float]:
    """Friedman's test that all methods do equally well over the data sets.

    Args:
        scores: [methods, data sets], at least 3 methods and 2 data sets.

    Returns:
        the chi-squared statistic, corrected for ties, and its p-value; 0 and 1 where all scores of every data set tie.
    """
    table = _table(scores)
    methods, data_sets = table.shape
    if methods < 3 or data_sets < 2:
        raise BadInput(f"Friedman's test needs 3 methods and 2 data sets, not {methods} and {data_sets}.")
    rank = ranks(table)
    middle = (methods + 1) / 2
    spread = float(((rank - middle) ** 2).sum())  # smaller the more scores tie
    if spread == 0:
        return 0.0, 1.0
    statistic = (methods - 1) * data_sets**2 * float(((rank.mean(axis=1) - middle) ** 2).sum()) / spread
    return statistic, float(special.chdtrc(methods - 1, statistic))


def nemenyi_critical_distance(methods: int, data_sets: int, level: float = 0.05) -> float:
    """How far two average ranks must lie apart before the Nemenyi test calls them different at the given level."""
    if methods < 2 or data_sets < 1:
        raise BadInput(f"the critical distance needs 2 methods and 1 data set, not {methods} and {data_sets}.")
    from scipy import stats  # a second to import

    q = float(stats.studentized_range.ppf(1 - level, methods, math.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * data_sets))


def normalised_scores(scores: ArrayLike, random_mean: float, scale: float) -> Floats:
    """Scores [n] of one data set as (score - random_mean) / scale.

    On a table ``scale`` is the best score of the space minus ``random_mean``, so that 0 is the average random
    architecture and 1 the optimum; where the baseline was trained it is the standard deviation of the random scores.
    """
    if not scale > 0:
        raise BadInput(f"the scale of normalised scores must be positive, not {scale}.")
    return (as_scores(scores) - random_mean) / scale


def interquartile_mean(scores: ArrayLike, axis: int | None = None) -> Floats:
    """Mean of the middle half of the scores along ``axis`` (all of them for None).

    A quarter of the n scores, rounded down, is dropped on each side. Returns a zero-dimensional array for axis None.
    """
    values = np.asarray(scores, dtype=np.float64)
    if axis is None:
        values, axis = values.ravel(), 0
    ordered = np.sort(np.moveaxis(values, axis, -1), axis=-1)
    count = ordered.shape[-1]
    if count == 0:
        raise BadInput("there are no scores to average.")
    return np.asarray(ordered[..., count // 4 : count - count // 4].mean(axis=-1), dtype=np.float64)


def stratified_bootstrap(
    scores: Sequence[ArrayLike],
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    repetitions: int = 2000,
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic of runs pooled over data sets.

    Runs are resampled within each data set, which stay fixed: the interval speaks of other runs on the same data sets.
    It is too narrow where the pooled runs are few (some 20 or less).

    Args:
        scores: one array of runs per data set, normalised; lengths may differ.
        statistic: maps resampled scores [repetitions, all runs] to one value each [repetitions].
        rng: source of the resampling.
        repetitions: number of resamples.

    Returns:
        low and high.
    """
    if not scores:
        raise BadInput("a bootstrap over data sets needs at least one data set.")
    if repetitions < 1:
        raise BadInput(f"a bootstrap needs at least 1 repetition, not {repetitions}.")
    parts = []
    for data_set in scores:
        runs = as_scores(data_set)
        parts.append(runs[rng.integers(0, runs.size, size=(repetitions, runs.size))])
    values = statistic(np.concatenate(parts, axis=1))
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def average_probability_of_improvement(y: Sequence[ArrayLike], x: Sequence[ArrayLike]) -> float:
    """Mean over data sets of the probability (0 to 1) that a run of ``y`` beats one of ``x``, ties counting half."""
    if not y or len(y) != len(x):
        raise BadInput(f"{len(y)} data sets of one method but {len(x)} of the other: both need the same ones.")
    return float(np.mean([probability_of_improvement(a, b) for a, b in zip(y, x, strict=True)]))


def performance_profile(scores: Sequence[ArrayLike], thresholds: ArrayLike) -> Floats:
    """Share (0 to 1) of runs above each threshold [t], averaged over the data sets with equal weight."""
    if not scores:
        raise BadInput("a performance profile needs at least one data set.")
    limits = np.asarray(thresholds, dtype=np.float64)
    shares = [(as_scores(runs)[:, None] > limits).mean(axis=0) for runs in scores]
    return np.asarray(np.mean(shares, axis=0), dtype=np.float64)


def simple_regret_curve(proxy: ArrayLike, final: ArrayLike, best: float) -> Floats:
    """Simple regret after each evaluation of one run: best final score of the space minus that of the incumbent.

    The incumbent is what the search would recommend then, the evaluation with the best proxy so far (the earlier one
    of equals). The curve is a step function and need not fall everywhere: a better proxy can have a worse final score.
    With ``final`` equal to ``proxy`` it is the proxy regret, which never rises.

    Args:
        proxy: [B] proxy score of each evaluation, in the order of the search.
        final: [B] final score of the same architectures, looked up after the search.
        best: best final score known of the space.

    Returns:
        [B] regret in the unit of the final score.
    """
    proxy, final = as_scores(proxy, "proxy scores"), as_scores(final, "final scores")
    if proxy.size != final.size:
        raise BadInput(f"{proxy.size} proxy scores but {final.size} final scores: one each per evaluation.")
    improves = np.concatenate([[True], proxy[1:] > np.maximum.accumulate(proxy)[:-1]])
    incumbent = np.maximum.accumulate(np.where(improves, np.arange(proxy.size), 0))
    return best - final[incumbent]


def regret_area(curve: ArrayLike) -> float:
    """Mean simple regret over evaluations 1..B, linear in evaluations."""
    return float(as_scores(curve, "regrets").mean())


def duplicate_columns(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of columns that hold the very same values, each as (earlier, later).

    Two methods never score the same in every run: one of the two columns is a copy. Equal up to the order of the rows
    counts as the same.
    """
    first: dict[tuple[float, ...], str] = {}
    pairs = []
    for position, name in enumerate(frame.columns):
        values = tuple(np.sort(frame.iloc[:, position].dropna().to_numpy(dtype=np.float64)).tolist())
        if not values:
            continue
        if values in first:
            pairs.append((first[values], str(name)))
        else:
            first[values] = str(name)
    return pairs


def _p_values(values: ArrayLike) -> Floats:
    p = np.asarray(values, dtype=np.float64).ravel()
    if not ((p >= 0) & (p <= 1)).all():
        raise BadInput("p-values must lie between 0 and 1.")
    return p


def _unsort(ordered: Floats, order: NDArray[np.intp]) -> Floats:
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


def _table(scores: ArrayLike) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise BadInput("ranks need a table of finite scores, one row per method and one column per data set.")
    return table

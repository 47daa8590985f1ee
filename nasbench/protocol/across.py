"""Methods over several data sets at once: normalised scores, their interquartile mean, ranks, who beats whom.

Sources: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006 (ranks, Friedman,
Nemenyi); Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021
(interquartile mean over runs and data sets, stratified bootstrap, performance profile, probability of improvement).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.protocol.comparisons import (
    Floats,
    average_probability_of_improvement,
    friedman,
    interquartile_mean,
    nemenyi_critical_distance,
    normalised_scores,
    performance_profile,
    ranks,
    stratified_bootstrap,
)
from nasbench.protocol.power import LEVEL
from nasbench.protocol.statistics import CONFIDENCE, as_scores

MIN_DATA_SETS = 5
"""Fewest data sets over which ranks are tested."""

FEW_POOLED_RUNS = 20
"""With fewer pooled runs than this the bootstrap's interval is known to be too narrow."""

REPETITIONS = 2000
THRESHOLDS = 101

Scale = Literal["optimum", "standard deviation"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Ranking:
    """Friedman's test over data sets and, after it, Nemenyi's. ``distance`` is the critical difference of average
    ranks; ``cliques`` the groups (method numbers, best first) that lie within it."""

    statistic: float
    p_value: float
    distance: float
    cliques: list[list[int]]

    @property
    def differs(self) -> bool:
        """Whether Friedman's test finds any difference; otherwise no pair may be called different."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class Across:
    """All methods on all data sets; methods are in the order of their average rank.

    Attributes:
        scale: 1 is the best of the space ("optimum"), or one standard deviation of random architectures; 0 is the
            average random architecture in both cases.
        normalised: for each method, for each data set, the normalised scores of its runs.
        iqm, iqm_intervals: interquartile mean over runs and data sets, and its 95 % interval by stratified bootstrap.
        average_ranks: 1 is best.
        wins, win_intervals: [i][j] is the probability (0 to 1) that a run of method i beats one of j, mean over data
            sets, with its 95 % interval by stratified bootstrap; None for i = j.
        thresholds, profile: share of runs above each threshold, [methods, thresholds].
        ranking: None where ranks are not tested; ``no_ranking`` then says why.
    """

    methods: list[str]
    data_sets: list[str]
    scale: Scale
    normalised: list[list[Floats]]
    iqm: list[float]
    iqm_intervals: list[Interval]
    average_ranks: list[float]
    wins: list[list[float | None]]
    win_intervals: list[list[Interval | None]]
    thresholds: Floats
    profile: Floats
    ranking: Ranking | None
    no_ranking: str | None

    @property
    def few_runs(self) -> bool:
        """Whether some method has so few pooled runs that its intervals are too narrow."""
        return min(sum(runs.size for runs in method) for method in self.normalised) < FEW_POOLED_RUNS


def common_scale(baselines: Sequence[Mapping[str, Any]]) -> tuple[Scale, list[Interval]]:
    """Return one kind of scale for all data sets, and (zero, unit) of each: score = zero + unit * normalised score.

    From the average random architecture to the optimum where every space was evaluated as a whole, whose baseline's
    histogram ends at the best score; otherwise standard deviations of the random architectures, for all of them alike.

    Raises BadInput where a baseline is missing or does not vary.
    """
    exact = all(baseline.get("source") == "table-exact" and baseline.get("histogram") for baseline in baselines)
    scales = []
    for baseline in baselines:
        mean, std = baseline.get("mean"), baseline.get("std")
        unit = max(baseline["histogram"]["edges"]) - mean if exact else std
        if mean is None or not unit or not unit > 0:
            raise BadInput("a data set has no random baseline to normalise its scores by.")
        scales.append((float(mean), float(unit)))
    return "optimum" if exact else "standard deviation", scales


def compare_over_data_sets(
    scores: Mapping[str, Sequence[Sequence[float]]],
    data_sets: Sequence[str],
    baselines: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
) -> Across:
    """Compare methods over data sets.

    Args:
        scores: test accuracies in percent; by method, for each data set, one a run.
        data_sets: their names.
        baselines: JSON object of each data set's random architectures.
        rng: source of the bootstrap.

    Raises BadInput with fewer than two methods or data sets, or without a baseline.
    """
    if len(scores) < 2 or len(data_sets) < 2:
        raise BadInput(f"a comparison needs two methods and two data sets, not {len(scores)} and {len(data_sets)}.")
    scale, scales = common_scale(baselines)
    given = list(scores)
    means = np.array([[np.mean(runs) for runs in scores[method]] for method in given])
    by_rank = ranks(means).mean(axis=1)
    order = sorted(range(len(given)), key=lambda i: (by_rank[i], given[i]))
    methods, average = [given[i] for i in order], by_rank[order]
    normalised = [
        [normalised_scores(runs, zero, unit) for runs, (zero, unit) in zip(scores[method], scales, strict=True)]
        for method in methods
    ]
    pooled = [np.concatenate(runs) for runs in normalised]
    wins, win_intervals = _duels(normalised, rng)
    everything = np.concatenate(pooled)
    low, high = min(0.0, float(everything.min())), float(everything.max())
    thresholds = np.linspace(low - 0.01 * (high - low), high, THRESHOLDS)  # every run is above the first
    ranking, reason = _ranking(means[order], average)
    return Across(
        methods=methods,
        data_sets=list(data_sets),
        scale=scale,
        normalised=normalised,
        iqm=[float(interquartile_mean(runs)) for runs in pooled],
        iqm_intervals=[
            stratified_bootstrap(runs, lambda drawn: interquartile_mean(drawn, axis=1), rng, REPETITIONS)
            for runs in normalised
        ],
        average_ranks=average.tolist(),
        wins=wins,
        win_intervals=win_intervals,
        thresholds=thresholds,
        profile=np.array([performance_profile(runs, thresholds) for runs in normalised]),
        ranking=ranking,
        no_ranking=reason,
    )


def _duels(
    normalised: Sequence[Sequence[Floats]], rng: np.random.Generator
) -> tuple[list[list[float | None]], list[list[Interval | None]]]:
    count = len(normalised)
    wins: list[list[float | None]] = [[None] * count for _ in range(count)]
    intervals: list[list[Interval | None]] = [[None] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1, count):
            share = average_probability_of_improvement(normalised[i], normalised[j])
            low, high = improvement_interval(normalised[i], normalised[j], rng)
            wins[i][j], wins[j][i] = share, 1 - share
            intervals[i][j], intervals[j][i] = (low, high), (1 - high, 1 - low)
    return wins, intervals


def improvement_interval(
    y: Sequence[Floats], x: Sequence[Floats], rng: np.random.Generator, repetitions: int = REPETITIONS
) -> Interval:
    """The 95 % percentile interval of `average_probability_of_improvement`, runs resampled within each data set."""
    shares = np.zeros(repetitions)
    for a, b in zip(y, x, strict=True):
        a, b = as_scores(a), as_scores(b)
        # A pair of runs wins the same wherever it is drawn, so only how often each run is drawn has to be counted.
        won = (a[:, None] > b).astype(np.float64) + 0.5 * (a[:, None] == b)
        drawn_a = rng.multinomial(a.size, np.full(a.size, 1 / a.size), size=repetitions) / a.size
        drawn_b = rng.multinomial(b.size, np.full(b.size, 1 / b.size), size=repetitions) / b.size
        shares += np.einsum("ri,ij,rj->r", drawn_a, won, drawn_b, optimize=True)
    low, high = np.quantile(shares / len(y), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _ranking(means: Floats, average: Floats) -> tuple[Ranking | None, str | None]:
    methods, data_sets = means.shape
    if data_sets < MIN_DATA_SETS:
        return None, (
            f"Ranks over {data_sets} data sets are not tested and no critical difference is drawn: "
            f"that needs at least {MIN_DATA_SETS}."
        )
    if methods < 3:
        return None, "Friedman's test compares three methods or more; of two, the probability of improvement speaks."
    statistic, p_value = friedman(means)
    distance = nemenyi_critical_distance(methods, data_sets)
    return Ranking(statistic, p_value, distance, cliques(average, distance)), None


def cliques(average_ranks: Sequence[float] | Floats, distance: float) -> list[list[int]]:
    """Return the largest groups of methods whose average ranks, sorted, lie within the critical distance."""
    found: list[list[int]] = []
    for first, rank in enumerate(average_ranks):
        group = [i for i in range(first, len(average_ranks)) if average_ranks[i] - rank <= distance]
        if len(group) > 1 and (not found or group[-1] > found[-1][-1]):
            found.append(group)
    return found

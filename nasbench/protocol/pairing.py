"""Comparing two methods seed by seed, which is right only where a seed fixes something that both share.

Two searches with one seed are a pair if they began with the same candidates and the same scores (a population drawn
from the same generator, say). An equal seed alone makes no pair: methods that use their random numbers differently
share nothing, and a paired test would only lose power, or claim too much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nasbench.protocol.anytime import Course
from nasbench.protocol.statistics import as_scores, probability_of_improvement, welch
from nasbench.protocol.verdict import MIN_RUNS

MIN_PAIRS = 6
"""Fewest pairs that are tested: with five the signed-rank test cannot fall below 0.0625."""

SHARED_START = 5
"""Two searches are a pair if at least so many of their first evaluations are the same."""


@dataclass(frozen=True)
class PairOfMethods:
    """Two methods on one data set. ``p_value`` is None where there are too few runs.

    ``difference`` is that of the mean scores, first minus second; ``wins`` the probability (0 to 1) that a run of the
    first beats one of the second; ``why`` says why the runs are paired or not.
    """

    difference: float
    wins: float
    p_value: float | None
    test: str | None
    paired: bool
    why: str


def compare_two(
    scores: Mapping[int, float],
    others: Mapping[int, float],
    courses: Mapping[int, Course | None],
    other_courses: Mapping[int, Course | None],
) -> PairOfMethods:
    """Compare two methods by their final scores: paired by seed where pairing is real, by Welch's test elsewhere.

    Args:
        scores, others: final score of each run, by seed.
        courses, other_courses: what each run did, by seed; None where that is not known.
    """
    y, x = list(scores.values()), list(others.values())
    difference, wins = float(np.mean(y) - np.mean(x)), probability_of_improvement(y, x)
    paired, why = _is_paired(courses, other_courses)
    if paired:
        p_value = signed_rank_test([scores[seed] - others[seed] for seed in scores])
        return PairOfMethods(difference, wins, p_value, None if p_value is None else "signed rank", True, why)
    enough = min(len(y), len(x)) >= MIN_RUNS
    return PairOfMethods(difference, wins, welch(y, x) if enough else None, "Welch" if enough else None, False, why)


def _is_paired(courses: Mapping[int, Course | None], others: Mapping[int, Course | None]) -> tuple[bool, str]:
    if courses.keys() != others.keys():
        return False, "their seeds differ"
    starts = []
    for seed, course in courses.items():
        other = others[seed]
        if course is None or other is None:
            return False, "it is not known what the runs evaluated"
        starts.append(shared_start(course, other))
    if min(starts) < SHARED_START:
        return False, "runs with the same seed share nothing"
    return True, f"runs with the same seed share at least their first {min(starts)} evaluations"


def shared_start(course: Course, other: Course) -> int:
    """Return how many of their first evaluations two searches have in common, encoding and score."""
    count = 0
    for mine, theirs, a, b in zip(course.specs, other.specs, course.validation, other.validation, strict=False):
        if mine != theirs or a != b:
            break
        count += 1
    return count


def signed_rank_test(differences: ArrayLike) -> float | None:
    """Two-sided p-value of Wilcoxon's signed-rank test [n], exact also with ties; None below `MIN_PAIRS` pairs.

    Differences of zero are left out, as Wilcoxon did; if all are zero p is 1. The distribution of the rank sum over all
    sign patterns is built up rank by rank; ranks of ties are averages, hence counted in halves.
    """
    values = as_scores(differences, "differences")
    if values.size < MIN_PAIRS:
        return None
    values = values[values != 0]
    if values.size == 0:
        return 1.0
    sizes, place = np.unique(np.abs(values), return_inverse=True)
    counts = np.bincount(place, minlength=sizes.size)
    doubled = (2 * np.cumsum(counts) - counts + 1)[place]  # twice the average rank
    ways = np.zeros(int(doubled.sum()) + 1)
    ways[0] = 1.0
    for rank in doubled.tolist():
        added = np.zeros_like(ways)
        added[rank:] = ways[: ways.size - rank]
        ways = (ways + added) / 2
    positive = int(doubled[values > 0].sum())
    smaller = min(positive, ways.size - 1 - positive)
    return float(min(1.0, 2 * ways[: smaller + 1].sum()))

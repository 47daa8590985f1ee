"""Several objectives at once: domination, fronts, crowding and hypervolume. Costs throughout: smaller is better."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

Member = TypeVar("Member")


def dominations(costs: np.ndarray, violations: np.ndarray | None = None) -> np.ndarray:
    """Return [n, n] whether point i dominates point j: nowhere worse, somewhere better.

    ``costs`` are [n, objectives]. With ``violations`` [n] (0: all constraints are kept) the less violating of two
    points dominates, and costs decide between two that violate nothing (Deb et al., IEEE TEC 2002, definition 1).
    """
    points = len(costs)
    nowhere_worse = np.ones((points, points), dtype=bool)
    for column in costs.T:
        nowhere_worse &= column[:, None] <= column[None, :]
    # Nowhere worse in both directions means equal.
    dominates: np.ndarray = nowhere_worse & ~nowhere_worse.T
    if violations is not None:
        kept = violations == 0
        dominates &= kept[:, None] & kept[None, :]
        dominates |= violations[:, None] < violations[None, :]
    return dominates


def non_dominated_sort(costs: np.ndarray, violations: np.ndarray | None = None) -> np.ndarray:
    """Return the rank [n] of each point: 0 if nothing dominates it, k if nothing of rank k or above does.

    Fast non-dominated sorting of Deb et al., IEEE TEC 2002, section III-A, a front at a time; of two objectives by the
    sweep of Jensen, Reducing the run-time complexity of multiobjective EAs, IEEE TEC 2003.
    """
    if costs.shape[1] == 1:  # every cost is a front of its own: no need to take them off one by one
        broken = np.zeros(len(costs)) if violations is None else violations
        keys = np.stack([broken, np.where(broken == 0, costs[:, 0], 0.0)])
        return np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    if costs.shape[1] == 2:
        return _ranks_of_two(costs, np.zeros(len(costs)) if violations is None else violations)
    dominates = dominations(costs, violations)
    dominators = dominates.sum(axis=0)
    ranks = np.full(len(costs), -1, dtype=np.intp)
    rank = 0
    while len(front := np.flatnonzero(dominators == 0)):
        ranks[front] = rank
        dominators -= dominates[front].sum(axis=0)
        dominators[front] = -1
        rank += 1
    return ranks


def non_dominated(costs: np.ndarray) -> np.ndarray:
    """Return [n] whether no other point dominates this one. Of equal points all are kept; no [n, n] array is made."""
    left = np.lexsort(costs.T[::-1])  # whatever dominates a point stands before it
    kept = np.zeros(len(costs), dtype=bool)
    if costs.shape[1] == 2 and len(costs):
        ordered = costs[left]
        other = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))  # than the point before
        lower = np.append(True, ordered[1:, 1] < np.minimum.accumulate(ordered[:-1, 1]))
        kept[left] = lower[other][np.cumsum(other) - 1]
        return kept
    while len(left):
        first = costs[left[0]]
        rest = costs[left]
        equal = (rest == first).all(axis=1)
        kept[left[equal]] = True
        left = left[(rest < first).any(axis=1)]
    return kept


def crowding_distances(costs: np.ndarray) -> np.ndarray:
    """Return the crowding distance [n] of the points of one front; infinite at the ends of each objective.

    Deb et al., IEEE TEC 2002, section III-B: the sum over objectives of the gap between a point's two neighbours, as a
    share of the front's range. An objective in which all are equal adds nothing.
    """
    points, objectives = costs.shape
    distances = np.zeros(points)
    if points <= 2:
        return np.full(points, np.inf)
    for j in range(objectives):
        order = np.argsort(costs[:, j], kind="stable")
        values = costs[order, j]
        span = values[-1] - values[0]
        if span > 0:
            distances[order[1:-1]] += (values[2:] - values[:-2]) / span
            distances[order[[0, -1]]] = np.inf
    return distances


def hypervolume(costs: np.ndarray, reference: Sequence[float] | np.ndarray) -> float:
    """Return the exact volume between the points [n, objectives] and the reference point.

    It is in the product of the objectives' units. A point that is not better than the reference in every objective
    adds nothing. Up to three objectives by a sweep, beyond by the exclusive volumes of While, Bradstreet & Barone, A
    fast way of calculating exact hypervolumes, IEEE TEC 2012.
    """
    corner = np.asarray(reference, dtype=np.float64)
    inside = costs[(costs < corner).all(axis=1)]
    return _volume(np.unique(inside[non_dominated(inside)], axis=0), corner) if len(inside) else 0.0


class Front(Generic[Member]):
    """The non-dominated of all members added so far, with their costs [members, objectives]."""

    def __init__(self, objectives: int) -> None:
        self.members: list[Member] = []
        self.costs = np.empty((0, objectives))

    def extend(self, members: Sequence[Member], costs: np.ndarray) -> None:
        """Add members with their costs [members, objectives]; those that are dominated now are dropped."""
        together = np.concatenate([self.costs, costs])
        kept = non_dominated(together)
        self.members = [m for m, stays in zip([*self.members, *members], kept.tolist(), strict=True) if stays]
        self.costs = together[kept]

    def best_first(self) -> list[Member]:
        """Return the members, best by the first objective first, then by the further ones, then by how they print."""
        keys = [(row, repr(member)) for row, member in zip(self.costs.tolist(), self.members, strict=True)]
        return [self.members[i] for i in sorted(range(len(keys)), key=keys.__getitem__)]


def _ranks_of_two(costs: np.ndarray, violations: np.ndarray) -> np.ndarray:
    """Return what `non_dominated_sort` does, of two objectives."""
    feasible = np.flatnonzero(violations == 0)
    order = feasible[np.lexsort(costs[feasible].T[::-1])]
    lowest: list[float] = []  # of each front so far, in the second objective; they rise
    ranks, rank, before = [], 0, None
    for point in costs[order].tolist():
        if point != before:  # of equal points none dominates another
            rank, before = bisect_right(lowest, point[1]), point
            lowest[rank : rank + 1] = point[1:]
        ranks.append(rank)
    result = np.empty(len(costs), dtype=np.intp)
    result[order] = ranks
    if len(order) < len(costs):  # what violates more comes after all that violates less, whatever the costs
        broken = violations != 0
        result[broken] = len(lowest) + np.unique(violations[broken], return_inverse=True)[1]
    return result


def _volume(costs: np.ndarray, corner: np.ndarray) -> float:
    """Return the volume of distinct non-dominated points, all better than the corner, sorted by the first objective."""
    objectives = len(corner)
    if objectives == 1:
        return float(corner[0] - costs[0, 0])
    if objectives == 2:
        heights = np.concatenate([corner[1:], costs[:-1, 1]]) - costs[:, 1]
        return float(((corner[0] - costs[:, 0]) * heights).sum())
    if objectives == 3:
        return _swept_volume(costs, corner)
    costs = costs[np.argsort(-costs[:, -1], kind="stable")]
    whole = 0.0
    for i, point in enumerate(costs):
        # What a point adds to those after it: its own box without what they cover of it. They reach at least as far in
        # the last objective, so that the covered part is as deep as the box.
        covered = np.unique(np.maximum(costs[i + 1 :, :-1], point[:-1]), axis=0)
        covered_area = _volume(covered[non_dominated(covered)], corner[:-1]) if len(covered) else 0.0
        whole += (float(np.prod((corner - point)[:-1])) - covered_area) * float(corner[-1] - point[-1])
    return whole


def _swept_volume(costs: np.ndarray, corner: np.ndarray) -> float:
    """Sweep along the third objective and keep the area of the first two, a staircase, up to date.

    Fonseca, Paquete & Lopez-Ibanez, An improved dimension-sweep algorithm for the hypervolume indicator, CEC 2006.
    """
    right, top, end = corner.tolist()
    xs, ys = [-np.inf, right], [top, -np.inf]  # the staircase: xs rise, ys fall
    volume = area = 0.0
    ordered = costs[np.argsort(costs[:, 2], kind="stable")].tolist()
    for (x, y, z), after in zip(ordered, [*(row[2] for row in ordered[1:]), end], strict=True):
        first = bisect_left(xs, x)
        if ys[first - 1] > y and not (xs[first] == x and ys[first] <= y):
            last = first
            ceiling, left = ys[first - 1], x
            while ys[last] >= y:
                area += (xs[last] - left) * (ceiling - y)
                ceiling, left = ys[last], xs[last]
                last += 1
            area += (xs[last] - left) * (ceiling - y)
            xs[first:last], ys[first:last] = [x], [y]
        volume += area * (after - z)
    return volume

"""Fronts, crowding and hypervolume against their definitions."""

from __future__ import annotations

import itertools
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasbench.core.pareto import Front, crowding_distances, dominations, hypervolume, non_dominated, non_dominated_sort

SIDE = 6


@st.composite
def points(draw: st.DrawFn, most_objectives: int = 4, most: int = 14) -> np.ndarray:
    """Points of a small integer grid, so that ties and equal points are common."""
    shape = (draw(st.integers(1, most)), draw(st.integers(1, most_objectives)))
    return draw(arrays(np.int64, shape, elements=st.integers(0, SIDE))).astype(np.float64)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def ranks_by_definition(costs: np.ndarray, violations: np.ndarray) -> list[int]:
    def better(i: int, j: int) -> bool:
        if violations[i] == violations[j] == 0:
            return dominates(costs[i], costs[j])
        return bool(violations[i] < violations[j])

    ranks: dict[int, int] = {}
    left, rank = set(range(len(costs))), 0
    while left:
        front = {j for j in left if not any(better(i, j) for i in left)}
        ranks.update(dict.fromkeys(front, rank))
        left, rank = left - front, rank + 1
    return [ranks[i] for i in range(len(costs))]


@given(points(), st.data())
def test_ranks_are_those_of_the_quadratic_definition(costs: np.ndarray, data: st.DataObject) -> None:
    free = np.zeros(len(costs))
    assert non_dominated_sort(costs).tolist() == ranks_by_definition(costs, free)
    assert (non_dominated(costs) == (non_dominated_sort(costs) == 0)).all()
    violations = data.draw(arrays(np.float64, len(costs), elements=st.sampled_from([0.0, 0.0, 0.5, 2.0, np.inf])))
    assert non_dominated_sort(costs, violations).tolist() == ranks_by_definition(costs, violations)


def test_a_point_that_keeps_the_constraints_dominates_one_that_does_not() -> None:
    costs, violations = np.array([[9.0, 9.0], [1.0, 1.0], [0.0, 0.0]]), np.array([0.0, 0.2, 0.3])
    expected = [[False, True, True], [False, False, True], [False, False, False]]
    assert dominations(costs, violations).tolist() == expected
    assert non_dominated_sort(costs, violations).tolist() == [0, 1, 2]


@given(points(), st.data())
def test_hypervolume_counts_the_cells_of_the_grid(costs: np.ndarray, data: st.DataObject) -> None:
    reference = np.array(data.draw(st.lists(st.integers(1, SIDE), min_size=costs.shape[1], max_size=costs.shape[1])))
    cells = np.array(list(itertools.product(*(range(edge) for edge in reference))))
    covered = (costs[:, None, :] <= cells[None, :, :]).all(axis=2).any(axis=0)
    assert hypervolume(costs, reference) == pytest.approx(covered.sum(), abs=1e-9)


def test_hypervolume_of_five_objectives_and_of_no_points() -> None:
    costs = np.random.default_rng(0).integers(0, 4, size=(12, 5)).astype(np.float64)
    cells = np.array(list(itertools.product(range(4), repeat=5)))
    covered = (costs[:, None, :] <= cells[None, :, :]).all(axis=2).any(axis=0).sum()
    assert hypervolume(costs, [4] * 5) == pytest.approx(covered)
    assert hypervolume(np.empty((0, 3)), [1, 1, 1]) == 0.0
    assert hypervolume(np.array([[1.0, 0.0]]), [1.0, 1.0]) == 0.0  # on the edge of the reference


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_of_real_numbers_against_sampling(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    costs = rng.random((30, objectives))
    samples = rng.random((200_000, objectives))
    share = np.zeros(len(samples), dtype=bool)
    for point in costs:
        share |= (point <= samples).all(axis=1)
    assert hypervolume(costs, [1.0] * objectives) == pytest.approx(share.mean(), abs=0.005)


def test_crowding_distances_of_a_worked_example() -> None:
    costs = np.array([[0.0, 10.0], [1.0, 4.0], [4.0, 2.0], [10.0, 0.0]])
    assert crowding_distances(costs).tolist() == [np.inf, 0.4 + 0.8, 0.9 + 0.4, np.inf]
    assert crowding_distances(np.array([[1.0, 2.0]] * 5)).tolist() == [0.0] * 5
    assert crowding_distances(np.array([[1.0, 2.0], [2.0, 1.0]])).tolist() == [np.inf, np.inf]


def crowding_by_definition(front: list[tuple[int, ...]], i: int) -> Fraction | float:
    """The gap between the neighbours of distinct values, as a share of the range, summed over the objectives."""
    total = Fraction(0)
    for j in range(len(front[0])):
        values = sorted(point[j] for point in front)
        place = values.index(front[i][j])
        if values[0] == values[-1]:
            continue
        if place in (0, len(values) - 1):
            return np.inf
        total += Fraction(values[place + 1] - values[place - 1], values[-1] - values[0])
    return total


@given(st.integers(3, 12), st.integers(1, 4), st.randoms(use_true_random=False))
def test_crowding_distances_are_those_of_the_definition(n: int, objectives: int, random: Random) -> None:
    columns = [random.sample(range(40), n) for _ in range(objectives)]  # no ties, which the definition leaves open
    front = list(zip(*columns, strict=True))
    expected = [float(crowding_by_definition(front, i)) for i in range(n)]
    assert crowding_distances(np.array(front, dtype=np.float64)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("objectives", [2, 3])
def test_the_ranks_of_many_points(objectives: int) -> None:
    costs = np.random.default_rng(objectives).integers(0, 30, size=(200, objectives)).astype(np.float64)
    costs[::7] = costs[3]  # equal points
    violations = np.where(np.arange(200) % 5 == 0, np.arange(200) % 4 / 2, 0.0)
    assert non_dominated_sort(costs, violations).tolist() == ranks_by_definition(costs, violations)
    assert non_dominated(costs).tolist() == [not any(dominates(a, b) for a in costs) for b in costs]


@given(points(most_objectives=3, most=7), st.data())
def test_hypervolume_by_inclusion_and_exclusion(costs: np.ndarray, data: st.DataObject) -> None:
    reference = np.array(data.draw(st.lists(st.integers(1, SIDE), min_size=costs.shape[1], max_size=costs.shape[1])))
    union = 0.0
    for size in range(1, len(costs) + 1):
        for chosen in itertools.combinations(costs, size):
            shared = np.clip(reference - np.max(chosen, axis=0), 0, None)
            union -= (-1) ** size * float(shared.prod())
    assert hypervolume(costs, reference) == pytest.approx(union, abs=1e-9)


@given(points(), st.integers(1, 5))
def test_a_front_grown_in_parts_is_the_front_of_all(costs: np.ndarray, size: int) -> None:
    front: Front[int] = Front(costs.shape[1])
    for start in range(0, len(costs), size):
        front.extend(range(start, min(start + size, len(costs))), costs[start : start + size])
    assert sorted(front.members) == np.flatnonzero(non_dominated(costs)).tolist()
    assert (front.costs == costs[front.members]).all()
    ordered = costs[front.best_first()]
    assert ordered.tolist() == sorted(ordered.tolist())

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nasbench.protocol.anytime import Course, course_of
from nasbench.protocol.pairing import SHARED_START, compare_two, shared_start, signed_rank_test
from tests.protocol.test_anytime import record

SEEDS = range(6)
HIGH = dict(zip(SEEDS, [93.0, 93.1, 93.2, 93.3, 93.4, 93.5], strict=True))
LOW = {seed: score - 0.1 - 0.001 * seed for seed, score in HIGH.items()}


def course(begins: str, ends: str) -> Course:
    found = course_of([record(i, letter, float(ord(letter))) for i, letter in enumerate(begins + ends)], chance=1)
    assert found is not None
    return found


def test_runs_that_share_their_first_evaluations_are_paired() -> None:
    first = {seed: course("abcde"[seed % 5 :] + "abcdef", "xy") for seed in SEEDS}
    second = {seed: course("abcde"[seed % 5 :] + "abcdef", "zz") for seed in SEEDS}
    found = compare_two(HIGH, LOW, first, second)
    assert found.paired and found.test == "signed rank"
    assert found.p_value == pytest.approx(2 / 2**6)
    assert found.why == "runs with the same seed share at least their first 7 evaluations"
    assert found.difference == pytest.approx(0.1025)
    assert compare_two(LOW, HIGH, second, first).p_value == found.p_value


def test_an_equal_seed_alone_makes_no_pair() -> None:
    first = {seed: course("abcd", "uv") for seed in SEEDS}
    second = {seed: course("abcd", "wx") for seed in SEEDS}
    assert shared_start(first[0], second[0]) == 4 < SHARED_START
    found = compare_two(HIGH, LOW, first, second)
    assert not found.paired and found.test == "Welch"
    assert found.p_value == pytest.approx(stats.ttest_ind([*HIGH.values()], [*LOW.values()], equal_var=False).pvalue)
    assert found.why == "runs with the same seed share nothing"


def test_other_seeds_or_unknown_courses_make_no_pair() -> None:
    known = {seed: course("abcdefg", "") for seed in SEEDS}
    shifted = {seed + 1: course for seed, course in known.items()}
    assert compare_two(HIGH, LOW, known, shifted).why == "their seeds differ"
    assert not compare_two(HIGH, LOW, known, known | {3: None}).paired
    assert compare_two(HIGH, LOW, known, known).paired


def test_a_shared_encoding_with_another_score_is_another_evaluation() -> None:
    a, b = course("abcdef", ""), course("abcdef", "")
    b.validation[2] += 1
    assert shared_start(a, b) == 2


def test_few_runs_are_not_tested() -> None:
    few = {seed: HIGH[seed] for seed in range(4)}
    courses = {seed: course("abcdef", "") for seed in few}
    found = compare_two(few, few, courses, courses)
    assert found.p_value is None and found.test is None and found.paired
    assert found.wins == 0.5


@given(st.lists(st.integers(-9, 9).filter(bool), min_size=6, max_size=12, unique_by=abs))
def test_the_signed_rank_test_is_wilcoxons(differences: list[int]) -> None:
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_test(differences) == pytest.approx(expected)


def test_the_signed_rank_test_with_ties_and_zeros() -> None:
    differences = np.array([1, 1, -1, 2, 2, 2, 3, 0])
    ranks = stats.rankdata(np.abs(differences[differences != 0]))
    signs = np.array(np.meshgrid(*[[0, 1]] * 7)).reshape(7, -1)
    sums, observed = ranks @ signs, ranks[differences[differences != 0] > 0].sum()
    middle = ranks.sum() / 2
    assert signed_rank_test(differences) == pytest.approx(np.mean(abs(sums - middle) >= abs(observed - middle)))
    assert signed_rank_test([0] * 6) == 1
    assert signed_rank_test([1, 2, 3, 4, 5]) is None
    assert signed_rank_test([1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 64)


def test_type_one_error_of_the_signed_rank_test() -> None:
    rng = np.random.default_rng(0)
    found = [signed_rank_test(rng.standard_t(3, 10)) for _ in range(1000)]
    assert 0.025 < np.mean([p is not None and p < 0.05 for p in found]) < 0.065

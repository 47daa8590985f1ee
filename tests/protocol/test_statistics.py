from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nasbench.core.errors import BadInput
from nasbench.protocol.comparisons import interquartile_mean
from nasbench.protocol.statistics import (
    MAX_SPLITS,
    mean_interval,
    one_sample_t,
    permutation_test,
    probability_of_improvement,
    relative_improvement,
    relative_improvement_exact,
    welch,
)
from tests.protocol.fixtures.yang2020 import DARTS_CIFAR10, RANDOM_DARTS_CIFAR10

samples = st.lists(st.integers(5000, 9999).map(lambda v: v / 100), min_size=2, max_size=6)


def test_identical_arrays_have_no_improvement_and_doubled_ones_have_100_percent() -> None:
    assert relative_improvement([93.1, 94.2, 92.8], [93.1, 94.2, 92.8]).value == 0
    doubled = relative_improvement([2, 2], [1, 1])
    assert doubled.value == 100
    assert (doubled.low, doubled.high, doubled.standard_error, doubled.degrees_of_freedom) == (100, 100, 0, None)


@given(samples, samples, st.floats(1e-3, 1e3))
def test_relative_improvement_does_not_depend_on_the_unit(y: list[float], x: list[float], factor: float) -> None:
    plain = relative_improvement(y, x)
    scaled = relative_improvement(np.multiply(y, factor), np.multiply(x, factor))
    for name in ("value", "low", "high", "standard_error"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-6, abs=1e-6)


def test_published_runs_of_darts_on_cifar10() -> None:
    y, x = DARTS_CIFAR10, RANDOM_DARTS_CIFAR10
    improvement = relative_improvement(y, x)
    assert improvement.value == pytest.approx(0.3224, abs=5e-5)
    assert improvement.low == pytest.approx(0.1106, abs=5e-5)
    assert improvement.high == pytest.approx(0.5342, abs=5e-5)
    assert improvement.degrees_of_freedom == pytest.approx(13.96, abs=5e-3)
    assert welch(y, x) == pytest.approx(0.005595, abs=5e-7)
    assert permutation_test(y, x) == pytest.approx(0.006682, abs=5e-7)
    assert probability_of_improvement(y, x) == pytest.approx(0.8828, abs=5e-5)
    assert interquartile_mean(y) == pytest.approx(97.255, abs=1e-9)


def test_exact_baseline_is_the_limit_of_infinitely_many_random_architectures() -> None:
    mean = 96.9225
    exact = relative_improvement_exact(DARTS_CIFAR10, mean)
    assert exact.degrees_of_freedom == len(DARTS_CIFAR10) - 1
    # 2 million random scores with a deviation of 1e-6 weigh as much as 2e18 with one of 1.
    huge = relative_improvement(DARTS_CIFAR10, np.tile([mean - 1e-6, mean + 1e-6], 1_000_000))
    for name in ("value", "low", "high", "standard_error", "degrees_of_freedom"):
        assert getattr(huge, name) == pytest.approx(getattr(exact, name), abs=1e-9)
    assert one_sample_t(DARTS_CIFAR10, mean) == pytest.approx(
        float(stats.ttest_1samp(DARTS_CIFAR10, mean).pvalue), rel=1e-9
    )


@pytest.mark.parametrize("runs", [3, 5, 8])
def test_the_interval_covers_the_true_improvement_in_95_percent_of_experiments(runs: int) -> None:
    """Normal scores with the spread of the DARTS space: method 97.23 and 0.20, random architectures 97.03 and 0.23."""
    rng = np.random.default_rng(runs)
    truth = 100 * (97.23 - 97.03) / 97.03
    covered = 0
    for _ in range(2000):
        improvement = relative_improvement(rng.normal(97.23, 0.20, runs), rng.normal(97.03, 0.23, runs))
        assert improvement.low is not None and improvement.high is not None
        covered += improvement.low <= truth <= improvement.high
    assert 0.93 <= covered / 2000 <= 0.97


@pytest.mark.filterwarnings("ignore:Precision loss")  # scipy, where one of the samples is constant
@given(samples, samples)
def test_welch_agrees_with_scipy(y: list[float], x: list[float]) -> None:
    if np.ptp(y) == 0 and np.ptp(x) == 0:
        assert welch(y, x) == (1.0 if y[0] == x[0] else 0.0)
    else:
        expected = float(stats.ttest_ind(y, x, equal_var=False).pvalue)
        assert welch(y, x) == pytest.approx(expected, rel=1e-7, abs=1e-12)


@given(samples, samples)
def test_permutation_p_lies_between_one_split_and_one(y: list[float], x: list[float]) -> None:
    p = permutation_test(y, x)
    assert p is not None
    assert 1 / math.comb(len(y) + len(x), len(y)) <= p <= 1
    assert p == permutation_test(x, y)


def test_permutation_counts_splits_by_hand() -> None:
    # Of the six splits of 1, 2, 3, 4 into pairs only {3, 4} and {1, 2} differ by as much as the observed 2.
    assert permutation_test([3, 4], [1, 2]) == pytest.approx(2 / 6)
    assert permutation_test([7, 7], [7, 7, 7]) == 1


def test_too_many_splits_fall_back_to_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    y, x = rng.normal(1, 1, 20), rng.normal(0, 1, 25)
    assert math.comb(45, 20) > MAX_SPLITS
    assert permutation_test(y, x) == pytest.approx(float(stats.mannwhitneyu(y, x).pvalue))
    assert permutation_test(np.ones(20), np.ones(25)) == 1


def test_a_single_run_has_neither_interval_nor_p() -> None:
    for improvement in (relative_improvement([94.0], [90.0, 92.0]), relative_improvement_exact([94.0], 91.0)):
        assert improvement.value == pytest.approx(100 * 3 / 91)
        assert (improvement.low, improvement.high) == (None, None)
        assert (improvement.standard_error, improvement.degrees_of_freedom) == (None, None)
        assert not improvement.excludes_zero()
    assert welch([94.0], [90.0, 92.0]) is None
    assert welch([94.0, 93.0], [90.0]) is None
    assert one_sample_t([94.0], 91.0) is None
    assert permutation_test([94.0], [90.0, 92.0]) is None
    assert permutation_test([94.0, 93.0], [90.0]) is None
    assert mean_interval([94.0]) is None
    assert probability_of_improvement([94.0], [90.0, 95.0]) == 0.5


def test_scores_that_never_vary() -> None:
    runs, baseline = [94.3733] * 7, [94.3733] * 3  # sums of 94.3733 round differently for 7 and for 3 terms
    assert welch(runs, baseline) == 1
    assert welch(runs, [90.0] * 3) == 0
    assert one_sample_t(runs, 94.3733) == 1
    assert one_sample_t(runs, 94.0) == 0
    assert mean_interval(runs) == (94.3733, 94.3733)
    assert relative_improvement(runs, baseline).value == 0
    one_varies = relative_improvement(runs, [90.0, 91.0, 92.0])
    assert one_varies.degrees_of_freedom == pytest.approx(2)  # only the three random architectures vary


def test_mean_interval_is_students() -> None:
    low, high = mean_interval([1.0, 2.0, 3.0]) or (math.nan, math.nan)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, loc=2, scale=1 / math.sqrt(3)))


@given(samples, samples)
def test_probability_of_improvement_counts_pairs(y: list[float], x: list[float]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in y for b in x]
    assert probability_of_improvement(y, x) == pytest.approx(np.mean(pairs))
    assert probability_of_improvement(y, x) + probability_of_improvement(x, y) == pytest.approx(1)


def test_a_gain_is_positive_also_where_scores_are_negative() -> None:
    assert relative_improvement([-1.0, -1.0], [-2.0, -2.0]).value == 50


@pytest.mark.parametrize("y", [[], [math.nan, 1.0], [math.inf, 1.0]])
def test_bad_scores_are_refused(y: list[float]) -> None:
    with pytest.raises(BadInput):
        relative_improvement(y, [1.0, 2.0])


def test_a_baseline_of_zero_is_refused() -> None:
    with pytest.raises(BadInput, match="zero"):
        relative_improvement([1.0, 2.0], [-1.0, 1.0])
    with pytest.raises(BadInput, match="zero"):
        relative_improvement_exact([1.0, 2.0], 0.0)


def test_random_search_as_a_method_is_significant_in_5_percent_of_trials() -> None:
    """Welch with ten runs a side, both the best of 8 from one skewed distribution."""
    rng = np.random.default_rng(1)
    trials = 2000
    scores = 97.6 - rng.gamma(3.0, 0.13, (trials, 2, 10, 8)).min(axis=3)
    p_values = [welch(y, x) for y, x in scores]
    significant = sum(p is not None and p < 0.05 for p in p_values) / trials
    assert 0.035 <= significant <= 0.065

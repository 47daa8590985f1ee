from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nasbench.core.errors import BadInput
from nasbench.protocol.power import (
    MAX_RUNS,
    runs_needed,
    runs_needed_by_rank,
    smallest_detectable_gain,
    welch_power,
)


@pytest.mark.parametrize(
    ("runs", "gain", "in_deviations"),
    [
        (3, 0.81, 3.5),
        (5, 0.48, 2.1),
        (8, 0.35, 1.5),
        (10, 0.31, 1.3),
        (15, 0.24, 1.06),
        (20, 0.21, 0.91),
        (30, 0.17, 0.74),
        (50, 0.13, 0.57),
    ],
)
def test_smallest_gain_that_is_seen(runs: int, gain: float, in_deviations: float) -> None:
    """In accuracy points for a deviation of 0.23, that of random architectures of the DARTS space."""
    assert smallest_detectable_gain(runs, 0.23, 0.23) == pytest.approx(gain, abs=0.005)
    assert smallest_detectable_gain(runs, 1, 1) == pytest.approx(in_deviations, rel=0.03)


@pytest.mark.parametrize(
    ("gain", "runs", "runs_if_exact"), [(0.5, 5, 4), (0.3, 10, 6), (0.2, 20, 10), (0.1, 74, 34), (-0.2, 20, 10)]
)
def test_runs_needed(gain: float, runs: int, runs_if_exact: int) -> None:
    assert runs_needed(gain, 0.20, 0.23) == runs
    assert runs_needed(gain, 0.20, 0.0) == runs_if_exact
    assert welch_power(gain, runs, 0.20, 0.23) >= 0.8 > welch_power(gain, runs - 1, 0.20, 0.23)


@pytest.mark.parametrize(("runs", "std", "baseline_std"), [(3, 0.2, 0.2), (4, 0.2, 0.03), (8, 0.1, 0.2)])
def test_power_agrees_with_simulated_experiments(runs: int, std: float, baseline_std: float) -> None:
    rng = np.random.default_rng(runs)
    y, x = rng.normal(0.3, std, (20_000, runs)), rng.normal(0, baseline_std, (20_000, runs))
    seen = (stats.ttest_ind(y, x, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert welch_power(0.3, runs, std, baseline_std) == pytest.approx(seen, abs=0.011)  # 3 standard errors


def test_power_against_an_exact_baseline_agrees_with_simulated_experiments() -> None:
    y = np.random.default_rng(0).normal(0.3, 0.2, (20_000, 5))
    seen = (stats.ttest_1samp(y, 0, axis=1).pvalue < 0.05).mean()
    assert welch_power(0.3, 5, 0.2, 0.0) == pytest.approx(seen, abs=0.011)


def test_extremes() -> None:
    assert runs_needed(0.0, 0.2, 0.2) is None
    assert runs_needed(1e-6, 0.2, 0.2) is None  # more than MAX_RUNS
    assert runs_needed(1e6, 0.2, 0.2) == 2
    assert runs_needed(0.1, 0.0, 0.0) == 2
    assert smallest_detectable_gain(5, 0.0, 0.0) == 0
    assert 0.03 < welch_power(0.0, 5, 0.2, 0.2) <= 0.05


def test_runs_needed_by_the_rank_test() -> None:
    """A method that beats 68 % of random searches needs about twenty runs; z = 0.18 * sqrt(12 n) must reach 2.80."""
    assert runs_needed_by_rank(0.68) == 21
    assert runs_needed_by_rank(0.32) == 21
    assert runs_needed_by_rank(0.5) is None
    assert runs_needed_by_rank(0.5 + 1 / MAX_RUNS) is None


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadInput):
        welch_power(1.0, 1, 0.2, 0.2)
    with pytest.raises(BadInput):
        welch_power(1.0, 5, -0.2, 0.2)
    with pytest.raises(BadInput):
        runs_needed(1.0, 0.2, 0.2, power=80)

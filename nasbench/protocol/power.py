"""How many runs a comparison needs, and how small a gain it can see.

Two-sided tests at the 5 % level with a power of 80 %: if the gain is real, four experiments out of five will show it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from nasbench.core.errors import BadInput

LEVEL = 0.05
"""Level of significance of every test."""

POWER = 0.8
"""Probability with which a real gain should be seen."""

MAX_RUNS = 1_000_000
"""Needs beyond this are answered by None: nobody will pay for them."""

_MIDPOINTS = (np.arange(200) + 0.5) / 200
"""Probabilities at whose quantiles the average over the variance ratio is taken."""


def welch_power(gain: float, runs: int, std: float, baseline_std: float) -> float:
    """Power of Welch's test on ``runs`` runs against as many of the baseline; 0 to 1.

    Exact for normal scores. Welch's degrees of freedom depend on the data only through the ratio of the two sample
    variances, which is independent of their pooled size, so the power is a noncentral t tail averaged over that ratio
    (a beta distribution). Taking the expected degrees of freedom instead would promise too much below five runs.

    Args:
        gain: true difference of the means, in the unit of the scores.
        runs: size of each of the two groups, at least 2.
        std: standard deviation of the method's runs.
        baseline_std: that of the baseline; 0 stands for a baseline whose mean is known exactly (a one-sample test).
    """
    if runs < 2:
        raise BadInput(f"a t-test needs at least 2 runs, not {runs}.")
    if std < 0 or baseline_std < 0:
        raise BadInput("a standard deviation cannot be negative.")
    if std == 0 and baseline_std == 0:
        return 1.0 if gain != 0 else LEVEL
    shift = abs(gain) / math.sqrt((std**2 + baseline_std**2) / runs)
    if std == 0 or baseline_std == 0:
        critical = np.asarray(special.stdtrit(runs - 1, 1 - LEVEL / 2), dtype=np.float64)
        return float(_outside(runs - 1, shift, critical))
    share = special.betaincinv((runs - 1) / 2, (runs - 1) / 2, _MIDPOINTS)  # of the method, in the sum of squares
    variance, baseline_variance = share * std**2, (1 - share) * baseline_std**2
    total = variance + baseline_variance
    degrees_of_freedom = (runs - 1) * total**2 / (variance**2 + baseline_variance**2)
    critical = np.asarray(special.stdtrit(degrees_of_freedom, 1 - LEVEL / 2), dtype=np.float64)
    return float(_outside(2 * (runs - 1), shift, critical * np.sqrt(2 * total / (std**2 + baseline_std**2))).mean())


def runs_needed(gain: float, std: float, baseline_std: float, power: float = POWER) -> int | None:
    """Fewest runs (of the method, and as many of the baseline) with which Welch's test sees ``gain``.

    Args:
        gain: true difference of the means, in the unit of the scores; its sign does not matter.
        std: standard deviation of the method's runs.
        baseline_std: that of the baseline; 0 for a baseline known exactly, which then costs no runs.
        power: probability of seeing it.

    Returns:
        the number of runs, at least 2, or None where the gain is zero or more than `MAX_RUNS` would be needed.
    """
    _check_power(power)
    if gain == 0 or welch_power(gain, MAX_RUNS, std, baseline_std) < power:
        return None
    too_few, enough = 1, 2
    while welch_power(gain, enough, std, baseline_std) < power:
        too_few, enough = enough, min(2 * enough, MAX_RUNS)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if welch_power(gain, middle, std, baseline_std) < power:
            too_few = middle
        else:
            enough = middle
    return enough


def smallest_detectable_gain(runs: int, std: float, baseline_std: float, power: float = POWER) -> float:
    """Smallest true gain, in the unit of the scores, that Welch's test sees with ``runs`` runs in each group."""
    _check_power(power)
    if std == 0 and baseline_std == 0:
        return 0.0
    scale = math.sqrt((std**2 + baseline_std**2) / runs)
    low, high = 0.0, scale
    while welch_power(high, runs, std, baseline_std) < power:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if welch_power(middle, runs, std, baseline_std) < power:
            low = middle
        else:
            high = middle
    return high


def runs_needed_by_rank(mean_percentile: float, power: float = POWER) -> int | None:
    """Fewest runs with which the rank test tells a method from random search.

    Args:
        mean_percentile: share (0 to 1) of random searches that a run beats on average.
        power: probability of seeing it.

    Returns:
        the number of runs, or None where the method beats exactly half or more than `MAX_RUNS` would be needed. Takes
        percentiles to vary as those of random search do, which is on the safe side for a method that is better.
    """
    _check_power(power)
    shift = abs(mean_percentile - 0.5) * math.sqrt(12)
    if shift < 1e-9:
        return None
    runs = math.ceil(((special.ndtri(1 - LEVEL / 2) + special.ndtri(power)) / shift) ** 2)
    return runs if runs <= MAX_RUNS else None


def _outside(degrees_of_freedom: float, shift: float, critical: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that a noncentral t variable lies outside -critical..critical."""
    upper = 1 - special.nctdtr(degrees_of_freedom, shift, critical)
    lower = special.nctdtr(degrees_of_freedom, shift, -critical)  # NaN far out, where it is zero
    return np.clip(upper + np.nan_to_num(lower, nan=0.0), 0.0, 1.0)


def _check_power(power: float) -> None:
    if not LEVEL < power < 1:
        raise BadInput(f"a power lies between {LEVEL} and 1, not {power}.")

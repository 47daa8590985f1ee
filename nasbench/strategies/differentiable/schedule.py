"""Cosine power annealing of a learning rate (Hundt, Jain, Hager, sharpDARTS, arXiv 1903.09900, 2019).

With u falling from 1 to 0 along half a cosine, the rate is low + (high - low) (p^u - 1) / (p - 1). The power p = 1 is
the cosine itself, its limit; a larger power falls faster early and slower late.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nasbench.core.errors import BadInput


class Moment(NamedTuple):
    """Where in the search an epoch is: the share of it done, 0 to 1, and the rate with which the weights learn."""

    progress: float
    learning_rate: float


def cosine_power(step: int, total: int, high: float, low: float, power: float) -> float:
    """Return the rate of ``step`` (0 to ``total`` - 1) by the formula of the paper: ``high`` at step 0.

    ``low`` would be reached at step ``total``. Raise BadInput for a power below 1 or a step outside the schedule.
    """
    _check(total, high, low, power)
    if not 0 <= step <= total:
        raise BadInput(f"step {step} lies outside a schedule of {total} steps.")
    return low + (high - low) * _proportion(step / total, power)


def cosine_power_reference(total: int, high: float, low: float, power: float, warmup: int = 0) -> list[float]:
    """Return the rates of the epochs 1 to ``total`` as the authors' program computes them.

    It takes the formula at t = 1 - warmup, ..., total - warmup of total - warmup epochs, then stretches the values so
    that their own maximum is ``high`` and their own minimum ``low``. Of a positive ``warmup`` W, the epochs 1 to W + 1
    climb instead by 1 / (W + 1) each. Raise BadInput for a power below 1 or a warm-up as long as the schedule.
    """
    _check(total, high, low, power)
    if not 0 <= warmup < total:
        raise BadInput(f"a warm-up of {warmup} epochs does not fit a schedule of {total}; allowed: 0 to {total - 1}.")
    if total == 1:
        return [high]
    raw = [_proportion((epoch - warmup) / (total - warmup), power) for epoch in range(1, total + 1)]
    least, most = min(raw), max(raw)
    proportions = [(q - least) / (most - least) for q in raw]
    if warmup:
        proportions[: warmup + 1] = [epoch / (warmup + 1) for epoch in range(1, warmup + 2)]
    return [low + (high - low) * q for q in proportions]


def _proportion(share: float, power: float) -> float:
    """Return the height between low (0) and high (1) after this share of the schedule."""
    cosine = (1 + math.cos(math.pi * share)) / 2
    # expm1 keeps all digits where the power is close to 1.
    return cosine if power == 1 else math.expm1(cosine * math.log(power)) / (power - 1)


def _check(total: int, high: float, low: float, power: float) -> None:
    if not (power >= 1 and math.isfinite(power)):
        raise BadInput(f"the power of cosine power annealing is {power}; it must be at least 1 (1 is the cosine).")
    if total < 1:
        raise BadInput(f"a schedule of {total} steps is empty; at least 1 is needed.")
    if not 0 <= low <= high < math.inf:
        raise BadInput(f"rates from {high} to {low} are no annealing; needed: high >= low >= 0.")

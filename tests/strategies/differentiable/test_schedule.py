"""Cosine power annealing: the figures of the authors' program, and what both forms promise."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.strategies.differentiable.schedule import cosine_power, cosine_power_reference

# (total, high, low, power, warmup) -> rate by epoch, from the authors' program.
SEARCH = (120, 0.025, 1e-4, 2, 5)
FINAL = (2000, 0.025, 1e-8, 2, 5)
IMAGENET = (300, 0.1, 7.5e-4, 10, 0)
PUBLISHED = [
    (SEARCH, {1: 0.00425, 2: 0.0084, 6: 0.025, 7: 0.0249742523}),
    (SEARCH, {61: 0.0109174394, 119: 1.03220104e-4, 120: 1e-4}),
    (FINAL, {1: 0.004166675, 2: 0.00833334, 6: 0.025, 7: 0.0249999141}),
    (FINAL, {1001: 0.0103843001, 1999: 2.07428e-8, 2000: 1e-8}),
    (IMAGENET, {1: 0.1, 2: 0.0999791184, 6: 0.099756698, 7: 0.099666505}),
    (IMAGENET, {151: 0.0241788543, 299: 7.50696211e-4, 300: 7.5e-4}),
]
TEN_EPOCHS = {
    10: [1, 0.831293, 0.617771, 0.415689, 0.255827, 0.143822, 0.071857, 0.029096, 0.006858, 0],
    2: [1, 0.902258, 0.759288, 0.594063, 0.428632, 0.280003, 0.158917, 0.070811, 0.017703, 0],
    1: [1, 0.927199, 0.813808, 0.670927, 0.512543, 0.354158, 0.211278, 0.097887, 0.025086, 0],
}


@pytest.mark.parametrize(("arguments", "rates"), PUBLISHED)
def test_figures_of_the_authors_program(arguments: tuple, rates: dict[int, float]) -> None:
    schedule = cosine_power_reference(*arguments)
    assert len(schedule) == arguments[0]
    for epoch, rate in rates.items():
        assert schedule[epoch - 1] == pytest.approx(rate, rel=0, abs=1e-8)
        assert schedule[epoch - 1] == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("power", TEN_EPOCHS)
def test_ten_epochs_from_one_to_zero(power: int) -> None:
    assert cosine_power_reference(10, 1, 0, power) == pytest.approx(TEN_EPOCHS[power], abs=6e-7)


powers = st.floats(1, 1e6)


@given(st.integers(2, 300), st.integers(0, 20), powers)
def test_reference_warms_up_evenly_then_falls(total: int, warmup: int, power: float) -> None:
    warmup = min(warmup, total - 1)
    schedule = cosine_power_reference(total, 0.5, 0.1, power, warmup)
    assert schedule[warmup] == max(schedule) == 0.5  # epoch 1 without warm-up, epoch warmup + 1 with it
    assert all(a >= b for a, b in itertools.pairwise(schedule[warmup:]))
    climb = [0.1 + 0.4 * epoch / (warmup + 1) for epoch in range(1, warmup + 2)]
    assert schedule[: warmup + 1] == pytest.approx(climb)
    if warmup + 1 < total:
        assert schedule[-1] == 0.1


@given(st.integers(1, 300), powers)
def test_textbook_form_falls_from_high_to_low(total: int, power: float) -> None:
    rates = [cosine_power(step, total, 0.5, 0.1, power) for step in range(total + 1)]
    assert rates[0] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(rates))


def test_textbook_form_is_the_formula() -> None:
    cosine = (1 + math.cos(math.pi * 3 / 10)) / 2
    # (p^(u + 1) - p) / (p^2 - p), as printed
    assert cosine_power(3, 10, 1, 0, 10) == pytest.approx((10 ** (cosine + 1) - 10) / 90, rel=1e-14)
    assert cosine_power(3, 10, 1, 0, 1) == cosine


@given(st.integers(0, 99))
def test_power_one_is_the_cosine_and_the_limit_of_powers_above(step: int) -> None:
    cosine = 0.1 + 0.4 * (1 + math.cos(math.pi * step / 100)) / 2
    assert cosine_power(step, 100, 0.5, 0.1, 1) == pytest.approx(cosine, rel=1e-14)
    assert cosine_power(step, 100, 0.5, 0.1, 1 + 1e-12) == pytest.approx(cosine, rel=1e-10)


def test_one_epoch_runs_at_the_high_rate() -> None:
    assert cosine_power_reference(1, 0.5, 0.1, 2) == [0.5]


def test_bad_input_is_refused() -> None:
    for power in (0.5, math.nan, math.inf):
        with pytest.raises(BadInput, match="at least 1"):
            cosine_power(0, 10, 1, 0, power)
        with pytest.raises(BadInput, match="at least 1"):
            cosine_power_reference(10, 1, 0, power)
    with pytest.raises(BadInput, match="outside a schedule of 10"):
        cosine_power(11, 10, 1, 0, 2)
    with pytest.raises(BadInput, match="allowed: 0 to 9"):
        cosine_power_reference(10, 1, 0, 2, 10)
    with pytest.raises(BadInput, match="empty"):
        cosine_power_reference(0, 1, 0, 2)
    with pytest.raises(BadInput, match="no annealing"):
        cosine_power(0, 10, 0.1, 0.5, 2)

"""What nothing can exceed and what knowing nothing gives, on a small table by hand and on NAS-Bench-201."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasbench.protocol.random_search import RandomSearch
from nasbench.protocol.table_controls import TableControls
from nasbench.tables.held_out import test_accuracies as final_scores
from nasbench.tables.nasbench201 import load

VALIDATION = np.array([70.0, 80.0, 80.0, 60.0])
HELD_OUT = np.array([95.0, 91.0, 93.0, 50.0])


def test_by_hand_equally_good_ones_share() -> None:
    controls = TableControls(VALIDATION, HELD_OUT)
    assert (controls.oracle, controls.oracle_validation) == (95.0, 70.0)
    assert (controls.proxy_ceiling, controls.best_validation) == (92.0, 80.0)
    assert (controls.average, controls.average_validation) == (82.25, 72.5)
    assert controls.std == pytest.approx(np.sqrt(np.mean((HELD_OUT - 82.25) ** 2)))
    assert controls.blind([50.0, 95.0, 95.0]) == (pytest.approx((12.5 + 87.5 + 87.5) / 3), None)
    percentile, p_value = controls.blind([95.0] * 5)
    assert percentile == 87.5 and p_value is not None and p_value < 0.01


@pytest.mark.parametrize(
    ("dataset", "oracle", "ceiling", "average"),
    [("cifar10", 94.3733, 94.3733, 87.063), ("cifar100", 73.5133, (72.28 + 73.0933) / 2, 61.406)],
)
def test_on_nasbench201(table: Path, dataset: str, oracle: float, ceiling: float, average: float) -> None:
    """On CIFAR-100 two cells share the best validation accuracy, 61.32 %."""
    controls = TableControls(load(dataset, table).valid_accuracy, final_scores(dataset, table))
    assert (controls.oracle, controls.proxy_ceiling) == (pytest.approx(oracle), pytest.approx(ceiling))
    assert controls.average == pytest.approx(average, abs=5e-4)
    whole = RandomSearch(load(dataset, table).valid_accuracy, final_scores(dataset, table), 15_625)
    assert whole.mean == pytest.approx(ceiling)


def test_blindly_drawn_architectures_are_told_from_themselves_in_5_percent_of_trials() -> None:
    held_out = np.round(94.4 - np.random.default_rng(0).gamma(1.5, 2.5, 1000), 2)
    controls = TableControls(np.zeros(1000), held_out)
    drawn = np.random.default_rng(1).choice(held_out, (2000, 10))
    told = np.mean([p_value < 0.05 for _, p_value in map(controls.blind, drawn) if p_value is not None])
    assert 0.035 <= told <= 0.065

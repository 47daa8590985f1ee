from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasbench.protocol.anytime import course_of
from nasbench.protocol.table_regret import TableRegret
from nasbench.tables.table import Table, load_table
from tests.protocol.test_anytime import record


@pytest.fixture
def cells(table: Path) -> tuple[Table, TableRegret, list[tuple[object, ...]], Path]:
    found = load_table("nasbench201", "cifar10", table)
    assert isinstance(found, Table)
    return found, TableRegret(found, table), list(found.row), table


def test_the_best_scores_are_those_of_the_benchmark(cells) -> None:
    _, regret, _, _ = cells
    assert (regret.best_validation, regret.best_test) == pytest.approx((84.892, 94.3733), abs=1e-4)


def test_regret_along_a_search(cells) -> None:
    found, regret, specs, folder = cells
    from nasbench.tables.held_out import held_out_scores

    held_out, numbers = held_out_scores(found, folder), [5, 900, 77, 13_714, 8]
    records = [
        record(i, "", float(found.valid_accuracy[row]), source="table") | {"architecture": ["nasbench201", specs[row]]}
        for i, row in enumerate(numbers)
    ]
    course = course_of(records, regret.chance)
    assert course is not None
    validation, final = regret.of(course, specs[13_714], 7)
    assert validation.final == final.final == validation.curve[-1] == 0  # cell 13714 is the best by both
    seen = found.valid_accuracy[numbers]
    assert validation.curve[:5] == pytest.approx(84.892 - np.maximum.accumulate(seen))
    assert final.curve[0] == pytest.approx(regret.best_test - held_out[5])
    assert len(final.curve) == 7
    assert validation.area == pytest.approx(validation.curve.mean())
    failed = regret.of(course, None, 5)
    assert [side.final for side in failed] == pytest.approx([84.892 - 10, regret.best_test - 10])

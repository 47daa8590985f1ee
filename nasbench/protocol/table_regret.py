"""How far a search on a table was from the best of the space, in validation and in test accuracy.

The *validation* regret says how well a method optimises what it was asked to optimise; methods of optimisation are
ranked by it. The *test* regret says what came of it: where the two accuracies disagree, the better optimiser can end
with the worse network, and that is luck, not merit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasbench.protocol.anytime import Course, Floats, Spec, carried_on, log_area
from nasbench.protocol.comparisons import regret_area
from nasbench.protocol.table_controls import TableControls
from nasbench.tables.held_out import held_out_scores
from nasbench.tables.table import Table


@dataclass(frozen=True)
class Regret:
    """Regret in percentage points of one score: ``final`` of what the search recommended, ``curve`` [B] on the way.

    ``area`` is the mean of the curve over evaluations 1..B and ``log_area`` that over their logarithm.
    """

    final: float
    curve: Floats
    area: float
    log_area: float


class TableRegret:
    """The best scores of a table, its controls, and the regret of searches on it. It reads the held-out scores."""

    def __init__(self, table: Table, data_dir: Path | None = None) -> None:
        self._table = table
        self._held_out = held_out_scores(table, data_dir)
        self.fingerprint = table.fingerprint
        self.chance = 100 / table.classes
        self.controls = TableControls(table.valid_accuracy, self._held_out)
        self.best_validation = self.controls.best_validation
        self.best_test = self.controls.oracle

    def of(self, course: Course, recommended: Spec | None, evaluations: int) -> tuple[Regret, Regret]:
        """Return validation and test regret of a search, its curves carried on to so many evaluations.

        ``recommended`` is the encoding that the search ended with, None if it failed, which counts as chance.
        """
        row_of = self._table.row
        rows = [0 if failed else row_of[spec] for spec, failed in zip(course.specs, course.failed, strict=True)]
        final = np.where(course.failed, self.chance, self._held_out[rows])[course.incumbents]
        valid_end, test_end = self.chance, self.chance
        if recommended is not None:
            row = self._table.row[recommended]
            valid_end, test_end = float(self._table.valid_accuracy[row]), float(self._held_out[row])
        return (
            _regret(self.best_validation, valid_end, course.best_validation, evaluations),
            _regret(self.best_test, test_end, final, evaluations),
        )


def _regret(best: float, end: float, scores: Floats, evaluations: int) -> Regret:
    curve = best - carried_on(scores, evaluations)
    return Regret(best - end, curve, regret_area(curve), log_area(curve))

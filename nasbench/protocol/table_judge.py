"""The final evaluation where a table knows every answer: exact baseline, exact random search, no training."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.protocol.random_search import RandomSearch, proxy_curve
from nasbench.protocol.scores import TABLE_SAMPLER, Baseline, FinalScores, histogram
from nasbench.protocol.verdict import Verdict, verdict_on_table
from nasbench.tables.held_out import held_out_scores
from nasbench.tables.table import Table

POINTS_OF_A_CURVE = 120


class TableJudge:
    """Opens the table's test accuracies. Nothing else in a search does."""

    def __init__(self, table: Table, data_dir: Path | None = None) -> None:
        self._table = table
        self._scores = held_out_scores(table, data_dir)
        self._random_searches: dict[int, RandomSearch] = {}
        self._random_curves: dict[int, dict[str, list[float]]] = {}

    def final(self, architecture: Architecture) -> FinalScores:
        """Return the test accuracy of one architecture, the mean over the benchmark's trained seeds."""
        row = self._table.row[architecture.spec]
        return FinalScores((float(self._scores[row]),), (float(self._table.valid_accuracy[row]),), (), 0.0)

    def baseline(self) -> Baseline:
        """Return mean and standard deviation over all encodings: the expectation of a random architecture, exactly."""
        return self._baseline

    @cached_property
    def _baseline(self) -> Baseline:
        scores = self._scores
        return Baseline(
            mean=float(scores.mean()),
            std=float(scores.std()),
            median=float(np.median(scores)),
            n=len(scores),
            source="table-exact",
            sampler=TABLE_SAMPLER,
            key=self._table.fingerprint,
            histogram=histogram(scores),
        )

    def random_search(self, evaluations: int) -> RandomSearch:
        """Return the exact distribution of random search with this many evaluations."""
        if evaluations not in self._random_searches:
            size = min(evaluations, len(self._scores))
            self._random_searches[evaluations] = RandomSearch(self._table.valid_accuracy, self._scores, size)
        return self._random_searches[evaluations]

    def random_curve(self, evaluations: int) -> dict[str, list[float]]:
        """Return the best validation accuracy so far of random search: exact mean and quartiles."""
        if evaluations not in self._random_curves:
            points = np.unique(np.geomspace(1, min(evaluations, len(self._scores)), POINTS_OF_A_CURVE).astype(int))
            curves = dict(zip(("mean", "low", "high"), proxy_curve(self._table.valid_accuracy, points), strict=True))
            known = {"evaluations": points.tolist(), **{name: curve.tolist() for name, curve in curves.items()}}
            self._random_curves[evaluations] = known
        return self._random_curves[evaluations]

    def verdict(self, test_accuracies: list[float], evaluations: int) -> Verdict:
        """Judge runs by their test accuracies, one a run."""
        baseline = self.baseline()
        assert baseline.std is not None
        return verdict_on_table(test_accuracies, baseline.mean, baseline.std, self.random_search(evaluations))


def random_search_record(search: RandomSearch, test_accuracy: float) -> dict[str, Any]:
    """Return mean, standard deviation and this score's percentile (0 to 100) among random searches of the same cost."""
    return {"mean": search.mean, "std": search.std, "percentile": 100 * search.percentile(test_accuracy)}

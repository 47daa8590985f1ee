"""The controls of one space and data set: what methods are held against, and runs whose outcome is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasbench.protocol.table_controls import TableControls
from nasbench.reports.leaderboard_rows import Run, is_control, is_random_search, test_scores

AS_EXPECTED = "as it should be"
BEYOND = "not as it should be"
NO_TEST = "not tested"
ALARM = 0.0027
"""A control is not as it should be from here on: three standard errors, so that chance alone hardly ever says so."""


@dataclass(frozen=True)
class Control:
    """One control. Accuracies in percent; what is not known is None.

    ``test`` is exact where ``runs`` is None, else the mean over the runs, ``std`` then their standard deviation
    (n - 1). ``expected`` is the mean that these runs should have, ``p_value`` that of the rank test that they do.
    """

    name: str
    meaning: str
    test: float | None
    validation: float | None = None
    std: float | None = None
    runs: int | None = None
    expected: float | None = None
    p_value: float | None = None

    @property
    def outcome(self) -> str:
        """What to make of it, in words; nothing for what is exact."""
        if self.runs is None:
            return ""
        return NO_TEST if self.p_value is None else BEYOND if self.p_value < ALARM else AS_EXPECTED


def controls(
    rows: Sequence[Mapping[str, Any]],
    runs: Sequence[Sequence[Run]],
    ranked: Sequence[bool],
    table: TableControls | None,
) -> list[Control]:
    """Return the controls of one space and data set: those that its table gives exactly, and those that were run.

    Args:
        rows: its rows of the leaderboard.
        runs: the runs of each.
        ranked: which rows are ranked.
        table: exact controls; None where nothing was measured as a whole or the table is not at hand.
    """
    found = [] if table is None else [*_ceilings(table), *_same_cost(rows, ranked), _average(table)]
    for row, mine, is_ranked in zip(rows, runs, ranked, strict=True):
        if is_control(mine):
            found.append(_shuffled(row, mine, table))
        elif is_ranked and is_random_search(row["method"]) and row["random_source"] == "table-exact":
            found.append(
                Control(
                    f"{row['method']}, entered as a method",
                    "random search compared with itself: no difference should be found",
                    test=row["test_mean"],
                    validation=row["val_mean"],
                    std=row["test_std"],
                    runs=row["n_runs"],
                    expected=row["rs_mean"],
                    p_value=row["p_rs"],
                )
            )
    return found


def _ceilings(table: TableControls) -> list[Control]:
    return [
        Control("oracle", "best of the space by test accuracy: the ceiling", table.oracle, table.oracle_validation),
        Control(
            "proxy ceiling",
            "best by validation accuracy, the mean of equally good ones: where a perfect optimiser ends",
            table.proxy_ceiling,
            table.best_validation,
        ),
    ]


def _same_cost(rows: Sequence[Mapping[str, Any]], ranked: Sequence[bool]) -> list[Control]:
    """Return the exact outcome of random search, at the cost of the ranked rows if there are any."""
    candidates = [row for row, is_ranked in zip(rows, ranked, strict=True) if is_ranked] or rows
    known = [row for row in candidates if row["rs_mean"] is not None][:1]
    meaning = "exact: any method that searches should be above it"
    return [Control("random search, same cost", meaning, row["rs_mean"], std=row["rs_std"]) for row in known]


def _average(table: TableControls) -> Control:
    meaning = "exact: where a search ends that learns nothing"
    return Control("average random architecture", meaning, table.average, table.average_validation, table.std)


def _shuffled(row: Mapping[str, Any], runs: Sequence[Run], table: TableControls | None) -> Control:
    scores = test_scores(runs) or []
    expected = row["random_mean"] if table is None else table.average
    return Control(
        row["method"],
        "its scores were dealt anew to the architectures: it should end with an average one, or a little above if it "
        "knows which networks are equal",
        test=row["test_mean"],
        std=row["test_std"],
        runs=len(runs),
        expected=expected,
        p_value=table.blind(scores)[1] if table is not None and scores else None,
    )

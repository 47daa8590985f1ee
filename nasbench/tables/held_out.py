"""The test scores of the tables. Only `nasbench.protocol` and the import of tables may read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.tables import nasbench201_epochs, nasbench_graph, nasbench_macro
from nasbench.tables.nasbench201 import known_dataset, locate
from nasbench.tables.nasbench201_file import FINAL_COLUMN, accuracies, opened
from nasbench.tables.table import Table

# Best accuracies in percent after 200 epochs and after 12: 94.4 and 89.2 on CIFAR-10, 73.5 and 61.0 on CIFAR-100.
LOWEST_BEST = {"cifar10": 90.0, "cifar100": 67.0}


def held_out_scores(table: Table, data_dir: Path | None = None) -> np.ndarray:
    """Return the test accuracies in percent that belong to the rows of a table."""
    if table.space == nasbench_macro.SPACE:
        return np.asarray(nasbench_macro.trainings(table.file)[:, 1:].mean(axis=1) / 100)
    if isinstance(table, nasbench_graph.GraphTable):
        return table.by_encoding(nasbench_graph.percent(nasbench_graph.numbers(table.file, table.dataset).held_out))
    if table.epochs:
        return nasbench201_epochs.test_accuracies(table.file)
    return test_accuracies(table.dataset, data_dir)


def test_accuracies(dataset: str, data_dir: Path | None = None) -> np.ndarray:
    """Return NAS-Bench-201's 200-epoch test accuracies in percent, in the order of the table's rows.

    Raises BadInput if the column is missing or plainly holds 12-epoch results.
    """
    table = opened(locate(data_dir))
    dataset = known_dataset(dataset, table.names)
    scores = accuracies(table.file, table.numbers(dataset + FINAL_COLUMN))
    refuse_twelve_epochs(dataset, scores)
    return scores


def refuse_twelve_epochs(dataset: str, test_scores: np.ndarray) -> None:
    """Raise BadInput if final test scores are too low to come from 200 epochs."""
    if test_scores.max() < LOWEST_BEST.get(dataset, 0.0):
        raise BadInput(
            f"the best final accuracy on {dataset} is {test_scores.max():.2f} %: this is the 12-epoch table; "
            "final scores are those after 200 epochs."
        )

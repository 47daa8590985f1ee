"""The data set proteins of NAS-Bench-Graph, on which the benchmark has five of its nine operations."""

from __future__ import annotations

from pathlib import Path

from nasbench.core.errors import BadInput
from nasbench.search_spaces.nasbench_graph import NasBenchGraphProteins
from nasbench.tables.nasbench_graph import CLASSES as OTHER_DATA_SETS
from nasbench.tables.nasbench_graph import PROTEINS, SPACE, GraphTable, read_table, source

CLASSES = {PROTEINS: 2}
"""Each of the 112 labels of a node is one of two, and the score of a guess is 50."""

SOURCES = (source(PROTEINS),)


def load(dataset: str, data_dir: Path | None = None) -> GraphTable:
    """Read the search scores; raise MissingData or BadInput as `nasbench.tables.nasbench_graph.load` does."""
    if dataset.lower() != PROTEINS:
        where = f" use --space {SPACE}." if dataset.lower() in OTHER_DATA_SETS else ""
        raise BadInput(
            f"the space '{NasBenchGraphProteins.name}' has a table for {PROTEINS} alone, not '{dataset}';{where}"
        )
    return read_table(NasBenchGraphProteins, PROTEINS, CLASSES[PROTEINS], data_dir)

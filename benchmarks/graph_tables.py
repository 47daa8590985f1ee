"""NAS-Bench-Graph: its networks counted, and how far strategies get on its nine tables.

    python -m benchmarks.graph_tables [SEEDS]

Needs the extra ``graph``. Regrets are in points of accuracy (ROC-AUC on proteins), to the best network by validation
and by test score; random search is exact.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable

from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy
from nasbench.evaluators.table import TableEvaluator
from nasbench.protocol.random_search import RandomSearch as ExactRandomSearch
from nasbench.search_spaces.nasbench_graph import PUBLISHED, NasBenchGraph, NasBenchGraphProteins
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.local_search import LocalSearch
from nasbench.strategies.random import RandomSearch
from nasbench.tables.held_out import held_out_scores
from nasbench.tables.nasbench_graph import GraphTable, networks
from nasbench.tables.table import load_table

EVALUATIONS = 400
METHODS: dict[str, type[Strategy]] = {"random": RandomSearch, "evolution": Evolution, "local-search": LocalSearch}


def main(seeds: int) -> None:
    console = Console(width=150)
    counts = RichTable("data set", "features", "outputs", "width", "before, after", "parameters equal to the table's")
    regrets = RichTable("data set", "random, exact", *METHODS, title="validation regret / test regret ± deviation")
    for dataset, facts in PUBLISHED.items():
        space = NasBenchGraphProteins() if dataset == "proteins" else NasBenchGraph()
        table = load_table(space.name, dataset)
        assert isinstance(table, GraphTable)
        keys = networks(type(space))[0]
        counted = [
            space.count_parameters(space.parse(f"{key:05d}"), facts.features, facts.outputs, facts.size) for key in keys
        ]
        equal = np.count_nonzero(np.array(counted) == table.parameters)
        size = facts.size
        cells = (
            facts.features,
            facts.outputs,
            size.width,
            f"{size.before}, {size.after}",
            f"{equal:,} of {len(keys):,}",
        )
        counts.add_row(dataset, *map(str, cells))

        valid, test = table.valid_accuracy, held_out_scores(table)
        exact = ExactRandomSearch(valid, test, EVALUATIONS)
        of_validation = valid.max() - exact.expected_best_proxy(EVALUATIONS)
        shown = [f"{of_validation:.2f} / {test.max() - exact.mean:.2f} ± {exact.std:.2f}"]
        evaluator = TableEvaluator(space, table, TableEvaluator.Config())
        for strategy in METHODS.values():
            found = []
            for seed in range(seeds):
                problem = Problem(space, None, Budget(EVALUATIONS), seed)
                searcher = strategy(problem, strategy.Config(), generator(seed, "strategy"))
                search(problem, searcher, evaluator, Ledger())
                found.append(table.row[searcher.recommend()[0].spec])
            of_test = test.max() - test[found]
            shown.append(f"{valid.max() - valid[found].mean():.2f} / {of_test.mean():.2f} ± {of_test.std(ddof=1):.2f}")
        regrets.add_row(dataset, *shown)
    console.print(counts)
    console.print(regrets)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)

"""Black-box strategies on NAS-Bench-201 beside reference figures of an independent implementation.

For every strategy, data set and number of evaluations: the mean test accuracy (200 epochs) of the cell that is best by
12-epoch validation accuracy, over 200 seeds, and its standard deviation. The references were computed once with other
code and other random numbers (Python's ``random.Random(0..199)``); random search is exact, by formula. A figure agrees
if it lies within four standard errors of the difference, or 0.05 points where that is more.

    NASBENCH_DATA=FOLDER python -m benchmarks.reference_figures [SEEDS]
"""

from __future__ import annotations

import math
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable

from nasbench.core.architecture import Architecture
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.evaluators.table import TableEvaluator
from nasbench.protocol.random_search import RandomSearch as ExactRandomSearch
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.best_seen import BestSeen
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.local_search import LocalSearch
from nasbench.strategies.random import RandomSearch
from nasbench.tables.held_out import test_accuracies
from nasbench.tables.nasbench201 import load

EVALUATIONS = (10, 50, 100, 200, 500)
METHODS: dict[str, tuple[type[Strategy], StrategyConfig]] = {
    "random": (RandomSearch, RandomSearch.Config()),
    "evolution 10/3, benchmark's mutation": (
        Evolution,
        Evolution.Config(population=10, tournament=3, mutation="benchmark", unique=False),
    ),
    "evolution 30/10": (Evolution, Evolution.Config(population=30, tournament=10, unique=False)),
    "evolution 20/10, no isomorphs": (Evolution, Evolution.Config(population=20, tournament=10)),
    "local-search": (LocalSearch, LocalSearch.Config()),
}
# mean and standard deviation at 10, 50, 100, 200 and 500 evaluations
REFERENCE = {
    ("cifar10", "evolution 10/3, benchmark's mutation"): "92.49±1.13 93.61±.66 93.92±.44 94.10±.26 94.29±.18",
    ("cifar10", "evolution 30/10"): "92.49±1.13 93.74±.47 94.14±.27 94.28±.20 94.30±.20",
    ("cifar10", "evolution 20/10, no isomorphs"): "92.47±1.15 93.97±.33 94.21±.24 94.28±.21 94.36±.09",
    ("cifar10", "local-search"): "92.36±1.74 93.79±.59 94.07±.33 94.28±.21 94.37±.00",
    ("cifar100", "evolution 10/3, benchmark's mutation"): "68.81±1.78 71.10±1.46 71.94±1.09 72.42±.74 72.54±.47",
    ("cifar100", "evolution 30/10"): "68.81±1.78 71.35±1.29 72.28±.85 72.39±.68 72.16±.49",
    ("cifar100", "evolution 20/10, no isomorphs"): "68.81±1.77 71.97±1.12 72.32±.79 72.23±.68 72.28±.32",
    ("cifar100", "local-search"): "68.72±2.59 71.35±1.44 71.97±.94 72.21±.54 72.29±.09",
}
REFERENCE_SEEDS = 200


def picks(
    space: NasBench201, evaluator: TableEvaluator, strategy: type[Strategy], config: StrategyConfig, seed: int
) -> list[Architecture]:
    """Return the recommended cell after each number of `EVALUATIONS`."""
    problem = Problem(space, None, Budget(evaluations=max(EVALUATIONS)), seed)
    ledger = Ledger()
    search(problem, strategy(problem, config, generator(seed, "strategy")), evaluator, ledger)
    best, found = BestSeen(problem.objective), []
    for evaluation in ledger.evaluations:
        best.add(evaluation)
        if evaluation.id + 1 in EVALUATIONS:
            found.append(best.architectures(1)[0])
    return found


def main(seeds: int) -> None:
    console, space = Console(), NasBench201()
    for dataset in ("cifar10", "cifar100"):
        table, final = load(dataset), test_accuracies(dataset)
        evaluator = TableEvaluator(space, table, TableEvaluator.Config())
        shown = RichTable(title=f"{dataset}, {seeds} seeds: ours, then the reference")
        for column in ("strategy", *map(str, EVALUATIONS), "agrees", "s"):
            shown.add_column(column)
        for name, (strategy, config) in METHODS.items():
            started = time.perf_counter()
            scores = np.array(
                [
                    [final[table.row[a.spec]] for a in picks(space, evaluator, strategy, config, seed)]
                    for seed in range(seeds)
                ]
            )
            seconds = time.perf_counter() - started
            means, stds = scores.mean(axis=0), scores.std(axis=0, ddof=1)
            if name == "random":
                exact = [ExactRandomSearch(table.valid_accuracy, final, k) for k in EVALUATIONS]
                reference = [(search.mean, search.std, math.inf) for search in exact]
            else:
                pairs = [text.split("±") for text in REFERENCE[dataset, name].split()]
                reference = [(float(mean), float(std), REFERENCE_SEEDS) for mean, std in pairs]
            cells, agrees = [], []
            for mean, std, (expected, spread, count) in zip(means, stds, reference, strict=True):
                error = math.sqrt(std**2 / seeds + spread**2 / count)
                agrees.append(abs(mean - expected) <= max(4 * error, 0.05))
                cells.append(f"{mean:.2f}±{std:.2f}\n{expected:.2f}±{spread:.2f}")
            shown.add_row(name, *cells, "yes" if all(agrees) else f"no: {agrees}", f"{seconds:.1f}")
        console.print(shown)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE_SEEDS)

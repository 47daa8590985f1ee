"""Random search, regularised evolution and REINFORCE on NAS-Bench-201 with 100 evaluations, beside reference figures.

The comparison of Dong and Yang (NAS-Bench-201, ICLR 2020, section 5): search by the 12-epoch validation accuracy of
CIFAR-10, report the 200-epoch test accuracy of the chosen cell on CIFAR-10 and on CIFAR-100; and, as in NATS-Bench
(Dong et al., TPAMI 2021), search on CIFAR-100 itself. They spend 12,000 simulated seconds, about 100 evaluations; the
table at hand holds no times, so evaluations are counted. The references were computed once with other code and other
random numbers; random search is exact, by formula. A figure agrees if it lies within four standard errors.

    NASBENCH_DATA=FOLDER python -m benchmarks.paper_comparison [RUNS]
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable

from nasbench.core.architecture import Value
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.evaluators.table import TableEvaluator
from nasbench.protocol.random_search import RandomSearch as ExactRandomSearch
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.random import RandomSearch
from nasbench.strategies.reinforce import Reinforce
from nasbench.tables.held_out import test_accuracies
from nasbench.tables.nasbench201 import load

EVALUATIONS = 100
METHODS: dict[str, tuple[type[Strategy], StrategyConfig]] = {
    "random": (RandomSearch, RandomSearch.Config()),
    "evolution 10/3": (
        Evolution,
        Evolution.Config(population=10, tournament=3, mutation="benchmark", unique=False),
    ),
    "reinforce": (Reinforce, Reinforce.Config()),
}


class Reference(NamedTuple):
    """Mean and standard deviation over so many runs; infinitely many where a formula gave them."""

    mean: float
    std: float | None
    runs: float


# By (searched on, tested on, method). Of evolution's transfer to CIFAR-100 only the mean is known; none of REINFORCE's.
REFERENCES = {
    ("cifar10", "cifar10", "evolution 10/3"): Reference(93.92, 0.44, 200),
    ("cifar10", "cifar10", "reinforce"): Reference(93.82, 0.29, 200),
    ("cifar10", "cifar100", "evolution 10/3"): Reference(71.86, None, 200),
    ("cifar100", "cifar100", "evolution 10/3"): Reference(71.94, 1.09, 200),
    ("cifar100", "cifar100", "reinforce"): Reference(71.48, 1.04, 200),
}
PROTOCOLS = (("cifar10", "cifar10"), ("cifar10", "cifar100"), ("cifar100", "cifar100"))


def found(evaluator: TableEvaluator, space: NasBench201, method: str, runs: int) -> list[tuple[Value, ...]]:
    """Return the spec of the cell that each run recommends."""
    strategy, config = METHODS[method]
    specs = []
    for seed in range(runs):
        problem = Problem(space, None, Budget(evaluations=EVALUATIONS), seed)
        searcher = strategy(problem, config, generator(seed, "strategy"))
        search(problem, searcher, evaluator, Ledger())
        specs.append(searcher.recommend()[0].spec)
    return specs


def main(runs: int) -> None:
    space = NasBench201()
    tables = {dataset: load(dataset) for dataset in ("cifar10", "cifar100")}
    final = {dataset: test_accuracies(dataset) for dataset in tables}
    cells = {
        (dataset, method): found(TableEvaluator(space, table, TableEvaluator.Config()), space, method, runs)
        for dataset, table in tables.items()
        for method in METHODS
    }
    shown = RichTable(title=f"test accuracy after {EVALUATIONS} evaluations, {runs} runs")
    for column in ("searched on", "tested on", "method", "measured", "reference", "standard errors", "agrees"):
        shown.add_column(column)
    for searched, tested in PROTOCOLS:
        table = tables[searched]
        exact = ExactRandomSearch(table.valid_accuracy, final[tested], EVALUATIONS)
        for method in METHODS:
            scores = np.array([final[tested][table.row[spec]] for spec in cells[searched, method]])
            mean, std = float(scores.mean()), float(scores.std(ddof=1))
            reference = REFERENCES.get((searched, tested, method))
            if method == "random":
                reference = Reference(exact.mean, exact.std, math.inf)
            row = [searched, tested, method, f"{mean:.2f} ± {std:.2f}"]
            if reference is None:
                shown.add_row(*row, "–", "–", "–")
                continue
            spread = std if reference.std is None else reference.std
            errors = abs(mean - reference.mean) / math.sqrt(std**2 / runs + spread**2 / reference.runs)
            text = f"{reference.mean:.2f}" + ("" if reference.std is None else f" ± {reference.std:.2f}")
            shown.add_row(*row, text, f"{errors:.1f}", "yes" if errors <= 4 else "no")
    Console().print(shown)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)

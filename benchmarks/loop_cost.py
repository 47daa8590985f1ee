"""What the search loop itself costs, per evaluation, on a table where evaluating costs nothing.

Random search on NAS-Bench-201 (CIFAR-10), 500 evaluations a search: in memory, and with the ledger on disk; beside
Optuna's random sampler on the same table (in memory, ask and tell, logging off). They take turns; medians of processor
time, which other work on the machine disturbs less than the clock.

    NASBENCH_DATA=FOLDER python -m benchmarks.loop_cost
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna
from rich.console import Console
from rich.table import Table as RichTable

from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.random import RandomSearch
from nasbench.tables.nasbench201 import load

EVALUATIONS = 500
ROUNDS = 15


def main() -> None:
    space, table = NasBench201(), load("cifar10")
    evaluator = TableEvaluator(space, table, TableEvaluator.Config())
    folder = Path(tempfile.mkdtemp())

    def ours(strategy: type, round: int, path: Path | None) -> None:
        problem, ledger = Problem(space, None, Budget(evaluations=EVALUATIONS), round), Ledger(path)
        search(problem, strategy(problem, strategy.Config(), generator(round, "strategy")), evaluator, ledger)
        ledger.close()

    def theirs(round: int) -> None:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=round))
        choices = {c.name: optuna.distributions.CategoricalDistribution(c.values) for c in space.decisions}
        for _ in range(EVALUATIONS):
            trial = study.ask(choices)
            spec = tuple(trial.params[c.name] for c in space.decisions)
            study.tell(trial, float(table.valid_accuracy[table.row[spec]]))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ways: dict[str, Callable[[int], None]] = {
        "random, in memory": lambda round: ours(RandomSearch, round, None),
        "random, ledger on disk": lambda round: ours(RandomSearch, round, folder / f"random{round}.jsonl"),
        "evolution, in memory": lambda round: ours(Evolution, round, None),
        "evolution, ledger on disk": lambda round: ours(Evolution, round, folder / f"evolution{round}.jsonl"),
        "optuna RandomSampler, in memory": theirs,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round in range(ROUNDS):
        for name, way in ways.items():
            gc.collect()  # what the way before left behind is not this one's cost
            started = time.process_time()
            way(round)
            seconds[name].append(time.process_time() - started)
    shown = RichTable(
        title=f"microseconds of processor time an evaluation, {ROUNDS} rounds of {EVALUATIONS} evaluations"
    )
    for column in ("way", "median", "minimum", "maximum", "optuna / this"):
        shown.add_column(column)
    reference = statistics.median(seconds["optuna RandomSampler, in memory"])
    for name, values in seconds.items():
        micro = [1e6 * value / EVALUATIONS for value in (statistics.median(values), min(values), max(values))]
        shown.add_row(name, *(f"{value:.1f}" for value in micro), f"{reference / statistics.median(values):.1f}")
    Console().print(shown)


if __name__ == "__main__":
    main()

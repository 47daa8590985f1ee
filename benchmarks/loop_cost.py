"""What the search loop and the strategies themselves cost, per evaluation, on a table where evaluating costs nothing.

NAS-Bench-201 (CIFAR-10), 300 evaluations a search, every cell looked up once before: every strategy in memory and with
the ledger on disk, beside the loops of peers (ask and tell, in memory, logging off): Optuna's random sampler, TPE and
NSGA-II and pymoo's NSGA-II, each with its own default population. NSGA-II has accuracy and latency as objectives. They
take turns; medians of processor time, which other work on the machine disturbs less than the clock.

    NASBENCH_DATA=FOLDER python -m benchmarks.loop_cost
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.hypervolume import BUDGETS, nasbench201_task, optuna_choices, optuna_nsga2, pymoo_nsga2
from nasbench.core.architecture import Architecture
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.objectives import parse_objectives
from nasbench.core.problem import Budget, Objective, Problem
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.bananas import Bananas
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.local_search import LocalSearch
from nasbench.strategies.nsga2 import Nsga2
from nasbench.strategies.optuna_sampler import OptunaSampler
from nasbench.strategies.random import RandomSearch
from nasbench.strategies.reinforce import Reinforce

EVALUATIONS = max(BUDGETS)
ROUNDS, ROUNDS_OF_SLOW_ONES = 15, 3
DEVICE = "raspi4"
ONE = parse_objectives(["valid_accuracy"])
TWO = parse_objectives(["valid_accuracy", f"latency_ms@{DEVICE}"])

OURS: dict[str, tuple[type[Strategy], StrategyConfig, tuple[Objective, ...], str]] = {
    "random": (RandomSearch, RandomSearch.Config(), ONE, "Optuna RandomSampler"),
    "evolution": (Evolution, Evolution.Config(), ONE, "Optuna RandomSampler"),
    "local-search": (LocalSearch, LocalSearch.Config(), ONE, "Optuna RandomSampler"),
    "reinforce, factorised": (Reinforce, Reinforce.Config(), ONE, "Optuna RandomSampler"),
    "nsga2, two objectives": (Nsga2, Nsga2.Config(), TWO, "Optuna NSGAIISampler"),
    "reinforce, lstm": (Reinforce, Reinforce.Config(controller="lstm"), ONE, "Optuna RandomSampler"),
    "bananas": (Bananas, Bananas.Config(), ONE, "Optuna TPESampler"),
    "optuna, tpe": (OptunaSampler, OptunaSampler.Config(sampler="tpe"), ONE, "Optuna TPESampler"),
    "optuna, nsga2": (OptunaSampler, OptunaSampler.Config(sampler="nsga2"), TWO, "Optuna NSGAIISampler"),
}
SLOW = ("reinforce, lstm", "bananas", "optuna, tpe", "optuna, nsga2", "Optuna TPESampler", "Optuna NSGAIISampler")


@dataclass
class Way:
    run: Callable[[int], object]
    microseconds: list[float] = field(default_factory=list)

    def shown(self) -> str:
        median, low, high = (f(self.microseconds) for f in (statistics.median, min, max))
        return f"{median:.1f} ({low:.1f}–{high:.1f})"


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task = nasbench201_task(DEVICE)
    space, evaluator = task.space, task.evaluator.inner
    for cell in NasBench201.all():
        task.scored(cell)
    folder = Path(tempfile.mkdtemp())

    def ours(name: str, path: Path | None) -> Callable[[int], object]:
        strategy, config, objectives, _ = OURS[name]

        def run(round: int) -> None:
            problem = Problem(space, None, Budget(evaluations=EVALUATIONS), round, objectives)
            ledger = Ledger(path and path / f"{name}{round}.jsonl")
            search(problem, strategy(problem, config, generator(round, "strategy")), evaluator, ledger)
            ledger.close()

        return run

    def theirs(sampler: Callable[..., optuna.samplers.BaseSampler]) -> Callable[[int], object]:
        def run(round: int) -> None:
            study = optuna.create_study(direction="minimize", sampler=sampler(seed=round))
            choices = optuna_choices(space)
            for _ in range(EVALUATIONS):
                trial = study.ask(choices)
                architecture = Architecture(space.name, tuple(trial.params[name] for name in choices))
                study.tell(trial, task.scored(architecture)[0])

        return run

    peers = {
        "Optuna RandomSampler": Way(theirs(optuna.samplers.RandomSampler)),
        "Optuna TPESampler": Way(theirs(optuna.samplers.TPESampler)),
        "Optuna NSGAIISampler": Way(lambda round: optuna_nsga2(50)(task, round)),
        "pymoo NSGA2": Way(lambda round: pymoo_nsga2("choice", 100)(task, round)),
    }
    in_memory = {name: Way(ours(name, None)) for name in OURS}
    on_disk = {name: Way(ours(name, folder)) for name in OURS}
    for round in range(ROUNDS):
        for ways in (in_memory, on_disk, peers):
            for name, way in ways.items():
                if name in SLOW and round >= ROUNDS_OF_SLOW_ONES:
                    continue
                gc.collect()  # what the way before left behind is not this one's cost
                started = time.process_time()
                way.run(round)
                way.microseconds.append(1e6 * (time.process_time() - started) / EVALUATIONS)
    table = RichTable(title=f"microseconds of processor time an evaluation: median (range), {EVALUATIONS} evaluations")
    for column in ("strategy", "in memory", "ledger on disk", "peer", "peer / in memory"):
        table.add_column(column)
    for name, (_, _, _, peer) in OURS.items():
        ratio = statistics.median(peers[peer].microseconds) / statistics.median(in_memory[name].microseconds)
        table.add_row(name, in_memory[name].shown(), on_disk[name].shown(), peer, f"{ratio:.1f}")
    for name, way in peers.items():
        table.add_row(name, way.shown(), "", "", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

"""What fronts NSGA-II finds beside those of Optuna and pymoo, and what each costs an evaluation.

Two objectives each: accuracy and measured latency of the cells of NAS-Bench-201 (CIFAR-10) on four devices, and
accuracy and multiply-adds of Once-for-All MobileNetV3 sub-networks, by the surrogate. After 50, 100, 200 and 300
evaluations: the hypervolume of all that was evaluated, in percent of that of the true front (of the surrogate: of the
front of all that was measured for it, which predictions may pass). The reference point is the worst of each objective
over the whole table (the surrogate: over all that was measured), the same for all. Broken cells make that a generous
one, so all is shown once more with the worst of each objective over the true front.

Peers run their own loops by ask and tell, each with its own default population and with ours. Optuna has one
categorical parameter a decision. pymoo has the integer operators of its documentation (simulated binary crossover and
polynomial mutation, rounded), which take the order in which operations are listed for a scale, or uniform crossover and
random choice. All that is asked counts as an evaluation. With "repeats free", which neither peer offers, an encoding
that was scored before does not; those stand apart. "again" is the share of evaluations whose encoding was scored
before. The same evaluator scores for all, and its time is not counted. Processor time of one process.

    NASBENCH_DATA=FOLDER python -m benchmarks.hypervolume [SEEDS [DEVICE,DEVICE...|ofa-mobilenetv3]]
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator as PymooEvaluator
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.termination import NoTermination
from pymoo.core.variable import Choice as PymooChoice
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.mutation.rm import ChoiceRandomMutation
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.problems.static import StaticProblem
from rich.console import Console
from rich.table import Table as RichTable
from scipy.stats import ttest_ind

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.objectives import costs_of, parse_objectives
from nasbench.core.pareto import hypervolume, non_dominated
from nasbench.core.problem import Budget, Objective, Problem
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.search_spaces.ofa_mobilenetv3 import OfaMobileNetV3
from nasbench.strategies.nsga2 import Nsga2
from nasbench.strategies.random import RandomSearch
from nasbench.tables import nasbench201, ofa_mobilenetv3

BUDGETS = (50, 100, 200, 300)
MOST_TRIALS = 5 * max(BUDGETS)
SEEDS = 20
DEVICES = ("raspi4", "pixel3", "titanxp_256", "eyeriss")
OURS = Nsga2.Config().population


class Timed:
    """The evaluator of all contestants; ``seconds`` is the processor time it took, which is not theirs."""

    def __init__(self, evaluator: TableEvaluator) -> None:
        self.inner, self.seconds = evaluator, 0.0
        self.source, self.sources, self.version = evaluator.source, evaluator.sources, evaluator.version
        self.measures, self.fingerprint = evaluator.measures, evaluator.fingerprint

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        started = time.process_time()
        evaluation = self.inner.evaluate(proposal, id=id, seed=seed)
        self.seconds += time.process_time() - started
        return evaluation

    def evaluate_many(
        self, proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
    ) -> list[Evaluation]:
        started = time.process_time()
        evaluations = self.inner.evaluate_many(proposals, ids, seeds)
        self.seconds += time.process_time() - started
        return evaluations


@dataclass
class Task:
    """Two objectives on a space. ``everything`` [n, 2] are the costs of the whole table, or of all measured ones."""

    name: str
    space: DecisionSpace
    evaluator: Timed
    objectives: tuple[Objective, ...]
    everything: np.ndarray

    def __post_init__(self) -> None:
        front = self.everything[non_dominated(self.everything)]
        self.references = {"worst of all": self.everything.max(axis=0), "worst of the front": front.max(axis=0)}
        self._whole = {name: hypervolume(front, reference) for name, reference in self.references.items()}

    def scored(self, architecture: Architecture) -> list[float]:
        """Return the costs of one architecture, by the evaluator of all."""
        evaluation = self.evaluator.evaluate(Proposal(architecture), id=0, seed=0)
        return [-objective.score(evaluation) for objective in self.objectives]

    def share(self, costs: np.ndarray, reference: str) -> float:
        """Return the hypervolume of costs [n, 2] in percent of that of the front."""
        return 100 * hypervolume(costs, self.references[reference]) / self._whole[reference]


Found = list[tuple[Architecture, list[float]]]
Contestant = Callable[[Task, int], Found]


def ours(strategy: type[Strategy], config: StrategyConfig) -> Contestant:
    def run(task: Task, seed: int) -> Found:
        problem = Problem(task.space, None, Budget(evaluations=max(BUDGETS)), seed, task.objectives)
        ledger = Ledger()
        search(problem, strategy(problem, config, generator(seed, "strategy")), task.evaluator, ledger)
        costs = costs_of(task.objectives, (), ledger.evaluations)[0].tolist()
        return [(e.architecture, row) for e, row in zip(ledger.evaluations, costs, strict=True)]

    return run


def counted(found: Found, repeats_free: bool) -> int:
    """Return how many evaluations were spent."""
    return len(dict(found)) if repeats_free and len(found) >= max(BUDGETS) else len(found)


def optuna_choices(space: DecisionSpace) -> dict[str, optuna.distributions.BaseDistribution]:
    """Return every decision of a space as a categorical one of Optuna's."""
    values: dict[str, Any] = {choice.name: choice.values for choice in space.decisions}
    return {name: optuna.distributions.CategoricalDistribution(allowed) for name, allowed in values.items()}


def optuna_nsga2(population: int, *, repeats_free: bool = False) -> Contestant:
    def run(task: Task, seed: int) -> Found:
        sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
        study = optuna.create_study(directions=["minimize"] * len(task.objectives), sampler=sampler)
        choices = optuna_choices(task.space)
        found: Found = []
        while counted(found, repeats_free) < max(BUDGETS) and len(found) < MOST_TRIALS:
            trial = study.ask(choices)
            architecture = Architecture(task.space.name, tuple(trial.params[name] for name in choices))
            found.append((architecture, task.scored(architecture)))
            study.tell(trial, found[-1][1])
        return list(dict(found).items()) if repeats_free else found

    return run


def pymoo_nsga2(coding: str, population: int, *, repeats_free: bool = False) -> Contestant:
    def run(task: Task, seed: int) -> Found:
        values = [choice.values for choice in task.space.decisions]
        last = np.array([len(v) - 1 for v in values])
        problem = PymooProblem(n_var=len(values), n_obj=len(task.objectives), xl=0 * last, xu=last, vtype=int)
        if coding == "integer":
            operators = {
                "crossover": SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
                "mutation": PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            }
        else:
            problem.vars = {i: PymooChoice(options=np.arange(len(v))) for i, v in enumerate(values)}
            operators = {"crossover": UX(), "mutation": ChoiceRandomMutation()}
        algorithm = NSGA2(pop_size=population, sampling=IntegerRandomSampling(), **operators)
        algorithm.setup(problem, termination=NoTermination(), seed=seed, verbose=False)
        found: Found = []
        while counted(found, repeats_free) < max(BUDGETS) and len(found) < MOST_TRIALS:
            asked = algorithm.ask()
            batch: Found = []
            for row in asked.get("X").astype(int).tolist():
                spec = tuple(v[i] for v, i in zip(values, row, strict=True))
                batch.append((architecture := Architecture(task.space.name, spec), task.scored(architecture)))
            found += batch
            PymooEvaluator().eval(StaticProblem(problem, F=np.array([costs for _, costs in batch])), asked)
            algorithm.tell(infills=asked)
        return (list(dict(found).items()) if repeats_free else found)[: max(BUDGETS)]

    return run


OUR_NAME = f"nsga2, population {OURS}"
FREE = ", repeats free"
CONTESTANTS: dict[str, Contestant] = {
    OUR_NAME: ours(Nsga2, Nsga2.Config()),
    "optuna, population 50 (its own)": optuna_nsga2(50),
    f"optuna, population {OURS}": optuna_nsga2(OURS),
    f"optuna, population {OURS}{FREE}": optuna_nsga2(OURS, repeats_free=True),
    "pymoo choice, population 100 (its own)": pymoo_nsga2("choice", 100),
    f"pymoo choice, population {OURS}": pymoo_nsga2("choice", OURS),
    "pymoo integer, population 100 (its own)": pymoo_nsga2("integer", 100),
    f"pymoo integer, population {OURS}": pymoo_nsga2("integer", OURS),
    f"pymoo integer, population {OURS}{FREE}": pymoo_nsga2("integer", OURS, repeats_free=True),
    "random": ours(RandomSearch, RandomSearch.Config()),
}
PEERS = {
    peer + free: [who for who in CONTESTANTS if who.startswith(peer) and who.endswith(FREE) == bool(free)]
    for free in ("", FREE)
    for peer in ("optuna", "pymoo")
}


def nasbench201_task(device: str) -> Task:
    space, table = NasBench201(), nasbench201.load("cifar10")
    latency = nasbench201.load_latency(device)
    everything = np.array([[-table.valid_accuracy[row], latency[spec]] for spec, row in table.row.items()])
    evaluator = Timed(TableEvaluator(space, table, TableEvaluator.Config(latency=device)))
    objectives = parse_objectives(["valid_accuracy", f"latency_ms@{device}"])
    return Task(device, space, evaluator, objectives, everything)


def ofa_task() -> Task:
    space, surrogate = OfaMobileNetV3(), ofa_mobilenetv3.load("imagenet")
    measured = {Architecture(space.name, spec): accuracy for spec, accuracy in surrogate.measured.items()}
    everything = np.array([[-accuracy, space.macs(architecture)] for architecture, accuracy in measured.items()])
    evaluator = Timed(TableEvaluator(space, surrogate, TableEvaluator.Config()))
    return Task(space.name, space, evaluator, parse_objectives(["valid_accuracy", "macs"]), everything)


@dataclass
class Outcome:
    """What one contestant did on one task: ``shares`` [references, seeds, budgets] in percent, and costs a search."""

    shares: np.ndarray
    again: float
    microseconds: list[float]


def measure(task: Task, seeds: int) -> dict[str, Outcome]:
    """Run all contestants on a task; they take turns."""
    shares: dict[str, list[list[list[float]]]] = {name: [] for name in CONTESTANTS}
    again: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for seed in range(seeds):
        for name, run in CONTESTANTS.items():
            gc.collect()  # what the one before left behind is not this one's cost
            task.evaluator.seconds, started = 0.0, time.process_time()
            found = run(task, seed)
            seconds[name].append(time.process_time() - started - task.evaluator.seconds)
            costs = np.array([row for _, row in found])
            again[name].append(1 - len({architecture for architecture, _ in found}) / len(found))
            shares[name].append([[task.share(costs[:n], reference) for n in BUDGETS] for reference in task.references])
    return {
        name: Outcome(
            np.array(shares[name]).swapaxes(0, 1),
            float(np.mean(again[name])),
            [1e6 * value / max(BUDGETS) for value in seconds[name]],
        )
        for name in CONTESTANTS
    }


def show_task(console: Console, task: Task, outcomes: dict[str, Outcome]) -> None:
    for number, (name, reference) in enumerate(task.references.items()):
        point = f"accuracy {-reference[0]:.2f}, {task.objectives[1].name} {reference[1]:.6g}"
        shown = RichTable(title=f"{task.name}: % of the front's hypervolume; reference point the {name}: {point}")
        for column in ("", *map(str, BUDGETS), "again", "us an evaluation"):
            shown.add_column(column)
        for contestant, outcome in outcomes.items():
            scores = outcome.shares[number]
            cells = [f"{m:.2f}±{s:.2f}" for m, s in zip(scores.mean(axis=0), scores.std(axis=0, ddof=1), strict=True)]
            shown.add_row(contestant, *cells, f"{outcome.again:.0%}", f"{np.median(outcome.microseconds):.0f}")
        console.print(shown)


def show_differences(console: Console, all_outcomes: dict[str, dict[str, Outcome]]) -> None:
    """Ours less the best variant of each peer at each budget, with Welch's 95 % interval; then the mean over tasks."""
    for number, name in enumerate(("worst of all", "worst of the front")):
        by_task = {
            task: {who: outcome.shares[number] for who, outcome in outcomes.items()}
            for task, outcomes in all_outcomes.items()
        }
        means = {who: np.mean([scores[who] for scores in by_task.values()], axis=0) for who in CONTESTANTS}
        shown = RichTable(title=f"ours less the best variant of a peer at each budget; reference point the {name}")
        for heading in ("task", "peer", *map(str, BUDGETS)):
            shown.add_column(heading)
        for task, scores in {**by_task, "mean of all tasks": means}.items():
            for peer, variants in PEERS.items():
                cells = []
                for column in range(len(BUDGETS)):
                    best = max(variants, key=lambda who: float(scores[who][:, column].mean()))
                    ours, theirs = scores[OUR_NAME][:, column], scores[best][:, column]
                    low, high = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
                    cells.append(f"{ours.mean() - theirs.mean():+.2f} [{low:+.2f}, {high:+.2f}]")
                shown.add_row(task, peer, *cells)
        console.print(shown)


def show_costs(console: Console, all_outcomes: dict[str, dict[str, Outcome]]) -> None:
    shown = RichTable(
        title="microseconds of processor time an evaluation, median over seeds; of a peer the variant that costs least"
    )
    for column in ("task", "ours", "optuna", "pymoo", "optuna / ours", "pymoo / ours"):
        shown.add_column(column)
    for task, outcomes in all_outcomes.items():
        variants = [OUR_NAME], PEERS["optuna"], PEERS["pymoo"]
        cost = [min(float(np.median(outcomes[who].microseconds)) for who in names) for names in variants]
        shown.add_row(task, *(f"{c:.0f}" for c in cost), *(f"{c / cost[0]:.1f}" for c in cost[1:]))
    console.print(shown)


def main(seeds: int, names: Sequence[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    console, all_outcomes = Console(width=160), {}
    for name in names:
        task = ofa_task() if name == OfaMobileNetV3.name else nasbench201_task(name)
        all_outcomes[name] = measure(task, seeds)
        show_task(console, task, all_outcomes[name])
    show_differences(console, all_outcomes)
    show_costs(console, all_outcomes)


if __name__ == "__main__":
    tasks = sys.argv[2].split(",") if len(sys.argv) > 2 else [*DEVICES, OfaMobileNetV3.name]
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS, tasks)

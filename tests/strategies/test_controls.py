"""Strategies on the NAS-Bench-201 table: a control in which nothing can be learnt, and published-scale figures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.evaluators.table import TableEvaluator
from nasbench.protocol.random_search import RandomSearch as ExactRandomSearch
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.local_search import LocalSearch
from nasbench.strategies.random import RandomSearch
from nasbench.strategies.reinforce import Reinforce
from nasbench.tables.held_out import test_accuracies as final_scores
from nasbench.tables.nasbench201 import Table, load

SPACE = NasBench201()
EVALUATIONS = 50
BENCHMARK = Evolution.Config(population=10, tournament=3, mutation="benchmark", unique=False)
METHODS: dict[str, tuple[type[Strategy], StrategyConfig]] = {
    "random": (RandomSearch, RandomSearch.Config()),
    "evolution 20/10, no isomorphs": (Evolution, Evolution.Config()),
    "evolution 10/3, uniform mutation": (Evolution, Evolution.Config(population=10, tournament=3, unique=False)),
    "evolution 10/3, benchmark mutation": (Evolution, BENCHMARK),
    "local search": (LocalSearch, LocalSearch.Config()),
    "reinforce": (Reinforce, Reinforce.Config()),
}


@pytest.fixture(scope="module")
def loaded() -> dict[Path, tuple[Table, np.ndarray]]:
    """Keep what `cifar10` reads, for all tests of this file."""
    return {}


@pytest.fixture
def cifar10(table: Path, loaded: dict[Path, tuple[Table, np.ndarray]]) -> tuple[Table, np.ndarray]:
    """The search scores on CIFAR-10 and the final ones, in the same order."""
    if table not in loaded:
        loaded[table] = load("cifar10", table), final_scores("cifar10", table)
    return loaded[table]


def found(
    scores: Table,
    strategy: type[Strategy],
    config: StrategyConfig,
    seed: int,
    evaluations: int = EVALUATIONS,
    shuffle: bool = False,
) -> int:
    """Return the row of the cell that a search recommends."""
    problem = Problem(SPACE, None, Budget(evaluations=evaluations), seed)
    searcher, ledger = strategy(problem, config, generator(seed, "strategy")), Ledger()
    settings = TableEvaluator.Config(shuffle=shuffle)
    search(problem, searcher, TableEvaluator(SPACE, scores, settings, None, generator(seed, "shuffle")), ledger)
    assert len(ledger) == evaluations
    return scores.row[searcher.recommend()[0].spec]


@pytest.mark.parametrize("method", METHODS)
def test_where_validation_says_nothing_a_search_finds_the_average_cell(method: str, cifar10) -> None:
    """Rewards shuffled anew for every seed: whatever beats the mean now knows more than it was told.

    Without isomorphs the expectation is that of distinct networks, half a standard error above that of cells.
    """
    scores, final = cifar10
    seeds = 300
    found_scores = [final[found(scores, *METHODS[method], seed, shuffle=True)] for seed in range(seeds)]
    standard_error = final.std() / math.sqrt(seeds)
    assert final.mean() == pytest.approx(87.063, abs=5e-4)
    assert abs(np.mean(found_scores) - final.mean()) < 3 * standard_error
    assert np.std(found_scores) > final.std() / 3  # the seeds found all sorts of cells, not one over and over


def test_the_control_would_notice_scores_that_say_something(cifar10) -> None:
    scores, final = cifar10
    mean = np.mean([final[found(scores, *METHODS["random"], seed)] for seed in range(150)])
    assert mean - final.mean() > 5 * final.std() / math.sqrt(150)


def test_random_search_reaches_what_the_formula_says(cifar10) -> None:
    scores, final = cifar10
    exact = ExactRandomSearch(scores.valid_accuracy, final, EVALUATIONS)
    reached = [final[found(scores, *METHODS["random"], seed)] for seed in range(60)]
    assert abs(np.mean(reached) - exact.mean) < 4 * exact.std / math.sqrt(60)


@pytest.mark.parametrize(
    ("dataset", "mean", "std", "tolerance"), [("cifar10", 93.92, 0.44, 0.12), ("cifar100", 71.94, 1.09, 0.3)]
)
def test_evolution_reaches_its_reference_figures(
    table: Path, dataset: str, mean: float, std: float, tolerance: float
) -> None:
    """After 100 evaluations, over 200 seeds of other code and random numbers (benchmarks/reference_figures.py).

    Population 10, tournaments of 3 and the mutation are those of Dong & Yang, NAS-Bench-201, ICLR 2020.
    """
    scores, final = load(dataset, table), final_scores(dataset, table)
    reached = [final[found(scores, Evolution, BENCHMARK, seed, evaluations=100)] for seed in range(200)]
    assert np.mean(reached) == pytest.approx(mean, abs=tolerance)
    assert np.std(reached, ddof=1) == pytest.approx(std, rel=0.2)

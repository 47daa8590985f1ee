"""Every built-in strategy keeps the contract; evolution and local search do what their papers say."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench.catalog import STRATEGIES, resolve
from nasbench.core.errors import BadInput, MissingAbility
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Objective, Problem
from nasbench.core.seeding import generator
from nasbench.experiments.config import needs_shared_weights
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.best_seen import KEPT, BestSeen
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.local_search import LocalSearch
from nasbench.strategies.random import RandomSearch
from nasbench.testing import check_strategy
from nasbench.testing.strategies import HashEvaluator, SmallSpace

SPACE = SmallSpace()


def problem(evaluations: int, space=SPACE, seed: int = 0) -> Problem:
    return Problem(space, None, Budget(evaluations=evaluations), seed)


def run(strategy_type, config, evaluations: int, space=SPACE, seed: int = 0) -> Ledger:
    ledger = Ledger()
    the_problem = problem(evaluations, space, seed)
    search(the_problem, strategy_type(the_problem, config, generator(seed, "strategy")), HashEvaluator(), ledger)
    return ledger


@pytest.mark.parametrize(
    "name", [name for name in STRATEGIES if not needs_shared_weights(resolve("strategy", name, STRATEGIES))]
)
def test_contract(name: str) -> None:
    check_strategy(resolve("strategy", name, STRATEGIES))


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("mutation", ["uniform", "benchmark"])
def test_evolution_contract_with_every_setting(unique: bool, mutation: str) -> None:
    config = Evolution.Config(population=6, tournament=3, mutation=mutation, unique=unique)
    check_strategy(Evolution, space=NasBench201(), config=config, evaluations=40)


def test_evolution_with_budget_equal_to_population_is_random_search() -> None:
    config = Evolution.Config(population=25, tournament=5, unique=False)
    for seed in range(5):
        evolved = run(Evolution, config, 25, seed=seed)
        drawn = run(RandomSearch, RandomSearch.Config(), 25, seed=seed)
        assert [e.architecture for e in evolved.evaluations] == [e.architecture for e in drawn.evaluations]


def test_unique_evolution_never_asks_for_an_isomorph_twice() -> None:
    space = NasBench201()
    ledger = run(Evolution, Evolution.Config(), 300, space)
    assert len(ledger) == 300
    assert len({space.canonical(e.architecture) for e in ledger.evaluations}) == 300


def test_evolution_drops_the_oldest_and_keeps_failures_out() -> None:
    strategy = Evolution(problem(10), Evolution.Config(population=3, tournament=2), generator(0, "strategy"))
    ids = []
    for id in range(6):
        proposal = strategy.ask()[0]
        failed = id == 4
        metrics = {} if failed else {"valid_accuracy": float(id)}
        strategy.tell([Evaluation(id, proposal, metrics, "trained", 0, "failed" if failed else "ok")])
        ids.append(proposal.architecture.to_json())
    population = [member[0] for member in strategy.state_dict()["population"]]
    assert population == [ids[2], ids[3], ids[5]]


def test_evolution_refuses_a_tournament_larger_than_the_population() -> None:
    with pytest.raises(ValueError, match="cannot exceed population"):
        Evolution.Config(population=5, tournament=6)


def test_benchmark_mutation_needs_a_space_that_has_one() -> None:
    with pytest.raises(MissingAbility, match="mutation=uniform"):
        Evolution(problem(5), Evolution.Config(mutation="benchmark"), generator(0, "strategy"))


def test_unique_strategies_stop_when_nothing_is_left() -> None:
    class Tiny(SmallSpace):
        name = "tiny"
        decisions = SmallSpace.decisions[:2]

    for strategy_type in (Evolution, LocalSearch):
        ledger = run(strategy_type, strategy_type.Config(), 500, Tiny())
        assert len(ledger) == 16, strategy_type


def test_local_search_only_moves_to_better_neighbours() -> None:
    ledger = run(LocalSearch, LocalSearch.Config(), 200)
    centre, best = None, -np.inf
    objective = Objective()
    for evaluation in ledger.evaluations:
        score = objective.score(evaluation)
        if centre is not None and evaluation.architecture in SPACE.neighbors(centre):
            moved = score > best
        else:  # a restart: all neighbours of the centre before it were tried
            tried = {e.architecture for e in ledger.evaluations[: evaluation.id]}
            assert centre is None or tried >= set(SPACE.neighbors(centre))
            moved = True
        if moved:
            centre, best = (evaluation.architecture, score) if score > -np.inf else (None, -np.inf)
    assert len({e.architecture for e in ledger.evaluations}) == len(ledger)


def test_best_seen_breaks_ties_by_encoding_and_forgets_nothing_good() -> None:
    best, rng = BestSeen(Objective()), generator(0, "test")
    architectures = list({SPACE.sample(rng) for _ in range(200)})
    for id, architecture in enumerate(architectures):
        best.add(Evaluation(id, Proposal(architecture), {"valid_accuracy": float(id % 3)}, "trained", 0))
    top = sorted((a for i, a in enumerate(architectures) if i % 3 == 2), key=lambda a: repr(a.spec))
    assert best.architectures(KEPT) == top[:KEPT]


def test_a_metric_that_is_not_measured_is_bad_input() -> None:
    evaluation = Evaluation(0, Proposal(SPACE.sample(generator(0, "x"))), {"valid_accuracy": 1.0}, "trained", 0)
    with pytest.raises(BadInput, match="does not measure 'latency'"):
        Objective("latency", maximize=False).score(evaluation)

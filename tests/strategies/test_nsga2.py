"""NSGA-II: the contract with one and several objectives, what lives on, and what it finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import MissingAbility
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.objectives import costs_of, measured_front, parse_constraints, parse_objectives
from nasbench.core.pareto import hypervolume
from nasbench.core.problem import Budget, Problem
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.core.state import load_state, save_state
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.nsga2 import Nsga2
from nasbench.strategies.random import RandomSearch
from nasbench.testing import check_strategy
from nasbench.testing.strategies import HashEvaluator, SmallSpace

OBJECTIVES = parse_objectives(["valid_accuracy", "size"])


class TwoGoals(HashEvaluator):
    """Letters early in the alphabet score well and are large; a hash adds noise and lets some fail."""

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        evaluation = super().evaluate(proposal, id=id, seed=seed)
        size = sum(4 - "abcd".index(str(value)) for value in proposal.architecture.spec)
        return evaluation._replace(metrics={**evaluation.metrics, "size": float(size)})


def problem(evaluations: int, constraints: tuple[str, ...] = (), space: SearchSpace | None = None, seed: int = 0):
    goals = OBJECTIVES, parse_constraints(constraints)
    return Problem(space or SmallSpace(), None, Budget(evaluations=evaluations), seed, *goals)


def run(the_problem: Problem, strategy=Nsga2, config=None) -> tuple[Nsga2, Ledger]:
    searcher = strategy(the_problem, config or strategy.Config(), generator(the_problem.seed, "strategy"))
    ledger = Ledger()
    search(the_problem, searcher, TwoGoals(), ledger)
    return searcher, ledger


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("population", [2, 7])
def test_contract_with_one_objective(population: int, unique: bool) -> None:
    config = Nsga2.Config(population=population, unique=unique)
    check_strategy(Nsga2, config=config)
    check_strategy(Nsga2, space=NasBench201(), config=config, evaluations=40)


@pytest.mark.parametrize("constraints", [(), ("size<=14",)])
def test_several_objectives_are_seeded_and_resumed_after_every_batch(
    constraints: tuple[str, ...], tmp_path: Path
) -> None:
    the_problem, config = problem(60, constraints), Nsga2.Config(population=8)
    whole, ledger = run(the_problem, config=config)
    assert [e.proposal for e in run(the_problem, config=config)[1].evaluations] == [
        e.proposal for e in ledger.evaluations
    ]
    searcher, told = Nsga2(the_problem, config, generator(0, "strategy")), 0
    while told < len(ledger):
        asked = searcher.ask()[: len(ledger) - told]
        batch = ledger.evaluations[told : told + len(asked)]
        assert asked == [e.proposal for e in batch]
        searcher.tell(batch)
        told += len(asked)
        save_state(tmp_path / "state.json", searcher.state_dict())
        searcher = Nsga2(the_problem, config, generator(5, "other"))
        searcher.load_state_dict(load_state(tmp_path / "state.json"))
    assert searcher.recommend(99) == whole.recommend(99) != []


@pytest.mark.parametrize("constraints", [(), ("size<=14",)])
def test_it_recommends_the_front_of_all_that_was_measured(constraints: tuple[str, ...]) -> None:
    the_problem = problem(100, constraints)
    searcher, ledger = run(the_problem)
    front = measured_front(OBJECTIVES, the_problem.constraints, ledger.evaluations)
    assert len(front) > 3
    assert searcher.recommend(99) == [e.architecture for e in front]
    assert searcher.recommend() == [front[0].architecture]
    assert front[0].metrics["valid_accuracy"] == max(e.metrics["valid_accuracy"] for e in front)


def test_where_nothing_keeps_the_constraints_it_moves_towards_them_and_recommends_nothing() -> None:
    searcher, ledger = run(problem(200, ("size<=5",)), config=Nsga2.Config(population=10))  # the smallest size is 6
    sizes = [e.metrics["size"] for e in ledger.evaluations if e.status == "ok"]
    assert np.mean(sizes[-50:]) < np.mean(sizes[:20]) - 2
    assert searcher.recommend(5) == []


def test_nothing_is_asked_for_twice_and_a_small_space_is_used_up() -> None:
    class Tiny(DecisionSpace):
        name = "tiny"
        decisions = (
            Choice("kind", ("a", "b", "c", "d")),
            Choice("more", ("a", "b"), active=lambda settings: settings["kind"] != "a"),
            Choice("one", ("a",)),
        )

        def build(self, architecture, task, size=None):
            raise NotImplementedError

    space = Tiny()
    _, ledger = run(problem(500, space=space), config=Nsga2.Config(population=4))
    classes = [space.canonical(e.architecture) for e in ledger.evaluations]
    assert len(set(classes)) == len(classes) == 7


def test_isomorphs_are_left_out_where_that_is_wanted() -> None:
    space = NasBench201()
    searcher = Nsga2(problem(1, space=space), Nsga2.Config(unique=True), generator(0, "strategy"))
    free = Nsga2(problem(1, space=space), Nsga2.Config(), generator(0, "strategy"))
    for who, unseen in ((searcher, 1), (free, 2)):
        cells = [space.parse(f"|{edge}~0|+|none~0|none~1|+|none~0|none~1|none~2|") for edge in ("none", "avg_pool_3x3")]
        assert space.canonical(cells[0]) == space.canonical(cells[1])
        assert who._unseen(cells, 9) == cells[:unseen]


def test_survivors_are_the_best_by_rank_then_by_crowding() -> None:
    """Two fronts; of the second the ends and the least crowded point live on."""
    searcher = Nsga2(problem(20), Nsga2.Config(population=5), generator(0, "strategy"))
    sizes = [(90.0, 5.0), (80.0, 4.0), (85.0, 9.0), (70.0, 8.0), (76.0, 8.5), (75.0, 8.2), (60.0, 5.0)]
    cells = SmallSpace().sample_many(generator(0, "cells"), len(sizes))
    told = [
        Evaluation(i, Proposal(cell), {"valid_accuracy": accuracy, "size": size}, "table", 0)
        for i, (cell, (accuracy, size)) in enumerate(zip(cells, sizes, strict=True))
    ]
    searcher.tell([*told, Evaluation(9, Proposal(cells[0]), {}, "table", 0, "failed", "no reason")])
    assert searcher.state_dict()["costs"] == [[-90.0, 5.0], [-80.0, 4.0], [-85.0, 9.0], [-60.0, 5.0], [-70.0, 8.0]]


def test_children_differ_from_their_parents_as_often_as_the_probabilities_say() -> None:
    space = SmallSpace()
    searcher = Nsga2(problem(20), Nsga2.Config(population=2, crossover=0.0, mutation=0.25), generator(0, "strategy"))
    parent = Architecture("small", ("b",) * 6)
    told = [Evaluation(i, Proposal(parent), {"valid_accuracy": 50.0, "size": 9.0}, "table", 0) for i in range(2)]
    searcher.tell(told)
    values = [value for _ in range(2000) for value in searcher.sample(generator(_, "children")).spec]
    shares = [values.count(letter) / len(values) for letter in "abcd"]
    assert shares == pytest.approx([0.25 / 3, 0.75, 0.25 / 3, 0.25 / 3], abs=0.015)
    crossing = Nsga2(problem(20), Nsga2.Config(population=2, crossover=1.0, mutation=0.0), generator(0, "strategy"))
    other = Evaluation(1, Proposal(Architecture("small", ("c",) * 6)), told[1].metrics, "table", 0)
    crossing.tell([told[0], other])
    children = [crossing.sample(generator(i, "children")).spec for i in range(400)]
    assert {value for spec in children for value in spec} == {"b", "c"}
    assert 0.2 < np.mean([len(set(spec)) == 2 for spec in children]) < 0.6  # both parents are the same half the time
    for spec in children:
        space.check(Architecture("small", spec))


def test_a_space_without_decisions_is_refused() -> None:
    bare = type("Bare", (SearchSpace,), {"name": "bare", **dict.fromkeys(SearchSpace.__abstractmethods__)})()
    with pytest.raises(MissingAbility, match="needs a space of decisions"):
        Nsga2(problem(5, space=bare), Nsga2.Config(), generator(0, "strategy"))


def test_its_front_covers_more_than_that_of_random_search() -> None:
    def covered(strategy: type, seed: int) -> float:
        _, ledger = run(problem(150, seed=seed), strategy)
        front = measured_front(OBJECTIVES, (), ledger.evaluations)
        return hypervolume(costs_of(OBJECTIVES, (), front)[0], [0.0, 25.0])

    gains = [covered(Nsga2, seed) - covered(RandomSearch, seed) for seed in range(12)]
    assert np.mean(gains) > 3 * np.std(gains, ddof=1) / np.sqrt(len(gains))

"""GraphNAS' controller: draws, rewards a decision, and what it finds on a real table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nasbench.core.evaluation import Evaluation
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench_graph import NasBenchGraph
from nasbench.strategies.deciding import picks_of
from nasbench.strategies.graphnas import GraphNas
from nasbench.tables.table import load_table
from nasbench.testing import check_strategy
from nasbench.testing.strategies import SmallSpace
from tests.strategies.conditional import ConditionalSpace


def graphnas(space: Any = None, **settings: Any) -> GraphNas:
    problem = Problem(space or SmallSpace(), None, Budget(evaluations=1), 0)
    return GraphNas(problem, GraphNas.Config(**{"hidden": 8} | settings), generator(0, "strategy"))


def tell(strategy: GraphNas, score: float | None) -> None:
    metrics = {} if score is None else {"valid_accuracy": score}
    strategy.tell([Evaluation(0, strategy.ask()[0], metrics, "trained", 0, "failed" if score is None else "ok")])


def test_contract_where_decisions_are_conditional() -> None:
    config = GraphNas.Config(hidden=8, learning_rate=0.05)
    check_strategy(GraphNas, space=ConditionalSpace(), config=config, evaluations=20)


def test_forced_log_probability_is_that_of_sampling() -> None:
    space = ConditionalSpace()
    strategy, rng = graphnas(space, learning_rate=0.05), generator(1, "test")
    for score in rng.normal(size=20):
        tell(strategy, float(score))
    everything = {space.canonical(space.sample(rng)) for _ in range(2000)}
    probability = {}
    for architecture in everything:
        picks = picks_of(space, architecture)
        answers = strategy._read(picks)[1]
        probability[architecture] = math.exp(
            sum(answer.logs[pick] for answer, pick in zip(answers, picks.values(), strict=True))
        )
        assert all(0 <= answer.entropy <= math.log(len(answer.logs)) for answer in answers)
    assert sum(probability.values()) == pytest.approx(1, abs=1e-5)
    drawn = [strategy.sample(rng) for _ in range(1500)]
    for architecture, expected in probability.items():
        share = drawn.count(architecture) / len(drawn)
        assert abs(share - expected) < 4.5 * math.sqrt(expected * (1 - expected) / len(drawn))


def test_equal_rewards_give_no_gradient() -> None:
    strategy = graphnas(entropy_weight=0.0, learning_rate=0.5)
    before = strategy._controller.parameters.copy()
    tell(strategy, None)  # nothing to compare it with yet
    for _ in range(4):
        tell(strategy, 50.0)
    assert np.array_equal(strategy._controller.parameters, before)
    tell(strategy, None)
    assert np.allclose(strategy._controller.parameters, before, atol=1e-6)
    assert np.allclose(strategy._baselines, 50.0)
    tell(strategy, 60.0)
    assert np.allclose(strategy._baselines, 50.5)
    assert not np.allclose(strategy._controller.parameters, before, atol=1e-3)


def test_every_decision_has_its_own_reward_and_baseline() -> None:
    strategy = graphnas(NasBenchGraph(), entropy_weight=2.0)
    proposal = strategy.ask()[0]
    answers = strategy._read(picks_of(strategy._decisions, proposal.architecture))[1]
    strategy.tell([Evaluation(0, proposal, {"valid_accuracy": 70.0}, "trained", 0)])
    assert np.allclose(strategy._baselines, [70 + 2 * answer.entropy for answer in answers])
    assert np.allclose(strategy._baselines, 70 + 2 * np.log([2, 3, 4, 9, 9, 9, 9]), atol=0.05)


def test_the_policy_comes_to_prefer_what_scores_well() -> None:
    strategy = graphnas(learning_rate=0.02)
    for _ in range(250):
        proposal = strategy.ask()[0]
        score = 10.0 * sum(value == "c" for value in proposal.architecture.spec)
        strategy.tell([Evaluation(0, proposal, {"valid_accuracy": score}, "trained", 0)])
    rng = generator(1, "test")
    assert np.mean([strategy.sample(rng).spec.count("c") for _ in range(20)]) > 4


def test_search_on_cora_gives_what_random_search_gives_or_better(data) -> None:
    space = NasBenchGraph()
    table = load_table(space.name, "cora")
    problem, ledger = Problem(space, None, Budget(evaluations=100), 0), Ledger()
    strategy = GraphNas(problem, GraphNas.Config(), generator(0, "strategy"))
    search(problem, strategy, TableEvaluator(space, table, TableEvaluator.Config()), ledger)
    best = max(e.metrics["valid_accuracy"] for e in ledger.evaluations)
    assert best > np.quantile(table.valid_accuracy, 0.95)
    assert table.valid_accuracy[table.row[strategy.recommend()[0].spec]] == best

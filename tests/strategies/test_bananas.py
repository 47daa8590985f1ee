"""Bayesian optimisation: its contract with every predictor, what it asks for, and that it beats random search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from nasbench.catalog import PREDICTORS
from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.predictor import Prediction, Predictor
from nasbench.core.problem import Budget, Problem
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.bananas import Bananas, expected_improvement
from nasbench.strategies.evolution import Evolution
from nasbench.tables.nasbench201 import load
from nasbench.testing import check_strategy
from nasbench.testing.strategies import HashEvaluator, SmallSpace

SPACE = SmallSpace()


def bananas(space: SearchSpace = SPACE, evaluations: int = 60, seed: int = 0, **settings: Any) -> Bananas:
    problem = Problem(space, None, Budget(evaluations=evaluations), seed)
    return Bananas(problem, Bananas.Config(**settings), generator(seed, "strategy"))


def run(strategy: Bananas, evaluator: Any = None) -> list[Evaluation]:
    ledger = Ledger()
    search(strategy.problem, strategy, evaluator or HashEvaluator(), ledger)
    return list(ledger.evaluations)


class Spy(Predictor):
    """Records what it learns from; expects most of what comes late in the alphabet, and of nothing else is unsure."""

    fits: ClassVar[list[tuple[list[Architecture], np.ndarray]]] = []

    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Spy:
        self.fits.append((list(architectures), targets))
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        return Prediction(np.array([sum(map(ord, map(str, a.spec))) for a in architectures], dtype=np.float64))


@pytest.fixture
def spied() -> str:
    Spy.fits.clear()
    return f"{__name__}:Spy"


@pytest.mark.parametrize(
    "name", [name for name in PREDICTORS if name != "gaussian-process"]
)  # the default has its test
def test_contract_with_every_predictor(name: str) -> None:
    check_strategy(Bananas, config=Bananas.Config(predictor=name, batch=20))


@pytest.mark.parametrize("acquisition", ["thompson", "ucb", "ei"])
def test_contract_with_every_acquisition(acquisition: str) -> None:
    config = Bananas.Config(acquisition=acquisition, batch=3, initial=4)
    check_strategy(Bananas, space=NasBench201(), config=config, evaluations=30)


def test_no_isomorph_twice() -> None:
    space = NasBench201()
    evaluations = run(bananas(space, 200, batch=20))
    assert len(evaluations) == 200
    assert len({space.canonical(e.architecture) for e in evaluations}) == 200


def test_a_random_design_then_batches(spied: str) -> None:
    strategy = bananas(predictor=spied, initial=12, batch=5)
    first = strategy.ask()
    assert len(first) == 12
    strategy.tell([Evaluation(i, p, {"valid_accuracy": float(i)}, "trained", 0) for i, p in enumerate(first)])
    assert not Spy.fits
    assert len(strategy.ask()) == 5
    assert [len(learned) for learned, _ in Spy.fits] == [12]


def test_batches_grow_with_what_was_measured(spied: str) -> None:
    strategy = bananas(predictor=spied, initial=10)
    while len(Spy.fits) < 14:
        asked = strategy.ask()
        strategy.tell([Evaluation(0, p, {"valid_accuracy": float(len(Spy.fits))}, "trained", 0) for p in asked])
    assert [len(learned) for learned, _ in Spy.fits] == [*range(10, 21), 22, 24, 26]


def test_it_asks_for_what_the_predictor_expects_most_of(spied: str) -> None:
    evaluations = run(bananas(predictor=spied, initial=10, batch=10, evaluations=40))
    worth = [sum(map(ord, e.architecture.spec)) for e in evaluations]
    assert min(worth[10:20]) > np.median(worth[:10])
    assert max(worth) == 6 * ord("d")


def test_failures_are_not_learned_from(spied: str) -> None:
    evaluations = run(bananas(predictor=spied, batch=10))
    failed = {e.architecture for e in evaluations if e.status == "failed"}
    assert failed
    assert len({e.architecture for e in evaluations}) == len(evaluations)
    for learned, targets in Spy.fits:
        assert not failed & set(learned)
        assert np.isfinite(targets).all()
    assert len(Spy.fits[-1][0]) == sum(e.status == "ok" for e in evaluations[:50])


def test_a_score_that_is_not_a_number_ranks_last(spied: str) -> None:
    strategy = bananas(predictor=spied, initial=3)
    values = [2.0, float("nan"), 1.0]
    asked = strategy.ask()
    strategy.tell(
        [
            Evaluation(i, p, {"valid_accuracy": value}, "trained", 0)
            for i, (p, value) in enumerate(zip(asked, values, strict=True))
        ]
    )
    strategy.ask()
    assert np.argsort(Spy.fits[-1][1]).tolist() == [1, 2, 0]


def test_it_goes_on_at_random_while_all_fail() -> None:
    class Failing(HashEvaluator):
        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            raise RuntimeError("never")

    strategy = bananas(evaluations=30)
    assert len({e.architecture for e in run(strategy, Failing())}) == 30
    assert strategy.recommend() == []


def test_it_ends_when_nothing_is_left() -> None:
    class Tiny(SmallSpace):
        name = "tiny"
        decisions = SmallSpace.decisions[:2]

    assert len(run(bananas(Tiny(), 500))) == 16


def test_a_space_without_decisions_is_searched_by_its_graphs() -> None:
    inner = SmallSpace()

    class Graphs(SearchSpace):
        name = "small"
        sample, mutate, check = inner.sample, inner.mutate, inner.check
        canonical, graph, format, parse, build = inner.canonical, inner.graph, inner.format, inner.parse, inner.build

    space = Graphs()
    assert not isinstance(space, DecisionSpace)
    check_strategy(Bananas, space=space, evaluations=40)


def test_an_unknown_predictor_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"unknown predictor 'forrest'. Did you mean 'forest'\?"):
        bananas(predictor="forrest")


def test_expected_improvement_is_the_integral() -> None:
    mean, std, best = np.array([0.0, 1.5, -1.0]), np.array([1.0, 0.3, 2.0]), 1.0
    expected = [
        quad(lambda x, m=m, s=s: (x - best) * norm.pdf(x, m, s), best, best + 30)[0]
        for m, s in zip(mean, std, strict=True)
    ]
    assert expected_improvement(mean, std, best) == pytest.approx(expected, abs=1e-7)
    certain = expected_improvement(np.array([0.5, 3.0, 0.7]), np.zeros(3), 1.0)
    assert np.argsort(-certain).tolist() == [1, 2, 0]
    assert certain[1] == pytest.approx(2.0)


def test_on_a_table_it_is_ahead_of_evolution(table) -> None:
    """Mean validation regret after 100 cells of CIFAR-10, five searches each: less than half of evolution's."""
    space, scores = NasBench201(), load("cifar10", table)
    evaluator = TableEvaluator(space, scores, TableEvaluator.Config())
    regret = {}
    for strategy_type in (Bananas, Evolution):
        best = []
        for seed in range(5):
            problem, ledger = Problem(space, None, Budget(evaluations=100), seed), Ledger()
            strategy = strategy_type(problem, strategy_type.Config(), generator(seed, "strategy"))
            search(problem, strategy, evaluator, ledger)
            best.append(max(e.metrics["valid_accuracy"] for e in ledger.evaluations))
        regret[strategy_type] = scores.valid_accuracy.max() - np.mean(best)
    assert regret[Bananas] < regret[Evolution] / 2


def test_the_skill_of_the_predictor_is_told() -> None:
    strategy = bananas(initial=10, evaluations=60)
    assert strategy.predictor_skill() is None
    measured = [e for e in run(strategy) if e.status == "ok"]
    skill = strategy.predictor_skill()
    assert skill is not None
    assert (skill["name"], skill["architectures"]) == ("gaussian-process", len(measured))
    assert 0.2 < skill["kendall"] < skill["spearman"] < 1

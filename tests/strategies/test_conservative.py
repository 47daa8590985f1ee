"""The conservative explorer, with uniform draws and with Auto-GNN's encoders: what both have to keep to."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.search_spaces.nasbench_graph import NasBenchGraph
from nasbench.search_spaces.ofa_mobilenetv3 import OfaMobileNetV3
from nasbench.strategies.agnn import AutoGnn
from nasbench.strategies.conservative import Conservative
from nasbench.strategies.decision_classes import decision_classes
from nasbench.tables.table import load_table
from nasbench.testing import check_strategy
from nasbench.testing.strategies import HashEvaluator, SmallSpace
from tests.strategies.conditional import ConditionalSpace

BOTH = pytest.mark.parametrize("method", [Conservative, AutoGnn])


class Tiny(SmallSpace):
    name = "tiny"
    decisions = SmallSpace.decisions[:2]


def made(method: type[Conservative], space: Any = None, seed: int = 0, **settings: Any) -> Any:
    if method is AutoGnn:
        settings = {"hidden": 8} | settings
    problem = Problem(space or SmallSpace(), None, Budget(evaluations=1), seed)
    return method(problem, method.Config(**settings), generator(seed, "strategy"))


def tell(strategy: Conservative, score: float | None) -> Architecture:
    """Ask and tell a score (None: failed); return what was asked for."""
    proposal = strategy.ask()[0]
    metrics = {} if score is None else {"valid_accuracy": score}
    strategy.tell([Evaluation(0, proposal, metrics, "trained", 0, "failed" if score is None else "ok")])
    return proposal.architecture


def run(method: type[Conservative], evaluations: int, space: Any, evaluator: Any = None, **settings: Any) -> Ledger:
    strategy, ledger = made(method, space, **settings), Ledger()
    search(Problem(space, None, Budget(evaluations=evaluations), 0), strategy, evaluator or HashEvaluator(), ledger)
    return ledger


@BOTH
@pytest.mark.parametrize("space", [SmallSpace(), ConditionalSpace(), Tiny()], ids=lambda space: space.name)
@pytest.mark.parametrize(
    "settings",
    [
        {"choice": "argmax", "entropy": "normalised", "restart_after": 4},
        {"classes": "positions", "choice": "uniform", "unseen": False},
        {"classes": "positions", "classes_changed": 2, "resamples": 0},
    ],
    ids=str,
)
def test_contract(method: type[Conservative], space: Any, settings: dict[str, Any]) -> None:
    more = {"hidden": 8, "learning_rate": 0.05} if method is AutoGnn else {}
    check_strategy(method, space=space, config=method.Config(**settings, **more), evaluations=20)


def test_classes_are_groups_or_positions() -> None:
    graph = NasBenchGraph()
    assert decision_classes(graph, None) == [[0, 1, 2], [3, 4, 5, 6]]  # links, operations
    assert decision_classes(NasBench201(), None) == [[0], [1, 2], [3, 4, 5]]  # by node
    assert decision_classes(graph, "positions") == [[position] for position in range(7)]
    assert decision_classes(ConditionalSpace(), None) == [[0], [1], [2], [3]]
    with pytest.raises(BadInput, match="'conditional' have no groups; use classes=positions"):
        decision_classes(ConditionalSpace(), "groups")


@pytest.fixture
def cora(data) -> tuple[NasBenchGraph, Any, TableEvaluator]:
    space = NasBenchGraph()
    table = load_table(space.name, "cora")
    return space, table, TableEvaluator(space, table, TableEvaluator.Config())


@BOTH
@pytest.mark.parametrize("classes", ["groups", "positions"])
def test_offspring_differ_in_one_class_and_the_best_never_falls(method, classes: str, cora) -> None:
    space, _, evaluator = cora
    strategy = made(method, space, classes=classes)
    problem, groups = strategy.problem, decision_classes(space, classes)
    centre, best, moved = None, -math.inf, 0
    for id in range(60):
        proposal = strategy.ask()[0]
        differs = [
            number
            for number, positions in enumerate(groups)
            if centre is not None and any(centre.spec[p] != proposal.architecture.spec[p] for p in positions)
        ]
        if centre is not None:
            assert len(differs) == 1 or len(strategy._changed) > 1, "more than one only when no class had a new one"
            assert set(differs) <= set(strategy._changed)
        for number in range(len(groups)) if centre is not None else ():
            most = sum(math.log(len(space.decisions[p].values)) for p in groups[number])
            assert 0 <= strategy._entropy(number) <= most + 1e-5
        evaluation = evaluator.evaluate(proposal, id=id, seed=0)
        strategy.tell([evaluation])
        score = problem.objective.score(evaluation)
        if score > best:
            centre, best, moved = proposal.architecture, score, moved + 1
        assert strategy._centre == centre
        assert strategy._score == best
        assert evaluator.evaluate(Proposal(strategy.recommend()[0]), id=0, seed=0).metrics["valid_accuracy"] == best
    assert moved > 2


@BOTH
def test_no_isomorph_is_asked_for_twice_and_the_search_ends(method, cora) -> None:
    space, _, evaluator = cora
    ledger = run(method, 120, space, evaluator)
    assert len({space.canonical(e.architecture) for e in ledger.evaluations}) == 120
    assert len(run(method, 500, Tiny())) == 16
    assert len(run(method, 500, ConditionalSpace())) == len(
        {ConditionalSpace().canonical(ConditionalSpace().sample(generator(s, "all"))) for s in range(3000)}
    )


@BOTH
def test_without_unseen_nothing_but_the_best_itself_is_excluded(method) -> None:
    strategy = made(method, Tiny(), unseen=False, classes="positions")
    first, second = tell(strategy, 1.0), tell(strategy, 1.0)
    asked = [tell(strategy, 0.5) for _ in range(40)]
    assert strategy._centre == first != second, "a tie keeps the old"
    assert first not in asked
    assert len(set(asked)) == 6, "three other values at two positions, again and again"


def test_a_class_is_chosen_by_entropy() -> None:
    space, draws = NasBenchGraph(), 400
    for settings, expected in (
        ({"entropy": "raw"}, [24 / (24 + 9**4), 9**4 / (24 + 9**4)]),  # the softmax of sums of logarithms
        ({"entropy": "normalised"}, [0.5, 0.5]),
        ({"choice": "uniform"}, [0.5, 0.5]),
        ({"classes": "positions"}, np.array([2, 3, 4, 9, 9, 9, 9]) / 45),
        ({"choice": "argmax"}, [0.0, 1.0]),
    ):
        strategy, rng = made(Conservative, space, **settings), generator(1, "test")
        tell(strategy, 1.0)
        counts = Counter(next(strategy._choices(1, rng))[0] for _ in range(draws))
        observed = [counts[number] for number in range(len(expected))]
        if settings == {"choice": "argmax"}:
            assert observed == [0, draws]
        else:
            assert chisquare(observed, np.array(expected) * draws).pvalue > 1e-3, settings


def test_uniform_draws_are_uniform() -> None:
    strategy, rng = made(Conservative, NasBenchGraph(), unseen=False), generator(2, "test")
    tell(strategy, 1.0)
    drawn = strategy._draw([0], 2400, rng)
    counts = Counter(a.spec[:3] for a in drawn)
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 1e-3
    assert {a.spec[3:] for a in drawn} == {strategy._centre.spec[3:]}


@BOTH
def test_a_restart_takes_a_stranger_whatever_it_scores(method) -> None:
    strategy = made(method, restart_after=3)
    tell(strategy, 9.0)
    kept = [tell(strategy, 1.0) for _ in range(3)]
    stranger = tell(strategy, None)
    assert strategy._centre not in kept, "a failed start is no centre"
    other = tell(strategy, 0.5)
    assert strategy._centre == other != stranger
    assert strategy._score == 0.5
    assert tell(strategy, 0.7) == strategy._centre
    assert strategy.recommend()[0] not in (other, stranger)


@BOTH
def test_it_starts_again_until_something_succeeds(method) -> None:
    strategy = made(method)
    for _ in range(3):
        tell(strategy, None)
        assert strategy._centre is None
    assert tell(strategy, 1.0) == strategy._centre


@BOTH
def test_inert_decisions_keep_their_value(method) -> None:
    space = OfaMobileNetV3()
    strategy = made(method, space)
    centre = tell(strategy, 50.0)
    active = space.active(space.choices(centre))
    assert not all(active)
    for _ in range(10):
        asked = tell(strategy, 1.0)
        assert all(a == b for a, b, on in zip(asked.spec, centre.spec, active, strict=True) if not on)


@BOTH
def test_what_is_sampled_is_an_offspring(method) -> None:
    strategy, rng = made(method), generator(3, "test")
    strategy.space.check(strategy.sample(rng))
    centre = tell(strategy, 1.0)
    for _ in range(10):
        spec = strategy.sample(rng).spec
        assert spec[::2] == centre.spec[::2] or spec[1::2] == centre.spec[1::2]


@BOTH
def test_search_on_nasbench201_beats_the_average_cell(method, table) -> None:
    space, scores = NasBench201(), load_table("nasbench201", "cifar10", table)
    evaluator = TableEvaluator(space, scores, TableEvaluator.Config())
    ledger = run(method, 100, space, evaluator)
    best = max(e.metrics["valid_accuracy"] for e in ledger.evaluations)
    assert best > np.quantile(scores.valid_accuracy, 0.99)

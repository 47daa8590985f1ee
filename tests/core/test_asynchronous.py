"""The loop that waits for nobody: order of endings, budget, interruption, and what it does not do twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nasbench.core.asynchronous import search_asynchronously
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.loop import Watcher, evaluate_safely, search
from nasbench.core.problem import Budget, Problem
from nasbench.core.run_directory import open_run
from nasbench.core.seeding import evaluation_seed, generator
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.random import RandomSearch
from nasbench.testing.strategies import HashEvaluator, SmallSpace

SPACE = SmallSpace()
EVALUATIONS = 40


class LastFirst:
    """A pool of three in which whatever was begun last ends first; it dies after some evaluations."""

    def __init__(self, dies_after: int = 10**9) -> None:
        self.begun: list[tuple[Proposal, int, int]] = []
        self.left = dies_after

    def room(self) -> bool:
        return len(self.begun) < 3

    def submit(self, proposal: Proposal, id: int, seed: int) -> None:
        self.begun.append((proposal, id, seed))

    def next(self) -> Evaluation:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return evaluate_safely(HashEvaluator(), *self.begun.pop())


def run(folder: Path, strategy: type, pool: LastFirst) -> list[Evaluation]:
    problem = Problem(SPACE, None, Budget(evaluations=EVALUATIONS), seed=3)
    searcher = strategy(problem, strategy.Config(), generator(3, "strategy"))
    with open_run(folder, {"some": "run"}, {}) as directory:
        ledger = directory.ledger()
        try:
            search_asynchronously(problem, searcher, HashEvaluator(), ledger, pool, checkpoints=directory)
        finally:
            ledger.close()
    return ledger.evaluations


@pytest.mark.parametrize("strategy", [RandomSearch, Evolution])
def test_ids_are_the_order_of_endings_and_seeds_the_order_of_questions(strategy: type, tmp_path: Path) -> None:
    evaluations = run(tmp_path, strategy, LastFirst())
    assert [e.id for e in evaluations] == list(range(EVALUATIONS))
    assert evaluations[0].seed == evaluation_seed(3, 2, evaluations[0].proposal)


@pytest.mark.parametrize("always", [True, False], ids=["checkpoints", "none"])
@pytest.mark.parametrize("strategy", [RandomSearch, Evolution])
def test_interrupted_again_and_again_nothing_is_lost_or_there_twice(
    strategy: type, always: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasbench.core.asynchronous.SECONDS_BETWEEN_CHECKPOINTS", 0.0 if always else 1e9)
    whole = run(tmp_path / "whole", strategy, LastFirst())
    for dies_after in (5, 9, 1, 4):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", strategy, LastFirst(dies_after))
    evaluations = run(tmp_path / "killed", strategy, LastFirst())
    assert [e.id for e in evaluations] == list(range(EVALUATIONS))
    if strategy is RandomSearch:  # whatever the order, these are the candidates that it draws
        drawn = [Counter(e.architecture for e in some) for some in (whole, evaluations)]
        assert (drawn[0] - drawn[1]).total() <= 3
    else:
        assert len({SPACE.canonical(e.architecture) for e in evaluations}) == EVALUATIONS


def test_a_search_goes_on_in_the_way_it_was_begun(tmp_path: Path) -> None:
    run(tmp_path, RandomSearch, LastFirst())
    problem = Problem(SPACE, None, Budget(evaluations=EVALUATIONS + 1), seed=3)
    searcher = RandomSearch(problem, RandomSearch.Config(), generator(3, "strategy"))
    with open_run(tmp_path, {"some": "run"}, {}) as directory:
        ledger = directory.ledger()
        with pytest.raises(BadInput, match="begun with --asynchronous"):
            search(problem, searcher, HashEvaluator(), ledger, checkpoints=directory, watcher=Watcher())
        ledger.close()

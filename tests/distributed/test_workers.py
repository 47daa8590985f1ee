"""Scoring in several processes: in order, side by side, failures included; and what cannot be sent is refused."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from nasbench.core.errors import BadInput, Diverged
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.distributed import workers
from nasbench.distributed.workers import worker_pool
from nasbench.strategies.random import RandomSearch
from nasbench.testing.strategies import HashEvaluator, SmallSpace

SPACE = SmallSpace()
PATIENCE = 60.0


def proposals(count: int) -> list[Proposal]:
    rng = generator(0, "workers")
    return [Proposal(SPACE.sample(rng)) for _ in range(count)]


class WhereAmI:
    """Scores a candidate by the process that works on it."""

    source = "trained"
    version = 0
    fingerprint = "process"

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        return Evaluation(id, proposal, {"process": float(os.getpid())}, "trained", seed)


class WaitsForTheNext(WhereAmI):
    """Ends an even candidate only after the one that follows: possible only if two are worked on at the same time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        given_up = time.monotonic() + PATIENCE
        while id % 2 == 0 and not (self.folder / str(id + 1)).exists():
            if time.monotonic() > given_up:
                raise TimeoutError("nobody works on the next candidate")
            time.sleep(0.005)
        (self.folder / str(id)).touch()
        return super().evaluate(proposal, id=id, seed=seed)


class SomeFail(WhereAmI):
    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if id in FAILURES:
            raise FAILURES[id]
        return super().evaluate(proposal, id=id, seed=seed)


FAILURES: dict[int, Exception] = {
    1: Diverged("the loss was nan"),
    2: MemoryError("no memory"),
    4: ValueError("odd\nshape"),
}


class Refuses(WhereAmI):
    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        raise BadInput("there is no such fidelity")


class Unsendable(WhereAmI):
    def __init__(self) -> None:
        self.key = lambda architecture: architecture.spec


class Learns(HashEvaluator):
    def due(self, progress) -> bool:
        return False

    def learn(self, sample) -> dict[str, float]:
        return {}


class Absorbs(HashEvaluator):
    def absorb(self, evaluations) -> None: ...


def test_results_come_in_the_order_asked_though_they_end_in_another(tmp_path: Path) -> None:
    asked, ids, seeds = proposals(6), list(range(10, 16)), list(range(100, 106))
    with worker_pool(WaitsForTheNext(tmp_path), 2) as evaluate_many:
        evaluations = list(evaluate_many(asked, ids, seeds))
    assert [(e.proposal, e.id, e.seed, e.status) for e in evaluations] == [
        (p, i, s, "ok") for p, i, s in zip(asked, ids, seeds, strict=True)
    ]
    processes = {e.metrics["process"] for e in evaluations}
    assert len(processes) == 2 and os.getpid() not in processes
    assert not multiprocessing.active_children()


def test_a_candidate_that_fails_is_recorded_and_the_others_go_on() -> None:
    with worker_pool(SomeFail(), 2) as evaluate_many:
        evaluations = list(evaluate_many(proposals(6), range(6), range(6)))
    assert [e.status for e in evaluations] == ["ok", "failed", "failed", "ok", "failed", "ok"]
    errors = [e.error for e in evaluations if e.status == "failed"]
    assert errors == ["the loss was nan", "MemoryError: no memory", "ValueError: odd"]
    assert all(e.metrics == {} and e.source == "trained" and e.id == e.seed for e in evaluations if e.error)


def test_bad_input_in_a_worker_reaches_the_caller_and_ends_the_pool() -> None:
    with worker_pool(Refuses(), 2) as evaluate_many, pytest.raises(BadInput, match="there is no such fidelity"):
        list(evaluate_many(proposals(3), range(3), range(3)))
    assert not multiprocessing.active_children()


def test_a_search_with_workers_has_the_ledger_of_one_without() -> None:
    def run(count: int) -> list[dict]:
        problem, ledger, evaluator = Problem(SPACE, None, Budget(evaluations=40), seed=2), Ledger(), HashEvaluator()
        strategy = RandomSearch(problem, RandomSearch.Config(), generator(2, "strategy"))
        with worker_pool(evaluator, count) as evaluate_many:
            search(problem, strategy, evaluator, ledger, evaluate_many=evaluate_many)
        return [{**e.to_record(), "seconds": 0.0} for e in ledger.evaluations]

    alone = run(0)
    assert run(2) == alone and len(alone) == 40
    assert {record.get("status") for record in alone} == {None, "failed"}


@pytest.mark.parametrize("count", [0, 1])
def test_one_worker_is_this_process(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object) -> None:
        raise AssertionError("a pool of processes was made")

    monkeypatch.setattr(workers, "ProcessPoolExecutor", forbidden)
    for evaluator in (WhereAmI(), Unsendable()):  # nothing needs sending, so all evaluators may stay
        with worker_pool(evaluator, count) as evaluate_many:
            evaluations = list(evaluate_many(proposals(3), range(3), range(3)))
        assert {e.metrics["process"] for e in evaluations} == {float(os.getpid())}
    with pytest.raises(AssertionError, match="a pool of processes was made"), worker_pool(WhereAmI(), 2):
        pass


@pytest.mark.parametrize("evaluator", [Learns(), Absorbs()], ids=lambda evaluator: type(evaluator).__name__)
def test_an_evaluator_that_learns_is_refused(evaluator: HashEvaluator) -> None:
    with pytest.raises(BadInput, match=r"an evaluator that learns .* --workers 0"), worker_pool(evaluator, 2):
        pass
    with worker_pool(evaluator, 1) as evaluate_many:
        assert len(list(evaluate_many(proposals(3), range(3), range(3)))) == 3


def test_an_evaluator_that_cannot_be_sent_is_refused() -> None:
    refused = pytest.raises(BadInput, match=r"cannot be sent to other processes .* --workers 0")
    with refused, worker_pool(Unsendable(), 2):
        pass
    assert not multiprocessing.active_children()

"""Scoring on several workers: in order, side by side, failures and dead workers included; what cannot be is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasbench.core.asynchronous import search_asynchronously
from nasbench.core.errors import BadInput, Diverged
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.distributed.cluster import HERE, Workers
from nasbench.distributed.workers import candidate_pool, worker_pool
from nasbench.strategies.evolution import Evolution
from nasbench.strategies.random import RandomSearch
from nasbench.strategies.reinforce import Reinforce
from nasbench.testing.strategies import HashEvaluator, SmallSpace

SPACE = SmallSpace()
PATIENCE = 60.0
TWO = Workers(2)


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


class Dies(WhereAmI):
    """Ends its process: at candidate 1 always, at candidate 2 the first time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        marker = self.folder / str(id)
        if id == 1 or (id == 2 and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(proposal, id=id, seed=seed)


class Sleeps(WhereAmI):
    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if id == 1:
            time.sleep(PATIENCE)
        return super().evaluate(proposal, id=id, seed=seed)


class WaitsForFive(HashEvaluator):
    """Ends the candidate asked for first after five others have ended, so that results come in another order."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        deadline = time.monotonic() + PATIENCE
        while id == 0 and len(list(self.folder.iterdir())) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        if id > 0:
            (self.folder / str(id)).touch()
        return super().evaluate(proposal, id=id, seed=seed)


def test_results_come_in_the_order_asked_though_they_end_in_another(tmp_path: Path, nodes) -> None:
    asked, ids, seeds = proposals(6), list(range(10, 16)), list(range(100, 106))
    with worker_pool(WaitsForTheNext(tmp_path), TWO) as evaluate_many:
        evaluations = list(evaluate_many(asked, ids, seeds))
    assert [(e.proposal, e.id, e.seed, e.status) for e in evaluations] == [
        (p, i, s, "ok") for p, i, s in zip(asked, ids, seeds, strict=True)
    ]
    processes = {e.metrics["process"] for e in evaluations}
    assert len(processes) == 2 and os.getpid() not in processes


def test_a_candidate_that_fails_is_recorded_and_the_others_go_on(nodes) -> None:
    with worker_pool(SomeFail(), TWO) as evaluate_many:
        evaluations = list(evaluate_many(proposals(6), range(6), range(6)))
    assert [e.status for e in evaluations] == ["ok", "failed", "failed", "ok", "failed", "ok"]
    errors = [e.error for e in evaluations if e.status == "failed"]
    assert errors == ["the loss was nan", "MemoryError: no memory", "ValueError: odd"]
    assert all(e.metrics == {} and e.source == "trained" and e.id == e.seed for e in evaluations if e.error)


def test_bad_input_in_a_worker_reaches_the_caller(nodes) -> None:
    with worker_pool(Refuses(), TWO) as evaluate_many, pytest.raises(BadInput, match="there is no such fidelity"):
        list(evaluate_many(proposals(3), range(3), range(3)))


def test_a_candidate_that_kills_its_workers_fails_and_one_that_was_killed_does_not(tmp_path: Path, nodes) -> None:
    with worker_pool(Dies(tmp_path), TWO) as evaluate_many:
        evaluations = list(evaluate_many(proposals(4), range(4), range(4)))
    assert [e.status for e in evaluations] == ["ok", "failed", "ok", "ok"]
    assert "the worker process died" in evaluations[1].error and "3 times" in evaluations[1].error


@pytest.mark.parametrize("workers", [Workers(0, timeout=0.2), Workers(2, timeout=0.2)], ids=["here", "two"])
def test_a_candidate_that_hangs_is_given_up(workers: Workers, request: pytest.FixtureRequest) -> None:
    if not workers.here:
        request.getfixturevalue("nodes")
    with worker_pool(Sleeps(), workers) as evaluate_many:
        evaluations = list(evaluate_many(proposals(3), range(3), range(3)))
    assert [e.status for e in evaluations] == ["ok", "failed", "ok"]
    assert evaluations[1].error == "TooLong: longer than 0.2 s (--timeout-per-evaluation)"
    assert evaluations[1].seconds < PATIENCE / 2


def test_a_search_with_workers_has_the_ledger_of_one_without(nodes) -> None:
    def run(workers: Workers) -> list[dict]:
        problem, ledger, evaluator = Problem(SPACE, None, Budget(evaluations=40), seed=2), Ledger(), HashEvaluator()
        strategy = RandomSearch(problem, RandomSearch.Config(), generator(2, "strategy"))
        with worker_pool(evaluator, workers) as evaluate_many:
            search(problem, strategy, evaluator, ledger, evaluate_many=evaluate_many)
        return [{**e.to_record(), "seconds": 0.0} for e in ledger.evaluations]

    alone = run(HERE)
    assert run(TWO) == alone and len(alone) == 40
    assert {record.get("status") for record in alone} == {None, "failed"}


def asynchronously(evaluator, workers: Workers, strategy: type = Evolution, **settings) -> Ledger:
    problem, ledger = Problem(SPACE, None, Budget(evaluations=30), seed=2), Ledger()
    searcher = strategy(problem, strategy.Config(**settings), generator(2, "strategy"))
    with candidate_pool(evaluator, workers) as pool:
        search_asynchronously(problem, searcher, evaluator, ledger, pool)
    return ledger


def test_asynchronously_nobody_waits_for_the_slowest_and_the_ledger_has_the_order_that_happened(
    tmp_path: Path, nodes
) -> None:
    settings = {"population": 4, "tournament": 2}
    evaluations = asynchronously(WaitsForFive(tmp_path), TWO, **settings).evaluations
    assert [e.id for e in evaluations] == list(range(30))
    first = asynchronously(HashEvaluator(), HERE, **settings).evaluations[0]
    (slowest,) = (e for e in evaluations if e.seed == first.seed and e.architecture == first.architecture)
    assert slowest.id > 4  # it was asked first; while it ran more than the first population was scored


def test_a_strategy_that_needs_whole_batches_is_refused_asynchronously() -> None:
    with pytest.raises(BadInput, match=r"Reinforce waits for whole batches .* --asynchronous"):
        asynchronously(HashEvaluator(), HERE, Reinforce)


@pytest.mark.parametrize("count", [0, 1])
def test_one_worker_is_this_process(count: int) -> None:
    for evaluator in (WhereAmI(), Unsendable()):  # nothing needs sending, so all evaluators may stay
        with worker_pool(evaluator, Workers(count)) as evaluate_many:
            evaluations = list(evaluate_many(proposals(3), range(3), range(3)))
        assert {e.metrics["process"] for e in evaluations} == {float(os.getpid())}


@pytest.mark.parametrize("command", ["search", "sweep"])
def test_with_one_worker_ray_is_not_even_imported(command: str, tmp_path: Path, table) -> None:
    plural = {"search": ("--space", "--strategy"), "sweep": ("--spaces", "--strategies")}[command]
    arguments = [command, plural[0], "nasbench201", plural[1], "random", "--evaluator", "table", "--evaluations", "5"]
    program = (
        "import sys; from nasbench.cli.main import run; code = run(sys.argv[1:]);"
        "assert not {'ray', 'torch'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--workers", "1", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("evaluator", [Learns(), Absorbs()], ids=lambda evaluator: type(evaluator).__name__)
def test_an_evaluator_that_learns_is_refused(evaluator: HashEvaluator) -> None:
    with pytest.raises(BadInput, match=r"an evaluator that learns .* --workers 0"), worker_pool(evaluator, TWO):
        pass
    with worker_pool(evaluator, HERE) as evaluate_many:
        assert len(list(evaluate_many(proposals(3), range(3), range(3)))) == 3


def test_an_evaluator_that_cannot_be_sent_is_refused() -> None:
    refused = pytest.raises(BadInput, match=r"cannot be sent to other processes .* --workers 0")
    with refused, worker_pool(Unsendable(), TWO):
        pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cpus": 0.0}, "--cpus-per-worker must be more than 0"),
        ({"gpus": 1.5}, "--gpus-per-worker must be a share below 1 or a whole number"),
        ({"timeout": -1.0}, "--timeout-per-evaluation must be more than 0"),
    ],
)
def test_impossible_shares_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Workers(2, **settings)

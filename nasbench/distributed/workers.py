"""Score the candidates of a search on several workers: in batches, or each as soon as there is room."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from nasbench.core.abilities import Batching
from nasbench.core.asynchronous import CandidatePool
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.loop import EvaluateMany, evaluate_safely, in_this_process
from nasbench.distributed.cluster import Cluster, Stored, Workers, cluster
from nasbench.distributed.tasks import Finished, TaskPool
from nasbench.distributed.time_limit import SECONDS_OF_GRACE, TimeLimited

MOST_TRIES = 3
"""How often a candidate is begun whose worker died; a candidate that never ends well is a failed evaluation."""
SECONDS_OF_A_WAIT = 1.0


@contextmanager
def worker_pool(evaluator: Evaluator, workers: Workers) -> Iterator[EvaluateMany]:
    """Yield a function that scores batches on these workers; with 0 or 1 of this machine it does so here.

    The evaluator, its data included, is stored in the cluster once. Evaluations come back in the order asked. Only an
    evaluator without state may be used: its version would not rise over there.
    """
    if workers.here:
        limited = isinstance(evaluator, Batching) or workers.timeout is None
        yield in_this_process(evaluator if limited else TimeLimited(evaluator, workers.timeout, False))
        return
    check_evaluator(evaluator)
    with cluster(workers) as connected:
        pool = RayCandidates(evaluator, connected)

        def evaluate_many(
            proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
        ) -> Iterable[Evaluation]:
            waiting = iter(zip(proposals, ids, seeds, strict=True))
            done: dict[int, Evaluation] = {}
            submitted = 0
            try:
                for id in ids:
                    while id not in done:
                        while submitted < len(ids) and pool.room():
                            pool.submit(*next(waiting))
                            submitted += 1
                        evaluation = pool.next()
                        done[evaluation.id] = evaluation
                    yield done.pop(id)
            finally:
                pool.cancel()

        yield evaluate_many


@contextmanager
def candidate_pool(evaluator: Evaluator, workers: Workers) -> Iterator[CandidatePool]:
    """Yield a pool that takes candidates one by one and gives them back as they end."""
    check_evaluator(evaluator)
    if workers.here:
        yield OneByOne(TimeLimited(evaluator, workers.timeout, False))
        return
    with cluster(workers) as connected:
        pool = RayCandidates(evaluator, connected)
        try:
            yield pool
        finally:
            pool.cancel()


class OneByOne:
    """The pool of this process: one candidate at a time."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._asked: list[tuple[Proposal, int, int]] = []

    def room(self) -> bool:
        return not self._asked

    def submit(self, proposal: Proposal, id: int, seed: int) -> None:
        self._asked.append((proposal, id, seed))

    def next(self) -> Evaluation:
        return evaluate_safely(self._evaluator, *self._asked.pop())


class RayCandidates:
    """The pool of a cluster. A candidate whose worker dies is begun again on another, `MOST_TRIES` times in all."""

    def __init__(self, evaluator: Evaluator, connected: Cluster) -> None:
        self._evaluator, self._cluster = evaluator, connected
        self._tasks = TaskPool(connected, _evaluate)
        self._asked: dict[int, tuple[Proposal, int, int]] = {}
        self._tries: dict[int, int] = {}
        self._done: list[Evaluation] = []

    def room(self) -> bool:
        return self._tasks.room()

    def submit(self, proposal: Proposal, id: int, seed: int) -> None:
        self._asked[id] = (proposal, id, seed)
        self._tries[id] = self._tries.get(id, 0) + 1
        stored = self._cluster.put(self._evaluator)
        self._tasks.submit(id, stored, proposal, id, seed, self._cluster.workers.timeout)

    def next(self) -> Evaluation:
        """Return an evaluation that has come to its end, whichever is first; wait for it if need be."""
        while not self._done:
            for finished in self._tasks.wait(SECONDS_OF_A_WAIT):
                self._take(finished)
        return self._done.pop(0)

    def cancel(self) -> None:
        self._tasks.cancel()
        self._asked.clear()
        self._tries.clear()

    def _take(self, finished: Finished) -> None:
        id, failure = finished.key, finished.failure
        timeout = self._cluster.workers.timeout
        if failure is None:
            self._done.append(finished.value)
        elif failure.error is not None:
            raise failure.error
        elif failure.kind == "crash" and timeout is not None and finished.seconds >= timeout + SECONDS_OF_GRACE:
            self._fail(id, f"longer than {timeout:g} s, and had to be ended with its process", finished.seconds)
        elif failure.kind != "node" and self._tries[id] >= MOST_TRIES:
            self._fail(id, f"{failure.reason}, {MOST_TRIES} times", finished.seconds)
        else:
            if failure.kind == "node":  # no fault of the candidate
                self._tries[id] -= 1
            self.submit(*self._asked[id])
            return
        del self._asked[id], self._tries[id]

    def _fail(self, id: int, reason: str, seconds: float) -> None:
        proposal, _, seed = self._asked[id]
        self._done.append(Evaluation(id, proposal, {}, self._evaluator.source, seed, "failed", reason, seconds))


def check_evaluator(evaluator: Evaluator) -> None:
    """Raise BadInput if an evaluator cannot work in several processes, or without waiting."""
    if hasattr(evaluator, "absorb") or hasattr(evaluator, "learn"):
        raise BadInput(
            f"an evaluator that learns (source '{evaluator.source}') works in one process, batch by batch: "
            "--workers 0, and not --asynchronous."
        )
    try:
        pickle.dumps(evaluator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BadInput(f"this evaluator cannot be sent to other processes ({error}); use --workers 0.") from error


def _evaluate(stored: Stored, proposal: Proposal, id: int, seed: int, timeout: float | None) -> Evaluation:
    """Score one candidate in a worker."""
    return evaluate_safely(TimeLimited(stored.get(), timeout, True), proposal, id, seed)

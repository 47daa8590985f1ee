"""Score the candidates of a batch in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from nasbench.core.errors import BadInput, SearchFailed
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.loop import EvaluateMany, evaluate_safely, in_this_process

_evaluator: Evaluator | None = None


@contextmanager
def worker_pool(evaluator: Evaluator, workers: int) -> Iterator[EvaluateMany]:
    """Yield a function that scores batches with this many processes; with 0 or 1 none is started.

    The evaluator travels once to each process. Evaluations come back in the order asked. Only an evaluator without
    state may be used: its version would not rise over there.
    """
    if workers <= 1:
        yield in_this_process(evaluator)
        return
    if hasattr(evaluator, "absorb") or hasattr(evaluator, "learn"):
        raise BadInput(f"an evaluator that learns (source '{evaluator.source}') works in one process: --workers 0.")
    try:
        packed = pickle.dumps(evaluator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise BadInput(f"this evaluator cannot be sent to other processes ({error}); use --workers 0.") from error
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _receive, (packed, list(sys.path)))

    def evaluate_many(proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]) -> Iterable[Evaluation]:
        with _without_interrupts():
            futures = [pool.submit(_evaluate, p, i, s) for p, i, s in zip(proposals, ids, seeds, strict=True)]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise SearchFailed(
                "a worker process died, most likely for want of memory; what was scored is saved, and the same command "
                "goes on (with fewer --workers, or smaller networks)."
            ) from error
        finally:
            for future in futures:
                future.cancel()

    try:
        yield evaluate_many
    except BaseException:
        # A worker in the middle of a long training must not keep an interrupted search waiting.
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C, so that processes started inside never receive it: only the parent decides when to stop."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _receive(packed: bytes, path: list[str]) -> None:
    global _evaluator
    threading.Thread(target=_die_with_parent, daemon=True).start()
    sys.path[:] = path
    _evaluator = pickle.loads(packed)


def _evaluate(proposal: Proposal, id: int, seed: int) -> Evaluation:
    assert _evaluator is not None
    return evaluate_safely(_evaluator, proposal, id, seed)

"""A limit to the time of one evaluation."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.evaluator import Evaluator

SECONDS_OF_GRACE = 5.0


class TooLong(Exception):
    """One evaluation took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"longer than {seconds:g} s (--timeout-per-evaluation)")


class TimeLimited:
    """An evaluator that gives a candidate up after ``seconds``.

    Python code, torch's included, is interrupted where it stands. What does not react for another five seconds (a hang
    inside a library) is ended with the whole process, if that is a worker that others can replace (``expendable``).
    """

    def __init__(self, evaluator: Evaluator, seconds: float | None, expendable: bool) -> None:
        self._evaluator, self._seconds, self._expendable = evaluator, seconds, expendable
        self.source, self.version, self.fingerprint = evaluator.source, evaluator.version, evaluator.fingerprint

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        if self._seconds is None:
            return self._evaluator.evaluate(proposal, id=id, seed=seed)
        with _interrupted_after(self._seconds), _ended_after(self._seconds + SECONDS_OF_GRACE, self._expendable):
            return self._evaluator.evaluate(proposal, id=id, seed=seed)


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Raise TooLong inside the context, where signals can be had: in the main thread, not on Windows."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TooLong(seconds)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _ended_after(seconds: float, really: bool) -> Iterator[None]:
    """End this process after so many seconds in the context, even if Python's lock is held for ever."""
    if not really:
        yield
        return
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

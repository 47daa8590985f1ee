"""Which candidate a worker was at when it died: one that kills its workers must not be begun for ever."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nasbench.core.abilities import Batching
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.loop import EvaluateMany, evaluate_safely, in_this_process
from nasbench.core.run_directory import read_json
from nasbench.core.state import write_json
from nasbench.distributed.time_limit import TimeLimited

FILE = "attempt.json"
MOST_CRASHES = 3


class Crash(NamedTuple):
    """The worker that had this search before died, at this time (seconds of the epoch), for this reason."""

    at: float
    reason: str


@dataclass(frozen=True)
class Attempts:
    """Scores candidates in a process that may die, and in a folder that outlives it.

    Before a candidate is begun the folder's ``attempt.json`` names it. When the search goes on after a ``crash`` at
    that candidate, it is begun again, and at the third crash it is a failed evaluation; at once if its time was over.
    """

    folder: Path
    crash: Crash | None
    timeout: float | None
    expendable: bool

    def scoring(self, evaluator: Evaluator) -> EvaluateMany:
        """Return how batches are scored. An evaluator that scores whole batches only looks up: nothing dies there."""
        if isinstance(evaluator, Batching):
            return in_this_process(evaluator)
        limited = TimeLimited(evaluator, self.timeout, self.expendable)

        def evaluate_many(
            proposals: Sequence[Proposal], ids: Sequence[int], seeds: Sequence[int]
        ) -> Iterable[Evaluation]:
            for proposal, id, seed in zip(proposals, ids, seeds, strict=True):
                last = self._last(id)
                crashes, reason = self._judged(last)
                if reason is not None:
                    spent = max(0.0, self.crash.at - last["began"]) if self.crash is not None else 0.0
                    yield Evaluation(id, proposal, {}, evaluator.source, seed, "failed", reason, spent)
                    continue
                if self.expendable:
                    self._write(id, crashes)
                yield evaluate_safely(limited, proposal, id, seed)

        return evaluate_many

    def over(self) -> None:
        """Delete the file: the search is over."""
        (self.folder / FILE).unlink(missing_ok=True)

    def _last(self, id: int) -> dict[str, Any]:
        """Return what is known of earlier attempts at this candidate."""
        try:
            last = read_json(self.folder / FILE)
        except BadInput:
            return {"crashes": 0}
        return last if last.get("evaluation") == id else {"crashes": 0}

    def _judged(self, last: dict[str, Any]) -> tuple[int, str | None]:
        """Return how often the candidate's worker has died and, if it is not to be begun again, why."""
        crashes = int(last["crashes"])
        if self.crash is None or "began" not in last or last["began"] > self.crash.at:
            return crashes, None
        crashes += 1
        if self.timeout is not None and self.crash.at - last["began"] >= self.timeout:
            return crashes, f"longer than {self.timeout:g} s, and had to be ended with its process"
        return crashes, f"{self.crash.reason}, {crashes} times" if crashes >= MOST_CRASHES else None

    def _write(self, id: int, crashes: int) -> None:
        write_json(self.folder / FILE, {"evaluation": id, "crashes": crashes, "began": time.time()})

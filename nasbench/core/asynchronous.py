"""The search loop that waits for nobody: candidates are told in the order in which they end."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any, Protocol

from nasbench.core.architecture import Architecture, freeze
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.ledger import Ledger
from nasbench.core.loop import Checkpoints, Watcher
from nasbench.core.problem import Problem
from nasbench.core.progress import Progress
from nasbench.core.seeding import evaluation_seed
from nasbench.core.strategy import Strategy

SECONDS_BETWEEN_CHECKPOINTS = 1.0


class CandidatePool(Protocol):
    """Where candidates are scored side by side."""

    def room(self) -> bool:
        """Say whether another candidate can be begun now."""

    def submit(self, proposal: Proposal, id: int, seed: int) -> None: ...

    def next(self) -> Evaluation:
        """Return one that has ended, waiting for it if need be; at least one must have been submitted."""


def search_asynchronously(
    problem: Problem,
    strategy: Strategy,
    evaluator: Evaluator,
    ledger: Ledger,
    pool: CandidatePool,
    *,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
) -> Progress:
    """Run a search in which every evaluation is told by itself, as soon as there is one.

    The ledger holds the order in which evaluations ended; that order depends on the clock, and so does what the
    strategy proposes next. The seed of an evaluation depends on the place at which it was asked. A search that was
    killed goes on from the last checkpoint: what the ledger holds beyond it is told, and what was begun and not
    finished is begun again.

    Raises BadInput for a strategy that must hear of whole batches.
    """
    if not strategy.asynchronous:
        raise BadInput(
            f"{type(strategy).__name__} waits for whole batches and cannot search asynchronously; "
            "leave out --asynchronous."
        )
    started = saved_at = time.perf_counter()
    watcher = watcher or Watcher()
    state = None if checkpoints is None else checkpoints.last_checkpoint(len(ledger), 0)
    asked, earlier, told = 0, ledger.seconds, 0
    begun: dict[int, Proposal] = {}
    if state is not None:
        strategy.load_state_dict(state["parts"]["strategy"])
        if "asked" not in state:
            raise BadInput("this search was begun without --asynchronous; go on with it that way.")
        asked, told, earlier = state["asked"], state["evaluations"], max(earlier, float(state["seconds"]))
        begun = {number: _proposal(stored) for number, stored in state["begun"]}
    later = ledger.evaluations[told:]
    if later:
        strategy.tell(later)
    # What was asked after the checkpoint is asked again now; it was told above.
    known = Counter(evaluation.proposal for evaluation in later)
    again: deque[tuple[int, Proposal]] = deque()
    for number, proposal in begun.items():
        if known[proposal]:
            known[proposal] -= 1
        else:
            again.append((number, proposal))
    begun = {}
    exhausted = False

    def now() -> Progress:
        return Progress(len(ledger), 0, earlier + time.perf_counter() - started)

    def save() -> None:
        nonlocal saved_at
        if checkpoints is None:
            return
        ledger.sync()
        progress = now()
        waiting = [[number, _stored(proposal)] for number, proposal in [*begun.items(), *again]]
        counts = {"evaluations": progress.evaluations, "units": 0, "seconds": progress.seconds, "asked": asked}
        parts = {"strategy": strategy.state_dict()}
        checkpoints.checkpoint({"step": progress.evaluations, **counts, "begun": waiting, "parts": parts})
        saved_at = time.perf_counter()

    def record(evaluation: Evaluation) -> None:
        evaluation = evaluation._replace(id=len(ledger))
        ledger.append(evaluation)
        strategy.tell([evaluation])
        watcher.evaluated(now(), evaluation)
        if time.perf_counter() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            save()

    def wanted() -> bool:
        most = problem.budget.evaluations
        return not exhausted and (most is None or len(ledger) + len(begun) < most)

    while not now().spent(problem.budget):
        while wanted() and pool.room():
            if not again:
                proposals = strategy.ask()
                exhausted = not proposals
                for proposal in proposals:
                    if known[proposal]:
                        known[proposal] -= 1
                    else:
                        again.append((asked, proposal))
                    asked += 1
                continue
            number, proposal = again.popleft()
            same = ledger.same(proposal, evaluator.version)
            if same is not None:
                record(same._replace(proposal=proposal, seconds=0.0, reuses=same.id))
                continue
            begun[number] = proposal
            pool.submit(proposal, number, evaluation_seed(problem.seed, number, proposal))
        if not begun:
            break
        evaluation = pool.next()
        del begun[evaluation.id]
        record(evaluation)
    save()
    return now()


def _stored(proposal: Proposal) -> list[Any]:
    return [proposal.architecture.to_json(), proposal.fidelity, proposal.parent, proposal.repeat]


def _proposal(stored: list[Any]) -> Proposal:
    architecture, fidelity, parent, repeat = stored
    return Proposal(Architecture.from_json(architecture), freeze(fidelity), parent, repeat)

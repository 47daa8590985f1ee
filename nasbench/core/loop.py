"""The one search loop: black-box, one-shot and inheriting methods alike. It knows core types only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nasbench.core.abilities import Absorbing, Batching, Learner, Stateful, Storing
from nasbench.core.errors import BadInput, failure_reason
from nasbench.core.evaluation import Evaluation, Learned, Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.core.ledger import Ledger
from nasbench.core.problem import Problem
from nasbench.core.progress import Progress
from nasbench.core.seeding import evaluation_seed
from nasbench.core.strategy import Strategy

SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Checkpoints(Protocol):
    """Where the loop keeps its state (a `RunDirectory`)."""

    def checkpoint(self, state: dict[str, Any]) -> None: ...

    def last_checkpoint(self, evaluations: int, units: int) -> dict[str, Any] | None: ...


EvaluateMany = Callable[[Sequence[Proposal], Sequence[int], Sequence[int]], Iterable[Evaluation]]


@dataclass(frozen=True)
class Watcher:
    """What to call while searching: ``evaluated`` after every evaluation, ``learned`` after every learning unit."""

    evaluated: Callable[[Progress, Evaluation], None] = lambda progress, evaluation: None
    learned: Callable[[Progress, Learned], None] = lambda progress, unit: None


def search(
    problem: Problem,
    strategy: Strategy,
    evaluator: Evaluator,
    ledger: Ledger,
    *,
    shared: Any = None,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
    evaluate_many: EvaluateMany | None = None,
) -> Progress:
    """Run a search until its budget is spent or the strategy has nothing left; return how far it came.

    A search that was killed at any instant goes on from the last checkpoint: ``ask`` repeats itself because the
    generator is in the checkpoint, and what the ledger holds already is looked up instead of evaluated. ``shared`` are
    weights that strategy and evaluator have in common, stored once. ``evaluate_many`` spreads a batch over workers.

    Raises BadInput if the ledger does not fit what the strategy asks (another code version, a changed file).
    """
    started = time.perf_counter()
    listening = watcher is not None or problem.budget.seconds is not None
    watcher = watcher or Watcher()
    evaluate_many = evaluate_many or in_this_process(evaluator)
    absorbing = evaluator if isinstance(evaluator, Absorbing) else None
    storing = evaluator if isinstance(evaluator, Storing) else None
    parts = {"strategy": strategy, "evaluator": evaluator, "shared": shared}
    stateful = {name: part for name, part in parts.items() if isinstance(part, Stateful)}
    learners = {name: parts[name] for name in ("evaluator", "strategy") if isinstance(parts[name], Learner)}
    progress, earlier = Progress(0, 0, 0.0), ledger.seconds
    state = None if checkpoints is None else checkpoints.last_checkpoint(len(ledger), len(ledger.units))
    if state is not None:
        progress, earlier = _restore(state, stateful), max(earlier, float(state["seconds"]))
    saved_at = started

    def now(evaluations: int, units: int) -> Progress:
        return Progress(evaluations, units, earlier + time.perf_counter() - started)

    def save() -> None:
        nonlocal saved_at
        if checkpoints is not None:
            ledger.sync()
            contents = {name: part.state_dict() for name, part in stateful.items()}
            step = progress.evaluations + progress.units
            counts = {"evaluations": progress.evaluations, "units": progress.units, "seconds": progress.seconds}
            checkpoints.checkpoint({"step": step, **counts, "parts": contents})
        saved_at = time.perf_counter()

    def over(so_far: Progress) -> bool:
        """Say whether the search ends here: never before all that the ledger holds has been told again."""
        told = so_far.evaluations >= len(ledger) and so_far.units >= len(ledger.units)
        return told and so_far.spent(problem.budget)

    while not over(progress):
        due = next((name for name, part in learners.items() if part.due(progress)), None)
        if due is not None:
            unit = _learn(due, learners[due], strategy, progress.units)
            if progress.units == len(ledger.units):
                ledger.append(unit)
            progress = now(progress.evaluations, progress.units + 1)
            save()
            watcher.learned(progress, unit)
            continue
        proposals = strategy.ask()
        if not proposals:
            break
        if not isinstance(proposals[0], Proposal):
            raise BadInput(f"ask must return a list of Proposal, not of {type(proposals[0]).__name__}.")
        if problem.budget.evaluations is not None:  # workers must not begin what the budget does not pay for
            proposals = proposals[: problem.budget.evaluations - progress.evaluations]
        evaluations = []
        for evaluation in _score(problem, evaluator, ledger, proposals, progress.evaluations, evaluate_many):
            evaluations.append(evaluation)
            if listening:
                so_far = now(evaluation.id + 1, progress.units)
                watcher.evaluated(so_far, evaluation)
                if over(so_far):
                    break
        strategy.tell(evaluations)
        if absorbing is not None:
            absorbing.absorb(evaluations)
        if storing is not None:
            storing.forget(progress.evaluations)
        progress = now(progress.evaluations + len(evaluations), progress.units)
        if time.perf_counter() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            save()
    if problem.budget.seconds is not None:
        save()  # so that going on from here does not find a little time left
    return progress


def in_this_process(evaluator: Evaluator) -> EvaluateMany:
    """Return how to score a batch here: at once if the evaluator can, else each candidate when the loop takes it."""
    if isinstance(evaluator, Batching):
        return evaluator.evaluate_many
    return lambda proposals, ids, seeds: (
        evaluate_safely(evaluator, p, i, s) for p, i, s in zip(proposals, ids, seeds, strict=True)
    )


def evaluate_safely(evaluator: Evaluator, proposal: Proposal, id: int, seed: int) -> Evaluation:
    """Score one candidate; a candidate that diverges, crashes or runs out of memory becomes a failed evaluation."""
    started = time.perf_counter()
    try:
        evaluation = evaluator.evaluate(proposal, id=id, seed=seed)
    except Exception as error:
        reason = failure_reason(error)
    else:
        evaluation = checked(evaluation, proposal, id)
        odd = [f"{name} is {value}" for name, value in evaluation.metrics.items() if not math.isfinite(value)]
        if not odd:
            return evaluation
        reason = f"not a finite number: {', '.join(odd)}"
    seconds = time.perf_counter() - started
    return Evaluation(id, proposal, {}, evaluator.source, seed, "failed", reason, seconds)


def checked(evaluation: Evaluation, proposal: Proposal, id: int) -> Evaluation:
    """Return an evaluation with its metrics as plain floats; raise BadInput if an evaluator broke its contract."""
    if not isinstance(evaluation, Evaluation):
        raise BadInput(f"the evaluator returned {type(evaluation).__name__}, not an Evaluation.")
    if evaluation.id != id or evaluation.proposal != proposal:
        raise BadInput(
            f"the evaluator was asked for evaluation {id} and returned number {evaluation.id}, or another one."
        )
    try:
        return evaluation._replace(metrics={str(name): float(value) for name, value in evaluation.metrics.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"an evaluation's metrics must be a dictionary of numbers: {evaluation.metrics!r}.") from error


def _score(
    problem: Problem,
    evaluator: Evaluator,
    ledger: Ledger,
    proposals: Sequence[Proposal],
    first: int,
    evaluate_many: EvaluateMany,
) -> Iterator[Evaluation]:
    """Yield one evaluation a proposal, in order; each is in the ledger before it is yielded."""
    recorded, version = len(ledger), evaluator.version
    first_of: dict[Proposal, int] = {}
    new: list[int] = []
    for id, proposal in enumerate(proposals, start=first):
        if proposal.parent is not None and proposal.parent >= first:
            raise BadInput(f"evaluation {id} cannot go on from evaluation {proposal.parent}: it was not told yet.")
        if proposal not in first_of:
            first_of[proposal] = id
            if id >= recorded and ledger.same(proposal, version) is None:
                new.append(id)
    asked = [proposals[id - first] for id in new]
    seeds = [_seed(problem, ledger, id, proposal) for id, proposal in zip(new, asked, strict=True)]
    fresh = iter(evaluate_many(asked, new, seeds))
    waiting = set(new)

    for id, proposal in enumerate(proposals, start=first):
        if id < recorded:
            evaluation = ledger.evaluations[id]
            if evaluation.proposal != proposal:
                raise BadInput(
                    f"evaluation {id} in the ledger is of another architecture than the search asks for now."
                )
        else:
            if id in waiting:
                evaluation = next(fresh)
            else:
                earlier = ledger.same(proposal, version)
                if earlier is None:  # the same candidate failed earlier in this batch
                    earlier = ledger.evaluations[first_of[proposal]]
                evaluation = earlier._replace(id=id, proposal=proposal, seconds=0.0, reuses=earlier.id)
            ledger.append(evaluation)
        yield evaluation


def _seed(problem: Problem, ledger: Ledger, id: int, proposal: Proposal) -> int:
    """Return the seed of one evaluation: its own, unless it goes on with the training of the same architecture."""
    if proposal.parent is not None:
        parent = ledger.evaluations[proposal.parent]
        if parent.architecture == proposal.architecture:
            return parent.seed
    return evaluation_seed(problem.seed, id, proposal)


def _learn(name: str, part: Learner, strategy: Strategy, unit: int) -> Learned:
    started = time.perf_counter()
    metrics = part.learn(strategy.sample)
    return Learned(unit, name, metrics, time.perf_counter() - started)


def _restore(state: dict[str, Any], stateful: dict[str, Stateful]) -> Progress:
    if "asked" in state:
        raise BadInput("this search was begun with --asynchronous; go on with it that way.")
    for name, part in stateful.items():
        try:
            part.load_state_dict(state["parts"][name])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadInput(f"the checkpoint does not fit the {name} of this run ({error!r}).") from error
    return Progress(state["evaluations"], state["units"], state["seconds"])

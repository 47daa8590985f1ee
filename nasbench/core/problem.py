"""What is to be solved: space, task, objectives, constraints, budget, seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation

if TYPE_CHECKING:
    from nasbench.core.search_space import SearchSpace


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on one metric: ``name`` at most, or at least, ``bound``."""

    name: str
    bound: float
    at_most: bool = True

    def violation(self, evaluation: Evaluation) -> float:
        """Return how far beyond the bound the value lies, as a share of the bound (of 1 if the bound is 0).

        0 if it is kept, infinity for a failed evaluation or a value that is not a number. Sums of shares weigh all
        constraints alike (Deb, An efficient constraint handling method for genetic algorithms, CMAME 2000, section 3).
        Raises BadInput if the evaluation succeeded and lacks the metric.
        """
        if evaluation.status != "ok":
            return math.inf
        value = _measured(evaluation, self.name)
        if math.isnan(value):
            return math.inf
        beyond = value - self.bound if self.at_most else self.bound - value
        return max(0.0, beyond) / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        bound = int(self.bound) if self.bound.is_integer() and abs(self.bound) < 1e15 else self.bound
        return f"{self.name}{'<=' if self.at_most else '>='}{bound}"


@dataclass(frozen=True, slots=True)
class Objective:
    """One metric to improve; ``name`` as in `Evaluation.metrics` (``valid_accuracy``, ``latency_ms@raspi4``).

    What violates one of the ``constraints`` scores like a failure.
    """

    name: str = "valid_accuracy"
    maximize: bool = True
    constraints: tuple[Constraint, ...] = ()

    def score(self, evaluation: Evaluation) -> float:
        """Return the value, larger is better; minus infinity for a failed evaluation or a value that is not a number.

        Raises BadInput if the evaluation succeeded and lacks the metric: the evaluator cannot measure it.
        """
        if evaluation.status != "ok":
            return -math.inf
        value = _measured(evaluation, self.name)
        if math.isnan(value):
            return -math.inf
        if self.constraints and any(constraint.violation(evaluation) > 0 for constraint in self.constraints):
            return -math.inf
        return value if self.maximize else -value

    def __str__(self) -> str:
        return f"{self.name}:{'max' if self.maximize else 'min'}"


def _measured(evaluation: Evaluation, name: str) -> float:
    try:
        return evaluation.metrics[name]
    except KeyError:
        known = ", ".join(sorted(evaluation.metrics))
        raise BadInput(f"the evaluator does not measure '{name}'; it measures: {known}.") from None


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends: after ``evaluations`` told to the strategy, or ``seconds`` of work, whichever comes first."""

    evaluations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.evaluations is None and self.seconds is None:
            raise BadInput("a search needs a budget: a number of evaluations, a time in seconds, or both.")
        if self.evaluations is not None and self.evaluations < 1:
            raise BadInput(f"the number of evaluations must be at least 1, not {self.evaluations}.")
        if self.seconds is not None and not self.seconds > 0:
            raise BadInput(f"the time must be more than 0 seconds, not {self.seconds}.")


GRAPH_KINDS = ("node", "graph")
"""Kinds of tasks that are on graphs: on the nodes of one, or on several."""


@dataclass(frozen=True)
class SearchTask:
    """All that a search may see of a task: it has no test attribute at all.

    ``train`` and ``validation`` are what the kind of task works on (for images: `nasbench.datasets.images.Images`),
    ``input_shape`` is one input's shape without the batch, ``fingerprint`` identifies data and split.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    classes: int
    train: Any
    validation: Any
    fingerprint: str


@dataclass(frozen=True)
class Task:
    """A search task together with its test data. Held by the command; ``test`` is read by `nasbench.protocol` alone."""

    search: SearchTask
    test: Any


@dataclass(frozen=True)
class Problem:
    """Everything a strategy is told. ``task`` is None where scores come from a table."""

    space: SearchSpace
    task: SearchTask | None
    budget: Budget
    seed: int
    objectives: tuple[Objective, ...] = (Objective(),)
    constraints: tuple[Constraint, ...] = ()

    @property
    def objective(self) -> Objective:
        """The first objective, by which single-objective strategies rank, with the constraints."""
        return replace(self.objectives[0], constraints=self.constraints) if self.constraints else self.objectives[0]

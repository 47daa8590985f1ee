"""What is to be solved: space, task, objectives, budget, seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation

if TYPE_CHECKING:
    from nasbench.core.search_space import SearchSpace


@dataclass(frozen=True, slots=True)
class Objective:
    """One metric to improve; ``name`` as in `Evaluation.metrics` (``valid_accuracy``, ``latency_ms@raspi4``)."""

    name: str = "valid_accuracy"
    maximize: bool = True

    def score(self, evaluation: Evaluation) -> float:
        """Return the value, larger is better; minus infinity for a failed evaluation or a value that is not a number.

        Raises BadInput if the evaluation succeeded and lacks the metric: the evaluator cannot measure it.
        """
        if evaluation.status != "ok":
            return -math.inf
        try:
            value = evaluation.metrics[self.name]
        except KeyError:
            known = ", ".join(sorted(evaluation.metrics))
            raise BadInput(f"the evaluator does not measure '{self.name}'; it measures: {known}.") from None
        if math.isnan(value):
            return -math.inf
        return value if self.maximize else -value


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

    @property
    def objective(self) -> Objective:
        """The first objective, by which single-objective strategies rank."""
        return self.objectives[0]

"""Objectives and constraints as text, and what was measured as arrays of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, nearest
from nasbench.core.evaluation import Evaluation
from nasbench.core.pareto import non_dominated
from nasbench.core.problem import Constraint, Objective

METRIC = r"[A-Za-z_][\w.-]*(?:@[\w.-]+)?"
DIRECTIONS = ("max", "min")


def parse_objectives(texts: Iterable[str], known: Iterable[str] | None = None) -> tuple[Objective, ...]:
    """Read ``NAME[@DEVICE][:max|min]``, each name once. Accuracies are maximised unless it is said, all else minimised.

    ``known`` are the metrics that can be measured, ``latency_ms@DEVICE`` standing for any device; None: any name.
    Raises BadInput.
    """
    objectives: list[Objective] = []
    for text in texts:
        name, colon, direction = (part.strip() for part in text.partition(":"))
        if not re.fullmatch(METRIC, name):
            raise BadInput(f"cannot read the objective '{text}'; expected NAME[@DEVICE][:max|min].")
        if colon and direction not in DIRECTIONS:
            hint = nearest(direction, DIRECTIONS)
            raise BadInput(f"objective '{text}': unknown direction '{direction}'.{hint} Allowed: max, min.")
        _check_metric(name, known)
        if any(objective.name == name for objective in objectives):
            raise BadInput(f"the objective '{name}' is named twice.")
        objectives.append(Objective(name, direction == "max" if colon else "accuracy" in name.partition("@")[0]))
    return tuple(objectives)


def parse_constraints(texts: Iterable[str], known: Iterable[str] | None = None) -> tuple[Constraint, ...]:
    """Read ``NAME[@DEVICE]<=NUMBER`` and ``NAME[@DEVICE]>=NUMBER``; of each metric one bound a side, and not crossed.

    ``known`` as for `parse_objectives`. Raises BadInput.
    """
    constraints: list[Constraint] = []
    for text in texts:
        parts = re.fullmatch(rf"\s*({METRIC})\s*([<>]=?|==?)\s*([^<>=\s]+)\s*", text)
        if parts is None:
            raise BadInput(f"cannot read the constraint '{text}'; expected NAME[@DEVICE]<=NUMBER or >=NUMBER.")
        name, sign, number = parts.groups()
        if sign not in ("<=", ">="):
            raise BadInput(f"constraint '{text}': the sign must be <= or >=, not {sign}.")
        constraint = Constraint(name, _number(number, text), sign == "<=")
        _check_metric(name, known)
        for other in constraints:
            if other.name != name:
                continue
            if other.at_most == constraint.at_most:
                raise BadInput(f"'{name}' is bounded twice: {other} and {constraint}.")
            low, high = (other, constraint) if constraint.at_most else (constraint, other)
            if low.bound > high.bound:
                raise BadInput(f"nothing can satisfy both {low} and {high}.")
        constraints.append(constraint)
    return tuple(constraints)


def costs_of(
    objectives: Sequence[Objective], constraints: Sequence[Constraint], evaluations: Sequence[Evaluation]
) -> tuple[np.ndarray, np.ndarray]:
    """Return costs [evaluations, objectives], smaller is better, and summed violations [evaluations].

    Both are infinite for a failed evaluation. Raises BadInput for a metric that the evaluator does not measure.
    """
    costs = [[-objective.score(evaluation) for objective in objectives] for evaluation in evaluations]
    violations = [
        sum((constraint.violation(evaluation) for constraint in constraints), 0.0)
        if evaluation.status == "ok"
        else math.inf
        for evaluation in evaluations
    ]
    return np.array(costs, dtype=np.float64).reshape(len(evaluations), len(objectives)), np.array(violations)


def measured_front(
    objectives: Sequence[Objective], constraints: Sequence[Constraint], evaluations: Sequence[Evaluation]
) -> list[Evaluation]:
    """Return the non-dominated of the evaluations that keep all constraints, best by the first objective first.

    Of an architecture scored several times the best by the first objective counts. Equal costs are in the order of
    the specs, so that the order of evaluation plays no part.
    """
    costs, violations = costs_of(objectives, constraints, evaluations)
    usable = np.flatnonzero((violations == 0) & np.isfinite(costs).all(axis=1))
    order = sorted(usable.tolist(), key=lambda i: (costs[i].tolist(), repr(evaluations[i].architecture.spec)))
    best: dict[Architecture, int] = {}
    for i in order:
        best.setdefault(evaluations[i].architecture, i)
    chosen = list(best.values())
    return [evaluations[i] for i, kept in zip(chosen, non_dominated(costs[chosen]), strict=True) if kept]


def _number(text: str, constraint: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"constraint '{constraint}': '{text}' is not a finite number.")
    return value


def _check_metric(name: str, known: Iterable[str] | None) -> None:
    if known is None:
        return
    base, at, _ = name.partition("@")
    spelled = {metric.partition("@")[0]: metric for metric in known}
    if base not in spelled:
        allowed = ", ".join(sorted(spelled.values()))
        raise BadInput(f"the evaluator does not measure '{name}'.{nearest(base, spelled)} It measures: {allowed}.")
    if bool(at) != ("@" in spelled[base]):
        raise BadInput(f"the metric '{name}' must be written {spelled[base]}.")

"""What a search for several objectives found: a front instead of one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench.core.evaluation import Evaluation, longest_trained
from nasbench.core.objectives import costs_of, measured_front
from nasbench.core.pareto import hypervolume
from nasbench.experiments.assemble import Parts


def front_of(parts: Parts, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the non-dominated evaluations that keep all constraints, best by the first objective first.

    Only those that were trained for the most epochs are among them.
    """
    return measured_front(parts.problem.objectives, parts.problem.constraints, longest_trained(evaluations))


def goals_record(parts: Parts, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return what the result of a run with objectives or constraints of its own says beside that of others.

    Of several objectives that is ``front``, each with its measured ``metrics``; ``reference_point``, for each objective
    the worst value measured in this run, constraints kept or not; and ``hypervolume``, the exact volume between the two
    in the product of the objectives' units. Runs are compared by it only after it is computed anew with one reference
    point for all.
    """
    problem, config = parts.problem, parts.config
    record: dict[str, Any] = {}
    if config.objectives:
        record["objectives"] = list(config.objectives)
    if config.constraints:
        record["constraints"] = list(config.constraints)
    if len(problem.objectives) == 1:
        return record
    front = front_of(parts, evaluations)
    costs, _ = costs_of(problem.objectives, (), longest_trained(evaluations))
    measured = costs[np.isfinite(costs).all(axis=1)]
    worst = measured.max(axis=0) if len(measured) else None
    record["front"] = [{"architecture": parts.space.format(e.architecture), "metrics": e.metrics} for e in front]
    record["hypervolume"] = 0.0
    record["reference_point"] = None
    if worst is not None:
        signs = np.array([-1.0 if objective.maximize else 1.0 for objective in problem.objectives])
        record["hypervolume"] = hypervolume(costs_of(problem.objectives, (), front)[0], worst)
        record["reference_point"] = (signs * worst).tolist()
    return record

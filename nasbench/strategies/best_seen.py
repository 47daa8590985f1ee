"""The architectures that scored best so far, for `recommend`."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation
from nasbench.core.problem import Objective

KEPT = 32


class BestSeen:
    """The best distinct architectures by validation, best first. Failures never enter.

    Of equal scores the architecture whose spec sorts first wins, so that the choice does not depend on the order of
    evaluation. Of an architecture scored several times (repeats, fidelities) the best score counts.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._best: list[tuple[float, str, Architecture]] = []
        self._kept: set[Architecture] = set()

    def add(self, evaluation: Evaluation) -> float:
        """Take one evaluation; return its score (larger is better, minus infinity if it failed)."""
        score = self._objective.score(evaluation)
        best = self._best
        if score == -math.inf or (len(best) == KEPT and -score > best[-1][0]):
            return score
        architecture = evaluation.architecture
        if architecture in self._kept:
            i = next(i for i, entry in enumerate(best) if entry[2] == architecture)
            if best[i][0] <= -score:
                return score
            del best[i]
        insort(best, (-score, repr(architecture.spec), architecture), key=itemgetter(0, 1))
        self._kept.add(architecture)
        for entry in best[KEPT:]:
            self._kept.discard(entry[2])
        del best[KEPT:]
        return score

    def extend(self, evaluations: Sequence[Evaluation]) -> list[float]:
        """Take a batch; return its scores."""
        return [self.add(evaluation) for evaluation in evaluations]

    def architectures(self, k: int) -> list[Architecture]:
        """Return up to k of them, best first."""
        return [architecture for _, _, architecture in self._best[:k]]

    def state_dict(self) -> list[Any]:
        return [[score, architecture.to_json()] for score, _, architecture in self._best]

    def load_state_dict(self, state: list[Any]) -> None:
        known = [(score, Architecture.from_json(architecture)) for score, architecture in state]
        self._best = [(score, repr(architecture.spec), architecture) for score, architecture in known]
        self._kept = {architecture for _, architecture in known}

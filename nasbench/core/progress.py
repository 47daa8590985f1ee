"""How far a search is."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench.core.problem import Budget


@dataclass(frozen=True, slots=True)
class Progress:
    """``evaluations`` told to the strategy, learning ``units`` done, ``seconds`` of work in all sessions of the run."""

    evaluations: int
    units: int
    seconds: float

    def spent(self, budget: Budget) -> bool:
        """Say whether the budget is used up."""
        if budget.evaluations is not None and self.evaluations >= budget.evaluations:
            return True
        return budget.seconds is not None and self.seconds >= budget.seconds

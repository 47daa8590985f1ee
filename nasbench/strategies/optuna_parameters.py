"""The decisions of a space as parameters of Optuna's. Importing this file imports Optuna."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from nasbench.core.decision_space import Choice


class Parameter:
    """A decision's values as categories, or ``ranked`` as integers: the ranks of numbers in ascending order.

    Values that Optuna cannot hold (tuples) are given by their text.
    """

    def __init__(self, choice: Choice, ranked: bool) -> None:
        self.name = choice.name
        self.distribution: BaseDistribution
        self._outside: list[Any] = list(choice.values)
        if ranked:
            ascending = sorted(self._outside)
            self._outside = [ascending.index(value) for value in self._outside]
            self.distribution = IntDistribution(0, len(self._outside) - 1)
        else:
            if not all(value is None or isinstance(value, (str, int, float)) for value in self._outside):
                self._outside = [repr(value) for value in self._outside]
            # `suggest_categorical`, which conditional decisions need, insists on Optuna's own class.
            kind = Categories if choice.active is None else CategoricalDistribution
            self.distribution = kind(self._outside)

    def outside(self, pick: int) -> Any:
        """Return what Optuna calls the value of that number."""
        return self._outside[pick]

    def suggest(self, trial: Trial, given: dict[str, Any]) -> int:
        """Return the number of the value that a trial gives the decision; ``given`` are those it has given already."""
        if self.name in given:
            return self._outside.index(given[self.name])
        return self._outside.index(trial.suggest_categorical(self.name, self._outside))


class Categories(CategoricalDistribution):
    """Categories that are equal to themselves at a glance.

    A sampler compares the distributions of all trials; value by value that took longer than all the rest of TPE.
    """

    def __eq__(self, other: object) -> bool:
        return self is other or bool(super().__eq__(other))

    __hash__ = CategoricalDistribution.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> Categories:
        return self


def plain(distribution: BaseDistribution) -> BaseDistribution:
    """Return the distribution as one of Optuna's own classes, which its storages write down by name."""
    return CategoricalDistribution(distribution.choices) if isinstance(distribution, Categories) else distribution

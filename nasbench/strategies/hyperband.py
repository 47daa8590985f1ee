"""Successive halving and Hyperband: many candidates trained briefly, the better of them longer."""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from pydantic import Field, model_validator

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen

TRIES_FOR_ANOTHER_CANDIDATE = 100


class Rung(NamedTuple):
    """So many candidates are trained until they have had so many epochs."""

    candidates: int
    epochs: int


class HalvingConfig(StrategyConfig):
    """What both have in common. Defaults: Li et al., Hyperband, JMLR 2018, section 3 (eta 3, R = 81 units)."""

    eta: int = Field(3, ge=2)  # one candidate in eta is trained on, for eta times the epochs
    minimum_epochs: int = Field(1, ge=1)  # of the lowest rung there may be
    maximum_epochs: int = Field(
        81, ge=1
    )  # of the highest rung, for which the schedule is made; given a recipe, its own

    @model_validator(mode="after")
    def _fits(self) -> HalvingConfig:
        if self.minimum_epochs > self.maximum_epochs:
            raise ValueError(f"minimum_epochs ({self.minimum_epochs}) exceeds maximum_epochs ({self.maximum_epochs})")
        return self

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a recipe says on these settings."""
        return {"maximum_epochs": recipe["epochs"]}

    @property
    def most_halvings(self) -> int:
        """The largest s with maximum / eta^s not below minimum (s_max of the paper)."""
        halvings = 0
        while self.minimum_epochs * self.eta ** (halvings + 1) <= self.maximum_epochs:
            halvings += 1
        return halvings

    def rungs(self, candidates: int, halvings: int) -> list[Rung]:
        """Return the rungs of one bracket: n / eta^i candidates, rounded down, at R / eta^(s - i) epochs, rounded."""
        return [
            Rung(candidates // self.eta**i, round(self.maximum_epochs / self.eta ** (halvings - i)))
            for i in range(halvings + 1)
        ]

    @abstractmethod
    def bracket(self, number: int, evaluations: int | None) -> list[Rung]:
        """Return the rungs of the bracket with this number, from 0, in a search of so many evaluations, if limited."""

    def epochs_of(self, evaluations: int) -> int:
        """Return how many epochs so many evaluations train, if none fails and what is stored is gone on from."""
        total, number, left = 0, 0, evaluations
        while left > 0:
            earlier = 0
            for candidates, epochs in self.bracket(number, evaluations):
                count = min(candidates, left)
                total, left, earlier = total + count * (epochs - earlier), left - count, epochs
            number += 1
        return total


class _Halving(Strategy):
    """A rung is a batch. The best of it by validation go on from their stored weights in the next; failures never do.

    The candidates of a bracket are drawn at random, no two of them isomorphic. After a bracket comes another, with new
    candidates, until the budget is spent. Recommends the best by validation among those that were trained longest,
    then the best of those trained for fewer epochs.
    """

    fidelities: ClassVar[tuple[str, ...]] = ("epochs", "schedule_epochs")

    def __init__(self, problem: Problem, config: HalvingConfig, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._config = config
        self._brackets = 0  # begun so far
        self._rung = 0  # of the present bracket
        self._promoted: list[tuple[Architecture, int]] = []
        self._best: dict[int, BestSeen] = {}

    def ask(self) -> list[Proposal]:
        members: list[tuple[Architecture, int | None]] = [*self._promoted]
        if not members:
            self._brackets += 1
            self._rung = 0
            members = [(architecture, None) for architecture in self._drawn(self._rungs()[0].candidates)]
        epochs = float(self._rungs()[self._rung].epochs)
        fidelity = (("epochs", epochs), ("schedule_epochs", float(self._config.maximum_epochs)))
        return [Proposal(architecture, fidelity, parent) for architecture, parent in members]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        rungs = self._rungs()
        best = self._best.setdefault(rungs[self._rung].epochs, BestSeen(self.problem.objective))
        scores = best.extend(evaluations)
        self._rung += 1
        places = rungs[self._rung].candidates if self._rung < len(rungs) else 0
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], repr(evaluations[i].architecture.spec)))
        succeeded = [i for i in order if scores[i] > -math.inf]
        self._promoted = [(evaluations[i].architecture, evaluations[i].id) for i in succeeded[:places]]

    def epochs_of(self, evaluations: int) -> int:
        """Return how many epochs so many evaluations train."""
        return self._config.epochs_of(evaluations)

    def recommend(self, k: int = 1) -> list[Architecture]:
        found: dict[Architecture, None] = {}
        for _, best in sorted(self._best.items(), reverse=True):
            found.update(dict.fromkeys(best.architectures(k)))
        return list(found)[:k]

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "brackets": self._brackets,
            "rung": self._rung,
            "promoted": [[architecture.to_json(), id] for architecture, id in self._promoted],
            "best": {str(epochs): best.state_dict() for epochs, best in self._best.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._brackets = state["brackets"]
        self._rung = state["rung"]
        self._promoted = [(Architecture.from_json(architecture), id) for architecture, id in state["promoted"]]
        self._best = {}
        for epochs, known in state["best"].items():
            self._best[int(epochs)] = BestSeen(self.problem.objective)
            self._best[int(epochs)].load_state_dict(known)

    def _rungs(self) -> list[Rung]:
        return self._config.bracket(self._brackets - 1, self.problem.budget.evaluations)

    def _drawn(self, count: int) -> list[Architecture]:
        """Draw candidates of which no two are isomorphic; fewer where the space seems to have no more."""
        drawn: dict[Architecture, Architecture] = {}
        misses = 0
        while len(drawn) < count and misses < TRIES_FOR_ANOTHER_CANDIDATE:
            candidate = self.space.sample(self.rng)
            before = len(drawn)
            drawn.setdefault(self.space.canonical(candidate), candidate)
            misses = 0 if len(drawn) > before else misses + 1
        return list(drawn.values())


class SuccessiveHalving(_Halving):
    """Trains many candidates briefly and the best longer, rung by rung (Jamieson & Talwalkar, AISTATS 2016).

    The last rung has the whole number of epochs. There are as many rungs as the number of candidates allows, down to
    ``minimum_epochs`` in the first.
    """

    class Config(HalvingConfig):
        # Of a bracket, at its first rung; None: as many as make one bracket of the whole budget, and of a budget of
        # time alone eta^s_max, the first bracket of Hyperband.
        candidates: int | None = Field(None, ge=1)

        def bracket(self, number: int, evaluations: int | None) -> list[Rung]:
            candidates = self.candidates
            if candidates is None and evaluations is None:
                candidates = self.eta**self.most_halvings
            elif candidates is None:
                assert evaluations is not None
                candidates = bisect_right(range(1, evaluations + 1), evaluations, key=self._evaluations)
            assert candidates is not None
            return self._bracket(candidates)

        def _bracket(self, candidates: int) -> list[Rung]:
            halvings = 0
            while halvings < self.most_halvings and self.eta ** (halvings + 1) <= candidates:
                halvings += 1
            return self.rungs(candidates, halvings)

        def _evaluations(self, candidates: int) -> int:
            return sum(rung.candidates for rung in self._bracket(candidates))


class Hyperband(_Halving):
    """Successive halving in brackets, from many candidates and few epochs to few and many (Li et al., JMLR 2018).

    Algorithm 1 of the paper: bracket s = s_max, ..., 0 has ceil((s_max + 1) eta^s / (s + 1)) candidates that begin with
    maximum_epochs / eta^s epochs, so that all cost about the same; after s = 0 it begins again.
    """

    class Config(HalvingConfig):
        def bracket(self, number: int, evaluations: int | None) -> list[Rung]:
            most = self.most_halvings
            halvings = most - number % (most + 1)
            return self.rungs(-(-(most + 1) * self.eta**halvings // (halvings + 1)), halvings)

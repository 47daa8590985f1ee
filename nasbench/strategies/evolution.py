"""Regularised evolution (Real et al., AAAI 2019): tournaments in a population from which the oldest dies."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field, model_validator

from nasbench.core.architecture import Architecture
from nasbench.core.errors import MissingAbility
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen

TRIES_FOR_AN_UNSEEN_CHILD = 100


@runtime_checkable
class BenchmarkMutation(Protocol):
    """A space whose benchmark published a mutation of its own."""

    def mutate_as_benchmark(self, architecture: Architecture, rng: Rng) -> Architecture: ...


class Evolution(Strategy):
    """Asks for the initial random population at once, then for one child at a time.

    The parent is the best of ``tournament`` members drawn with replacement, the child differs from it in one decision
    and replaces the oldest member. Failed candidates do not enter the population. With ``unique`` a child isomorphic
    to anything seen before is drawn again (another tournament, another mutation), and the search ends when no unseen
    one can be found. Recommends the best by validation.
    """

    asynchronous = True

    class Config(StrategyConfig):
        population: int = Field(20, ge=1)
        tournament: int = Field(10, ge=1)
        # "uniform": any decision with equal probability. "benchmark": the one published with the benchmark
        # (NAS-Bench-201: first a node, then one of its edges; Dong & Yang, ICLR 2020).
        mutation: Literal["uniform", "benchmark"] = "uniform"
        unique: bool = True

        @model_validator(mode="after")
        def _fits(self) -> Evolution.Config:
            if self.tournament > self.population:
                raise ValueError(f"tournament ({self.tournament}) cannot exceed population ({self.population})")
            return self

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._config = config
        if config.mutation == "uniform":
            self._mutate = self.space.mutate
        elif isinstance(self.space, BenchmarkMutation):
            self._mutate = self.space.mutate_as_benchmark
        else:
            raise MissingAbility(f"space '{self.space.name}' has no mutation of its own; use mutation=uniform.")
        self._population: list[tuple[Architecture, float]] = []
        self._started = False
        self._seen: set[Architecture] = set()
        self._best = BestSeen(problem.objective)

    def ask(self) -> list[Proposal]:
        count = 1 if self._started else self._config.population
        self._started = True
        children = [self._unseen_child() if self._config.unique else self._child() for _ in range(count)]
        return [Proposal(child) for child in children if child is not None]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            score = self._best.add(evaluation)
            if evaluation.status == "ok":
                self._population.append((evaluation.architecture, score))
                if len(self._population) > self._config.population:
                    del self._population[0]

    def sample(self, rng: Rng) -> Architecture:
        if not self._population:
            return self.space.sample(rng)
        return self._mutate(self._parent(rng), rng)

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "started": self._started,
            "population": [[architecture.to_json(), score] for architecture, score in self._population],
            "seen": sorted((a.to_json() for a in self._seen), key=repr),
            "best": self._best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._started = state["started"]
        self._population = [(Architecture.from_json(a), score) for a, score in state["population"]]
        self._seen = {Architecture.from_json(a) for a in state["seen"]}
        self._best.load_state_dict(state["best"])

    def _parent(self, rng: Rng) -> Architecture:
        members = self._population
        picks = (rng.random(self._config.tournament) * len(members)).tolist()
        return max([members[int(pick)] for pick in picks], key=itemgetter(1))[0]

    def _child(self) -> Architecture:
        if not self._population:
            return self.space.sample(self.rng)
        return self._mutate(self._parent(self.rng), self.rng)

    def _unseen_child(self) -> Architecture | None:
        for attempt in range(2 * TRIES_FOR_AN_UNSEEN_CHILD):
            # When the neighbourhood of the population is used up, an unseen random architecture goes on.
            child = self._child() if attempt < TRIES_FOR_AN_UNSEEN_CHILD else self.space.sample(self.rng)
            representative = self.space.canonical(child)
            if representative not in self._seen:
                self._seen.add(representative)
                return child
        return None

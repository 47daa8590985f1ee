"""NSGA-II (Deb, Pratap, Agarwal & Meyarivan, IEEE TEC 2002): evolution towards a whole front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import compress
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.objectives import costs_of
from nasbench.core.pareto import Front, crowding_distances, non_dominated_sort
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen
from nasbench.strategies.deciding import decision_space

ROUNDS_FOR_UNSEEN_CHILDREN = 10
DRAWN_FOR_EACH = 2  # children in a round; about half of them were seen before


class Nsga2(Strategy):
    """Asks for a whole generation at once; the best of parents and children by rank, then by crowding, live on.

    Both parents of a child win a tournament. A child takes each decision from either parent (with probability
    ``crossover``, else all from the first), then each is drawn anew with probability ``mutation``. What keeps the
    constraints dominates what violates them (ibid., section VI). Failed candidates do not live on. No child has the
    same encoding as anything seen before, inert decisions aside; with ``unique`` none is isomorphic to it. Where the
    population has no such child to offer, random architectures fill the generation.

    The defaults are for a few hundred evaluations. They were tuned on the validation accuracy of NAS-Bench-201 on
    CIFAR-10 and the latency on the device ``gold_6226``, and compared on synthetic objectives of 40 decisions; results
    are reported for other tasks (docs/results.md). The paper has tournaments of two, crossover 0.9 and one mutation in
    expectation. Isomorphs are not left out, as they are where one looks for accuracy alone: they compute the same and
    cost differently.

    Recommends the non-dominated of all that was measured and keeps the constraints, best by the first objective first;
    of one objective simply the best.
    """

    several_objectives: ClassVar[bool] = True

    class Config(StrategyConfig):
        population: int = Field(10, ge=2)
        tournament: int = Field(3, ge=1)
        crossover: float = Field(0.5, ge=0, le=1)
        # Probability for each decision; None: half a decision in expectation; a child that is not new is drawn again.
        mutation: float | None = Field(None, ge=0, le=1)
        unique: bool = False

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._config = config
        self._decisions = decision_space("nsga2", self.space)
        self._values = [choice.values for choice in self._decisions.decisions]
        self._index = [{value: i for i, value in enumerate(values)} for values in self._values]
        self._counts = np.array([len(values) for values in self._values])
        self._mutation = 0.5 / max(1, (self._counts > 1).sum()) if config.mutation is None else config.mutation
        objectives = len(problem.objectives)
        # The population, best first: codes [n, decisions] index into the values of the decisions.
        self._codes = np.empty((0, len(self._values)), dtype=np.int64)
        self._costs, self._violations = np.empty((0, objectives)), np.empty(0)
        self._seen: set[Architecture] = set()
        self._best = BestSeen(problem.objective)
        self._front: Front[Architecture] = Front(objectives)

    def ask(self) -> list[Proposal]:
        wanted, unseen = self._config.population, list[Architecture]()
        for attempt in range(2 * ROUNDS_FOR_UNSEEN_CHILDREN):
            drawn: Iterable[Architecture]
            if attempt < ROUNDS_FOR_UNSEEN_CHILDREN and len(self._codes) > 1:
                drawn = self._architectures(self._children(self.rng, DRAWN_FOR_EACH * wanted))
            else:
                drawn = self.space.sample_many(self.rng, wanted)
            unseen += self._unseen(drawn, wanted - len(unseen))
            if len(unseen) == wanted:
                break
        return [Proposal(architecture) for architecture in unseen]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        costs, violations = costs_of(self.problem.objectives, self.problem.constraints, evaluations)
        measured = np.isfinite(costs).all(axis=1) & np.isfinite(violations)
        if measured.any():
            codes = [[index[v] for index, v in zip(self._index, e.architecture.spec, strict=True)] for e in evaluations]
            self._survive(
                np.concatenate([self._codes, np.array(codes)[measured]]),
                np.concatenate([self._costs, costs[measured]]),
                np.concatenate([self._violations, violations[measured]]),
            )
        if costs.shape[1] == 1:
            self._best.extend(evaluations)
        else:
            usable = measured & (violations == 0)
            self._front.extend(list(compress([e.architecture for e in evaluations], usable)), costs[usable])

    def sample(self, rng: Rng) -> Architecture:
        if len(self._codes) < 2:
            return self.space.sample(rng)
        return next(self._architectures(self._children(rng, 1)))

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._front.best_first()[:k] if len(self.problem.objectives) > 1 else self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "codes": self._codes.tolist(),
            "costs": self._costs.tolist(),
            "violations": self._violations.tolist(),
            "seen": sorted((architecture.to_json() for architecture in self._seen), key=repr),
            "best": self._best.state_dict(),
            "front": [architecture.to_json() for architecture in self._front.members],
            "front_costs": self._front.costs.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        objectives = len(self.problem.objectives)
        self._codes = np.array(state["codes"], dtype=np.int64).reshape(-1, len(self._values))
        self._costs = np.array(state["costs"], dtype=np.float64).reshape(-1, objectives)
        self._violations = np.array(state["violations"], dtype=np.float64)
        self._seen = {Architecture.from_json(architecture) for architecture in state["seen"]}
        self._best.load_state_dict(state["best"])
        self._front.members = [Architecture.from_json(architecture) for architecture in state["front"]]
        self._front.costs = np.array(state["front_costs"], dtype=np.float64).reshape(-1, objectives)

    # -- one generation ----------------------------------------------------------------------------------------------
    def _children(self, rng: Rng, count: int) -> np.ndarray:
        """Return the codes [count, decisions] of children of the population."""
        # The population is in order of rank and crowding, so that the earliest of its members wins a tournament.
        entrants = rng.random((2, count, self._config.tournament)) * len(self._codes)
        parents = entrants.astype(np.intp).min(axis=2)
        shape = (count, len(self._values))
        crossed = (rng.random((count, 1)) < self._config.crossover) & (rng.random(shape) < 0.5)
        children: np.ndarray = np.where(crossed, self._codes[parents[1]], self._codes[parents[0]])
        # Another value than before, each with equal probability; a decision with one value stays.
        shift = 1 + (rng.random(shape) * (self._counts - 1)).astype(np.int64)
        changed = (rng.random(shape) < self._mutation) & (self._counts > 1)
        children[changed] = ((children + shift) % self._counts)[changed]
        return children

    def _survive(self, codes: np.ndarray, costs: np.ndarray, violations: np.ndarray) -> None:
        """Keep the best of parents and children: by rank, within the last front that fits by crowding distance."""
        ranks = non_dominated_sort(costs, violations)
        crowding = np.zeros(len(costs))
        # As many fronts as it takes to fill the population; in one of a single objective all are equal.
        last = np.sort(ranks)[: self._config.population][-1] if costs.shape[1] > 1 else -1
        for rank in range(last + 1):
            front = np.flatnonzero(ranks == rank)
            crowding[front] = crowding_distances(costs[front])
        order = np.lexsort((-crowding, ranks))[: self._config.population]
        self._codes, self._costs, self._violations = codes[order], costs[order], violations[order]

    def _architectures(self, codes: np.ndarray) -> Iterator[Architecture]:
        name, decisions = self.space.name, self._values
        for row in codes.tolist():
            yield Architecture(name, tuple([values[i] for values, i in zip(decisions, row, strict=True)]))

    def _unseen(self, drawn: Iterable[Architecture], most: int) -> list[Architecture]:
        """Return those drawn that were not seen before, each once."""
        same_as = self.space.canonical if self._config.unique else partial(DecisionSpace.canonical, self._decisions)
        unseen: list[Architecture] = []
        for architecture in drawn:
            representative = same_as(architecture)
            if representative not in self._seen:
                self._seen.add(representative)
                unseen.append(architecture)
                if len(unseen) == most:
                    break
        return unseen

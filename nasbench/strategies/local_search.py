"""Local search: climb to the first better neighbour, restart from random when none is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nasbench.core.abilities import Local
from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen

TRIES_FOR_AN_UNTRIED_START = 200


class LocalSearch(Strategy):
    """First-improvement hill climbing with restarts (White et al., UAI 2021, studied the best-improvement form).

    Neighbours (one decision away) are tried in random order; the first better one becomes the centre. A centre without
    an untried better neighbour is a local optimum, and the search restarts from a random architecture. No encoding is
    asked for twice; the search ends when no untried start can be found. Recommends the best by validation.
    """

    needs = (Local,)

    class Config(StrategyConfig):
        pass

    def __init__(self, problem: Problem, config: StrategyConfig, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._centre: tuple[Architecture, float] | None = None
        self._waiting: list[Architecture] = []
        self._tried: set[Architecture] = set()
        self._best = BestSeen(problem.objective)

    def ask(self) -> list[Proposal]:
        while self._waiting:
            neighbor = self._waiting.pop()
            if neighbor not in self._tried:
                self._tried.add(neighbor)
                return [Proposal(neighbor)]
        self._centre = None
        for _ in range(TRIES_FOR_AN_UNTRIED_START):
            start = self.space.sample(self.rng)
            if start not in self._tried:
                self._tried.add(start)
                return [Proposal(start)]
        return []

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            score = self._best.add(evaluation)
            if score > (self._centre[1] if self._centre is not None else -math.inf):
                self._centre = (evaluation.architecture, score)
                self._waiting = self._shuffled_neighbors(evaluation.architecture)

    def sample(self, rng: Rng) -> Architecture:
        return self._centre[0] if self._centre is not None else self.space.sample(rng)

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "centre": None if self._centre is None else [self._centre[0].to_json(), self._centre[1]],
            "tried": sorted((architecture.to_json() for architecture in self._tried), key=repr),
            "waiting": [architecture.to_json() for architecture in self._waiting],
            "best": self._best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        centre = state["centre"]
        self._centre = None if centre is None else (Architecture.from_json(centre[0]), centre[1])
        self._waiting = [Architecture.from_json(architecture) for architecture in state["waiting"]]
        self._tried = {Architecture.from_json(architecture) for architecture in state["tried"]}
        self._best.load_state_dict(state["best"])

    def _shuffled_neighbors(self, architecture: Architecture) -> list[Architecture]:
        assert isinstance(self.space, Local)
        neighbors = self.space.neighbors(architecture)
        return [neighbors[i] for i in self.rng.permutation(len(neighbors)).tolist()]

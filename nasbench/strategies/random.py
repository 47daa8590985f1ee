"""Random search: independent draws from the space's reference distribution, the best by validation is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from nasbench.core.architecture import Architecture
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.strategies.best_seen import BestSeen


class RandomSearch(Strategy):
    """The baseline that every strategy has to beat (Li & Talwalkar, UAI 2019).

    Draws are with replacement; an encoding drawn twice is answered from the ledger. Recommends the best by validation.
    """

    asynchronous = True

    class Config(StrategyConfig):
        batch: int = Field(16, ge=1)  # candidates asked for at once, which several workers can share

    def __init__(self, problem: Problem, config: Config, rng: Rng, shared: Any = None) -> None:
        super().__init__(problem, config, rng, shared)
        self._batch = config.batch
        self._best = BestSeen(problem.objective)

    def ask(self) -> list[Proposal]:
        return [Proposal(architecture) for architecture in self.space.sample_many(self.rng, self._batch)]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        self._best.extend(evaluations)

    def recommend(self, k: int = 1) -> list[Architecture]:
        return self._best.architectures(k)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": generator_state(self.rng), "best": self._best.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._best.load_state_dict(state["best"])

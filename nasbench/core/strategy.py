"""The contract of a search strategy: which candidate next?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from nasbench.core.architecture import Architecture
from nasbench.core.errors import MissingAbility
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.seeding import Rng


class StrategyConfig(BaseModel):
    """Base of all strategy configurations: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Strategy(ABC):
    """Proposes candidates and learns from their scores. Randomness comes from ``rng`` alone.

    ``needs`` lists abilities that the search space must have. One without ``several_objectives`` optimises the first
    objective alone. ``fidelities`` are the keys of `Proposal.fidelity` that it sets, which the evaluator must offer.
    ``shared`` are the run's shared weights, for strategies that train or read them. An ``asynchronous`` one may be told
    evaluations one by one, in whatever order they end, and asked while others are open.
    """

    Config: ClassVar[type[StrategyConfig]] = StrategyConfig
    needs: ClassVar[tuple[type, ...]] = ()
    several_objectives: ClassVar[bool] = False
    fidelities: ClassVar[tuple[str, ...]] = ()
    asynchronous: ClassVar[bool] = False

    def __init__(self, problem: Problem, config: StrategyConfig, rng: Rng, shared: Any = None) -> None:
        for ability in self.needs:
            if not isinstance(problem.space, ability):
                raise MissingAbility(
                    f"strategy '{type(self).__name__}' needs a space with the ability {ability.__name__}; "
                    f"'{problem.space.name}' lacks it."
                )
        self.problem = problem
        self.space = problem.space
        self.rng = rng

    @abstractmethod
    def ask(self) -> list[Proposal]:
        """Return the next batch, of the method's own size whatever the number of workers; empty: nothing left."""

    @abstractmethod
    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Take the scores of the last batch, in the order asked, failures included."""

    def sample(self, rng: Rng) -> Architecture:
        """Return what the strategy would build now; shared weights are trained on such samples."""
        return self.space.sample(rng)

    @abstractmethod
    def recommend(self, k: int = 1) -> list[Architecture]:
        """Return up to k architectures, best first, by validation only; empty if none succeeded."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None: ...

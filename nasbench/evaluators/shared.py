"""The evaluator that trains nothing: the run's supernet, with all but one architecture switched off."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.abilities import Relaxable
from nasbench.core.errors import BadInput, MissingAbility
from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import digest
from nasbench.datasets.scoring import percent_correct
from nasbench.evaluators.recipe import Recipe
from nasbench.networks import device as settings
from nasbench.networks.shared_weights import SharedWeights, batch_statistics

FORMAT = 1  # raised when the same weights would give another score


class SharedConfig(BaseModel):
    """How validation images are cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(default=256, ge=1, description="images in a batch, over which batch norms average")


class SharedEvaluator:
    """Scores an architecture with the weights that it has in the run's supernet; its strategy trains them.

    The supernet is given one-hot coefficients, and its batch norms the statistics of each batch: running ones belong to
    the mixture. Such a score says little of what the architecture reaches when it is trained alone.
    """

    source: Source = "shared"
    Config: ClassVar[type[BaseModel]] = SharedConfig
    shares_weights: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("valid_accuracy",)

    def __init__(
        self, space: SearchSpace, task: SearchTask, recipe: Recipe, config: SharedConfig | None, shared: SharedWeights
    ) -> None:
        """Raises MissingAbility for a space without supernet."""
        if not isinstance(space, Relaxable):
            raise MissingAbility(f"the evaluator 'shared' needs a space with a supernet; '{space.name}' has none.")
        self.space, self.task, self.recipe, self.shared = space, task, recipe, shared
        self.config = config or SharedConfig()
        identity = [FORMAT, recipe.fingerprint(), self.config.model_dump(), task.fingerprint]
        self.fingerprint = digest(identity)[:16]

    @property
    def version(self) -> int:
        return self.shared.version

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        """Score one candidate: ``valid_accuracy``, in percent of the validation images.

        Raises BadInput for a fidelity, since there is none.
        """
        if proposal.fidelity:
            raise BadInput(f"shared weights have no fidelity '{proposal.fidelity[0][0]}'.")
        started = time.perf_counter()
        assert isinstance(self.space, Relaxable)
        one_hot = self.space.one_hot(proposal.architecture)
        factors = {kind: torch.from_numpy(rows).to(settings.device()) for kind, rows in one_hot.items()}
        with batch_statistics(self.shared.module):
            score = percent_correct(
                lambda images: self.shared.module(images, factors),
                self.task.validation,
                self.task.train.statistics(),
                batch_size=self.config.batch_size,
                threads=self.recipe.threads,
            )
        seconds = time.perf_counter() - started
        metrics = {"valid_accuracy": score}
        return Evaluation(id, proposal, metrics, self.source, seed, seconds=seconds, weights=self.version)

"""The evaluator that trains networks on graphs: on the training part, scored on the validation part."""

from __future__ import annotations

import statistics
import time
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import digest
from nasbench.evaluators.building import seeds_of_repeats
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.graph_stack import Parts
from nasbench.evaluators.graph_training import FIDELITIES, adapt, build_and_train, check_buildable
from nasbench.evaluators.training import count_parameters

FORMAT = 1  # raised when the same recipe and seed would give another score


class GraphTrainConfig(BaseModel):
    """The search's own, cheaper fidelity. None leaves what the recipe says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int | None = Field(default=None, ge=1, description="epochs of one training")
    repeats: int = Field(default=1, ge=1, description="trainings with different seeds whose scores are averaged")


class GraphTrainEvaluator:
    """Trains every candidate from scratch and scores it on validation nodes or graphs, at the recipe's epoch.

    It is given a `SearchTask`, which holds no test data. On the CPU the metrics are a function of proposal and seed, to
    the last bit; only the seconds differ.
    """

    source: Source = "trained"
    version = 0
    Config: ClassVar[type[BaseModel]] = GraphTrainConfig
    measures: ClassVar[tuple[str, ...]] = ("valid_accuracy", "train_loss", "parameters")
    fidelities: ClassVar[tuple[str, ...]] = FIDELITIES

    def __init__(
        self, space: SearchSpace, task: SearchTask, recipe: GraphRecipe, config: GraphTrainConfig | None = None
    ) -> None:
        self.space = space
        self.task = task
        self.config = config or GraphTrainConfig()
        self.recipe = recipe if self.config.epochs is None else recipe.shortened(self.config.epochs)
        identity = ["graphs", FORMAT, recipe.fingerprint(), self.config.model_dump(), task.fingerprint]
        self.fingerprint = digest(identity)[:16]
        self._parts = Parts()
        check_buildable(space, task, self.recipe)

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        """Train and score one candidate.

        Metrics: ``valid_accuracy`` (percent), ``train_loss`` (nats, of the last step), ``parameters`` and, of several
        repeats, ``valid_accuracy_std`` (between trainings, n - 1 in the denominator).
        Raises BadInput for a fidelity that does not exist and Diverged for a training that fails.
        """
        started = time.perf_counter()
        recipe = adapt(self.recipe, self.space, dict(proposal.fidelity))
        trained = build_and_train(
            self.space,
            proposal.architecture,
            self.task,
            recipe,
            seeds_of_repeats(seed, self.config.repeats),
            parts=self._parts,
        )
        accuracies = [record.valid_accuracy for _, record in trained]
        metrics = {
            "valid_accuracy": statistics.fmean(accuracies),
            "train_loss": statistics.fmean(record.train_loss for _, record in trained),
            "parameters": float(count_parameters(trained[0][0])),
        }
        if len(accuracies) > 1:
            metrics["valid_accuracy_std"] = statistics.stdev(accuracies)
        return Evaluation(id, proposal, metrics, self.source, seed, seconds=time.perf_counter() - started)

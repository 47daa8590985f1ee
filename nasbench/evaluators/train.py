"""The evaluator that trains: build, train on the training part, score on the validation part."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.architecture import Architecture
from nasbench.core.configuration import Amended
from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import digest
from nasbench.evaluators.building import seeds_of_repeats
from nasbench.evaluators.recipe import Recipe
from nasbench.evaluators.stored_weights import StoredWeights
from nasbench.evaluators.training import (
    FIDELITIES,
    accuracy,
    adapt,
    build,
    build_and_train,
    count_parameters,
    epochs_within,
    train_network,
)
from nasbench.networks.macs import count_macs

FORMAT = 1  # raised when the same recipe and seed would give another score


class TrainConfig(Amended):
    """The search's own, cheaper fidelity. None leaves what the recipe says; a proposal's fidelity goes before both."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    later: ClassVar[tuple[str, ...]] = ("macs",)

    epochs: int | None = Field(default=None, ge=1, description="epochs of one training")
    batch_size: int | None = Field(default=None, ge=1, description="images in a batch")
    channels: int | None = Field(default=None, ge=1, description="channels of the network, where the space has them")
    cells: int | None = Field(default=None, ge=1, description="cells of the network, where the space has them")
    repeats: int = Field(default=1, ge=1, description="trainings with different seeds whose scores are averaged")
    macs: bool = Field(default=False, description="whether the multiply-adds of one image are counted")

    def measuring(self, metrics: Sequence[str]) -> TrainConfig:
        """Return these settings with ``macs`` if it is among the metrics."""
        return self.model_copy(update={"macs": True}) if "macs" in metrics else self


class TrainEvaluator:
    """Trains every candidate from scratch and scores it on validation images, at the last epoch.

    It is given a `SearchTask`, which holds no test data. On the CPU the metrics are a function of proposal and seed, to
    the last bit; only the seconds differ.

    A training that stops before the end of its schedule (fidelities ``epochs`` and ``schedule_epochs``) leaves its
    state in the run's folder, if it was told one. A candidate with that ``parent``, the same architecture and seed goes
    on from there; where the state is missing it begins anew, with the same result.
    """

    source: Source = "trained"
    version = 0
    Config: ClassVar[type[BaseModel]] = TrainConfig
    measures: ClassVar[tuple[str, ...]] = ("valid_accuracy", "train_loss", "parameters", "macs")
    fidelities: ClassVar[tuple[str, ...]] = FIDELITIES

    def __init__(self, space: SearchSpace, task: SearchTask, recipe: Recipe, config: TrainConfig | None = None) -> None:
        """Raises BadInput if the configuration asks for a size that the space's networks do not have."""
        self.space = space
        self.task = task
        self.recipe = recipe
        self.config = config or TrainConfig()
        self.fidelity: dict[str, float] = self.config.model_dump(exclude={"repeats", "macs"}, exclude_none=True)
        adapt(recipe, space, self.fidelity)
        identity = [FORMAT, recipe.fingerprint(), self.config.model_dump(exclude={"macs"}), task.fingerprint]
        self.fingerprint = digest(identity)[:16]
        self._stored: StoredWeights | None = None

    def store_in(self, folder: Path) -> None:
        """Keep the weights of unfinished trainings in this run folder."""
        self._stored = StoredWeights(folder.resolve())

    def forget(self, before: int) -> None:
        """Delete the weights that evaluations before this id left."""
        if self._stored is not None:
            self._stored.forget(before)

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        """Train and score one candidate.

        Metrics: ``valid_accuracy`` (percent), ``train_loss`` (nats, mean of the last epoch), ``parameters`` (without an
        auxiliary head), if asked for ``macs`` (multiply-adds of one image) and, of several repeats,
        ``valid_accuracy_std`` (between trainings, n - 1 in the denominator).
        Raises BadInput for a fidelity that does not exist and Diverged for a training that fails.
        """
        started = time.perf_counter()
        fidelity = {**self.fidelity, **dict(proposal.fidelity)}
        stop = epochs_within(fidelity)
        keeps = self._stored is not None and stop is not None and stop < fidelity["schedule_epochs"]
        identity = [proposal.architecture, sorted((k, float(v)) for k, v in fidelity.items() if k != "epochs"), seed]
        seeds = seeds_of_repeats(seed, self.config.repeats)
        states = self._earlier(proposal.parent, identity, stop) or [None] * len(seeds)
        accuracies: list[float] = []
        losses: list[float] = []
        reached: list[dict[str, Any]] = []
        for training_seed, state in zip(seeds, states, strict=True):
            network, record = build_and_train(
                self.space,
                proposal.architecture,
                self.task,
                self.recipe,
                training_seed,
                overrides=fidelity,
                state=state,
            )
            if keeps:
                reached.append(record.state)
            score = accuracy(network, self.task.validation, record.mean_std, threads=self.recipe.threads)
            accuracies.append(score)
            losses.append(record.losses[-1])
        metrics = {
            "valid_accuracy": statistics.fmean(accuracies),
            "train_loss": statistics.fmean(losses),
            "parameters": float(count_parameters(network)),
        }
        if self.config.macs:
            metrics["macs"] = float(count_macs(network, self.task.input_shape))
        if len(accuracies) > 1:
            metrics["valid_accuracy_std"] = statistics.stdev(accuracies)
        file = None
        if keeps:
            assert self._stored is not None and stop is not None
            file = self._stored.write(id, identity, reached)
        seconds = time.perf_counter() - started
        return Evaluation(id, proposal, metrics, self.source, seed, seconds=seconds, weights_file=file)

    def _earlier(self, parent: int | None, identity: Any, stop: int | None) -> Sequence[dict[str, Any] | None] | None:
        """Return the states of the trainings that this one continues, if it does and they are stored."""
        if self._stored is None or parent is None or stop is None:
            return None
        return self._stored.read(parent, identity, stop)


def cost_estimate(
    space: SearchSpace,
    architecture: Architecture,
    task: SearchTask,
    recipe: Recipe,
    overrides: Mapping[str, float] = MappingProxyType({}),
    steps: int = 4,
) -> float:
    """Return the seconds that training and scoring one architecture takes on this machine, from a few timed steps."""
    recipe = adapt(recipe, space, overrides)
    network = build(space, architecture, task, recipe, seed=0)
    batch_size = min(recipe.batch_size, len(task.train))
    steps_an_epoch = len(task.train) // batch_size
    steps = min(steps, steps_an_epoch)
    one_batch, few_batches = (task.train.subset(torch.arange(n * batch_size)) for n in (1, steps))
    # The first step allocates memory and chooses kernels; it is not timed.
    train_network(network, one_batch, recipe, 0, epochs=1)
    record = train_network(network, few_batches, recipe, 0, epochs=1)
    some = task.validation.subset(torch.arange(min(len(task.validation), 512)))
    started = time.perf_counter()
    accuracy(network, some, record.mean_std, threads=recipe.threads)
    scoring = (time.perf_counter() - started) * len(task.validation) / len(some)
    return record.seconds / steps * steps_an_epoch * recipe.epochs + scoring

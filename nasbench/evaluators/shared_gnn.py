"""The evaluator that trains graph networks for a few epochs, from weights that earlier ones left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import digest
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.evaluators.graph_stack import Parts, is_stackable
from nasbench.evaluators.graph_training import GraphTrainingRecord, build_and_train, check_buildable
from nasbench.evaluators.training import count_parameters

FORMAT = 1
PRIVATE = ("mlp_", "skip_")
"""Weights that are never shared: those of combining (Auto-GNN, section on parameter sharing) begin so."""

Key = str
Trained = tuple[nn.Module, GraphTrainingRecord]


class SharedGnnConfig(BaseModel):
    """How weights are shared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=20, ge=1, description="epochs that a candidate is trained before it is scored")  # ours
    bank: bool = Field(default=True, description="begin from the weights of homogeneous layers; no: from fresh ones")
    write: Literal["better", "always"] = Field(
        default="better", description="when a layer's weights go into the bank: if the score is no worse than theirs"
    )  # ours


class SharedGnnEvaluator:
    """Parameter sharing constrained to homogeneous layers (Zhou et al., "Auto-GNN", arXiv 1909.03184).

    Two layers are homogeneous if they are at the same place, their weights have the same shapes, and attention,
    aggregation and activation are the same. A candidate begins from the bank's weights of such layers, and from fresh
    ones where there are none; weights of combining and what the optimiser remembers are always fresh. After the batch
    its layers go into the bank. Scores of the bank are comparable with each other alone, and never with trained ones.
    """

    source: Source = "shared"
    Config: ClassVar[type[BaseModel]] = SharedGnnConfig
    measures: ClassVar[tuple[str, ...]] = ("valid_accuracy", "train_loss", "parameters", "shared_layers")
    fidelities: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, space: SearchSpace, task: SearchTask, recipe: GraphRecipe, config: SharedGnnConfig | None = None
    ) -> None:
        self.space = space
        self.task = task
        self.config = config or SharedGnnConfig()
        self.recipe = recipe.shortened(self.config.epochs)
        identity = ["shared-gnn", FORMAT, recipe.fingerprint(), self.config.model_dump(), task.fingerprint]
        self.fingerprint = digest(identity)[:16]
        self.version = 0
        self.bank: dict[Key, dict[str, Tensor]] = {}
        self._scores: dict[Key, float] = {}
        self._parts = Parts()
        self._waiting: dict[int, Trained] = {}  # networks that `absorb` has not seen yet, by evaluation
        check_buildable(space, task, self.recipe)

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        """Train one candidate for a few epochs and score it.

        Metrics: ``valid_accuracy`` (percent), ``train_loss`` (nats, of the last step), ``parameters``, and
        ``shared_layers``, the number of layers that began from the bank. Raises BadInput if the space's networks are
        not made of layers whose choices are known, Diverged for a training that fails.
        """
        started = time.perf_counter()
        if proposal.fidelity:
            raise BadInput("the evaluator 'shared-gnn' has no fidelities; the number of epochs is a setting of it.")
        network, record, found = self._train(proposal, seed)
        self._waiting[id] = network, record
        metrics = {
            "valid_accuracy": record.valid_accuracy,
            "train_loss": record.train_loss,
            "parameters": float(count_parameters(network)),
            "shared_layers": float(found),
        }
        seconds = time.perf_counter() - started
        return Evaluation(id, proposal, metrics, self.source, seed, seconds=seconds, weights=self.version)

    def absorb(self, evaluations: Sequence[Evaluation]) -> None:
        """Put the layers of a batch's networks into the bank; networks of earlier processes are trained again."""
        if not self.config.bank:
            self._waiting.clear()
            return
        own = [e for e in evaluations if e.status == "ok" and e.reuses is None]
        missing = {e.id: self._train(e.proposal, e.seed)[:2] for e in own if e.id not in self._waiting}
        for evaluation in own:
            network, record = (missing if evaluation.id in missing else self._waiting)[evaluation.id]
            for key, layer in self._layers(network):
                if self.config.write == "always" or record.valid_accuracy >= self._scores.get(key, 0.0):
                    self.bank[key] = {name: p.detach().clone() for name, p in shared_weights(layer).items()}
                    self._scores[key] = record.valid_accuracy
                    self.version += 1
        self._waiting.clear()

    def state_dict(self) -> dict[str, Any]:
        bank = {key: dict(weights) for key, weights in self.bank.items()}
        return {"version": self.version, "bank": bank, "scores": dict(self._scores)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.version, self._scores = state["version"], dict(state["scores"])
        self.bank = {key: dict(weights) for key, weights in state["bank"].items()}
        self._waiting.clear()

    def _train(self, proposal: Proposal, seed: int) -> tuple[nn.Module, GraphTrainingRecord, int]:
        found = 0

        def start(network: nn.Module, seed: int) -> None:
            nonlocal found
            if not is_stackable(network):
                raise BadInput(
                    f"weights are shared between layers whose choices are known; '{self.space.name}' has none."
                )
            if self.config.bank:
                found = self._fill(network)

        arguments = (self.space, proposal.architecture, self.task, self.recipe, [seed])
        ((network, record),) = build_and_train(*arguments, parts=self._parts, start=start)
        return network, record, found

    @torch.no_grad()
    def _fill(self, network: nn.Module) -> int:
        """Copy the weights of homogeneous layers into a network; return in how many layers there were some."""
        found = 0
        for key, layer in self._layers(network):
            weights = self.bank.get(key)
            if weights is not None:
                found += 1
                for name, parameter in shared_weights(layer).items():
                    parameter.copy_(weights[name])
        return found

    def _layers(self, network: Any) -> list[tuple[Key, nn.Module]]:
        task = f"{self.task.input_shape[0]} features, {self.task.classes} classes"
        return [(f"{task}, {layer_key(number, layer)}", layer) for number, layer in enumerate(network.layers, start=1)]


def layer_key(number: int, layer: Any) -> Key:
    """Return what two layers have in common exactly if they are homogeneous; see `SharedGnnEvaluator`."""
    c = layer.choices
    place = f"layer {number}, {c.inputs} to {c.heads}x{c.hidden}{' averaged' if c.average else ''}"
    return f"{place}, {c.attention} {layer.linear_reads} {c.aggregation} {c.activation}"


def shared_weights(layer: nn.Module) -> dict[str, nn.Parameter]:
    """Return those weights of a layer that homogeneous layers share."""
    return {name: p for name, p in layer.named_parameters() if not name.startswith(PRIVATE)}

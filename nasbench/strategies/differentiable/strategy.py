"""Differentiable search as one strategy: bilevel epochs, what alpha says after each, and what is chosen in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nasbench.core.abilities import Relaxable
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Problem
from nasbench.core.progress import Progress
from nasbench.core.seeding import Rng, generator_state, restore_generator
from nasbench.core.strategy import Strategy
from nasbench.strategies.differentiable.config import DifferentiableConfig
from nasbench.strategies.differentiable.schedule import Moment

# What needs torch is imported where it is used, so that strategies can be listed without it.
if TYPE_CHECKING:
    from torch import Tensor

    from nasbench.networks.shared_weights import SharedWeights
    from nasbench.strategies.differentiable.selection import PerturbationSelection

NONE = "none"
TUNING_RATE = 0.1
"""Share of the first learning rate with which weights are tuned between decisions (Wang et al., ICLR 2021)."""


class Differentiable(Strategy):
    """Searches by gradients on the weights of operations (Liu et al., DARTS, ICLR 2019), in the pieces configured.

    One learning unit is an epoch on the run's shared supernet. After each, one evaluation asks for the architecture
    that alpha decodes to, so that a budget of n evaluations is a search of n epochs. It recommends the last one, or
    what its rule of stopping or of selection says, whatever the evaluations were: their shared-weight scores choose
    nothing.

    With selection by perturbation the last evaluation comes after the decisions. A unit is then one decision for each
    kind of cell, or an epoch of tuning.
    """

    Config: ClassVar[type[DifferentiableConfig]] = DifferentiableConfig
    needs: ClassVar[tuple[type, ...]] = (Relaxable,)
    shares_weights: ClassVar[bool] = True

    def __init__(
        self, problem: Problem, config: DifferentiableConfig, rng: Rng, shared: SharedWeights | None = None
    ) -> None:
        """Raises BadInput if there is nothing to train on."""
        from nasbench.strategies.differentiable.rules import (
            RULES,
            alpha_learning_rate,
            learning_rates,
            number_of_epochs,
        )
        from nasbench.strategies.differentiable.stopping import EigenvalueStop
        from nasbench.strategies.differentiable.training import BilevelTraining

        super().__init__(problem, config, rng, shared)
        if problem.task is None or shared is None:
            raise BadInput("a differentiable search trains a supernet: it needs a data set, and weights to share.")
        if problem.task.kind != "image":
            raise BadInput(
                f"a differentiable search needs images; task '{problem.task.name}' is '{problem.task.kind}'."
            )
        self._config, self._shared = config, shared
        self._epochs = number_of_epochs(config, problem.budget.evaluations)
        self._rates = learning_rates(config, self._epochs)
        steps = max(1, len(problem.task.train) // config.batch_size) * self._epochs
        self._training = BilevelTraining(
            shared.module,
            problem.task,
            RULES[config.coefficients],
            config,
            alpha_learning_rate=alpha_learning_rate(config, steps),
            seed=int(rng.integers(2**63)),
        )
        if config.selection == "perturbation" and self._training.over_block:
            raise BadInput(f"selection by perturbation decides edge by edge; '{self.space.name}' is decided by paths.")
        self._stop = EigenvalueStop() if config.stop == "eigenvalue" else None
        self._history: list[dict[str, Tensor]] = []
        self._chosen_epoch: int | None = None  # of an early stop
        self._selection: PerturbationSelection | None = None
        self._tuning_left = 0
        self._to_show = False

    # -- units -------------------------------------------------------------------------------------------------------
    def due(self, progress: Progress) -> bool:
        return not self._to_show and not self._finished

    def learn(self, sample: Any) -> dict[str, float]:
        measures = self._selection_unit() if self._searched else self._bilevel_epoch()
        self._shared.version += 1
        # After every epoch; of decisions by perturbation only when all are made.
        self._to_show = self._finished or not self._searched
        return measures

    @property
    def _searched(self) -> bool:
        return len(self._history) == self._epochs or self._chosen_epoch is not None

    @property
    def _finished(self) -> bool:
        if self._config.selection == "strongest":
            return self._searched
        return self._selection is not None and self._selection.finished and self._tuning_left == 0

    def _bilevel_epoch(self) -> dict[str, float]:
        from nasbench.strategies.differentiable.stopping import too_many_skips

        epoch = len(self._history)
        moment = Moment(epoch / max(1, self._epochs - 1), self._rates[epoch])
        seed = int(self.rng.integers(2**63))
        measures = self._training.bilevel_epoch(moment, seed)
        self._history.append(self._training.decode_weights())
        measures |= self._measures()
        if self._stop is not None:
            measures["eigenvalue"] = self._training.eigenvalue(moment, seed)
            self._chosen_epoch = self._stop.update(epoch, measures["eigenvalue"])
        elif self._config.stop == "skips":
            kind = next(iter(self._training.alpha))
            if too_many_skips(self._operations(self._present())[kind]):
                self._chosen_epoch = epoch
        return measures

    def _selection_unit(self) -> dict[str, float]:
        seed = int(self.rng.integers(2**63))
        if self._selection is None:
            self._selection = self._new_selection(seed)
        if self._tuning_left > 0:
            self._tuning_left -= 1
            moment = Moment(1.0, TUNING_RATE * self._config.learning_rate)
            return self._training.tuning_epoch(self._selection.decided, moment, seed)
        self._selection.step(self._training.accuracy)
        if not self._selection.finished:
            self._tuning_left = self._config.tuning_epochs
        return self._measures()

    def _new_selection(self, seed: int) -> PerturbationSelection:
        import torch

        from nasbench.strategies.differentiable.selection import PerturbationSelection

        nodes = getattr(self._shared.module, "nodes", None)
        # A space that keeps some of its edges has no architecture with `none`.
        columns = [column for column, name in enumerate(self._training.operations) if nodes is None or name != NONE]
        return PerturbationSelection(
            self._training.decode_weights(),
            torch.Generator().manual_seed(seed),
            candidates=columns,
            nodes=None if nodes is None else nodes(),
        )

    # -- architectures -------------------------------------------------------------------------------------------------
    def ask(self) -> list[Proposal]:
        return [Proposal(self._present())] if self._to_show else []

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        self._to_show = False

    def sample(self, rng: Rng) -> Architecture:
        return self._present() if self._history else self.space.sample(rng)

    def recommend(self, k: int = 1) -> list[Architecture]:
        """Return what the search has come to, one architecture whatever ``k``; nothing before the first epoch."""
        return [self._present()] if self._history else []

    def _present(self) -> Architecture:
        if self._selection is not None and self._selection.finished:
            return self._decoded(self._selection.decided)
        return self._decoded(self._history[-1 if self._chosen_epoch is None else self._chosen_epoch])

    def _decoded(self, weights: Mapping[str, Tensor]) -> Architecture:
        assert isinstance(self.space, Relaxable)
        return self.space.discretize({kind: values.cpu().numpy() for kind, values in weights.items()})

    def _operations(self, architecture: Architecture) -> dict[str, list[str]]:
        """Return the operations of an architecture on the edges that it keeps, by kind of cell."""
        assert isinstance(self.space, Relaxable)
        names = self._training.operations
        return {
            kind: [names[column] for column in np.nonzero(rows)[1]]
            for kind, rows in self.space.one_hot(architecture).items()
        }

    def _measures(self) -> dict[str, float]:
        from nasbench.strategies.differentiable.measures import SKIP, entropy, parameter_free_share, skip_share

        chosen = [name for names in self._operations(self._present()).values() for name in names]
        logits = self._training.alpha.values()
        over_block = self._training.over_block
        entropies = [entropy(values.reshape(1, -1) if over_block else values) for values in logits]
        measures = {"entropy": sum(entropies) / len(entropies), "parameter_free": parameter_free_share(chosen)}
        if SKIP in self._training.operations:
            measures["skips"] = skip_share(chosen)
        return measures

    def relaxation(self) -> dict[str, Any]:
        """Return the weights of all operations after every epoch, as plain data: what can be drawn of the search."""
        kinds = self._training.alpha
        return {
            "operations": list(self._training.operations),
            "edges": self._shared.module.edge_labels(),  # type: ignore[operator]
            "weights": {kind: [_rounded(epoch[kind]) for epoch in self._history] for kind in kinds},
        }

    def seconds_of_a_unit(self) -> float:
        """Time two steps of training; the first ones choose kernels and are not timed."""
        training, steps = self._training, self._training.steps
        training.steps = min(2, steps)
        for _ in range(2):
            started = time.perf_counter()
            training.bilevel_epoch(Moment(0.0, self._rates[0]), 0)
        return (time.perf_counter() - started) / training.steps * steps

    # -- state ---------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": generator_state(self.rng),
            "training": self._training.state_dict(),
            "history": [dict(weights) for weights in self._history],
            "chosen_epoch": self._chosen_epoch,
            "stop": None if self._stop is None else self._stop.state_dict(),
            "selection": None if self._selection is None else self._selection.state_dict(),
            "tuning_left": self._tuning_left,
            "to_show": self._to_show,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore_generator(self.rng, state["rng"])
        self._training.load_state_dict(state["training"])
        self._history = [dict(weights) for weights in state["history"]]
        self._chosen_epoch = state["chosen_epoch"]
        if self._stop is not None:
            self._stop.load_state_dict(state["stop"])
        if state["selection"] is not None:
            self._selection = self._new_selection(0)
            self._selection.load_state_dict(state["selection"])
        self._tuning_left = state["tuning_left"]
        self._to_show = state["to_show"]


def _rounded(weights: Tensor) -> list[list[float]]:
    return [[round(value, 6) for value in row] for row in weights.tolist()]

"""The settings that all differentiable strategies share. Importing this file does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from nasbench.core.configuration import listed
from nasbench.core.strategy import StrategyConfig

SEARCH_CHANNELS, SEARCH_CELLS = 16, 8
"""The size of the supernet of Liu et al., DARTS, ICLR 2019, appendix A.1.1."""
SEARCH_EPOCHS = 50
SEARCH_STEPS = SEARCH_EPOCHS * 391
"""Epochs of that search, and its steps: 25,000 images in batches of 64."""
FASTEST_ALPHA = 0.01

Rule = Literal["softmax", "max-w", "max-w-detached", "sigmoid", "perturbed", "gumbel"]
"""How alpha becomes the factors of operations; see `nasbench.strategies.differentiable.coefficients`."""


def _digit(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


# A command line gives text, which a choice among numbers does not take by itself.
Order = Annotated[Literal[1, 2], BeforeValidator(_digit)]
"""Of the gradient of alpha: 1 takes the weights as they are, 2 as after their next step."""
Momenta = Annotated[tuple[float, float], BeforeValidator(listed)]
"""The two of Adam; on a command line "0.5,0.999"."""


class DifferentiableConfig(StrategyConfig):
    """Settings of a bilevel search by gradients. Defaults: Liu et al., DARTS, ICLR 2019, appendix A.1.1, if not said.

    What is None is taken from the recipe, where the comment says so, or worked out when the search begins.
    """

    epochs: int | None = Field(default=None, ge=1)  # None: one for each evaluation of the budget, else 50 (DARTS)
    batch_size: int = Field(default=64, ge=1)
    channels: int | None = Field(default=None, ge=1)  # of the supernet; None: those of the recipe, at most 16 (DARTS)
    cells: int | None = Field(default=None, ge=1)  # of the supernet; None: those of the recipe, at most 8 (DARTS)
    threads: int = Field(default=1, ge=1)  # CPU threads; results depend on them in their last bits

    # which gradient of alpha, and how alpha mixes the operations
    alpha: Literal["learned", "frozen"] = "learned"  # frozen: alpha stays 0 (the ablation of Wang et al., ICLR 2021)
    order: Order = 1
    coefficients: Rule = "softmax"

    # weights: SGD
    learning_rate: float = Field(default=0.025, gt=0)
    learning_rate_end: float = Field(default=0.001, ge=0)  # as in the authors' program; the paper anneals to 0
    schedule: Literal["cosine", "cosine power", "cosine power, rescaled"] = "cosine"
    power: float = Field(default=2.0, ge=1)  # of cosine power annealing (sharpDARTS)
    warmup_epochs: int | None = Field(default=None, ge=0)  # of the rescaled form; None: 5 in 120 epochs (sharpDARTS)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=3e-4, ge=0)
    gradient_clip: float | None = Field(default=5.0, gt=0)

    # alpha: Adam. None: 3e-4 times (19,550, the steps of a DARTS search) / (the steps of this search), so that alpha
    # can travel as far in a short search; never below 3e-4 and never above 0.01. The scaling is ours.
    alpha_learning_rate: float | None = Field(default=None, gt=0)
    alpha_momentum: Momenta = (0.5, 0.999)
    alpha_weight_decay: float = Field(default=1e-3, ge=0)

    # regularisers
    auxiliary_skip: Literal["none", "linear", "cosine"] = "none"  # the decay of its factor (DARTS-)
    zero_one_loss: float = Field(default=0.0, ge=0)  # its weight (Fair DARTS)

    # when to stop, and how an architecture is chosen in the end
    stop: Literal["never", "eigenvalue", "skips"] = "never"  # eigenvalue: RobustDARTS; skips: DARTS+
    selection: Literal["strongest", "perturbation"] = "strongest"  # perturbation: DARTS-PT
    tuning_epochs: int = Field(default=5, ge=0)  # after each decision by perturbation (Wang et al., ICLR 2021)

    # augmentation of the images; None: that of the recipe
    crop_padding: int | None = Field(default=None, ge=0)
    flip: bool | None = None
    cutout: int | None = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> DifferentiableConfig:
        if self.learning_rate_end > self.learning_rate:
            raise ValueError("learning_rate_end must not be above learning_rate")
        return self

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a recipe says on the settings that are None here, with the supernet no larger than DARTS'."""
        largest = {"channels": SEARCH_CHANNELS, "cells": SEARCH_CELLS}
        sizes = {key: min(recipe[key], most) for key, most in largest.items() if recipe[key] is not None}
        augmentation = {key: recipe[key] for key in ("crop_padding", "flip", "cutout")}
        return {key: value for key, value in (sizes | augmentation).items() if cls.model_fields[key].default is None}

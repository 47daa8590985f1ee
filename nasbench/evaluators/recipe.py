"""Recipes: everything that defines a training, as data. Importing this file does not import torch."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Recipe(BaseModel):
    """How a network is trained and how large it is built. Scores of two recipes are never compared.

    The optimiser is SGD and the learning rate a cosine. The defaults are those of the evaluation phase of Liu et al.,
    DARTS, ICLR 2019, appendix A.2.1, where they speak of it; where they do not, the comment says what the default is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    epochs: int = Field(default=600, ge=1)  # DARTS A.2.1
    batch_size: int = Field(default=96, ge=1)  # DARTS A.2.1

    # SGD
    learning_rate: float = Field(default=0.025, gt=0)  # DARTS A.1.1, kept in A.2.1
    learning_rate_end: float = Field(default=0.0, ge=0)  # DARTS A.1.1: annealed to zero
    momentum: float = Field(default=0.9, ge=0, lt=1)  # DARTS A.1.1
    nesterov: bool = False  # DARTS A.1.1 names plain momentum
    weight_decay: float = Field(default=3e-4, ge=0)  # DARTS A.1.1; on all weights, normalisation and biases included
    schedule: Literal["cosine per step", "cosine per epoch"] = "cosine per epoch"  # as the authors' program does
    warmup_epochs: float = Field(default=0.0, ge=0)  # off: DARTS has no warm-up
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)  # off: DARTS smooths labels on ImageNet only (A.3)
    gradient_clip: float | None = Field(default=5.0, gt=0)  # norm over all weights, in the authors' program; or None

    # regularisation inside the network
    drop_path: float = Field(default=0.2, ge=0, lt=1)  # DARTS A.2.1; grows from 0 as epoch / epochs
    auxiliary_weight: float = Field(default=0.4, ge=0)  # DARTS A.2.1; 0 builds no auxiliary head

    # the network's size, for spaces whose Size has these fields; None leaves the space's own default
    channels: int | None = Field(default=36, ge=1)  # DARTS A.2.1
    cells: int | None = Field(default=20, ge=1)  # DARTS A.2.1

    # augmentation
    crop_padding: int = Field(default=4, ge=0)  # zeros around the image before a random crop (He et al. 2016, 4.2)
    flip: bool = True  # mirrored with probability one half (He et al. 2016, section 4.2)
    cutout: int = Field(default=16, ge=0)  # side of a square set to zero, pixels; 0: none (DARTS A.2.1)

    # CPU threads of one training. Results depend on it in their last bits, so it is part of the recipe. A second thread
    # slows the training of 8x8 images and makes that of 32x32 images 1.4 times as fast (benchmarks/training_speed.py),
    # if cores are idle; threads that wait for a busy core are far slower than one. Better several trainings at once.
    threads: int = Field(default=1, ge=1)

    # data
    validation: float = Field(default=0.5, gt=0, lt=1)  # share of the training part held out; DARTS A.1.1: half
    split_seed: int = Field(default=0, ge=0)  # the split is part of the recipe: all methods share it
    final_data: Literal["train", "train+validation"] = "train+validation"  # DARTS A.2.1: the whole training set

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) must be less than epochs ({self.epochs})")
        if self.learning_rate_end > self.learning_rate:
            raise ValueError("learning_rate_end must not be above learning_rate")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that identify the training; the name is not part of it."""
        text = json.dumps(self.model_dump(exclude={"name"}), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def shortened(self, epochs: int) -> Recipe:
        """Return the recipe with another number of epochs, its warm-up and annealing squeezed to fit."""
        return self.model_copy(update={"epochs": epochs, "warmup_epochs": self.warmup_epochs * epochs / self.epochs})


RECIPES: dict[str, Recipe] = {
    # 8x8 digits (scikit-learn's copy of the UCI set): an image is so small that shifting, mirroring or masking it
    # changes the digit, so there is no augmentation. Size, batch and epochs are ours: a DARTS network trains in about 3
    # seconds on one core and ends near 97 % on 449 validation images (measured, random cells).
    "digits": Recipe(
        name="digits",
        epochs=8,
        batch_size=128,
        learning_rate=0.1,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine per step",
        warmup_epochs=1,
        drop_path=0.0,
        auxiliary_weight=0.0,
        channels=4,
        cells=3,
        crop_padding=0,
        flip=False,
        cutout=0,
        validation=0.25,
        final_data="train",
    ),
    # CIFAR-like images on a few CPU cores: the optimiser and augmentation of "nasbench201", a smaller network, smaller
    # batches and few epochs, with a warm-up because so few steps leave no time to recover from a bad start. Ours.
    "small": Recipe(
        name="small",
        epochs=6,
        batch_size=128,
        learning_rate=0.1,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine per step",
        warmup_epochs=1,
        drop_path=0.0,
        auxiliary_weight=0.0,
        channels=8,
        cells=5,
        cutout=0,
        validation=0.2,
        final_data="train",
    ),
    # Liu et al., DARTS, ICLR 2019, appendix A.2.1: the defaults.
    "darts": Recipe(name="darts"),
    # Dong & Yang, NAS-Bench-201, ICLR 2020, table 1 and section 2.3: all that is not named there is off.
    "nasbench201": Recipe(
        name="nasbench201",
        epochs=200,
        batch_size=256,
        learning_rate=0.1,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine per step",
        gradient_clip=None,
        drop_path=0.0,
        auxiliary_weight=0.0,
        channels=16,
        cells=5,
        cutout=0,
    ),
}


def default_recipe(dataset: str) -> str:
    """Return the name of the recipe used for a data set when none is named."""
    return "digits" if dataset == "digits" else "small"

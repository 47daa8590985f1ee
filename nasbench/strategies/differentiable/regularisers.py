"""What is added to a search so that cheap operations do not win by default."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from nasbench.core.errors import unknown

DECAYS = ("linear", "cosine")


def auxiliary_skip(progress: float, decay: Literal["linear", "cosine"]) -> float:
    """Return the coefficient beta of the auxiliary skip connection after ``progress`` (0 to 1) of the search: 1 to 0.

    Chu et al., DARTS-, ICLR 2021: each mixed operation gets beta x beside its own sum, so that the skip among the
    operations is chosen for what it adds as an operation and not for the gradient it lets through. Raise BadInput for
    another decay than "linear" or "cosine".
    """
    if decay == "linear":
        return 1 - progress
    if decay == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    raise unknown("decay of the auxiliary skip", decay, DECAYS)


def with_auxiliary_skip(coefficients: Tensor, skip_column: int, beta: float) -> Tensor:
    """Return the coefficients [edges, operations] with ``beta`` added to the skip connection of every edge.

    At stride 1, where the skip is the identity, this is the auxiliary skip exactly. At stride 2 it shares the
    factorised reduction of the skip among the operations; the authors' program has a second one, with its own weights.
    """
    added = torch.zeros_like(coefficients[0])
    added[skip_column] = beta
    return coefficients + added


def zero_one_loss(alphas: Iterable[Tensor], weight: float = 10.0) -> Tensor:
    """Return -weight mean((sigmoid(alpha) - 1/2)^2) over all entries: least where every sigmoid is 0 or 1.

    Chu et al., Fair DARTS, ECCV 2020; added to the validation loss of a step of alpha.
    """
    strengths = torch.cat([alpha.sigmoid().flatten() for alpha in alphas])
    return -weight * (strengths - 0.5).square().mean()

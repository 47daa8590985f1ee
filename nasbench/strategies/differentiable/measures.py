"""What to record of a search beside its accuracy: how decided alpha is, and how much of a cell has no weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SKIP = "skip_connect"
PARAMETER_FREE = frozenset({"none", SKIP, "avg_pool_3x3", "max_pool_3x3"})
"""Operations without weights. The skip counts as one although at stride 2 it is a factorised reduction."""


def entropy(alpha: Tensor) -> float:
    """Return the entropy of softmax(alpha), alpha [edges, operations], mean over the edges: 1 uniform, 0 decided."""
    weights = alpha.detach().softmax(dim=-1)
    return float(torch.special.entr(weights).sum(dim=-1).mean()) / math.log(alpha.shape[-1])


def skip_weight(weights: Tensor, operations: Sequence[str]) -> float:
    """Return the mean over the edges of the weight of the skip connection; ``weights`` is [edges, operations]."""
    return float(weights[:, list(operations).index(SKIP)].mean())


def skip_share(chosen: Sequence[str]) -> float:
    """Return the share of skip connections among the operations chosen, one name for each edge kept."""
    return sum(name == SKIP for name in chosen) / len(chosen)


def parameter_free_share(chosen: Sequence[str]) -> float:
    """Return the share of operations without weights among the operations chosen, one name for each edge kept."""
    return sum(name in PARAMETER_FREE for name in chosen) / len(chosen)

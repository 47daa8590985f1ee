"""Features of nodes, [nodes, features], that are a dense tensor or a sparse one in CSR layout.

A bag of words has one word in a hundred: where it is stored sparse, dropout and products deal with
that one alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dropped(x: Tensor, probability: float, training: bool) -> Tensor:
    """Return ``x`` after dropout; of a sparse CSR tensor, after that of its stored values: the others are 0 anyway."""
    if not training or probability == 0:
        return x
    if x.layout != torch.sparse_csr:
        return functional.dropout(x, probability)
    values = functional.dropout(x.values(), probability)
    return torch.sparse_csr_tensor(x.crow_indices(), x.col_indices(), values, x.shape, check_invariants=False)

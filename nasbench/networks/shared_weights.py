"""Weights that several parts of a run use: a supernet, and how often its weights have changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class SharedWeights:
    """A supernet with the ``version`` of its weights: 0 as initialised, one more after every learning unit.

    Whoever trains the supernet raises the version; all others only read. The loop stores both in its checkpoints.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.version = 0

    def state_dict(self) -> dict[str, Any]:
        return {"version": self.version, "module": dict(self.module.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the weights back. Raises ValueError if they belong to another network."""
        try:
            self.module.load_state_dict(state["module"])
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        self.version = state["version"]


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch norms use the statistics of each batch inside the context, and leave no trace of them.

    The running statistics of a supernet belong to its mixture of operations; for one architecture alone they are wrong.
    """
    training = module.training
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    module.train()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(before[name])
        module.train(training)

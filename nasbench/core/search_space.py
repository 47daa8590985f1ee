"""The contract of a search space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.seeding import Rng

if TYPE_CHECKING:
    import networkx as nx
    from pydantic import BaseModel
    from torch import nn

    from nasbench.core.problem import SearchTask


def image_channels(space: str, task: SearchTask) -> int:
    """Return the channels of a task's images; raise BadInput if its inputs are none, naming the space that is built."""
    if len(task.input_shape) != 3:
        raise BadInput(f"'{space}' builds networks for images (channels, height, width), not {task.input_shape}.")
    return task.input_shape[0]


class SearchSpace(ABC):
    """A set of architectures and how to build them. Pure: never holds a chosen architecture, never a generator.

    ``Size`` is the pydantic model of what `build` can vary without changing the architecture (channels, cells,
    auxiliary head), with defaults; None if nothing can be varied. ``task_kinds`` are those `SearchTask.kind` that its
    networks are for; none leaves that to `build`.
    """

    name: str
    task_kinds: ClassVar[tuple[str, ...]] = ()
    Size: ClassVar[type[BaseModel] | None] = None

    @abstractmethod
    def sample(self, rng: Rng) -> Architecture:
        """Draw from the space's reference distribution, the one that "random architecture" means here."""

    def sample_many(self, rng: Rng, n: int) -> list[Architecture]:
        """Return what n calls of `sample` would, possibly faster."""
        return [self.sample(rng) for _ in range(n)]

    @abstractmethod
    def mutate(self, architecture: Architecture, rng: Rng) -> Architecture:
        """Return a random architecture that differs in one decision."""

    @abstractmethod
    def check(self, architecture: Architecture) -> None:
        """Raise BadInput (which decision, which value, which choices) unless the architecture belongs to the space."""

    @abstractmethod
    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the one representative of the isomorphism class: the key of "seen before"."""

    @abstractmethod
    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the operations as a graph; every node has the attribute ``op``."""

    @abstractmethod
    def format(self, architecture: Architecture) -> str:
        """Write an architecture in the field's own notation."""

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Read the notation of `format`; raise BadInput on anything else."""

    @abstractmethod
    def build(self, architecture: Architecture, task: SearchTask, size: Any = None) -> nn.Module:
        """Return the stand-alone network for a task, freshly initialised from torch's current generator.

        In training mode it may return ``(logits, auxiliary logits)``. One with drop path has ``set_drop_path(p)``.
        """

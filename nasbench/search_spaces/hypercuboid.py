"""The HyperCuboid: widths and operations of a chain of blocks, as one grid (Hundt, Jain, Hager, sharpDARTS, 2019).

arXiv 1903.09900, Differentiable Hyperparameter Grid Search; "MultiChannelNetwork" in the authors' program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from nasbench.core.architecture import Architecture
from nasbench.core.configuration import listed, validated
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, nearest
from nasbench.search_spaces.hypercuboid_graph import (
    SYMBOLS,
    Axes,
    Margin,
    chain_graph,
    checked_weights,
    format_path,
    grid_graph,
    longest_path,
    parse_path,
    path_margin,
    path_of_nodes,
    path_steps,
)

if TYPE_CHECKING:
    import networkx as nx

    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.hypercuboid_network import HyperCuboidNetwork
    from nasbench.search_spaces.hypercuboid_supernet import HyperCuboidSupernet

LAYERS = 4
WIDTHS = (32, 64, 128, 256)
OPERATIONS = ("sharp_sep_conv_3x3", "resizable_pool_3x3")


class HyperCuboidConfig(BaseModel):
    """The axes of the grid. Defaults: those of Hundt et al., 2019."""

    model_config = ConfigDict(extra="forbid")

    layers: int = Field(default=LAYERS, ge=1, le=8, description="number of layers, each of which halves the image")
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(listed)] = Field(
        default=WIDTHS, max_length=16, description="the numbers of channels to choose from"
    )
    operations: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=OPERATIONS, description=f"the operations to choose from, of: {', '.join(SYMBOLS)}"
    )

    @field_validator("widths", "operations")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values or len(set(values)) != len(values):
            raise ValueError("needs at least one value, and none twice")
        return values

    @field_validator("operations")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in SYMBOLS:
                hint = nearest(name, SYMBOLS)
                raise ValueError(f"unknown operation '{name}'.{hint} Allowed: {', '.join(SYMBOLS)}")
        return names


class HyperCuboidSize(BaseModel):
    """What a network can vary around the path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: int = Field(default=768, ge=1, description="channels of the last convolution, before the classifier")


class HyperCuboid(DecisionSpace):
    """A chain of blocks, each with its own operation and output width; every layer is a block of stride 1, then of 2.

    Written ``32: S->32, P->64 | …``: the stem's width, then layer by layer the operations of stride 1 and 2 with their
    output widths. S is a `SharpSepConv` 3x3, P a `ResizablePool` 3x3. `sample` is uniform over all paths of the grid:
    67,108,864 with the default axes.
    """

    task_kinds: ClassVar[tuple[str, ...]] = ("image",)
    Config: ClassVar[type[BaseModel]] = HyperCuboidConfig
    Size: ClassVar[type[BaseModel] | None] = HyperCuboidSize

    def __init__(
        self,
        layers: int = LAYERS,
        widths: tuple[int, ...] = WIDTHS,
        operations: tuple[str, ...] = OPERATIONS,
    ) -> None:
        given = {"layers": layers, "widths": widths, "operations": operations}
        config = validated(HyperCuboidConfig, given, "space 'hypercuboid'")
        self.axes = Axes(config.layers, config.widths, config.operations)
        self.name = "hypercuboid"
        if self.axes != Axes(LAYERS, WIDTHS, OPERATIONS):
            parts = [str(config.layers), *(SYMBOLS[name] for name in config.operations), *map(str, config.widths)]
            self.name += "-" + "-".join(parts)
        decisions = [Choice("stem", config.widths, "stem")]
        for layer, stride in self.axes.blocks:
            decisions += [
                Choice(f"layer{layer}.stride{stride}.operation", config.operations, f"layer{layer}"),
                Choice(f"layer{layer}.stride{stride}.width", config.widths, f"layer{layer}"),
            ]
        self.decisions = tuple(decisions)

    def format(self, architecture: Architecture) -> str:
        return format_path(self.axes, architecture.spec)

    def parse(self, text: str) -> Architecture:
        """Read a path as `format` writes it, or a name such as ``MULTI_CHANNEL_MAX_W``; see `parse_path`."""
        return Architecture(self.name, parse_path(self.axes, text))

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the stand-alone network as a chain; the attribute ``op`` names operation, widths and stride."""
        return chain_graph(self.axes, architecture.spec)

    def build(
        self, architecture: Architecture, task: SearchTask, size: HyperCuboidSize | None = None
    ) -> HyperCuboidNetwork:
        """Return the stand-alone network for images [N, C, H, W]; logits are [N, classes].

        It has all operations of the path, two for each layer. Raises BadInput for tasks without images.
        """
        from nasbench.search_spaces.hypercuboid_network import HyperCuboidNetwork

        self.check(architecture)
        steps = path_steps(self.axes, architecture.spec)
        return HyperCuboidNetwork(steps, _channels(task), task.classes, (size or HyperCuboidSize()).features)

    def relax(self, task: SearchTask, size: HyperCuboidSize | None = None) -> HyperCuboidSupernet:
        """Return the network of the whole grid, in which the operations of a block are weighted and added."""
        from nasbench.search_spaces.hypercuboid_supernet import HyperCuboidSupernet

        return HyperCuboidSupernet(self.axes, _channels(task), task.classes, (size or HyperCuboidSize()).features)

    def discretize(self, weights: Mapping[str, np.ndarray]) -> Architecture:
        """Return the longest path of the weighted grid (Hundt et al., 2019).

        ``weights`` maps each block, "layer0_stride1" and so on, to [edges, operations] after the softmax over the whole
        block; the edges are the pairs (input width, output width), the latter changing fastest. Adding a constant to a
        block changes nothing, so that w and the Max-W factors 1 - max w + w give the same path.
        """
        graph = grid_graph(self.axes, checked_weights(self.axes, weights))
        return Architecture(self.name, path_of_nodes(graph, longest_path(graph)))

    def one_hot(self, architecture: Architecture) -> dict[str, np.ndarray]:
        """Return the weights that decode to the path: for each block [edges, operations], 1 on the path and else 0."""
        self.check(architecture)
        weights = {}
        for step in path_steps(self.axes, architecture.spec):
            table = np.zeros((len(self.axes.edges), len(self.axes.operations)), dtype=np.float32)
            row = self.axes.edges.index((step.inputs, step.outputs))
            table[row, self.axes.operations.index(step.operation)] = 1
            weights[step.block.kind] = table
        return weights

    def margin(self, weights: Mapping[str, np.ndarray]) -> Margin:
        """Return how far the path of `discretize` is ahead of the second best and of the mean path."""
        return path_margin(self.axes, checked_weights(self.axes, weights))


def _channels(task: SearchTask) -> int:
    if len(task.input_shape) != 3:
        raise BadInput(
            f"'hypercuboid' builds networks for images (channels, height, width); task '{task.name}' has inputs of "
            f"shape {tuple(task.input_shape)}."
        )
    return task.input_shape[0]

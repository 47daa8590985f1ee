"""The continuous relaxation of the HyperCuboid: all operations of a block at once (Hundt et al., sharpDARTS, 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench.core.errors import BadInput
from nasbench.networks.operations import SharpSepConv
from nasbench.search_spaces.hypercuboid_graph import Axes, Block, Step
from nasbench.search_spaces.hypercuboid_network import ResizablePool, grid_operation, grid_stem


class MixedBlock(nn.Module):
    """All operations of a block, from every width to every width.

    ``edges`` holds the operations of each pair of widths, in the order of `Axes.edges`. All operations that read one
    width share its ReLU and its pooling: the same numbers, computed once.
    """

    def __init__(self, axes: Axes, block: Block) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            nn.ModuleList(grid_operation(Step(block, name, inputs, outputs)) for name in axes.operations)
            for inputs, outputs in axes.edges
        )

    def forward(self, maps: Sequence[Tensor], factors: Tensor) -> list[Tensor]:
        """Return a map for each width: the sum of its operations times their ``factors`` [edges, operations]."""
        rows = factors.unbind()
        mixed: list[Tensor] = []
        for source, x in enumerate(maps):
            shared = SharedInput(x)
            for target in range(len(maps)):
                edge = source * len(maps) + target
                operations = cast("nn.ModuleList", self.edges[edge])
                for operation, factor in zip(operations, rows[edge].unbind(), strict=True):
                    output = shared.apply(operation)
                    if target == len(mixed):
                        mixed.append(factor * output)
                    else:
                        mixed[target] = torch.addcmul(mixed[target], factor, output)
        return mixed


class SharedInput:
    """A map that several operations read; what these begin with alike is computed when first needed, and once."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.positive: Tensor | None = None
        self.pooled: dict[type[nn.Module], Tensor] = {}

    def apply(self, operation: nn.Module) -> Tensor:
        """Return what a `SharpSepConv` or a `ResizablePool` makes of the map."""
        if isinstance(operation, ResizablePool):
            kind = type(operation.pool)
            if kind not in self.pooled:
                self.pooled[kind] = operation.pool(self.x)
            resized: Tensor = operation.project(self.pooled[kind])
            return resized
        assert isinstance(operation, SharpSepConv)
        if self.positive is None:
            self.positive = functional.relu(self.x)
        output = self.positive
        _, *after_relu = operation
        for layer in after_relu:
            output = layer(output)
        return output


class HyperCuboidSupernet(nn.Module):
    """Images [N, C, H, W] and weights of all operations to logits [N, classes].

    The coefficients are an argument and no parameters of this module. Each block has one tensor [edges, operations]:
    ``operations`` are its columns, and its rows are ``edges``, pairs (input width, output width) of which the latter
    changes fastest. ``softmax_over_block`` tells who turns logits into coefficients that softmax, and the maximum of
    Max-W, run over all entries of a block together, and not over each row.
    """

    softmax_over_block = True

    def __init__(self, axes: Axes, image_channels: int, classes: int, features: int) -> None:
        super().__init__()
        self.operations = axes.operations
        self.edges = axes.edges
        self.kinds = tuple(block.kind for block in axes.blocks)
        self.stems = nn.ModuleList(grid_stem(image_channels, width) for width in axes.widths)
        self.blocks = nn.ModuleList(MixedBlock(axes, block) for block in axes.blocks)
        self.tails = nn.ModuleList(SharpSepConv(width, features, 3) for width in axes.widths)
        self.classifier = nn.Linear(features, classes)

    def architecture_shape(self) -> dict[str, tuple[int, int]]:
        """Return the shape (edges, operations) of the coefficients of each block."""
        return dict.fromkeys(self.kinds, (len(self.edges), len(self.operations)))

    def edge_labels(self) -> dict[str, list[str]]:
        """Return the names of the rows of each block, "32 -> 64" for what reads 32 channels and writes 64."""
        return {kind: [f"{inputs} -> {outputs}" for inputs, outputs in self.edges] for kind in self.kinds}

    def forward(self, images: Tensor, coefficients: Mapping[str, Tensor]) -> Tensor:
        """Return the logits for ``coefficients`` (weights, not logits) of the shapes of `architecture_shape`.

        A sum is left out, with everything behind it, if all that leads into it has the factor 0: its batch norms would
        else add their shifts. With one path at 1 and all else at 0 this is the stand-alone network.
        """
        for kind, shape in self.architecture_shape().items():
            if kind not in coefficients or coefficients[kind].shape != shape:
                raise BadInput(f"the supernet needs coefficients '{kind}' of shape {shape}.")
        widths = len(self.stems)
        maps = [stem(images) for stem in self.stems]
        # 1 for every width that something leads to, else 0. A tensor, since reading it would make a GPU wait.
        reached = coefficients[self.kinds[0]].new_ones(widths)
        for kind, block in zip(self.kinds, self.blocks, strict=True):
            factors = coefficients[kind] * reached.repeat_interleave(widths).unsqueeze(1)
            maps = block(maps, factors)
            reached = (factors != 0).view(widths, -1).any(dim=0).view(widths, -1).any(dim=1).to(factors.dtype)
        total = reached[0] * self.tails[0](maps[0])
        for position in range(1, widths):
            total = torch.addcmul(total, reached[position], self.tails[position](maps[position]))
        logits: Tensor = self.classifier(total.mean(dim=(2, 3)))
        return logits

"""The stand-alone network of a path through the HyperCuboid (Hundt, Jain, Hager, sharpDARTS, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nasbench.networks.operations import SharpSepConv
from nasbench.search_spaces.hypercuboid_graph import Step


class ResizablePool(nn.Module):
    """A 3x3 pooling, and behind it a 1x1 convolution with batch norm where the number of channels changes.

    Maximum, or with ``average`` the mean with the zeros of the padding counted.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, average: bool = False) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride, padding=1) if average else nn.MaxPool2d(3, stride, padding=1)
        self.project: nn.Module = nn.Identity()
        if inputs != outputs:
            self.project = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps=1e-3))

    def forward(self, x: Tensor) -> Tensor:
        resized: Tensor = self.project(self.pool(x))
        return resized


def grid_operation(step: Step) -> SharpSepConv | ResizablePool:
    """Return the operation of one step of a path."""
    if "pool" in step.operation:
        return ResizablePool(step.inputs, step.outputs, step.block.stride, average="avg" in step.operation)
    return SharpSepConv(step.inputs, step.outputs, int(step.operation[-1]), step.block.stride)


def grid_stem(image_channels: int, width: int) -> nn.Sequential:
    """Return the 3x3 convolution and batch norm before the first block."""
    return nn.Sequential(nn.Conv2d(image_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


class HyperCuboidNetwork(nn.Module):
    """Images [N, C, H, W] to logits [N, classes]: stem, the operations of a path, a last convolution, classifier."""

    def __init__(self, steps: Sequence[Step], image_channels: int, classes: int, features: int) -> None:
        super().__init__()
        self.stem = grid_stem(image_channels, steps[0].inputs)
        self.operations = nn.Sequential(*(grid_operation(step) for step in steps))
        self.tail = SharpSepConv(steps[-1].outputs, features, 3)
        self.classifier = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.tail(self.operations(self.stem(images)))
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits

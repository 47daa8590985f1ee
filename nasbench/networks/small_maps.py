"""Many operations on small maps at once, as a handful of matrix products on the CPU.

On a map of 8x8 pixels a convolution takes longer to start than to compute. There a depthwise convolution is a matrix
from pixels to pixels, one for each channel, and those of many convolutions of any kernel, stride and dilation make one
batched product. Maps lie in the order [C, N, H, W] throughout: the pixels of an image, and all those of a channel, are
then dense rows for depthwise and 1x1 convolutions and for batch norms, and nothing is reordered in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench.networks.batch_norm import normalise_together
from nasbench.networks.mixing import grids
from nasbench.networks.operations import FactorizedReduce, ReluConvNorm

LARGEST = 5e6
"""Up to so many multiplications, as `is_small` counts them, maps are small. At 6e6 both ways take equally long."""


def is_small(x: Tensor, channels: float, stride: int) -> bool:
    """Whether depthwise convolutions of maps [N, ., H, W] to ``channels`` channels are faster in this way.

    That is on the CPU, if little is multiplied: in each channel all images by one matrix, from pixels to pixels. Making
    and keeping a matrix costs as much as 32 images.
    """
    n, _, height, width = x.shape
    entries = height * width * -(-height // stride) * -(-width // stride)
    return x.device.type == "cpu" and channels * (n + 32) * entries <= LARGEST


@lru_cache(maxsize=64)
def taps(kernel: int, stride: int, dilation: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Return [kernel^2, H, W, H', W'], 1 where a tap of the kernel takes an input pixel to an output pixel, else 0."""
    height, width = size
    with torch.inference_mode(False):
        kernels = torch.eye(kernel * kernel, dtype=dtype).view(-1, 1, kernel, kernel)
        pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
        maps = functional.conv2d(pixels, kernels, None, stride, dilation * (kernel - 1) // 2, dilation)
        return maps.transpose(0, 1).contiguous().view(len(kernels), height, width, *maps.shape[2:])


@lru_cache(maxsize=64)
def _averages(stride: int, size: tuple[int, int], dtype: torch.dtype, count_padding: bool) -> Tensor:
    """Return [H, W, H', W'], how much of an input pixel is in the average of 3x3 pixels around an output pixel."""
    with torch.inference_mode(False):
        ones = taps(3, stride, 1, size, dtype).sum(dim=0)
        return ones / (9 if count_padding else ones.sum(dim=(0, 1)))


def average_pool_small(x: Tensor, stride: int, *, count_padding: bool) -> Tensor:
    """Average [..., H, W] over 3x3 pixels with padding 1, as `nasbench.networks.mixing.average_pool`."""
    matrix = _averages(stride, (x.shape[-2], x.shape[-1]), x.dtype, count_padding)
    averages = x.flatten(-2) @ matrix.flatten(2).flatten(0, 1)
    return averages.view(*x.shape[:-2], *matrix.shape[2:])


def preprocess_small(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a `ReluConvNorm` of kernel 1 or a `FactorizedReduce` to maps [N, C, H, W] and return [C', N, H', W']."""
    x = functional.relu(x.transpose(0, 1).contiguous())
    if isinstance(module, FactorizedReduce):
        return reduce_together([module], x.unsqueeze(0))[0]
    assert isinstance(module, ReluConvNorm)
    _, convolution, norm = module
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    y = convolution.weight.flatten(1) @ x.flatten(1)
    return normalise_together(y.view(1, -1, *x.shape[1:]), [norm])[0]


def reduce_together(operations: Sequence[FactorizedReduce], x: Tensor, coefficients: Tensor | None = None) -> Tensor:
    """Apply ``operations`` to maps [S, C, N, H, W] that passed a ReLU, equally many to each of the S, in order.

    Returns [operations, C', N, H', W'], times ``coefficients`` [operations] if there are any.
    """
    count, (sources, channels) = len(operations), x.shape[:2]
    convolutions = [[operation.conv for operation in operations], [operation.shifted_conv for operation in operations]]
    halves = []
    for grid, group in zip(grids(x), convolutions, strict=True):
        weights = torch.cat([convolution.weight for convolution in group]).view(sources, -1, channels)
        halves.append((weights @ grid.reshape(sources, channels, -1)).view(count, -1, *grid.shape[2:]))
    return normalise_together(torch.cat(halves, dim=1), [operation.norm for operation in operations], coefficients)


class _Unit(NamedTuple):
    """Depthwise convolution, 1x1 convolution, batch norm; of all names and edges."""

    depthwise: list[list[nn.Conv2d]]  # [name][edge]: all edges of a name have the same kernel, stride and dilation
    pointwise: list[nn.Conv2d]
    norms: list[nn.BatchNorm2d]


class SeparableConvs:
    """Separable convolutions of equal widths, of several names on all edges from some nodes, applied together.

    ``operations[name][edge]`` are `DilatedConv` or `SharpSepConv` without scale and shift. They stay where they are
    registered: this holds references.
    """

    def __init__(self, operations: Sequence[Sequence[nn.Sequential]]) -> None:
        self.names, self.edges = len(operations), len(operations[0])
        layers: list[list[list[Any]]] = [[list(operation) for operation in row] for row in operations]
        self.units = [
            _Unit(
                [[modules[start + 1] for modules in row] for row in layers],
                [modules[start + 2] for modules in chain(*layers)],
                [modules[start + 3] for modules in chain(*layers)],
            )
            for start in range(0, len(layers[0][0]), 4)
        ]

    def __call__(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Return [names x edges, C, N, H', W'] for maps [S, C, N, H, W] that passed a ReLU.

        The edges are equally many from each of the S, in order. ``coefficients`` [names x edges] multiply the results.
        """
        *firsts, last = self.units
        # One dimension after the other, since the gradients of two expanded at once are slow to add up.
        x = x.unsqueeze(1).expand(-1, self.edges // len(x), -1, -1, -1, -1).expand(self.names, *[-1] * 6).flatten(0, 2)
        for unit in firsts:
            x = normalise_together(_convolve(unit, x), unit.norms).relu_()
        return normalise_together(_convolve(last, x), last.norms, coefficients)


def _convolve(unit: _Unit, x: Tensor) -> Tensor:
    """Return [names x edges, C', N, H', W'] for maps [names x edges, C, N, H, W]."""
    count, channels, n, height, width = x.shape
    matrices = []
    for convolutions in unit.depthwise:
        stride, dilation = convolutions[0].stride[0], convolutions[0].dilation[0]
        weights = torch.cat([convolution.weight for convolution in convolutions])
        tap = taps(weights.shape[-1], stride, dilation, (height, width), x.dtype)
        matrices.append(weights.flatten(1) @ tap.flatten(1))
    size = tap.shape[3:]
    matrix = torch.cat(matrices).view(count * channels, height * width, -1)
    spread = torch.bmm(x.reshape(count * channels, n, -1), matrix).view(count, channels, -1)
    weights = torch.cat([convolution.weight for convolution in unit.pointwise]).view(count, -1, channels)
    return torch.bmm(weights, spread).view(count, -1, n, *size)

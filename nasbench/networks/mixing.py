"""Parts of networks whose edges mix several operations, each times a coefficient that is given from outside.

They compute what one module for each operation and edge would, faster:

- All edges that leave a node read the same map, so its ReLU, its pooled maps and their norms are computed once.
- The coefficient before a batch norm without scale is that norm's scale. Nothing is multiplied and no product kept, and
  the gradient of the coefficient is a by-product of that of the norm.
- Outputs are added up in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench.networks.batch_norm import normalise
from nasbench.networks.depthwise import depthwise
from nasbench.networks.operations import FactorizedReduce


def run(module: nn.Module, x: Tensor) -> Tensor:
    """Return ``module(x)`` with `normalise` for every batch norm in its sequences."""
    if isinstance(module, nn.Sequential):
        for layer in module:
            x = run(layer, x)
        return x
    if isinstance(module, nn.BatchNorm2d):
        return normalise(x, module)
    if isinstance(module, FactorizedReduce):
        return run_factorized(module, *halve(functional.relu(x)))
    result: Tensor = module(x)
    return result


def add(total: Tensor | None, term: Tensor) -> Tensor:
    """Return total + term; the one or the other is overwritten."""
    return term if total is None else total.add_(term)


def add_product(total: Tensor | None, coefficient: Tensor, x: Tensor) -> Tensor:
    """Return total + coefficient * x; ``total`` is overwritten."""
    result: Tensor = _AddProduct.apply(total, coefficient, x)  # type: ignore[no-untyped-call]
    return result


class _AddProduct(torch.autograd.Function):
    """`torch.addcmul` whose gradient for the coefficient is one scalar product, without a map of products."""

    @staticmethod
    def forward(ctx: Any, total: Tensor | None, coefficient: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(coefficient, x if ctx.needs_input_grad[1] else None)
        if total is None:
            return x * coefficient
        ctx.mark_dirty(total)
        return total.addcmul_(x, coefficient)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient, (coefficient, x) = gradients[0], ctx.saved_tensors
        to_coefficient = None
        if ctx.needs_input_grad[1]:
            # In the order in which they lie in memory both are views; in bfloat16 the sum would lose most digits.
            vectors = (map_.permute(0, 2, 3, 1).flatten().to(coefficient.dtype) for map_ in (gradient, x))
            to_coefficient = torch.dot(*vectors)
        to_x = gradient * coefficient if ctx.needs_input_grad[2] else None
        return gradient if ctx.needs_input_grad[0] else None, to_coefficient, to_x


def concatenate(maps: Sequence[Tensor]) -> Tensor:
    """Concatenate maps of equally many channels.

    As `torch.cat`, but every map gets a gradient that is dense in channels-last order. Those of torch are slices of the
    one of the whole, on which the gradient of a batch norm on the CPU takes about ten times as long.
    """
    result: Tensor = _Concatenate.apply(*maps)  # type: ignore[no-untyped-call]
    return result


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        ctx.count = len(maps)
        return torch.cat(maps, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        parts = gradients[0].chunk(ctx.count, dim=1)
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in parts)


def average_pool(x: Tensor, stride: int = 1, *, count_padding: bool = False) -> Tensor:
    """Average over 3x3 pixels with padding 1, as `torch.nn.AvgPool2d` does, several times as fast on the CPU.

    With ``count_padding`` the divisor is nine at the border, too.
    """
    if x.device.type != "cpu":
        return functional.avg_pool2d(x, 3, stride, padding=1, count_include_pad=count_padding)
    ninths = depthwise(x, x.new_full((x.shape[1], 1, 3, 3), 1 / 9), stride)
    if count_padding:
        return ninths
    inside = functional.avg_pool2d(x.new_ones(1, 1, *x.shape[2:]), 3, stride, padding=1)
    return ninths.div_(inside)


def halve(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels in even rows and columns, and those right below of them (zero beyond the border)."""
    even, below = (grid.contiguous(memory_format=torch.channels_last) for grid in grids(x))
    return even, below


def grids(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same as `halve`, as views."""
    return x[..., ::2, ::2], functional.pad(x, (-1, 1, -1, 1))[..., ::2, ::2]


def run_factorized(
    operation: FactorizedReduce, even: Tensor, below: Tensor, coefficient: Tensor | None = None
) -> Tensor:
    """Return ``operation``, times ``coefficient`` if there is one, for its input after the ReLU, halved."""
    halves = functional.conv2d(even, operation.conv.weight), functional.conv2d(below, operation.shifted_conv.weight)
    return normalise(concatenate(halves), operation.norm, coefficient)


def run_separable(operation: nn.Sequential, x: Tensor, coefficient: Tensor) -> Tensor:
    """Return coefficient * operation for a `DilatedConv`, `SharpSepConv` or `SeparableConv` without scale and shift.

    ``x`` is what its first ReLU gives. Where the first convolution has both stride and dilation 2, ``x`` has only the
    even rows and columns of that.
    """
    modules = list(operation)
    for start in range(0, len(modules), 4):
        spread, pointwise, norm = modules[start + 1 : start + 4]
        assert isinstance(spread, nn.Conv2d)
        assert isinstance(pointwise, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        stride, dilation = spread.stride[0], spread.dilation[0]
        if stride == dilation == 2:
            stride = dilation = 1
        x = functional.conv2d(depthwise(x, spread.weight, stride, dilation), pointwise.weight)
        last = start + 4 == len(modules)
        x = normalise(x, norm, coefficient) if last else normalise(x, norm).relu_()
    return x

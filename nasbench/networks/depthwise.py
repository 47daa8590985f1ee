"""Depthwise convolution whose gradients are fast on the CPU, too.

torch hands convolutions on the CPU to oneDNN, whose kernels for depthwise ones leave gaps: gradients of the weights are
fast only for kernels up to three columns wide and no higher than the map, and with dilation no gradient is. What falls
through costs 5 to 30 times as much. The gradients here are put together from what has a fast kernel; they are the same
sums, in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn import grad as convolution_gradients

WIDEST = 3
"""Columns of the widest kernel with a fast gradient of its weights."""


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolve [N, C, H, W] with ``weight`` [C, 1, k, k], k odd, to [N, C, ceil(H / stride), ceil(W / stride)].

    The zero padding is dilation * (k - 1) / 2. ``dilation`` is 1 or 2; with stride 2 it must be 1: a kernel of dilation
    2 then meets only even rows and columns, so convolve ``x[:, :, ::2, ::2]`` with stride 1 and dilation 1 instead.
    Can be differentiated twice.
    """
    assert dilation == 1 or (dilation == 2 and stride == 1)
    if x.device.type != "cpu":
        return _convolve(x, weight, stride, dilation)
    result: Tensor = _Depthwise.apply(x, weight, stride, dilation)  # type: ignore[no-untyped-call]
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.settings = x.shape, stride, dilation
        # The input is needed for the gradient of the weights alone.
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return _convolve(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient, (x, weight) = gradients[0], ctx.saved_tensors
        shape, stride, dilation = ctx.settings
        kernel, to_input, to_weight = weight.shape[-1], None, None
        if ctx.needs_input_grad[0]:
            if stride == 1:
                to_input = _convolve(gradient, weight.flip(2, 3), 1, dilation)
            else:
                to_input = convolution_gradients.conv2d_input(  # type: ignore[no-untyped-call]
                    shape, weight, gradient, stride, padding=kernel // 2, groups=len(weight)
                )
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(x, gradient, kernel, stride, dilation)
        return to_input, to_weight, None, None


def _convolve(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] - 1) // 2
    return functional.conv2d(x, weight, None, stride, padding, dilation, groups=len(weight))


def _weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int, dilation: int) -> Tensor:
    """Return the gradient [C, 1, kernel, kernel] of the weights from the input and the ``gradient`` of the output."""
    if dilation == 1:
        return _undilated_weight_gradient(x, gradient, kernel, kernel, stride)
    # Even columns meet even ones only, odd columns odd ones. With two columns of C channels taken as one of 2 C, which
    # in channels-last order is a view, those of the kernel lie side by side. Its rows keep zero rows between them.
    rows = 2 * kernel - 1
    taps = _undilated_weight_gradient(_pair_columns(x), _pair_columns(gradient), rows, kernel, 1)
    return taps[:, :, ::2].reshape(2, x.shape[1], 1, kernel, kernel).sum(dim=0)


def _pair_columns(x: Tensor) -> Tensor:
    """View [N, C, H, W] as [N, 2 C, H, W / 2], even columns in the first C channels; an odd W gets a zero column."""
    if x.shape[3] % 2:
        x = functional.pad(x, (0, 1))
    n, channels, height, width = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, height, width // 2, 2 * channels).permute(0, 3, 1, 2)


def _undilated_weight_gradient(x: Tensor, gradient: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """Return the gradient [C, 1, rows, columns] of the weights, put together from stripes of `WIDEST` columns."""
    top, left = rows // 2, columns // 2
    if columns <= WIDEST and rows <= x.shape[2]:
        return _conv2d_weight(x, gradient, (rows, columns), stride, (top, left))
    stripes = []
    for first in range(0, columns, WIDEST):
        start = min(first, columns - WIDEST)  # the last stripe may overlap the one before
        padded = functional.pad(x, (left - start, start + WIDEST - 1 - left, top, top))
        stripes.append(_conv2d_weight(padded, gradient, (rows, WIDEST), stride, (0, 0))[..., first - start :])
    return torch.cat(stripes, dim=-1)


def _conv2d_weight(
    x: Tensor, gradient: Tensor, kernel: tuple[int, int], stride: int, padding: tuple[int, int]
) -> Tensor:
    channels = x.shape[1]
    result: Tensor = convolution_gradients.conv2d_weight(  # type: ignore[no-untyped-call]
        x, (channels, 1, *kernel), gradient, stride, padding, groups=channels
    )
    return result

"""Batch norm in training, with exact statistics and fast in channels-last order on the CPU.

In that order torch adds up all pixels of a channel one after another in float32. Over the 65,536 pixels of a batch of
64 images of 32x32 its mean and variance are off by 1e-5 to 4e-4, and networks in the two memory orders drift apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

ROW = 512
"""So many sums are taken side by side before those of a channel are added up."""


def normalise(x: Tensor, norm: nn.BatchNorm2d, coefficient: Tensor | None = None) -> Tensor:
    """Return ``norm(x)`` for maps [N, C, H, W], running statistics included.

    A norm without scale and shift can be given a number ``coefficient`` by which its output is multiplied. Taken as
    the scale of the norm it costs nothing, and its gradient is a by-product. Can be differentiated twice.
    """
    assert norm.momentum is not None
    assert norm.running_mean is not None and norm.running_var is not None
    # Repeated, not expanded: in channels-last order torch's gradient on the CPU reads scales as lying side by side,
    # whatever their stride, and is wrong for expanded ones.
    scale = norm.weight if coefficient is None else coefficient.repeat(norm.num_features)
    shift = norm.bias
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    if not norm.training or x.device.type != "cpu":
        return functional.batch_norm(
            x, norm.running_mean, norm.running_var, scale, shift, norm.training, norm.momentum, norm.eps
        )
    with torch.no_grad():
        mean, variance = moments(x)
        count = x.numel() // len(mean)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
    result: Tensor = _Normalise.apply(x, scale, shift, mean, variance, norm.eps)  # type: ignore[no-untyped-call]
    return result


def normalise_together(x: Tensor, norms: Sequence[nn.BatchNorm2d], coefficients: Tensor | None = None) -> Tensor:
    """Return [norms, C, N, H, W]: ``norms[i]`` of the dense maps ``x[i]`` [C, N, H, W], as one norm of many channels.

    The norms have no scale and shift. As in `normalise`, ``coefficients`` [norms] multiply their outputs.
    """
    first, (count, channels) = norms[0], x.shape[:2]
    assert first.momentum is not None and not first.affine
    rows = x.view(1, count * channels, -1)
    scale = None if coefficients is None else coefficients.repeat_interleave(channels)
    means, variances = ([cast(Tensor, getattr(norm, key)) for norm in norms] for key in ("running_mean", "running_var"))
    if not first.training:
        mean, variance = torch.cat(means), torch.cat(variances)
        return functional.batch_norm(rows, mean, variance, scale, None, False, 0.0, first.eps).view(x.shape)
    with torch.no_grad():
        mean = rows[0].mean(dim=1)
        variance = (rows[0] - mean.unsqueeze(1)).square_().mean(dim=1)
        unbiased = variance * (rows.shape[2] / (rows.shape[2] - 1))
        torch._foreach_lerp_(means, mean.view(count, channels).unbind(), first.momentum)
        torch._foreach_lerp_(variances, unbiased.view(count, channels).unbind(), first.momentum)
        torch._foreach_add_([cast(Tensor, norm.num_batches_tracked) for norm in norms], 1)
    result: Tensor = _Normalise.apply(rows, scale, None, mean, variance, first.eps)  # type: ignore[no-untyped-call]
    return result.view(x.shape)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance [C] of maps [N, C, H, W], the mean square around the mean."""
    channels = x.shape[1]
    pixels = x.numel() // channels
    # Several pixels are taken as one of so many times the channels, and then the groups are combined.
    groups = math.gcd(pixels, 2 ** max(0, (ROW // channels).bit_length() - 1))
    rows = x.permute(0, 2, 3, 1).reshape(pixels // groups, groups * channels)
    means, variances = (part.view(groups, channels) for part in torch.batch_norm_update_stats(rows, None, None, 0.0))
    between, mean = torch.var_mean(means, dim=0, correction=0)
    return mean, variances.mean(dim=0) + between


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, variance: Tensor, eps: float
    ) -> Tensor:
        inverse = (variance + eps).rsqrt()
        ctx.save_for_backward(x, scale, mean, inverse)
        ctx.eps = eps
        factor = inverse if scale is None else inverse * scale
        offset = -mean * factor if shift is None else shift - mean * factor
        if x.dim() == 3:  # rows of pixels, where addcmul takes twice as long
            return torch.mul(x, factor.view(-1, 1)).add_(offset.view(-1, 1))
        return torch.addcmul(offset.view(-1, 1, 1), x, factor.view(-1, 1, 1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, mean, inverse = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        # Twice differentiable: torch's formula knows how mean and inverse depend on x.
        to_x, to_scale, to_shift = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, scale, None, None, mean, inverse, True, ctx.eps, wanted
        )
        found = (to_x, to_scale, to_shift)
        return *(value if want else None for value, want in zip(found, wanted, strict=True)), None, None, None

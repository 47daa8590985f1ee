"""The building blocks of NAS-Bench-201 networks: operations of a cell, and the reduction between stages.

Dong & Yang, NAS-Bench-201, ICLR 2020, section 2. All keep the channels and the size of a map [n, c, h, w], but for
`Reduction`.
"""

from __future__ import annotations

from torch import Tensor, nn

from nasbench.networks.operations import ReluConvNorm


class Zero(nn.Module):
    """The operation "none": zeros that still carry a (zero) gradient, so that every weight before them has one."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0


def nasbench201_operation(name: str, channels: int, *, affine: bool = True) -> nn.Module:
    """Return the operation that ``name`` means in the benchmark, from ``channels`` to as many channels."""
    if name == "none":
        return Zero()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    assert name in ("nor_conv_1x1", "nor_conv_3x3"), name
    return ReluConvNorm(channels, channels, int(name[-1]), affine=affine)


class Reduction(nn.Module):
    """The residual block between two stages: [n, c, h, w] to [n, 2 c, ceil(h / 2), ceil(w / 2)].

    Two units of ReLU, 3x3 convolution, batch norm, the first with stride 2; the shortcut is a 2x2 average and a 1x1
    convolution without batch norm. As in the benchmark, nothing follows their sum: the next operation has its own ReLU.
    """

    def __init__(self, inputs: int, *, affine: bool = True) -> None:
        super().__init__()
        outputs = 2 * inputs
        self.convolutions = nn.Sequential(
            ReluConvNorm(inputs, outputs, 3, stride=2, affine=affine), ReluConvNorm(outputs, outputs, 3, affine=affine)
        )
        # ceil_mode lets maps of odd size through, as the convolution of stride 2 does; even ones are not affected
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.shortcut(x) + self.convolutions(x)
        return total

"""Operations on feature maps [N, C, H, W] from which cells are made.

Every operation with stride s turns a map of height H into one of height ceil(H / s), odd heights included. Convolutions
have no bias, since a batch norm follows; ``affine=False`` leaves out the scale and shift of the batch norms.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHOKE_WIDTH = 32
"""Middle channels of a "choke" convolution, whatever the channels around it (Hundt et al., sharpDARTS, 2019)."""
FLOOD_FACTOR = 4
"""A "flood" convolution has this many times its output channels in the middle (Hundt et al., sharpDARTS, 2019)."""


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, affine: bool = True) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
        )


class DilatedConv(nn.Sequential):
    """ReLU, depthwise convolution, 1x1 convolution, batch norm (Liu et al., DARTS, ICLR 2019, section 3.1.1)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 2, *, affine: bool = True
    ) -> None:
        super().__init__(
            nn.ReLU(),
            _depthwise(inputs, kernel, stride, dilation),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
        )


class SharpSepConv(nn.Sequential):
    """Two units of ReLU, depthwise convolution, 1x1 convolution, batch norm, ``middle`` channels wide between them.

    The first depthwise convolution carries stride and dilation (Hundt, Jain, Hager, sharpDARTS, 2019).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        *,
        middle: int | None = None,
        affine: bool = True,
    ) -> None:
        middle = outputs if middle is None else middle
        super().__init__(
            nn.ReLU(),
            _depthwise(inputs, kernel, stride, dilation),
            nn.Conv2d(inputs, middle, 1, bias=False),
            nn.BatchNorm2d(middle, affine=affine),
            nn.ReLU(),
            _depthwise(middle, kernel),
            nn.Conv2d(middle, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
        )


class SeparableConv(SharpSepConv):
    """The separable convolution of DARTS: the unit applied twice, ``inputs`` channels wide in the middle."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, affine: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, stride, middle=inputs, affine=affine)


class FactorizedReduce(nn.Module):
    """Halve height and width without dropping pixels: ReLU, two 1x1 convolutions on shifted grids, batch norm.

    The second grid starts one pixel right and below; a zero row and column beyond the border give both grids
    ceil(H / 2) rows when H is odd. ``outputs`` must be even.
    """

    def __init__(self, inputs: int, outputs: int, *, affine: bool = True) -> None:
        super().__init__()
        assert outputs % 2 == 0, "the two halves need equally many channels"
        self.conv = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.shifted_conv = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x)
        shifted = functional.pad(x, (-1, 1, -1, 1))
        joined: Tensor = self.norm(torch.cat([self.conv(x), self.shifted_conv(shifted)], dim=1))
        return joined


def darts_operation(name: str, channels: int, stride: int, *, sharp: bool = False, affine: bool = True) -> nn.Module:
    """Return the operation that ``name`` means in DARTS and sharpDARTS, from ``channels`` to as many channels.

    ``sharp`` makes every convolution a `SharpSepConv` and lets average pooling count the zero padding, as sharpDARTS
    does; without it they are those of DARTS. A skip connection at stride 2 is a `FactorizedReduce`.
    """
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=sharp)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)
    kernel, dilation = int(name[-1]), 2 if name.startswith("dil_") else 1
    if sharp:
        middle = CHOKE_WIDTH if "choke" in name else FLOOD_FACTOR * channels if "flood" in name else channels
        return SharpSepConv(channels, channels, kernel, stride, dilation, middle=middle, affine=affine)
    if dilation == 2:
        return DilatedConv(channels, channels, kernel, stride, affine=affine)
    return SeparableConv(channels, channels, kernel, stride, affine=affine)


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zero whole samples of ``x`` [N, ...] with ``probability`` and scale the others up, so that the mean stays.

    Larsson et al., FractalNet, ICLR 2017. Draws from torch's current generator.
    """
    keep = 1.0 - probability
    mask = x.new_empty((len(x),) + (1,) * (x.dim() - 1)).bernoulli_(keep)
    return x * (mask / keep)


def _depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)

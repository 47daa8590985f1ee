"""The stand-alone sub-network of the Once-for-All MobileNetV3 (Cai et al., ICLR 2020; Howard et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nasbench.search_spaces.ofa_mobilenetv3 import Block


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm and, unless it is None, the activation."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, activation: nn.Module | None, *, groups: int = 1
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([] if activation is None else [activation]))


class SqueezeExcite(nn.Module):
    """Scale each channel by what the means of all channels say (Hu et al., CVPR 2018), with a hard sigmoid."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeeze, 1),
            nn.ReLU(),
            nn.Conv2d(squeeze, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.scale(x)
        return x * scale


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, squeeze-and-excitation in some stages, project; a shortcut where shapes agree."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        inputs, middle, outputs, kernel, stride, squeeze, hard_swish = block
        layers: list[nn.Module] = [
            ConvNorm(inputs, middle, 1, 1, _activation(hard_swish)),
            ConvNorm(middle, middle, kernel, stride, _activation(hard_swish), groups=middle),
        ]
        if squeeze is not None:
            layers.append(SqueezeExcite(middle, squeeze))
        self.path = nn.Sequential(*layers, ConvNorm(middle, outputs, 1, 1, None))
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x)
        return x + y if self.has_shortcut else y


class SeparableResidual(nn.Module):
    """The first block, which does not expand: depthwise convolution, projection, shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            ConvNorm(channels, channels, 3, 1, nn.ReLU(), groups=channels), ConvNorm(channels, channels, 1, 1, None)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x)
        return x + y


class OfaMobileNetV3Network(nn.Sequential):
    """Images [n, ``inputs``, h, w] to logits [n, ``classes``]; the blocks are the entries of ``body``.

    ``stem``, ``last`` and ``features`` are the channels of the first convolution, of the last before the pooling, and
    of the classifier's input.
    """

    def __init__(self, blocks: Sequence[Block], inputs: int, classes: int, stem: int, last: int, features: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(inputs, stem, 3, 2, nn.Hardswish()), SeparableResidual(stem))
        self.body = nn.Sequential(*map(InvertedResidual, blocks))
        self.head = nn.Sequential(
            ConvNorm(blocks[-1].outputs, last, 1, 1, nn.Hardswish()),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(last, features, 1, bias=False),
            nn.Hardswish(),
            nn.Flatten(),
            nn.Linear(features, classes),
        )


def _activation(hard_swish: bool) -> nn.Module:
    return nn.Hardswish() if hard_swish else nn.ReLU()

"""The stand-alone networks of NAS-Bench-Macro (Su et al., CVPR 2021): stem, eight blocks, classifier."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nasbench.search_spaces.nasbench_macro import EXPANSION_AND_KERNEL, Block


class ConvNorm(nn.Sequential):
    """Convolution without bias and batch norm, then ReLU unless the block ends here."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, relu: bool = True
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU()] if relu else []))


class InvertedResidual(nn.Module):
    """The block of MobileNetV2 (Sandler et al., CVPR 2018) with ReLU: expand, depthwise, project without activation.

    The input is added to the output where both have the same shape.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, expansion: int, kernel: int) -> None:
        super().__init__()
        middle = expansion * inputs
        self.path = nn.Sequential(
            ConvNorm(inputs, middle, 1),
            ConvNorm(middle, middle, kernel, stride, groups=middle),
            ConvNorm(middle, outputs, 1, relu=False),
        )
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x)
        return x + y if self.has_shortcut else y


class NasBenchMacroNetwork(nn.Sequential):
    """Images [n, ``inputs``, h, w] to logits [n, ``classes``]; the blocks are the entries of ``body``."""

    def __init__(self, blocks: Sequence[Block], inputs: int, classes: int, features: int) -> None:
        super().__init__()
        self.stem = ConvNorm(inputs, blocks[0].inputs, 3)
        self.body = nn.Sequential(*map(_module, blocks))
        self.head = nn.Sequential(
            ConvNorm(blocks[-1].outputs, features, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(features, classes),
        )


def _module(block: Block) -> nn.Module:
    operation, inputs, outputs, stride = block
    if block.vanishes:
        return nn.Identity()
    if operation == "identity":
        return ConvNorm(inputs, outputs, 1, stride, relu=False)
    expansion, kernel = EXPANSION_AND_KERNEL[operation]
    return InvertedResidual(inputs, outputs, stride, expansion=expansion, kernel=kernel)

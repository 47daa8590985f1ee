"""Auxiliary classifiers that feed gradient into the middle of a deep network (Szegedy et al., GoogLeNet, CVPR 2015)."""

from __future__ import annotations

from torch import nn

from nasbench.core.errors import BadInput


class AuxiliaryHead(nn.Sequential):
    """The auxiliary classifier of NASNet and DARTS: [N, ``channels``, H, W] to logits [N, ``classes``].

    ``stride`` of the pooling is 3 for CIFAR networks (made for 8x8 maps) and 2 for ImageNet networks (7x7). Height and
    width must pool to 2x2; other maps raise BadInput. ``last_norm`` puts a batch norm after the second convolution;
    the authors' ImageNet networks lack it.
    """

    def __init__(
        self, channels: int, classes: int, size: tuple[int, int], *, stride: int = 3, last_norm: bool = True
    ) -> None:
        smallest, largest = 5 + stride, 4 + 2 * stride
        if not all(smallest <= length <= largest for length in size):
            raise BadInput(
                f"the auxiliary head needs a feature map of {smallest}x{smallest} to {largest}x{largest}, here it is "
                f"{size[0]}x{size[1]}; choose auxiliary=False, or images of another size."
            )
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(5, stride),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768) if last_norm else nn.Identity(),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, classes),
        )

"""HyperCuboids of several sizes, and what the tests of the space and of its networks have in common."""

from __future__ import annotations

from torch import nn

from nasbench.core.problem import SearchTask
from nasbench.search_spaces.hypercuboid import HyperCuboid, HyperCuboidSize
from nasbench.search_spaces.hypercuboid_graph import SYMBOLS

SPACE = HyperCuboid()
TINY = HyperCuboid(layers=2, widths=(4, 6))
SMALL_SIZE = HyperCuboidSize(features=8)
ALL_OPERATIONS = HyperCuboid(layers=1, widths=(4, 6), operations=tuple(SYMBOLS))
S, P = "sharp_sep_conv_3x3", "resizable_pool_3x3"


def task(*shape: int) -> SearchTask:
    return SearchTask("pictures", "image", shape, 10, None, None, "pictures")


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())

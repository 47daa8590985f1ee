"""The stand-alone network of NAS-Bench-201 around a cell (Dong & Yang, ICLR 2020, figure 1)."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

from torch import Tensor, nn

from nasbench.networks.nasbench201_operations import Reduction, Zero, nasbench201_operation
from nasbench.search_spaces.nasbench201_classes import Operations, incoming


class NasBench201Cell(nn.Module):
    """Four nodes, each the sum of its incoming edges; the last one is the output. Shapes stay as they are."""

    def __init__(self, operations: Operations, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(nasbench201_operation(name, channels) for name in operations)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for row in incoming(tuple(self.edges)):
            terms = [edge(source) for edge, source in zip(row, nodes, strict=True) if not isinstance(edge, Zero)]
            # a node without input is zero, by way of x: the gradient of the stem is then zero too, and not missing
            nodes.append(functools.reduce(operator.add, terms) if terms else row[0](x))
        return nodes[-1]


class NasBench201Network(nn.Sequential):
    """Stem, three stages of ``cells`` equal cells with ``channels``, twice and four times as many channels, classifier.

    Images [n, ``inputs``, h, w] to logits [n, ``classes``]. The cells and the two reductions are the entries of
    ``body``, in the order of the data flow.
    """

    def __init__(self, operations: Operations, inputs: int, classes: int, *, channels: int, cells: int) -> None:
        super().__init__()
        stem, body, classifier = network_around(
            functools.partial(NasBench201Cell, operations), inputs, classes, channels=channels, cells=cells
        )
        self.stem, self.body, self.classifier = stem, nn.Sequential(*body), classifier


def network_around(
    cell: Callable[[int], nn.Module], inputs: int, classes: int, *, channels: int, cells: int
) -> tuple[nn.Sequential, list[nn.Module], nn.Sequential]:
    """Return stem, body and classifier of a network of the benchmark; ``cell`` makes a cell of so many channels.

    Other networks than the stand-alone one, such as the supernet, differ from it in their cells alone.
    """
    stem = nn.Sequential(nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
    body: list[nn.Module] = []
    for stage in range(3):
        if stage > 0:
            body.append(Reduction(channels))
            channels = 2 * channels
        body += [cell(channels) for _ in range(cells)]
    classifier = nn.Sequential(
        nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )
    return stem, body, classifier

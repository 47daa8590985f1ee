from __future__ import annotations

import torch
from torch import nn

from nasbench.core.problem import SearchTask
from nasbench.networks.macs import count_macs
from nasbench.search_spaces.nasbench201 import NasBench201, NasBench201Size


def test_convolutions_and_linear_layers_are_counted_as_on_paper() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    assert count_macs(network, (3, 16, 16)) == 16 * 16 * 27 * 8 + 8 * 8 * 25 * 8 + 80


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_macs(network, (1, 8, 8))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_whole_network_of_nasbench201() -> None:
    """Every cell holds one 1x1 convolution: 16, 32, 64 channels, five cells a stage, images of 32 x 32."""
    space = NasBench201()
    task = SearchTask("pixels", "image", (3, 32, 32), 10, None, None, "")
    cell = space.parse("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    network = space.build(cell, task, NasBench201Size())
    stage = [32 * 32 * 16 * 16, 16 * 16 * 32 * 32, 8 * 8 * 64 * 64]
    reductions = sum(out * out * (9 * a * 2 * a + 9 * 4 * a * a + 2 * a * a) for a, out in ((16, 16), (32, 8)))
    stem, head = 32 * 32 * 27 * 16, 64 * 10
    assert count_macs(network, (3, 32, 32)) == stem + 5 * sum(stage) + reductions + head

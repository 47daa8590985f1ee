"""Multiply-adds of a network, counted while it works on one image."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the multiply-adds of convolutions and linear layers for one input of this shape, without the batch.

    It is run in evaluation mode: an auxiliary head does not count. Biases, normalisation, pooling and activations
    count nothing, as is usual. The network is left as it was.
    """
    weight = next(network.parameters())
    training = network.training
    counter = FlopCounterMode(display=False)
    network.eval()
    try:
        with torch.no_grad(), counter:
            network(torch.zeros(1, *input_shape, device=weight.device))
    finally:
        network.train(training)
    return int(counter.get_total_flops()) // 2  # a multiply-add is two floating-point operations

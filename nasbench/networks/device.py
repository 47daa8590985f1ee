"""The one place for device settings: where networks run, in which memory layout and precision, from which seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn


def device() -> torch.device:
    """Return the first CUDA device if there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def prepare(module: nn.Module) -> nn.Module:
    """Move a network to the device, its convolution weights in channels-last order; in place, returned for chaining.

    On the CPU, too: DARTS networks of 8 channels train 1.3 times as fast on 32x32 images with it, and on 8x8 images no
    slower (benchmarks/training_speed.py).
    """
    return module.to(device()).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def to_device(batch: Tensor) -> Tensor:
    """Move one batch to the device: images [n, c, h, w] in channels-last order, anything else as it is."""
    if batch.dim() == 4:
        return batch.to(device(), non_blocking=True, memory_format=torch.channels_last)
    return batch.to(device(), non_blocking=True)


def autocast() -> AbstractContextManager[None]:
    """Return the context of a forward pass: bfloat16 where it is safe on CUDA, plain float32 on the CPU."""
    if device().type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from ``seed`` inside the context; the caller's generators are as before after it.

    Initial weights and drop path have no generator argument in torch, so this is how building and training a network
    become functions of a seed.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with ``count`` CPU threads inside the context.

    The gradients of a convolution are summed thread by thread, so a result depends on the count in its last bits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic() -> Iterator[None]:
    """Let cuDNN use only kernels that give the same result every time. The CPU kernels used here always do.

    A few CUDA operations outside cuDNN add in an order that changes (`torch.use_deterministic_algorithms` lists them);
    none of them is in the networks of this package, but a user's network may contain one.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before

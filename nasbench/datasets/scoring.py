"""How many images a network classifies rightly."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nasbench.datasets.augment import normalise
from nasbench.datasets.images import Images
from nasbench.networks import device as settings


def percent_correct(
    logits: Callable[[Tensor], Tensor],
    images: Images,
    mean_std: tuple[Tensor, Tensor],
    *,
    batch_size: int = 512,
    threads: int = 1,
) -> float:
    """Return the percentage of images for which the largest of ``logits`` is the label.

    The images are normalised and cut into batches of nearly equal size, none larger than ``batch_size``.
    """
    place = settings.device()
    images = images.to(place)
    correct = torch.zeros((), dtype=torch.int64, device=place)
    parts = math.ceil(len(images) / batch_size)
    with torch.inference_mode(), settings.autocast(), settings.deterministic(), settings.threads(threads):
        for pixels, labels in zip(images.images.tensor_split(parts), images.labels.tensor_split(parts), strict=True):
            found = logits(settings.to_device(normalise(pixels, *mean_std))).argmax(dim=1)
            correct += (found == labels).sum()
    return 100.0 * correct.item() / len(images)

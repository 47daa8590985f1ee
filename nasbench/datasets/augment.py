"""Normalisation and augmentation of whole batches on the batch's device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from nasbench.core.errors import BadInput


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Turn uint8 [b, c, h, w] into float32: pixels scaled to 0..1, less ``mean`` [c], divided by ``std`` [c]."""
    mean, std = mean.to(images.device, torch.float32), std.to(images.device, torch.float32)
    scale, shift = 1 / (255 * std), -mean / std
    return images.to(torch.float32).mul_(scale[:, None, None]).add_(shift[:, None, None])


@dataclass(frozen=True, eq=False)
class Augment:
    """Random crop, horizontal flip, normalisation and cutout, each image with its own draws.

    The usual CIFAR recipe (He et al., CVPR 2016, section 4.2; Liu et al., DARTS, ICLR 2019, appendix A):

    - crop: the image is padded with ``crop_padding`` black (0) pixels on each side *before* normalisation, then a
      window of the image's own size is cut out at a uniform place; 0 leaves it out;
    - ``flip``: mirrored left to right with probability 1/2;
    - cutout: a square of ``cutout`` x ``cutout`` pixels, its centre uniform over the image and its overhang clipped at
      the border, is set to 0 *after* normalisation, the colour of the mean (DeVries & Taylor 2017, section 3); 0
      leaves it out.

    Draws are taken for the whole batch, in this order and only for the parts in use: crop rows, crop columns (both in
    0..2*crop_padding), flips (0 or 1), cutout centre rows, cutout centre columns.
    """

    mean: torch.Tensor
    std: torch.Tensor
    crop_padding: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        if self.crop_padding < 0 or self.cutout < 0:
            raise BadInput(
                f"crop padding and cutout are numbers of pixels, at least 0, not {self.crop_padding}, {self.cutout}."
            )

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Augment uint8 [b, c, h, w] into float32 [b, c, h, w]; the generator may be on another device."""
        size, (height, width), device = len(images), images.shape[2:], images.device

        def draw(below: int) -> torch.Tensor:
            return torch.randint(below, (size,), generator=generator, device=generator.device).to(device)

        padding = self.crop_padding
        rows, columns = (draw(2 * padding + 1), draw(2 * padding + 1)) if padding else (None, None)
        mirrored = draw(2).bool() if self.flip else None
        if rows is not None or mirrored is not None:
            images = shifted(images, padding, rows, columns, mirrored)
        result = normalise(images, self.mean, self.std)
        if self.cutout:
            hidden_rows = covered(draw(height), self.cutout, height)
            hidden_columns = covered(draw(width), self.cutout, width)
            result *= ~(hidden_rows[:, :, None] & hidden_columns[:, None, :])[:, None]
        return result


def shifted(
    images: torch.Tensor,
    padding: int,
    rows: torch.Tensor | None,
    columns: torch.Tensor | None,
    mirrored: torch.Tensor | None,
) -> torch.Tensor:
    """Cut windows of the image's own size out of [b, c, h, w] padded with zeros, some of them mirrored.

    ``rows`` and ``columns`` [b] are the windows' upper left corners (None: 0), ``mirrored`` bool [b] says which are
    turned left to right (None: none). One gather does both.
    """
    size, channels, height, width = images.shape
    padded = functional.pad(images, (padding, padding, padding, padding)) if padding else images
    row = torch.arange(height, device=images.device).expand(size, height)
    column = torch.arange(width, device=images.device).expand(size, width)
    if mirrored is not None:
        column = torch.where(mirrored[:, None], width - 1 - column, column)
    if rows is not None and columns is not None:
        row, column = row + rows[:, None], column + columns[:, None]
    positions = (row[:, :, None] * (width + 2 * padding) + column[:, None, :]).reshape(size, 1, -1)
    chosen = padded.reshape(size, channels, -1).gather(2, positions.expand(-1, channels, -1))
    return chosen.view(size, channels, height, width)


def covered(centres: torch.Tensor, length: int, size: int) -> torch.Tensor:
    """Return bool [b, size]: the positions within the ``length`` pixels around each centre [b]."""
    first = centres[:, None] - length // 2
    positions = torch.arange(size, device=centres.device)
    return (positions >= first) & (positions < first + length)

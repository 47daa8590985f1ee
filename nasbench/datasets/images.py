"""Labelled images in memory: the form in which every image task holds its data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from nasbench.core.errors import BadInput

STATISTICS_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Images:
    """``images``: uint8 [n, channels, height, width], ``labels``: int64 [n] in 0..classes-1, both on one device."""

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            shape = list(self.images.shape)
            raise BadInput(f"images must be uint8 [n, channels, height, width], not {self.images.dtype} {shape}.")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            shape = list(self.labels.shape)
            raise BadInput(f"labels must be int64 [{len(self.images)}], not {self.labels.dtype} {shape}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image's (channels, height, width)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def subset(self, indices: torch.Tensor | np.ndarray) -> Images:
        """Return copies of the images at these positions, in that order."""
        positions = torch.as_tensor(indices, dtype=torch.int64, device=self.images.device)
        return Images(self.images.index_select(0, positions), self.labels.index_select(0, positions))

    def to(self, device: torch.device | str) -> Images:
        """Return the same images on a device; itself if they are there already."""
        images, labels = self.images.to(device), self.labels.to(device)
        if images is self.images and labels is self.labels:
            return self
        moved = Images(images, labels)
        # What is known of these pixels holds on every device: hand it on instead of computing it again.
        moved.__dict__.update({key: self.__dict__[key] for key in ("_digest", "_statistics") if key in self.__dict__})
        return moved

    def digest(self) -> str:
        """Return the SHA-256, in hex, of shape, pixels and labels; computed once."""
        return self._digest

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the standard deviation of each channel, float32 [channels], pixels scaled to 0..1.

        Summed in integers, so the result depends neither on device nor on order. The deviation of a channel that
        is constant is given as 1, so that dividing by it is safe. Raises BadInput if there are no images.
        """
        return self._statistics

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256(f"uint8 {tuple(self.images.shape)} int64 {tuple(self.labels.shape)} ".encode())
        for tensor in (self.images, self.labels):
            total.update(np.ascontiguousarray(tensor.cpu().numpy()).data.cast("B") if tensor.numel() else b"")
        return total.hexdigest()

    @cached_property
    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.images.numel():
            raise BadInput("there are no images to take the mean of.")
        sums = torch.zeros(2, self.shape[0], dtype=torch.int64, device=self.images.device)
        for start in range(0, len(self), STATISTICS_CHUNK):
            pixels = self.images[start : start + STATISTICS_CHUNK].to(torch.int32)
            sums += torch.stack([pixels.sum((0, 2, 3)), (pixels * pixels).sum((0, 2, 3))])
        count = self.images.numel() // self.shape[0]
        mean, square = sums.double() / count / torch.tensor([[255.0], [255.0**2]], device=sums.device)
        deviation = (square - mean * mean).clamp(min=0).sqrt()
        constant = sums[1] * count == sums[0] * sums[0]
        return mean.float(), torch.where(constant, torch.ones_like(deviation), deviation).float()


@dataclass(frozen=True)
class Source:
    """What a reader of data sets returns. ``held_out`` is the source's own test part, None if it has none.

    ``origin`` names the file or folder (without its path) or the library that the images came from.
    """

    training: Images
    held_out: Images | None
    class_names: tuple[str, ...]
    origin: str

    def parts(self) -> Iterator[tuple[str, Images]]:
        """Yield the parts with their names."""
        yield "train", self.training
        if self.held_out is not None:
            yield "test", self.held_out


def as_images(pixels: npt.NDArray[np.uint8], labels: Sequence[int] | npt.NDArray[np.int64]) -> Images:
    """Wrap arrays uint8 [n, c, h, w] and labels [n], without copying the pixels."""
    return Images(torch.from_numpy(pixels), torch.as_tensor(labels, dtype=torch.int64))

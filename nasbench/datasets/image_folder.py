"""Folders and archives of images, one folder a class."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from nasbench.core.errors import BadInput
from nasbench.datasets import image_cache
from nasbench.datasets.archives import read_archive, without_suffix
from nasbench.datasets.class_folders import is_litter, layout
from nasbench.datasets.decoding import Pixels, Unreadable, decode_all, shrink
from nasbench.datasets.images import Images, Source, as_images

MIXED_SIZE = 32
MAX_BYTES = 8 << 30


def read_image_folder(path: Path, image_size: int | None = None) -> Source:
    """Read ``train/<class>/...`` and ``test/<class>/...``, or only ``<class>/...``, from a folder or an archive.

    Classes are sorted by name, images by path. The images keep their size if all have the same one; otherwise, or
    with ``image_size``, the shorter side is scaled to ``image_size`` (32 if not given) and the centre square kept.
    They have one channel if all are grey, else three. Decoded images are cached (see `nasbench.core.locations`).

    Raises BadInput naming the file or folder for: a damaged archive, members that point outside it, an image that
    cannot be read, an empty class folder, fewer than two classes, a class in test that train lacks, more than 8 GiB of
    decoded images.
    """
    if image_size is not None and image_size < 1:
        raise BadInput(f"the image size must be at least 1 pixel, not {image_size}.")
    try:
        state = _state(path)
        file = image_cache.entry(path, f"image_size={image_size}")
        source = image_cache.read(file, state)
        if source is None:
            source = _decode_source(path, image_size)
            if _state(path) == state:  # else somebody changed the data while it was read
                image_cache.write(file, state, source)
    except OSError as error:
        raise BadInput(f"{error.filename or path} cannot be read: {error.strerror or error}.") from error
    return source


def task_name(path: Path) -> str:
    """Return how a data set at this path is called: the folder's name, or the archive's without its ending."""
    return without_suffix(path.resolve().name) or "images"


def _state(path: Path) -> str:
    """Describe what a folder or archive holds, without reading it: names, sizes, times of change."""
    if not path.is_dir():
        status = path.stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    listing = hashlib.sha256()
    for name, found in _listing(path):
        detail = "folder" if found is None else f"{found.st_size} {found.st_mtime_ns}"
        listing.update(f"{name}\0{detail}\n".encode(errors="surrogateescape"))
    return listing.hexdigest()


def _listing(folder: Path) -> list[tuple[str, os.stat_result | None]]:
    """List (path below the folder, status) of all files, (path, None) of all folders, sorted by path."""
    found: list[tuple[str, os.stat_result | None]] = []
    # Class folders and files may be links (data sets are often assembled so); deeper links are not followed into.
    waiting = [("", 0)]
    while waiting:
        name, depth = waiting.pop()
        with os.scandir(folder / name) as entries:
            for item in entries:
                below = f"{name}/{item.name}" if name else item.name
                if is_litter(item.name):
                    continue
                if item.is_dir(follow_symlinks=depth < 2):
                    found.append((below, None))
                    waiting.append((below, depth + 1))
                elif item.is_file():
                    found.append((below, item.stat()))
    return sorted(found, key=lambda pair: pair[0])


def _read_folder(path: Path) -> Iterator[tuple[str, bytes | None]]:
    for name, status in _listing(path):
        yield name, None if status is None else (path / name).read_bytes()


def _decode_source(path: Path, image_size: int | None) -> Source:
    folders: list[str] = []

    def files() -> Iterator[tuple[str, bytes]]:
        for name, data in _read_folder(path) if path.is_dir() else read_archive(path):
            if is_litter(name):
                continue
            if data is None:
                folders.append(name)
            elif "/" in name.strip("/"):  # a file at the top lies in no class folder
                yield name, data

    decoded = _Decoded(path, image_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `decode` refuses such images itself
        for name, pixels in decode_all(files(), image_size):
            decoded.add(name, pixels)
    found = layout(str(path), decoded.images, folders)
    decoded.select({name for members in found.members.values() for name, _ in members})
    parts = {part: decoded.stack(members) for part, members in found.members.items()}
    return Source(parts["train"], parts.get("test"), found.class_names, path.resolve().name)


class _Decoded:
    """Decoded images by name. From the second size on, all are brought to one size, so memory stays bounded."""

    def __init__(self, path: Path, size: int | None) -> None:
        self.images: dict[str, Pixels | Unreadable] = {}
        self._path = path
        self._size = size
        self._original: dict[str, tuple[int, int]] = {}
        self._mixed = False
        self._bytes = 0

    def add(self, name: str, pixels: Pixels | Unreadable) -> None:
        """Keep one image, at the one size as soon as there are two."""
        if name in self.images:
            raise BadInput(f"{self._path} holds '{name}' twice.")
        if isinstance(pixels, np.ndarray):
            size = (pixels.shape[0], pixels.shape[1])
            if self._size is None and size != next(iter(self._original.values()), size):
                self._size, self._mixed = MIXED_SIZE, True
                for other, image in self.images.items():
                    self.images[other] = image if isinstance(image, Unreadable) else shrink(image, MIXED_SIZE)
                self._bytes = sum(image.nbytes for image in self.images.values() if isinstance(image, np.ndarray))
            self._original[name] = size
            pixels = shrink(pixels, self._size)
            self._bytes += pixels.nbytes
            if self._bytes > MAX_BYTES:
                limit = f"{MAX_BYTES >> 30} GiB"
                raise BadInput(f"the images of {self._path} take more than {limit} decoded; give a smaller image size.")
        self.images[name] = pixels

    def select(self, names: set[str]) -> None:
        """Drop all but these images. Raises BadInput naming the first that could not be decoded."""
        wrong = [(name, found.reason) for name in sorted(names) if isinstance(found := self.images[name], Unreadable)]
        if wrong:
            name, reason = wrong[0]
            more = f" ({len(wrong) - 1} more like it)" if len(wrong) > 1 else ""
            raise BadInput(f"{self._path}: the image '{name}' cannot be read: {reason.strip('.')}{more}.")
        if self._mixed and len({self._original[name] for name in names}) == 1:
            stray = next(name for name in self._original if name not in names)
            raise BadInput(f"{self._path}: the image '{stray}' lies in no class folder; remove it.")
        self.images = {name: self.images[name] for name in names}

    def stack(self, members: list[tuple[str, int]]) -> Images:
        """Return the selected images of one part as one array uint8 [n, channels, height, width]."""
        colour = any(isinstance(image, np.ndarray) and image.ndim == 3 for image in self.images.values())
        shape = next(image.shape[:2] for image in self.images.values() if isinstance(image, np.ndarray))
        pixels = np.empty((len(members), 3 if colour else 1, *shape), np.uint8)
        for position, (name, _) in enumerate(members):
            image = self.images[name]
            assert isinstance(image, np.ndarray), "select comes first"
            pixels[position] = image if image.ndim == 2 else image.transpose(2, 0, 1)
        return as_images(pixels, [label for _, label in members])

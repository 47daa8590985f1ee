"""Decode image files into uint8 arrays, hostile ones included, several at a time."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

# Formats that Pillow decodes itself; others (EPS) would start programs of the system.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
CHUNK_FILES = 256
CHUNK_BYTES = 1 << 20
SMALL_BYTES = 8 << 10
MAX_WORKERS = 8
GREY_MODES = ("1", "L", "LA", "La")

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file could not be decoded."""

    reason: str


def decode(data: bytes, size: int | None = None) -> Pixels | Unreadable:
    """Decode one file to uint8 [h, w] if it is grey, else [h, w, 3]; with ``size``, to [size, size(, 3)].

    Of animations the first picture counts; transparency is dropped; a camera's orientation tag is obeyed; 16-bit grey
    keeps its upper 8 bits.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and opened.width * opened.height > limit:
                return Unreadable(f"{opened.width} x {opened.height} pixels, over the limit of {limit:,}")
            opened.load()
            image: Image.Image = ImageOps.exif_transpose(opened) if "exif" in opened.info else opened
            if image.mode.startswith("I;16"):
                return shrink((np.asarray(image) >> 8).astype(np.uint8), size)
            if image.mode in ("I", "F"):
                return Unreadable(f"pixels of type '{image.mode}', allowed are 8 and 16 bits")
            target = "L" if image.mode in GREY_MODES else "RGB"
            if image.mode != target:
                image = image.convert(target)
            # As fast as it gets: np.asarray(image) takes nearly twice the time on small images.
            shape = (image.height, image.width) if target == "L" else (image.height, image.width, 3)
            return shrink(np.frombuffer(image.tobytes(), np.uint8).reshape(shape), size)
    except Exception as error:  # decoders meet damaged files with errors of nearly every type
        return Unreadable("not a readable image" if isinstance(error, UnidentifiedImageError) else str(error))


def shrink(pixels: Pixels, size: int | None) -> Pixels:
    """Scale the shorter side to ``size`` (bilinear with antialiasing) and keep the centre: [size, size(, 3)]."""
    height, width = pixels.shape[:2]
    if size is None or (height, width) == (size, size):
        return pixels
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box))


def decode_all(
    files: Iterable[tuple[str, bytes]], size: int | None = None
) -> Iterator[tuple[str, Pixels | Unreadable]]:
    """Decode (name, content) pairs, photos on all processors at once; results may come in another order.

    Pillow releases the interpreter while it decodes, so threads help with photos. Images of a few kilobytes are
    decoded here: handing the interpreter over costs as much as decoding them (60,000 of 1 kB: 9.5 s here, 10 to 14 s in
    two threads).
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[tuple[list[str], Future[list[Pixels | Unreadable]]]] = deque()
    with ThreadPoolExecutor(min(MAX_WORKERS, processors)) as pool:
        for chunk in _chunks(files):
            names, contents = [name for name, _ in chunk], [data for _, data in chunk]
            if sum(map(len, contents)) < SMALL_BYTES * len(chunk):
                yield from zip(names, _decode_chunk(contents, size), strict=True)
                continue
            waiting.append((names, pool.submit(_decode_chunk, contents, size)))
            if len(waiting) > 2 * processors:
                names, done = waiting.popleft()
                yield from zip(names, done.result(), strict=True)
        for names, done in waiting:
            yield from zip(names, done.result(), strict=True)


def _decode_chunk(contents: list[bytes], size: int | None) -> list[Pixels | Unreadable]:
    return [decode(data, size) for data in contents]


def _chunks(files: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    chunk: list[tuple[str, bytes]] = []
    total = 0
    for name, data in files:
        chunk.append((name, data))
        total += len(data)
        if len(chunk) >= CHUNK_FILES or total >= CHUNK_BYTES:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk

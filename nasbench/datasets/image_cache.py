"""Decoded images on disk, so that a data set is decoded once. An entry is used only if it is whole and current."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.core.locations import cache_folder
from nasbench.datasets.images import Source, as_images

FORMAT = 1

_log = logging.getLogger(__name__)


def entry(path: Path, options: str) -> Path:
    """Return the cache file of a data set: one a path and decoding options, so a newer state replaces an older."""
    place = hashlib.sha256(f"{path.resolve()}\n{options}".encode()).hexdigest()[:16]
    return cache_folder() / "images" / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', path.name)[:40]}-{place}.npz"


def read(file: Path, state: str) -> Source | None:
    """Return the cached images, None if there are none, they are of another state, or the file is damaged.

    ``state`` says what the data set looked like (sizes, times). The digests of the images are verified.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            if int(stored["format"]) != FORMAT or str(stored["state"]) != state:
                return None
            parts = {part: as_images(stored[f"{part}_images"], stored[f"{part}_labels"]) for part in stored["parts"]}
            if [images.digest() for images in parts.values()] != stored["digests"].tolist():
                raise ValueError("the digest does not match")
            names = tuple(str(name) for name in stored["class_names"])
            return Source(parts["train"], parts.get("test"), names, str(stored["origin"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, BadInput) as error:
        _log.warning("%s is damaged (%s); reading the data set anew.", file, error)
        return None


def write(file: Path, state: str, source: Source) -> None:
    """Store images, whole or not at all. A full or read-only disk costs only the time that the cache would save."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    parts = dict(source.parts())
    arrays = {f"{part}_images": images.images.numpy() for part, images in parts.items()}
    arrays |= {f"{part}_labels": images.labels.numpy() for part, images in parts.items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as stream:
                np.savez(
                    stream,
                    format=np.array(FORMAT),
                    state=np.array(state),
                    parts=np.array(list(parts)),
                    digests=np.array([images.digest() for images in parts.values()]),
                    class_names=np.array(source.class_names),
                    origin=np.array(source.origin),
                    allow_pickle=False,
                    **arrays,
                )
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("the decoded images of %s could not be kept: %s.", source.origin, error)

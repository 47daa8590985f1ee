"""Benchmarks as this package stores them: some arrays in one compressed file."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.core.state import write_atomically


def write(file: Path, arrays: Mapping[str, np.ndarray], *, compressed: bool = True) -> Path:
    """Write arrays by name, the whole file or nothing; return it. Raises BadInput where it cannot be written."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, buffer.getvalue())
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}.") from error
    return file


def names(file: Path) -> list[str]:
    """Return the names of the arrays in a file; raise BadInput if it is damaged."""
    try:
        with np.load(file) as members:
            return list(members.files)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(f"{file} is damaged and cannot be read ({error}).") from error


def read(file: Path, *wanted: str) -> list[np.ndarray]:
    """Return some arrays of a file; raise BadInput if it is damaged or lacks one. Nothing in it is executed."""
    try:
        with np.load(file) as members:
            return [np.asarray(members[name]) for name in wanted]
    except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise BadInput(f"{file} is damaged and cannot be read ({error}).") from error

"""Unpickle plain data (numbers, text, bytes, lists, dictionaries) and a few named types, and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar

from nasbench.core.errors import BadInput


def _latin_bytes(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 writes bytes for the protocols of Python 2."""
    if encoding != "latin1":
        raise BadInput(f"encoding '{encoding}' is not allowed in such a file.")
    return text.encode("latin1")


Allowed = Mapping[tuple[str, str], Any]
"""What a file may name, as (module, name), and what stands for it here."""

ARRAYS: Allowed = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin_bytes,
}
SCALARS: Allowed = {
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "scalar"): scalar,
    ("numpy._core.multiarray", "scalar"): scalar,
}


class _Restricted(pickle.Unpickler):
    def __init__(self, file: IO[bytes], allowed: Allowed) -> None:
        super().__init__(file, encoding="bytes")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise BadInput(f"'{module}.{name}' is not allowed in such a file; it was not executed.") from None


def load(name: str, file: IO[bytes], allowed: Allowed = ARRAYS) -> Any:
    """Unpickle a file in which nothing but plain data and the ``allowed`` may stand; text of Python 2 becomes bytes.

    Nothing in the file is executed: every other class or function raises BadInput, and so does damage.
    """
    try:
        return _Restricted(file, allowed).load()
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    except Exception as error:  # a damaged pickle fails with errors of nearly every type
        raise BadInput(f"{name} is damaged: {error or type(error).__name__}.") from error

"""Unpickle arrays, numbers, bytes, lists and dictionaries, and nothing else."""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np
from numpy._core.multiarray import _reconstruct

from nasbench.core.errors import BadInput


def load(name: str, file: IO[bytes]) -> Any:
    """Unpickle a file in which only numpy arrays and plain data may stand; text of Python 2 becomes bytes.

    Nothing in the file is executed: every other class or function raises BadInput, and so does damage.
    """
    try:
        return _Restricted(file, encoding="bytes").load()
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    except Exception as error:  # a damaged pickle fails with errors of nearly every type
        raise BadInput(f"{name} is damaged: {error or type(error).__name__}.") from error


def _latin_bytes(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 writes bytes for the protocols of Python 2."""
    if encoding != "latin1":
        raise BadInput(f"encoding '{encoding}' is not allowed in such a file.")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin_bytes,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise BadInput(f"'{module}.{name}' is not allowed in such a file; it was not executed.") from None

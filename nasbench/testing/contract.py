"""What all contract checks share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np


class ContractBroken(AssertionError):
    """A class does not keep the contract of its kind; the message says how."""


def require(condition: bool, message: str) -> None:
    """Raise ContractBroken with the message unless the condition holds."""
    if not condition:
        raise ContractBroken(message)


@contextmanager
def no_global_randomness() -> Iterator[None]:
    """Make the global generators of ``random`` and ``numpy.random`` raise while the context is open."""

    def forbidden(*_: Any, **__: Any) -> NoReturn:
        raise ContractBroken("a global random generator was used; draw from the generator that is passed in.")

    patched = [(random, name) for name in ("random", "randint", "randrange", "choice", "choices", "sample", "shuffle")]
    patched += [
        (np.random, name) for name in ("rand", "randn", "randint", "random", "choice", "permutation", "shuffle")
    ]
    before = [(module, name, getattr(module, name)) for module, name in patched]
    try:
        for module, name in patched:
            setattr(module, name, forbidden)
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)

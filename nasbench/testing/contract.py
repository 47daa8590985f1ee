"""What all contract checks share."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class ContractBroken(AssertionError):
    """A class does not keep the contract of its kind; the message says how."""


def require(condition: bool, message: str) -> None:
    """Raise ContractBroken with the message unless the condition holds."""
    if not condition:
        raise ContractBroken(message)


@contextmanager
def no_global_randomness() -> Iterator[None]:
    """Raise ContractBroken if the global generators of ``random`` or ``numpy.random`` moved inside the context."""

    python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002 - nothing is drawn
    yield
    now = np.random.get_state(legacy=False)  # noqa: NPY002
    same = random.getstate() == python and repr(now) == repr(numpy)
    require(same, "a global random generator was used; draw from the generator that is passed in.")

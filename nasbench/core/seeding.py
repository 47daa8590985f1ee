"""Every random number comes from one run seed, spawned by name. Nobody touches a global generator."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np

from nasbench.core.evaluation import Proposal

Rng = np.random.Generator


def generator(seed: int, name: str) -> Rng:
    """Return the generator of one part of a run (``"strategy"``, ``"evaluator"``), independent of the other parts."""
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return np.random.Generator(np.random.PCG64(sequence))


def evaluation_seed(run_seed: int, id: int, proposal: Proposal) -> int:
    """Return the 32-bit seed of one evaluation: a function of run, position and architecture, never of time."""
    text = f"{run_seed}:{id}:{proposal.repeat}:{proposal.architecture.spec!r}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())


def generator_state(rng: Rng) -> dict[str, Any]:
    """Return the state of a generator as plain data."""
    return dict(rng.bit_generator.state)


def restore_generator(rng: Rng, state: dict[str, Any]) -> None:
    """Put a generator back into a state that `generator_state` returned."""
    rng.bit_generator.state = state

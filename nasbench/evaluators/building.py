"""What trainings of all kinds share: building a network from a seed, fidelities, and the seeds of repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.configuration import validated
from nasbench.core.errors import BadInput, unknown
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.networks.device import seeded


def build_network(
    space: SearchSpace, architecture: Architecture, task: SearchTask, wanted: Mapping[str, Any], seed: int
) -> nn.Module:
    """Build an architecture's network, with weights drawn from the seed.

    Its size is what is ``wanted``, as far as the space's Size has it and it is not None. Raises BadInput for a size
    that the space refuses or a foreign architecture.
    """
    space.check(architecture)
    size = None
    if space.Size is not None:
        given = {key: value for key, value in wanted.items() if value is not None and key in space.Size.model_fields}
        size = validated(space.Size, given, f"the size of space '{space.name}'")
    with seeded(seed_of_part(seed, "weights")):
        return space.build(architecture, task, size)


def whole_fidelity(space: SearchSpace, key: str, value: float, allowed: Sequence[str]) -> int:
    """Return the value of a fidelity. Raises BadInput for an unknown key or a value that is no whole number from 1."""
    if key not in allowed:
        raise unknown(f"fidelity for space '{space.name}'", key, allowed)
    if not (math.isfinite(value) and value >= 1 and value == int(value)):
        raise BadInput(f"the fidelity '{key}' must be a whole number from 1, not {value}.")
    return int(value)


def seed_of_part(seed: int, part: str) -> int:
    """Return the seed of one part of a training, so that no two parts draw the same numbers."""
    return int(generator(seed, part).integers(2**63))


def seeds_of_repeats(seed: int, repeats: int) -> list[int]:
    """Return the seeds of the trainings of one evaluation.

    The first is the evaluation's own seed: one repeat and the first of several are the same.
    """
    more = generator(seed, "repeats").integers(2**32, size=repeats - 1)
    return [seed, *more.tolist()]

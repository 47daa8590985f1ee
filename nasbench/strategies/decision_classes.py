"""Which decisions of a space are of one class, and which are of one kind."""

from __future__ import annotations

from typing import Literal

from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import BadInput

Classes = Literal["groups", "positions"]


def decision_classes(space: DecisionSpace, how: Classes | None) -> list[list[int]]:
    """Return the positions of the decisions of every class, in the order of the space.

    With "groups" a class is a group of decisions (`Choice.group`), with "positions" every decision is one. None means
    groups where there are two or more. Raises BadInput if groups are asked for and no decision has one.
    """
    positions = [[position] for position in range(len(space.decisions))]
    if how == "positions":
        return positions
    groups: dict[str, list[int]] = {}
    for position, choice in enumerate(space.decisions):
        groups.setdefault(choice.group, []).append(position)
    if how == "groups" and set(groups) == {""}:
        raise BadInput(f"the decisions of space '{space.name}' have no groups; use classes=positions.")
    return list(groups.values()) if how == "groups" or len(groups) > 1 else positions


def decision_kinds(space: DecisionSpace) -> tuple[list[int], list[int]]:
    """Return the kind of every decision, and the number of values of every kind.

    Of one kind are decisions of one group with the same values: the same decision in other layers. A decision without a
    group is a kind of its own.
    """
    known: dict[object, int] = {}
    kinds: list[int] = []
    counts: list[int] = []
    for position, choice in enumerate(space.decisions):
        kind = known.setdefault((choice.group, choice.values) if choice.group else position, len(known))
        if kind == len(counts):
            counts.append(len(choice.values))
        kinds.append(kind)
    return kinds, counts

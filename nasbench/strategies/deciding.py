"""Take the decisions of a space one after the other, conditional ones only where they matter."""

from __future__ import annotations

from collections.abc import Callable

from nasbench.core.architecture import Architecture, Value
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import MissingAbility
from nasbench.core.search_space import SearchSpace

Picks = dict[int, int]  # decision to number of its value, both counted from 0, in the order in which they were taken


def decision_space(strategy: str, space: SearchSpace) -> DecisionSpace:
    """Return the space as one of decisions; raise MissingAbility if it is none."""
    if not isinstance(space, DecisionSpace):
        raise MissingAbility(f"strategy '{strategy}' needs a space of decisions; '{space.name}' is none.")
    return space


def decide(space: DecisionSpace, choose: Callable[[int], int]) -> tuple[Architecture, Picks]:
    """Ask ``choose`` for the value of every active decision; return the architecture and what was picked.

    An inert decision is not asked and takes its first value, as in `DecisionSpace.canonical`. One whose condition reads
    a decision not yet taken waits for it; where all that are left wait for one another, the first of them is asked.
    """
    settings: dict[str, Value] = {}
    picks: Picks = {}
    waiting = list(range(len(space.decisions)))
    stuck = False
    while waiting:
        later = []
        for position in waiting:
            choice = space.decisions[position]
            try:
                active = stuck or choice.active is None or choice.active(settings)
            except KeyError:  # the condition reads what is not decided yet
                later.append(position)
                continue
            stuck = False
            if active:
                picks[position] = choose(position)
            settings[choice.name] = choice.values[picks.get(position, 0)]
        stuck = later == waiting
        waiting = later
    return Architecture(space.name, tuple([settings[choice.name] for choice in space.decisions])), picks


def picks_of(space: DecisionSpace, architecture: Architecture) -> Picks:
    """Return what `decide` would have picked to arrive at an architecture."""
    spec, decisions = architecture.spec, space.decisions
    return decide(space, lambda position: decisions[position].values.index(spec[position]))[1]

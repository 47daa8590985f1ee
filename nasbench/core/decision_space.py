"""A search space of categorical decisions: everything but `build` comes for free."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench.core.architecture import Architecture, Value
from nasbench.core.errors import BadInput, nearest
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Choice:
    """One decision: a name, its allowed values, the group it belongs to (a cell kind, a class of decisions).

    ``active`` says whether the decision matters given all others; None means always. An inert decision is set to its
    first value by `DecisionSpace.canonical`.
    """

    name: str
    values: tuple[Value, ...]
    group: str = ""
    active: Callable[[Mapping[str, Value]], bool] | None = None


def chain_graph(operations: Sequence[str]) -> nx.DiGraph[Any]:
    """Return the graph in which operations follow one another from "input" to "output"; nodes are numbers."""
    import networkx as nx

    graph: nx.DiGraph[Any] = nx.DiGraph()
    for node, op in enumerate(["input", *operations, "output"]):
        graph.add_node(node, op=op)
    nx.add_path(graph, range(len(operations) + 2))
    return graph


class DecisionSpace(SearchSpace):
    """A product of independent categorical decisions. A subclass sets ``name`` and ``decisions`` and writes `build`.

    The reference distribution draws every decision uniformly. A spec holds the values in the order of ``decisions``.
    """

    decisions: tuple[Choice, ...]

    # -- what is derived once ----------------------------------------------------------------------------------------
    @cached_property
    def _counts(self) -> np.ndarray:
        if len({choice.name for choice in self.decisions}) != len(self.decisions):
            raise BadInput(f"space '{self.name}': two decisions have the same name.")
        for choice in self.decisions:
            if not choice.values or len(set(choice.values)) != len(choice.values):
                raise BadInput(
                    f"space '{self.name}': decision '{choice.name}' needs distinct values, got {choice.values}."
                )
        return np.array([len(choice.values) for choice in self.decisions], dtype=np.float64)

    @cached_property
    def _positions(self) -> list[dict[Value, int]]:
        return [{value: i for i, value in enumerate(choice.values)} for choice in self.decisions]

    @cached_property
    def _open(self) -> list[int]:
        """Positions of the decisions that have something to decide."""
        return [i for i, choice in enumerate(self.decisions) if len(choice.values) > 1]

    @cached_property
    def _conditional(self) -> bool:
        return any(choice.active is not None for choice in self.decisions)

    @property
    def size(self) -> int:
        """The number of encodings, inert decisions counted."""
        return math.prod(len(choice.values) for choice in self.decisions)

    # -- the contract ------------------------------------------------------------------------------------------------
    def sample(self, rng: Rng) -> Architecture:
        picks = (rng.random(len(self.decisions)) * self._counts).astype(np.intp).tolist()
        return self._from_positions(picks)

    def sample_many(self, rng: Rng, n: int) -> list[Architecture]:
        picks = (rng.random((n, len(self.decisions))) * self._counts).astype(np.intp).tolist()
        return [self._from_positions(row) for row in picks]

    def mutate(self, architecture: Architecture, rng: Rng) -> Architecture:
        position = self._mutable(architecture)
        return self.change(architecture, position[int(rng.random() * len(position))], rng)

    def change(self, architecture: Architecture, position: int, rng: Rng) -> Architecture:
        """Give the decision at ``position`` another value, drawn uniformly."""
        values = self.decisions[position].values
        old = self._positions[position][architecture.spec[position]]
        new = int(rng.random() * (len(values) - 1))
        spec = list(architecture.spec)
        spec[position] = values[new + (new >= old)]
        return Architecture(self.name, tuple(spec))

    def crossover(self, a: Architecture, b: Architecture, rng: Rng) -> Architecture:
        """Take every decision from one of the two parents, each with probability one half."""
        from_a = (rng.random(len(self.decisions)) < 0.5).tolist()
        return Architecture(self.name, tuple(x if t else y for x, y, t in zip(a.spec, b.spec, from_a, strict=True)))

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """Return all architectures that differ in exactly one active decision, in a fixed order."""
        return list(self._neighbors(architecture))

    def check(self, architecture: Architecture) -> None:
        if architecture.space != self.name:
            raise BadInput(f"this architecture belongs to space '{architecture.space}', not to '{self.name}'.")
        if len(architecture.spec) != len(self.decisions):
            raise BadInput(f"space '{self.name}' has {len(self.decisions)} decisions, got {len(architecture.spec)}.")
        for choice, value in zip(self.decisions, architecture.spec, strict=True):
            if value not in choice.values:
                allowed = ", ".join(map(str, choice.values))
                hint = nearest(str(value), map(str, choice.values))
                raise BadInput(f"decision '{choice.name}' cannot be '{value}'.{hint} Allowed: {allowed}.")

    def canonical(self, architecture: Architecture) -> Architecture:
        if not self._conditional:
            return architecture
        settings = self.choices(architecture)
        active = self.active(settings)
        spec = (v if a else c.values[0] for c, v, a in zip(self.decisions, architecture.spec, active, strict=True))
        return Architecture(self.name, tuple(spec))

    def graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        settings = self.choices(architecture)
        return chain_graph(
            [f"{name}={value}" for (name, value), on in zip(settings.items(), self.active(settings), strict=True) if on]
        )

    def format(self, architecture: Architecture) -> str:
        return ", ".join(
            f"{choice.name}={value}" for choice, value in zip(self.decisions, architecture.spec, strict=True)
        )

    def parse(self, text: str) -> Architecture:
        given: dict[str, str] = {}
        for part in re.split(r",\s*(?=[^,=]+=)", text):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or name in given:
                raise BadInput(f"cannot read '{part.strip()}'; expected 'decision=value' once for each decision.")
            given[name] = value
        names = [choice.name for choice in self.decisions]
        for name in given:
            if name not in names:
                raise BadInput(
                    f"space '{self.name}' has no decision '{name}'.{nearest(name, names)} It has: {', '.join(names)}."
                )
        spec = []
        for choice in self.decisions:
            if choice.name not in given:
                raise BadInput(f"decision '{choice.name}' is missing; write all of: {', '.join(names)}.")
            spec.append({str(value): value for value in choice.values}.get(given[choice.name], given[choice.name]))
        architecture = Architecture(self.name, tuple(spec))
        self.check(architecture)
        return architecture

    # -- for strategies, predictors and `build` ----------------------------------------------------------------------
    def choices(self, architecture: Architecture) -> dict[str, Any]:
        """Return the decisions by name."""
        return {choice.name: value for choice, value in zip(self.decisions, architecture.spec, strict=True)}

    def active(self, settings: Mapping[str, Value]) -> list[bool]:
        """Say for every decision whether it matters, given all of them by name."""
        return [choice.active is None or choice.active(settings) for choice in self.decisions]

    def encode(self, architecture: Architecture) -> np.ndarray:
        """Return the concatenated one-hot code, float32 of length ``sum(len(values))``; inert decisions are zeros."""
        active = self.active(self.choices(architecture))
        blocks = []
        for positions, value, on in zip(self._positions, architecture.spec, active, strict=True):
            block = np.zeros(len(positions), dtype=np.float32)
            block[positions[value]] = on
            blocks.append(block)
        return np.concatenate(blocks)

    def _from_positions(self, picks: list[int]) -> Architecture:
        return Architecture(self.name, tuple([c.values[i] for c, i in zip(self.decisions, picks, strict=True)]))

    def _mutable(self, architecture: Architecture) -> list[int]:
        positions = self._open
        if self._conditional:
            active = self.active(self.choices(architecture))
            positions = [i for i in positions if active[i]]
        if not positions:
            raise BadInput(f"space '{self.name}' has no decision that could be changed in {self.format(architecture)}.")
        return positions

    def _neighbors(self, architecture: Architecture) -> Iterator[Architecture]:
        spec = architecture.spec
        for i in self._mutable(architecture):
            for value in self.decisions[i].values:
                if value != spec[i]:
                    yield Architecture(self.name, (*spec[:i], value, *spec[i + 1 :]))

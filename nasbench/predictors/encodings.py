"""Architectures as rows of numbers, the input of predictors."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.search_space import SearchSpace

REMEMBERED = 50_000


class Encoding(ABC):
    """A pure function from architectures of one space to float32 [n, width]. It remembers what it encoded."""

    width: int

    def __init__(self) -> None:
        self._rows: dict[Architecture, np.ndarray] = {}

    @abstractmethod
    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return float32 [n, width], computed anew."""

    def __call__(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return float32 [n, width]; rows known from earlier calls are looked up."""
        rows = self._rows
        new = [architecture for architecture in dict.fromkeys(architectures) if architecture not in rows]
        if new:
            if len(rows) + len(new) > REMEMBERED:
                rows.clear()
                new = list(dict.fromkeys(architectures))
            rows.update(zip(new, self.encode(new), strict=True))
        return np.array([rows[a] for a in architectures], dtype=np.float32).reshape(len(architectures), self.width)


class Positions:
    """Looks up which value each decision takes."""

    def __init__(self, space: DecisionSpace) -> None:
        self._tables = [{value: i for i, value in enumerate(choice.values)} for choice in space.decisions]

    def __call__(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Return the numbers of the values, counted from 0: integers [n, decisions]."""
        picks = [
            [table[value] for table, value in zip(self._tables, architecture.spec, strict=True)]
            for architecture in architectures
        ]
        return np.array(picks, dtype=np.intp).reshape(len(architectures), len(self._tables))


class OneHot(Encoding):
    """One column a value of a decision, inert decisions zeros: `DecisionSpace.encode` of the isomorphs' representative.

    All members of an isomorphism class have one row.
    """

    def __init__(self, space: DecisionSpace) -> None:
        super().__init__()
        self._space, self._positions = space, Positions(space)
        self._counts = [len(choice.values) for choice in space.decisions]
        self._conditional = any(choice.active is not None for choice in space.decisions)
        self.width = sum(self._counts)

    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        space = self._space
        representatives = [space.canonical(architecture) for architecture in architectures]
        columns = self._positions(representatives) + np.cumsum([0, *self._counts[:-1]])
        on = np.ones(columns.shape, dtype=np.float32)
        if self._conditional:
            on[:] = [space.active(space.choices(architecture)) for architecture in representatives]
        features = np.zeros((len(columns), self.width), dtype=np.float32)
        np.put_along_axis(features, columns, on, axis=1)
        return features


class GraphCounts(Encoding):
    """How often each operation occurs in `SearchSpace.graph`, alone and together with what comes before it.

    For spaces that are no product of decisions. The labels of the Weisfeiler-Lehman test along the edges (Shervashidze
    et al., JMLR 2011), ``rounds`` times refined, are counted in ``width`` columns by a hash of the label; counts enter
    as log(1 + count).
    """

    def __init__(self, space: SearchSpace, rounds: int = 2, width: int = 256) -> None:
        super().__init__()
        self._space, self._rounds, self.width = space, rounds, width

    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return np.stack([self._row(architecture) for architecture in architectures])

    def _row(self, architecture: Architecture) -> np.ndarray:
        graph = self._space.graph(architecture)
        labels = {node: str(op) for node, op in graph.nodes(data="op")}
        counts: Counter[str] = Counter(labels.values())
        for _ in range(self._rounds):
            labels = {
                node: f"{label}({','.join(sorted(labels[source] for source in graph.predecessors(node)))})"
                for node, label in labels.items()
            }
            counts.update(labels.values())
        row = np.zeros(self.width, dtype=np.float32)
        for label, count in counts.items():
            row[zlib.crc32(label.encode()) % self.width] += count
        return np.log1p(row)

"""Architectures as rows of numbers, the input of predictors."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

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

    Of the representative of the isomorphs, so that all members of a class have one row. The labels of the
    Weisfeiler-Lehman test along the edges (Shervashidze et al., JMLR 2011), ``rounds`` times refined, are counted in
    ``width`` columns by a hash of the label; counts enter as log(1 + count).
    """

    def __init__(self, space: SearchSpace, rounds: int = 2, width: int = 256) -> None:
        super().__init__()
        self._space, self._rounds, self.width = space, rounds, width
        # A label is a number here. It stands for a text, which alone decides on the column.
        self._numbers: dict[Any, int] = {}
        self._texts: list[str] = []
        self._columns: list[int] = []

    def __call__(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return super().__call__([self._space.canonical(architecture) for architecture in architectures])

    def encode(self, architectures: Sequence[Architecture]) -> np.ndarray:
        counts = [np.bincount(self._occurring(architecture), minlength=self.width) for architecture in architectures]
        return np.log1p(np.stack(counts), dtype=np.float32)

    def _occurring(self, architecture: Architecture) -> list[int]:
        """Return the columns of all labels, as often as they occur."""
        graph = self._space.graph(self._space.canonical(architecture))
        before = [(node, list(sources)) for node, sources in graph.pred.items()]
        labels = {node: self._operation(op) for node, op in graph.nodes(data="op")}
        found = [*labels.values()]
        for _ in range(self._rounds):
            labels = {
                node: self._refined((labels[node], *sorted([labels[source] for source in sources])))
                for node, sources in before
            }
            found += labels.values()
        return [self._columns[label] for label in found]

    def _operation(self, op: object) -> int:
        known = self._numbers.get(op)
        return self._new(op, str(op)) if known is None else known

    def _refined(self, key: tuple[int, ...]) -> int:
        """Return the label of a node: its own before, then those of the nodes before it, sorted."""
        known = self._numbers.get(key)
        if known is None:
            label, *sources = (self._texts[number] for number in key)
            known = self._new(key, f"{label}({','.join(sorted(sources))})")
        return known

    def _new(self, key: object, text: str) -> int:
        self._numbers[key] = len(self._texts)
        self._texts.append(text)
        self._columns.append(zlib.crc32(text.encode()) % self.width)
        return self._numbers[key]


@lru_cache(maxsize=2)
def graph_counts(space: SearchSpace) -> GraphCounts:
    """Return the `GraphCounts` of a space; many searches in one process share what it remembers."""
    return GraphCounts(space)

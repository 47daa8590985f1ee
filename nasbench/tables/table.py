"""What a search may look up, whatever the benchmark, and which benchmarks there are.

A benchmark is one module of this room with ``CLASSES`` (its data sets, the first being the default, and their numbers
of classes), ``SOURCES`` (its files) and ``load(dataset, data_dir)``, which returns a `Table` or, if not all was
measured, a `Surrogate`; `TABLES` names it. One with scores at several numbers of epochs also has ``load_epochs``, which
returns such a table or None, and ``LONGEST``, the number of epochs of its schedule. What imports a benchmark's own
files has ``is_original(path)`` and ``import_file(path, target)``. Test scores are read in `nasbench.tables.held_out`
alone.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nasbench.core.architecture import Architecture, Value
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Source as ScoreSource

Spec = tuple[Value, ...]
Latencies = Callable[[str, Path | None], Mapping[Spec, float]]

TABLES = {
    "nasbench201": "nasbench.tables.nasbench201",
    "nasbench-macro": "nasbench.tables.nasbench_macro",
    "nasbench-graph": "nasbench.tables.nasbench_graph",
    "nasbench-graph-proteins": "nasbench.tables.nasbench_graph_proteins",
    "ofa-mobilenetv3": "nasbench.tables.ofa_mobilenetv3",
}
"""The module of each benchmark, by the name of its search space."""


@dataclass(frozen=True)
class Source:
    """One file of a benchmark as it lies in a data folder, how to get it, and other names under which it is found.

    ``elsewhere`` returns where the same numbers lie outside of all data folders, None if nowhere.
    """

    file: str
    how: str
    other_names: tuple[str, ...] = ()
    elsewhere: Callable[[], Path | None] = lambda: None


class Score(NamedTuple):
    """What a search may know of one architecture: an accuracy in percent, whence it is, and other metrics."""

    valid_accuracy: float
    source: ScoreSource
    further: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Benchmark(ABC):
    """Scores of the architectures of a space on one data set.

    Attributes:
        space: name of the search space.
        dataset: name of the data set.
        classes: its number of classes.
        fidelity: what was trained for these scores, in words; where ``fidelities`` is empty, there is no other.
        file: where they were read.
        fingerprint: equal where encodings and scores are.
        latencies: given a device and the data folder, the measured latency in milliseconds by encoding; None if none
            was measured.
        notes: sentences that a report on this benchmark must contain.
    """

    space: str
    dataset: str
    classes: int
    fidelity: str
    file: Path
    fingerprint: str
    latencies: Latencies | None = None
    notes: tuple[str, ...] = ()

    @property
    def fidelities(self) -> tuple[str, ...]:
        """What a proposal may ask for; nothing where there is one score of each architecture."""
        return ()

    @abstractmethod
    def score(self, architecture: Architecture) -> Score:
        """Return the score of an architecture; raise BadInput if there is none, NotTrained if it counts as failed."""


@dataclass(frozen=True, kw_only=True)
class Table(Benchmark):
    """Measured scores of every architecture, with test scores beside them that only the judge reads.

    ``row`` is the place of each encoding in ``valid_accuracy`` [rows], the score that a search may see, in percent.
    Isomorphs have rows of their own. Where scores at several numbers of ``epochs`` were recorded, growing, ``curves``
    [epochs, rows] has them; all are of one training, scheduled for the last, whose score is ``valid_accuracy``.
    """

    row: Mapping[Spec, int]
    valid_accuracy: np.ndarray
    epochs: tuple[int, ...] = ()
    curves: np.ndarray | None = None

    def score(self, architecture: Architecture) -> Score:
        row = self.row.get(architecture.spec)
        if row is None:
            raise BadInput(f"the table has no cell or network {architecture.spec}.")
        return Score(float(self.valid_accuracy[row]), "table")

    @property
    def fidelities(self) -> tuple[str, ...]:
        return ("epochs", "schedule_epochs") if len(self.epochs) > 1 else ()

    def after(self, epochs: float) -> Table:
        """Return the table of the scores after so many epochs; raise BadInput if there are none."""
        if self.curves is None or epochs not in self.epochs:
            raise BadInput(f"this table has no validation accuracy after {epochs:g} epochs.")
        return replace(self, valid_accuracy=self.curves[self.epochs.index(int(epochs))])


@dataclass(frozen=True, kw_only=True)
class Surrogate(Benchmark):
    """Measured scores of some architectures, and predicted ones of all others. There are no test scores.

    ``measured`` has the accuracies in percent by canonical encoding; ``predict`` answers for the others. ``error`` are
    facts about the predictions, by name.
    """

    measured: Mapping[Spec, float]
    canonical: Callable[[Architecture], Architecture]
    predict: Callable[[Architecture], Score]
    error: Mapping[str, float]

    def score(self, architecture: Architecture) -> Score:
        representative = self.canonical(architecture)
        known = self.measured.get(representative.spec)
        if known is None:
            return self.predict(representative)
        return Score(known, "table", {"prediction_std": 0.0, "extrapolated": 0.0})


def datasets(space: str) -> dict[str, int]:
    """Return the data sets of a space's table and their numbers of classes; none for a space without a table."""
    return dict(_module(space).CLASSES) if space in TABLES else {}


def sources(space: str) -> tuple[Source, ...]:
    """Return the files that a benchmark is read from."""
    found: tuple[Source, ...] = _module(space).SOURCES
    return found


def longest_epochs(space: str) -> int | None:
    """Return for how many epochs networks were trained where scores at several numbers of epochs can be had."""
    return getattr(_module(space), "LONGEST", None) if space in TABLES else None


def load_table(space: str, dataset: str, data_dir: Path | None = None, *, several_epochs: bool = False) -> Benchmark:
    """Read the table of a space and data set; raise BadInput if there is none, MissingData if its file is missing.

    ``several_epochs`` asks for the one with scores at several numbers of epochs, if that is at hand.
    """
    if space not in TABLES:
        names = ", ".join(f"'{name}'" for name in TABLES)
        raise BadInput(f"there are tables for the spaces {names}, none for '{space}'.")
    module = _module(space)
    if several_epochs and hasattr(module, "load_epochs"):
        found: Benchmark | None = module.load_epochs(dataset, data_dir)
        if found is not None:
            return found
    table: Benchmark = module.load(dataset, data_dir)
    return table


def _module(space: str) -> Any:
    return importlib.import_module(TABLES[space])

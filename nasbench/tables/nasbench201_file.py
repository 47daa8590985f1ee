"""The files of NAS-Bench-201: one row a cell, columns of numbers, as compressed CSV or converted to NumPy's format.

`import_file` converts. ``nasbench201/accuracy.npz`` and ``nasbench201/latency_ms.npz`` have one array [15,625] a
column, in the order of the benchmark's index, and load in a fraction of the time. The ``cells`` are numbers of
operations, [15,625, 6]. Test accuracies are arrays of their own, which only `nasbench.tables.held_out` opens.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.search_spaces.nasbench201 import OPERATIONS
from nasbench.tables import converted
from nasbench.tables.table import Spec

CELLS = 15_625
ACCURACY_FILE, LATENCY_FILE = "nasbench201/accuracy.csv.gz", "nasbench201/latency_ms.csv.gz"
CONVERTED_ACCURACY, CONVERTED_LATENCY = "nasbench201/accuracy.npz", "nasbench201/latency_ms.npz"
SEARCH_COLUMN = "_valid_12"
FINAL_COLUMN = "_test_200"


class Columns(Protocol):
    """An open file: its columns of numbers, the cells of its rows, and the benchmark's number of each."""

    file: Path
    names: list[str]

    def numbers(self, name: str) -> np.ndarray:
        """Return one column [rows] of finite numbers; raise BadInput if there is none of that name."""

    def cells(self) -> list[Spec]:
        """Return the cell of each row; raise BadInput where the file names none."""

    def indices(self) -> list[str]:
        """Return the benchmark's number of each row's cell, as text."""


def opened(file: Path) -> Columns:
    """Open a file in either format; raise BadInput if it is damaged."""
    return _Converted(file) if file.suffix == ".npz" else _Csv(file)


def accuracies(file: Path, values: np.ndarray) -> np.ndarray:
    """Return percentages [rows]; raise BadInput on anything else."""
    if values.min() < 0 or values.max() > 100:
        raise BadInput(f"{file}: accuracies must be percentages between 0 and 100.")
    return values


def parse_cell(text: str) -> Spec:
    """Read a cell string without checks, in the order of the space's decisions."""
    return tuple([edge.partition("~")[0] for node in text.split("+") for edge in node.strip("|").split("|")])


class _Csv:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.names, self._rows = read_rows(file)

    def numbers(self, name: str) -> np.ndarray:
        try:
            values = np.array(self._texts(name), dtype=np.float64)
        except ValueError as error:
            raise BadInput(f"{self.file}: not a number ({error}).") from error
        if not np.isfinite(values).all():
            raise BadInput(f"{self.file}: a value is missing or not finite.")
        return values

    def cells(self) -> list[Spec]:
        return [parse_cell(text) for text in self._texts("arch")]

    def indices(self) -> list[str]:
        return self._texts("index")

    def _texts(self, name: str) -> list[str]:
        if name not in self.names:
            raise BadInput(f"{self.file} has no column '{name}'; it has: {', '.join(self.names)}.")
        position = self.names.index(name)
        return [row[position] for row in self._rows]


class _Converted:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.names = [name for name in converted.names(file) if name != "cells"]

    def numbers(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise BadInput(f"{self.file} has no column '{name}'; it has: {', '.join(self.names)}.")
        [values] = converted.read(self.file, name)
        if values.shape != (CELLS,) or values.dtype.kind != "f" or not np.isfinite(values).all():
            raise BadInput(f"{self.file}: the column '{name}' is not {CELLS} finite numbers.")
        return values

    def cells(self) -> list[Spec]:
        [numbers] = converted.read(self.file, "cells")
        if numbers.shape != (CELLS, 6) or numbers.dtype.kind != "u" or numbers.max() >= len(OPERATIONS):
            raise BadInput(f"{self.file}: its cells are not {CELLS} times six operations.")
        return list(zip(*(map(OPERATIONS.__getitem__, edge) for edge in numbers.T.tolist()), strict=True))

    def indices(self) -> list[str]:
        return list(map(str, range(CELLS)))


def read_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a compressed CSV file, not to be changed; raise BadInput if it is damaged."""
    status = file.stat()
    return _read_rows(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read_rows(file: Path, modified: int, size: int) -> tuple[list[str], list[list[str]]]:
    try:
        with gzip.open(file, "rt", newline="") as text:
            header, *rows = csv.reader(text)
    except (OSError, EOFError, ValueError, zlib.error, csv.Error) as error:
        raise BadInput(f"{file} is damaged and cannot be read ({error}).") from error
    if any(len(row) != len(header) for row in rows) or "index" not in header:
        raise BadInput(f"{file} is not a benchmark table: rows of different length or no column 'index'.")
    return header, rows


# -- conversion ------------------------------------------------------------------------------------------------------
def is_original(source: Path) -> bool:
    """Say whether this looks like a CSV table of the benchmark, or a folder with one; `import_file` then checks it."""
    if source.is_dir():
        return (source / Path(ACCURACY_FILE).name).is_file()
    header = _header(source)
    return "index" in header and ("arch" in header or len(header) > 1)


def import_file(source: Path, target: Path) -> Path:
    """Convert a table of accuracies or of latencies, or the folder of both, under ``target``; return the new file.

    Raises BadInput, and writes nothing, unless all 15,625 cells are there, once each, accuracies are percentages and
    latencies are not negative.
    """
    if source.is_dir():
        files = [source / Path(name).name for name in (ACCURACY_FILE, LATENCY_FILE)]
        made = [_converted(file) for file in files if file.exists()]
    else:
        made = [_converted(source)]
    written = [converted.write(target / name, arrays) for name, arrays in made]
    return written[0]


def _converted(file: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Return the name of the converted file and its arrays, in the order of the benchmark's index."""
    from nasbench.tables.held_out import refuse_twelve_epochs

    table = opened(file)
    try:
        order = np.argsort(np.array(table.indices(), dtype=np.int64), kind="stable")
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{file}: the column 'index' has what is no number ({error}).") from error
    if not np.array_equal(np.array(table.indices(), dtype=np.int64)[order], np.arange(CELLS)):
        raise BadInput(
            f"{file}: {len(order)} rows; the benchmark has {CELLS} cells, with the indices 0 to {CELLS - 1}."
        )
    columns = {name: table.numbers(name)[order] for name in table.names if name not in ("index", "arch")}
    if "arch" not in table.names:
        for name, values in columns.items():
            if values.min() < 0:
                raise BadInput(f"{file}: a latency on {name} is below 0 ms.")
        return CONVERTED_LATENCY, columns
    if not any(name.endswith(SEARCH_COLUMN) for name in columns):
        raise BadInput(f"{file} has no column that ends in '{SEARCH_COLUMN}', the accuracies to search by.")
    for name, values in columns.items():
        accuracies(file, values)
        if name.endswith(FINAL_COLUMN):
            refuse_twelve_epochs(name.removesuffix(FINAL_COLUMN), values)
    cells = table.cells()
    return CONVERTED_ACCURACY, {"cells": numbered(file, [cells[i] for i in order]), **columns}


def numbered(file: Path, cells: Sequence[Spec]) -> np.ndarray:
    """Return cells as numbers of operations [15,625, 6]; raise BadInput unless all cells are there, once each."""
    known = {operation: number for number, operation in enumerate(OPERATIONS)}
    wrong = next((cell for cell in cells if len(cell) != 6 or not known.keys() >= set(cell)), None)
    if wrong is not None:
        raise BadInput(f"{file}: '{' '.join(map(str, wrong))}' is no cell of the benchmark.")
    if len(set(cells)) != CELLS:
        raise BadInput(f"{file}: {len(set(cells))} different cells; the benchmark has {CELLS}.")
    return np.array([[known[str(operation)] for operation in cell] for cell in cells], dtype=np.uint8)


def _header(file: Path) -> list[str]:
    """Return the first line of a compressed CSV file; nothing if it is no such file."""
    try:
        with gzip.open(file, "rt", newline="") as text:
            return text.readline(10_000).strip().split(",")
    except (OSError, EOFError, ValueError, zlib.error):
        return []

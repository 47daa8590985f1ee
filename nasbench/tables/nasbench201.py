"""NAS-Bench-201 (Dong & Yang, ICLR 2020; Dong et al., NATS-Bench, TPAMI 2021): what a search may look up.

The file ``nasbench201/accuracy.csv.gz`` has one row a cell: ``index`` and ``arch`` as the benchmark numbers and writes
them, and per data set the accuracies in percent ``<dataset>_valid_12`` (validation after 12 epochs), which this module
reads, and ``<dataset>_test_200`` (test after 200 epochs, mean over the trained seeds), which it never reads.
``nasbench201/latency_ms.csv.gz`` has the measured latency of the same cells in milliseconds, one column a device (Lee
et al., HELP, NeurIPS 2021; Li et al., HW-NAS-Bench, ICLR 2021).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import find
from nasbench.tables.table import Source, Spec, Table

CELLS = 15_625
ACCURACY_FILE = "nasbench201/accuracy.csv.gz"
LATENCY_FILE = "nasbench201/latency_ms.csv.gz"
SEARCH_COLUMN = "_valid_12"
FINAL_COLUMN = "_test_200"
CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
SOURCES = (
    Source(ACCURACY_FILE, "NAS-Bench-201 accuracies: 'nasbench data import FOLDER' with NATS-tss-v1_0-3ffb9-simple"),
    Source(
        LATENCY_FILE,
        "measured latencies of NAS-Bench-201 cells (HELP, HW-NAS-Bench): copy the file into the data folder",
    ),
)


def load(dataset: str, data_dir: Path | None = None) -> Table:
    """Read the search scores of a data set, whatever the case of its name.

    Raises MissingData if the file is nowhere to be found, BadInput if it is damaged or lacks the data set.
    """
    file = locate(data_dir)
    header, rows = read_rows(file)
    dataset = known_dataset(dataset, header)
    specs = {parse_cell(cell): number for number, cell in enumerate(column(file, header, rows, "arch"))}
    scores = accuracies(file, column(file, header, rows, dataset + SEARCH_COLUMN))
    if len(specs) != CELLS or len(rows) != CELLS:
        raise BadInput(f"{file}: {len(rows)} rows with {len(specs)} different cells; the benchmark has {CELLS}.")
    digest = hashlib.sha256(repr((dataset, sorted(specs.items()))).encode() + scores.tobytes())
    return Table(
        space="nasbench201",
        dataset=dataset,
        classes=CLASSES[dataset],
        row=specs,
        valid_accuracy=scores,
        fidelity="12 epochs",
        file=file,
        fingerprint=digest.hexdigest()[:16],
        latencies=load_latency,
    )


def load_latency(device: str, data_dir: Path | None = None) -> dict[Spec, float]:
    """Return the measured latency in milliseconds on one device, by cell. Raises BadInput for an unknown device."""
    file = find([LATENCY_FILE, Path(LATENCY_FILE).name], data_dir)
    if file is None:
        raise MissingData(f"no measured latencies: {LATENCY_FILE} is in none of the data folders; set --data-dir.")
    header, rows = read_rows(file)
    devices = [name for name in header if name != "index"]
    if device not in devices:
        raise unknown("device", device, devices)
    latencies = numbers(file, column(file, header, rows, device))
    if latencies.min() < 0:
        raise BadInput(f"{file}: a latency on {device} is below 0 ms.")
    by_index = dict(zip(column(file, header, rows, "index"), latencies.tolist(), strict=True))
    cells = locate(data_dir)
    cell_header, cell_rows = read_rows(cells)
    indices, texts = (column(cells, cell_header, cell_rows, name) for name in ("index", "arch"))
    missing = [index for index in indices if index not in by_index]
    if missing:
        raise BadInput(f"{file} has no row for cell {missing[0]} ({len(missing)} cells are missing).")
    return {parse_cell(text): by_index[index] for index, text in zip(indices, texts, strict=True)}


def locate(data_dir: Path | None) -> Path:
    """Return the accuracy file; raise MissingData with where it comes from and how to get it."""
    file = find([ACCURACY_FILE, Path(ACCURACY_FILE).name], data_dir)
    if file is None:
        raise MissingData(
            f"the NAS-Bench-201 table ({ACCURACY_FILE}) is in none of the data folders. It is made from the NATS-Bench "
            "topology archive 'NATS-tss-v1_0-3ffb9-simple' of D-X-Y/NATS-Bench: 'nasbench data import FOLDER'; "
            "or point --data-dir or NASBENCH_DATA at a folder that has it."
        )
    return file


def known_dataset(name: str, header: list[str]) -> str:
    """Return the table's own spelling of a data set; raise BadInput if it has none of that name."""
    names = [column.removesuffix(SEARCH_COLUMN) for column in header if column.endswith(SEARCH_COLUMN)]
    for known in names:
        if known.lower() == name.lower():
            return known
    raise unknown("data set in the NAS-Bench-201 table", name, names)


def parse_cell(text: str) -> Spec:
    """Read a cell string without checks, in the order of the space's decisions."""
    return tuple([edge.partition("~")[0] for node in text.split("+") for edge in node.strip("|").split("|")])


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


def column(file: Path, header: list[str], rows: list[list[str]], name: str) -> list[str]:
    """Return one column of a table; raise BadInput if it has none of that name."""
    if name not in header:
        raise BadInput(f"{file} has no column '{name}'; it has: {', '.join(header)}.")
    position = header.index(name)
    return [row[position] for row in rows]


def numbers(file: Path, texts: list[str]) -> np.ndarray:
    """Return finite numbers [rows]; raise BadInput on anything else."""
    try:
        values = np.array(texts, dtype=np.float64)
    except ValueError as error:
        raise BadInput(f"{file}: not a number ({error}).") from error
    if not np.isfinite(values).all():
        raise BadInput(f"{file}: a value is missing or not finite.")
    return values


def accuracies(file: Path, texts: list[str]) -> np.ndarray:
    """Return percentages [rows]; raise BadInput on anything else."""
    values = numbers(file, texts)
    if values.min() < 0 or values.max() > 100:
        raise BadInput(f"{file}: accuracies must be percentages between 0 and 100.")
    return values

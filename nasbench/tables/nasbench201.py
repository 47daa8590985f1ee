"""NAS-Bench-201 (Dong & Yang, ICLR 2020; Dong et al., NATS-Bench, TPAMI 2021): what a search may look up.

The file ``nasbench201/accuracy.csv.gz`` (or ``.npz``, converted) has one row a cell: ``index`` and ``arch`` as the
benchmark numbers and writes them, and per data set the accuracies in percent ``<dataset>_valid_12`` (validation after
12 epochs), which this module reads, and ``<dataset>_test_200`` (test after 200 epochs, mean over the trained seeds),
which it never reads. ``nasbench201/latency_ms.csv.gz`` has the measured latency of the same cells in milliseconds, one
column a device (Lee et al., HELP, NeurIPS 2021; Li et al., HW-NAS-Bench, ICLR 2021). Scores at several numbers of
epochs have a file of their own, see `nasbench.tables.nasbench201_epochs`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import find
from nasbench.tables import nasbench201_epochs
from nasbench.tables.nasbench201_file import (
    ACCURACY_FILE,
    CELLS,
    CONVERTED_ACCURACY,
    CONVERTED_LATENCY,
    LATENCY_FILE,
    SEARCH_COLUMN,
    accuracies,
    opened,
)
from nasbench.tables.table import Source, Spec, Table

LONGEST = 200
CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
SOURCES = (
    Source(
        CONVERTED_ACCURACY,
        "NAS-Bench-201 accuracies: 'nasbench data import FOLDER' with NATS-tss-v1_0-3ffb9-simple",
        (ACCURACY_FILE, Path(ACCURACY_FILE).name),
    ),
    Source(
        CONVERTED_LATENCY,
        "measured latencies of NAS-Bench-201 cells (HELP, HW-NAS-Bench): 'nasbench data import latency_ms.csv.gz'",
        (LATENCY_FILE, Path(LATENCY_FILE).name),
    ),
    *nasbench201_epochs.SOURCES,
)


def load(dataset: str, data_dir: Path | None = None) -> Table:
    """Read the search scores of a data set, whatever the case of its name; of 12 epochs, if they are at hand.

    Raises MissingData if the file is nowhere to be found, BadInput if it is damaged or lacks the data set.
    """
    if find_accuracies(data_dir) is None:
        curves = load_epochs(dataset, data_dir)
        if curves is not None:
            return curves
    table = opened(locate(data_dir))
    dataset = known_dataset(dataset, table.names)
    cells = table.cells()
    specs = dict(zip(cells, range(len(cells)), strict=True))
    scores = accuracies(table.file, table.numbers(dataset + SEARCH_COLUMN))
    if len(specs) != CELLS or len(cells) != CELLS:
        raise BadInput(f"{table.file}: {len(cells)} rows with {len(specs)} different cells; the benchmark has {CELLS}.")
    digest = hashlib.sha256(repr((dataset, sorted(specs.items()))).encode() + scores.tobytes())
    return Table(
        space="nasbench201",
        dataset=dataset,
        classes=CLASSES[dataset],
        row=specs,
        valid_accuracy=scores,
        fidelity="12 epochs",
        file=table.file,
        fingerprint=digest.hexdigest()[:16],
        latencies=load_latency,
    )


def load_epochs(dataset: str, data_dir: Path | None = None) -> Table | None:
    """Read the scores of a data set at several numbers of epochs; None if they are nowhere to be found."""
    if dataset.lower() not in nasbench201_epochs.CLASSES:
        return None
    file = nasbench201_epochs.locate(dataset, data_dir)
    return None if file is None else replace(nasbench201_epochs.load(dataset, file), latencies=load_latency)


def datasets_at_hand(data_dir: Path | None) -> list[str]:
    """Return the data sets that there are search scores of: the file may lack one, or have one more."""
    if find_accuracies(data_dir) is None:
        names = [name for name in nasbench201_epochs.CLASSES if nasbench201_epochs.locate(name, data_dir)]
        if names:
            return names
    return _searchable(opened(locate(data_dir)).names)


def load_latency(device: str, data_dir: Path | None = None) -> dict[Spec, float]:
    """Return the measured latency in milliseconds on one device, by cell. Raises BadInput for an unknown device."""
    file = _find(CONVERTED_LATENCY, LATENCY_FILE, data_dir)
    if file is None:
        raise MissingData(f"no measured latencies: {LATENCY_FILE} is in none of the data folders; set --data-dir.")
    measured = opened(file)
    devices = [name for name in measured.names if name != "index"]
    if device not in devices:
        raise unknown("device", device, devices)
    latencies = measured.numbers(device)
    if latencies.min() < 0:
        raise BadInput(f"{file}: a latency on {device} is below 0 ms.")
    by_index = dict(zip(measured.indices(), latencies.tolist(), strict=True))
    table = opened(locate(data_dir))
    indices = table.indices()
    missing = [index for index in indices if index not in by_index]
    if missing:
        raise BadInput(f"{file} has no row for cell {missing[0]} ({len(missing)} cells are missing).")
    return {cell: by_index[index] for cell, index in zip(table.cells(), indices, strict=True)}


def find_accuracies(data_dir: Path | None) -> Path | None:
    """Return the accuracy file, converted or not; None if it is nowhere."""
    return _find(CONVERTED_ACCURACY, ACCURACY_FILE, data_dir)


def _find(converted: str, original: str, data_dir: Path | None) -> Path | None:
    return find([converted, original, Path(converted).name, Path(original).name], data_dir)


def locate(data_dir: Path | None) -> Path:
    """Return the accuracy file; raise MissingData with where it comes from and how to get it."""
    file = find_accuracies(data_dir)
    if file is None:
        raise MissingData(
            f"the NAS-Bench-201 table ({ACCURACY_FILE}) is in none of the data folders. It is made from the NATS-Bench "
            "topology archive 'NATS-tss-v1_0-3ffb9-simple' of D-X-Y/NATS-Bench: 'nasbench data import FOLDER'; "
            "or point --data-dir or NASBENCH_DATA at a folder that has it."
        )
    return file


def _searchable(header: list[str]) -> list[str]:
    """Return the data sets that a file has scores to search by of."""
    return [column.removesuffix(SEARCH_COLUMN) for column in header if column.endswith(SEARCH_COLUMN)]


def known_dataset(name: str, header: list[str]) -> str:
    """Return the table's own spelling of a data set; raise BadInput if it has none of that name."""
    names = _searchable(header)
    for known in names:
        if known.lower() == name.lower():
            return known
    raise unknown("data set in the NAS-Bench-201 table", name, names)

"""NAS-Bench-Macro (Su et al., CVPR 2021): three CIFAR-10 trainings of each of 6,561 networks.

The authors publish one JSON object: for each network, named by eight digits, the test accuracies in percent of its
three trainings, parameters and multiply-adds. `import_file` turns it into ``nasbench_macro/cifar10.npz`` with one
array ``correct`` [6,561 networks in the order of their digits, 3 trainings]: how many of the 10,000 test images are
classified correctly, which is all that the accuracies say. Either file will do in a data folder.

There is no validation accuracy. The first training stands in for it; the other two are read in
`nasbench.tables.held_out` alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import find
from nasbench.search_spaces.nasbench_macro import NasBenchMacro
from nasbench.tables import converted
from nasbench.tables.table import Source, Table

SPACE = NasBenchMacro.name
CLASSES = {"cifar10": 10}
NAMES = ["".join(digits) for digits in itertools.product("012", repeat=8)]
NETWORKS = len(NAMES)
TRAININGS = 3
FILE = "nasbench_macro/cifar10.npz"
ORIGINALS = ("nas-bench-macro_cifar10.json", "nasbench_macro_cifar10.json")
SOURCES = (
    Source(
        FILE, f"NAS-Bench-Macro: 'nasbench data import FILE' with {ORIGINALS[0]} of xiusu/NAS-Bench-Macro", ORIGINALS
    ),
)
CONTENT = "e91d4341f3cddc5ca430f40e95302020090ce6e5b5019e8260ce5ab73c5d50d4"
"""SHA-256 of ``correct`` as little-endian 16-bit numbers."""

ABOUT_SCORES = (
    "NAS-Bench-Macro has three trainings of each network and no validation accuracy. The search saw the accuracy of "
    "the first training, and the test accuracy reported here is the mean of the other two: other trainings, but the "
    "same 10,000 CIFAR-10 test images, so the choice was made on the images it is judged on."
)
ABOUT_ENCODINGS = (
    "The 6,561 encodings are 3,969 different networks, and encodings of one network share its three trainings. Random "
    "search and the average random architecture draw encodings; a method that recognises equal networks sees more "
    "of them with as many evaluations."
)


def load(dataset: str, data_dir: Path | None = None) -> Table:
    """Read the search scores, the accuracies of the first trainings.

    Raises MissingData if the file is nowhere to be found, BadInput if it is damaged or lacks the data set.
    """
    if dataset.lower() not in CLASSES:
        raise unknown("data set in the NAS-Bench-Macro table", dataset, CLASSES)
    file = locate(data_dir)
    scores = trainings(file)[:, 0] / 100
    return Table(
        space=SPACE,
        dataset=dataset.lower(),
        classes=CLASSES[dataset.lower()],
        row={architecture.spec: row for row, architecture in enumerate(NasBenchMacro.all())},
        valid_accuracy=scores,
        fidelity="the first training",
        file=file,
        fingerprint=hashlib.sha256(SPACE.encode() + scores.tobytes()).hexdigest()[:16],
        notes=(ABOUT_SCORES, ABOUT_ENCODINGS),
    )


def locate(data_dir: Path | None) -> Path:
    """Return the benchmark's file, converted or original; raise MissingData with where it comes from."""
    file = find([FILE, *ORIGINALS], data_dir)
    if file is None:
        raise MissingData(
            f"the NAS-Bench-Macro table ({FILE}) is in none of the data folders. It is made from {ORIGINALS[0]} of "
            "xiusu/NAS-Bench-Macro: 'nasbench data import FILE'; or point --data-dir or NASBENCH_DATA at a folder "
            "that has either."
        )
    return file


def trainings(file: Path) -> np.ndarray:
    """Return the test images classified correctly, [6,561, 3] of 10,000; raise BadInput unless all is as published."""
    correct = _read_original(file) if file.suffix == ".json" else _read_converted(file)
    if hashlib.sha256(correct.astype("<u2").tobytes()).hexdigest() != CONTENT:
        raise BadInput(
            f"{file}: the accuracies are not those of NAS-Bench-Macro as published (their checksum differs)."
        )
    return correct


def is_original(file: Path) -> bool:
    """Say whether a file looks like the authors' JSON object; `import_file` then says whether it is."""
    if file.suffix.lower() != ".json":
        return False
    with file.open("rb") as data:
        return b'"test_acc"' in data.read(200)


def import_file(file: Path, target: Path) -> Path:
    """Convert the authors' file to ``nasbench_macro/cifar10.npz`` under ``target``; return the new file.

    Raises BadInput, and writes nothing, unless all 6,561 networks are there, with the accuracies as published and the
    parameters and multiply-adds of the networks that this package builds.
    """
    entries = _read_entries(file)
    correct = trainings(file)
    space = NasBenchMacro()
    for architecture in space.all():
        entry = entries[space.format(architecture)]
        given = entry.get("params"), entry.get("flops")
        expected = space.parameters(architecture), space.macs(architecture)
        if given != expected:
            raise BadInput(
                f"{file}: network {space.format(architecture)} has {given} parameters and multiply-adds; "
                f"it must have {expected}."
            )
    return converted.write(target / FILE, {"correct": correct.astype("<u2")})


def _read_converted(file: Path) -> np.ndarray:
    [correct] = converted.read(file, "correct")
    if correct.shape != (NETWORKS, TRAININGS) or correct.dtype.kind not in "iu":
        raise BadInput(f"{file}: {correct.shape} {correct.dtype}; expected whole numbers of {(NETWORKS, TRAININGS)}.")
    return correct.astype(np.int64)


def _read_original(file: Path) -> np.ndarray:
    entries = _read_entries(file)
    try:
        accuracies = np.array([entries[name]["test_acc"] for name in NAMES], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{file}: not {TRAININGS} accuracies a network ({error}).") from error
    if accuracies.shape != (NETWORKS, TRAININGS) or not ((accuracies >= 0) & (accuracies <= 100)).all():
        raise BadInput(f"{file}: each network needs {TRAININGS} accuracies between 0 and 100 percent.")
    return np.rint(100 * accuracies).astype(np.int64)


def _read_entries(file: Path) -> dict[str, Any]:
    """Return the authors' entries by name; raise BadInput unless all networks are there, each with accuracies."""
    try:
        entries = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is damaged and cannot be read ({error}).") from error
    if not isinstance(entries, dict) or entries.keys() != set(NAMES):
        found = len(entries) if isinstance(entries, dict) else 0
        raise BadInput(f"{file}: {found} entries; NAS-Bench-Macro has {NETWORKS} networks of eight digits 0, 1, 2.")
    lacking = [name for name, entry in entries.items() if not isinstance(entry, dict) or "test_acc" not in entry]
    if lacking:
        raise BadInput(f"{file}: network {lacking[0]} has no 'test_acc' ({len(lacking)} lack it).")
    return entries

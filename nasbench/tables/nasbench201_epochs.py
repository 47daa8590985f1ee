"""NAS-Bench-201 at several numbers of epochs: validation accuracy of every cell along one long training.

``nasbench201/DATASET_epochs.npz`` has ``correct`` [epochs, 15,625], how many of ``images`` validation images are
classified correctly after each of the ``epochs`` [epochs] of one training of each cell, with a schedule as long as the
last of them, the cells in the order of `NasBench201.all`; ``test`` [15,625], the accuracies in percent that only
`nasbench.tables.held_out` reads, and ``test_source``, what they are. `nasbench.tables.naslib` makes it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.core.locations import find
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables import converted
from nasbench.tables.nasbench201_file import CELLS, accuracies
from nasbench.tables.table import Source, Table

CLASSES = {"cifar10": 10}


def file_name(dataset: str) -> str:
    """Return where the file of a data set lies in a data folder."""
    return f"nasbench201/{dataset}_epochs.npz"


SOURCES = tuple(
    Source(
        file_name(dataset),
        "NAS-Bench-201 at several numbers of epochs: 'nasbench data import FILE' with NASLib's "
        "nb201_cifar10_full_training.pickle",
    )
    for dataset in CLASSES
)


def locate(dataset: str, data_dir: Path | None) -> Path | None:
    """Return the file of a data set, whatever the case of its name; None if there is none."""
    name = file_name(dataset.lower())
    return find([name, Path(name).name], data_dir)


def load(dataset: str, file: Path) -> Table:
    """Read validation accuracies at several numbers of epochs; the score of a cell is that at the last.

    Raises BadInput if the file is damaged or of other cells.
    """
    correct, epochs, images = converted.read(file, "correct", "epochs", "images")
    whole = correct.dtype.kind == epochs.dtype.kind == images.dtype.kind == "u"
    if (
        not whole
        or correct.shape != (epochs.size, CELLS)
        or epochs.size == 0
        or (np.diff(epochs.astype(int)) <= 0).any()
    ):
        raise BadInput(f"{file}: not the scores of {CELLS} cells at growing numbers of epochs.")
    if images.size != 1 or not 0 < correct.max() <= int(images):
        raise BadInput(f"{file}: more validation images are right than there are.")
    curves = correct / (int(images) / 100)
    final = str(converted.read(file, "test_source")[0])
    digest = hashlib.sha256(repr((dataset.lower(), int(images), epochs.tolist(), final)).encode() + correct.tobytes())
    last = int(epochs[-1])
    return Table(
        space=NasBench201.name,
        dataset=dataset.lower(),
        classes=CLASSES[dataset.lower()],
        row={architecture.spec: row for row, architecture in enumerate(NasBench201.all())},
        valid_accuracy=curves[-1],
        fidelity=f"{last} epochs",
        file=file,
        fingerprint=digest.hexdigest()[:16],
        notes=(about(epochs.size, last, int(images), final),),
        epochs=tuple(epochs.tolist()),
        curves=curves,
    )


def test_accuracies(file: Path) -> np.ndarray:
    """Return the test accuracies in percent [15,625], in the order of the table's rows. For `held_out` alone."""
    [scores] = converted.read(file, "test")
    if scores.shape != (CELLS,) or scores.dtype.kind != "f" or not np.isfinite(scores).all():
        raise BadInput(f"{file}: not {CELLS} test accuracies.")
    return accuracies(file, scores)


def about(count: int, last: int, images: int, final: str) -> str:
    """Return what must be said of these scores."""
    many = f"at {count} numbers of epochs, up to {last}" if count > 1 else f"after {last} epochs"
    return (
        f"The search saw validation accuracies {many}, of one training of each cell, on {images:,} images; the "
        f"learning rate was scheduled for {last} epochs. Test accuracies: {final}."
    )

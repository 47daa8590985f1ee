"""Import NASLib's pickles of NAS-Bench-201 (Mehta et al., NAS-Bench-Suite, ICLR 2022).

``nb201_cifar10_full_training.pickle`` and its like are ``{cell: {training: {"eval_acc1es": [...], ...}}}`` with the
benchmark's names of cells and trainings ("cifar10-valid", "cifar100", "ImageNet16-120"), one training of 200 epochs a
cell; ``nb201_all.pickle`` has numbers in place of lists, those after the last epoch. NASLib answers both for validation
and for test accuracy from ``eval_acc1es``, and what stands there is not the same on every data set and at every place:
at its end a list can have the accuracy on the test images.

So nothing is taken for a validation accuracy because of its name. Accuracies are whole numbers of images, and
CIFAR-10's parts in the benchmark have 25,000 (the validation half of its training images) and 10,000 (its test images).
What all 15,625 cells have in whole numbers of 25,000 and not of 10,000 is validation. On CIFAR-100 and ImageNet16-120
the validation and the test part have as many images each: nothing tells one from the other, and nothing is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasbench.core import restricted_pickle
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.locations import find
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables import converted
from nasbench.tables.nasbench201_epochs import file_name
from nasbench.tables.nasbench201_file import (
    ACCURACY_FILE,
    CELLS,
    CONVERTED_ACCURACY,
    FINAL_COLUMN,
    opened,
    parse_cell,
)

ORIGINALS = (
    *("nb201_cifar10_full_training.pickle", "nb201_all.pickle"),
    *("nb201_cifar100_full_training.pickle", "nb201_ImageNet16_full_training.pickle"),
)
DATASET, SEARCHED, RETRAINED = "cifar10", "cifar10-valid", "cifar10"
"""Our data set, and the benchmark's names of its trainings on half and on all of the training images."""
VALIDATION_IMAGES, TEST_IMAGES = 25_000, 10_000
EPOCHS = 200
ACCURACY = "eval_acc1es"
LEAST_CORRELATION = 0.8
"""Of validation and test accuracy after the last epoch over all cells; where cells are mixed up it is about 0."""


def is_original(source: Path) -> bool:
    """Say whether a file begins like a pickle that names cells; `import_file` then says whether it is one of these."""
    if source.is_dir():
        return False
    with source.open("rb") as data:
        head = data.read(4000)
    return head[:1] == b"\x80" and b"~0|+|" in head


def import_file(source: Path, target: Path) -> Path:
    """Convert a pickle to ``nasbench201/cifar10_epochs.npz`` under ``target``; return the new file.

    Nothing in the pickle is executed. Raises BadInput, and writes nothing, unless all 15,625 cells are there with as
    many accuracies each, some of them on validation images; MissingData if there are no test accuracies, neither in the
    table of accuracies at hand nor in the pickle.
    """
    with source.open("rb") as data:
        content = restricted_pickle.load(str(source), data, {**restricted_pickle.ARRAYS, **restricted_pickle.SCALARS})
    return import_content(source, content, target)


def import_content(source: Path, content: Any, target: Path) -> Path:
    """Convert what a pickle holds, see `import_file`."""
    scores = evaluated(source, content, SEARCHED)
    if scores is None:
        found = sorted({str(name) for results in list(content.values())[:1] for name in results})
        raise BadInput(
            f"{source} has results on {', '.join(found) or 'nothing'}, where validation accuracies cannot be told from "
            f"accuracies on test images; to search by, it needs the training '{SEARCHED}'."
        )
    counts = np.rint(scores * VALIDATION_IMAGES / 100)
    validation = whole(scores, VALIDATION_IMAGES) & ~whole(scores, TEST_IMAGES)
    last = int(np.argmin(validation)) if not validation.all() else len(validation)
    if last == 0:
        raise BadInput(
            f"{source}: its accuracies on {SEARCHED} are no whole numbers of the {VALIDATION_IMAGES:,} validation "
            "images; those of test images are not to be searched by."
        )
    rest = scores[last:]
    if last not in (1, EPOCHS) or len(rest) > 1 or not whole(rest, TEST_IMAGES).all():
        raise BadInput(
            f"{source}: of {len(scores)} accuracies of each cell the first {last} are on validation images; it must be "
            f"{EPOCHS}, or that of the last epoch alone, and at most one on test images after them."
        )
    epochs = np.arange(1, last + 1) if last > 1 else np.array([EPOCHS])
    held_out, origin = _held_out(source, content, rest, target)
    if not np.corrcoef(scores[last - 1], held_out)[0, 1] > LEAST_CORRELATION:
        raise BadInput(
            f"{source}: its validation accuracies do not go with the test accuracies of the cells ({origin})."
        )
    return converted.write(
        target / file_name(DATASET),
        {
            "correct": counts[:last].astype(np.uint16),
            "epochs": epochs.astype(np.uint16),
            "images": np.array(VALIDATION_IMAGES, dtype=np.uint32),
            "test": held_out,
            "test_source": np.array(origin),
        },
    )


def evaluated(source: Path, content: Any, training: str) -> np.ndarray | None:
    """Return the accuracies in percent of a training [places, 15,625], the cells in the order of `NasBench201.all`.

    None if there is no such training; raises BadInput if the content is of another kind or not complete.
    """
    if not isinstance(content, dict) or not content:
        raise BadInput(f"{source}: not a dictionary of NAS-Bench-201 cells.")
    by_cell = {parse_cell(cell): results for cell, results in content.items() if isinstance(cell, str)}
    cells = [architecture.spec for architecture in NasBench201.all()]
    missing = sum(cell not in by_cell for cell in cells)
    if missing or len(content) != CELLS:
        raise BadInput(f"{source}: {len(content)} cells, and {missing} of the benchmark's {CELLS} are not among them.")
    try:
        if not any(training in by_cell[cell] for cell in cells):
            return None
        rows = [np.atleast_1d(by_cell[cell][training][ACCURACY]) for cell in cells]
        scores = np.array(rows, dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{source}: the cells have not as many accuracies of '{training}' each ({error}).") from error
    if scores.ndim != 2 or scores.shape[1] == 0 or not ((scores >= 0) & (scores <= 100)).all():
        raise BadInput(f"{source}: the accuracies of '{training}' must be percentages between 0 and 100.")
    return np.ascontiguousarray(scores.T)


def whole(scores: np.ndarray, images: int) -> np.ndarray:
    """Say of each place [places] whether all its accuracies [places, cells] are whole numbers of so many images.

    They were written as 32-bit numbers, of which the last digits are lost.
    """
    counts = scores * images / 100
    return np.asarray((np.abs(counts - np.rint(counts)) < 0.02).all(axis=1))


def _held_out(source: Path, content: Any, rest: np.ndarray, target: Path) -> tuple[np.ndarray, str]:
    """Return test accuracies in percent, in the order of `NasBench201.all`, and in words what they are.

    By preference those by which the benchmark is judged, of trainings on all training images.
    """
    table = find([CONVERTED_ACCURACY, ACCURACY_FILE], target if target.exists() else None)
    if table is not None and DATASET + FINAL_COLUMN in opened(table).names:
        known = dict(zip(opened(table).cells(), opened(table).numbers(DATASET + FINAL_COLUMN).tolist(), strict=True))
        scores = np.array([known[architecture.spec] for architecture in NasBench201.all()])
        return scores, f"means over the trainings on all training images, {EPOCHS} epochs"
    retrained = evaluated(source, content, RETRAINED)
    if retrained is not None and whole(retrained[-1:], TEST_IMAGES)[0]:
        return retrained[-1], f"a training on all training images, {EPOCHS} epochs"
    if len(rest) and whole(rest[-1:], TEST_IMAGES)[0]:
        return rest[-1], "the same trainings after the last epoch"
    raise MissingData(
        f"{source} has no test accuracy to judge by; import the NAS-Bench-201 table ({ACCURACY_FILE}) into the same "
        "data folder first."
    )

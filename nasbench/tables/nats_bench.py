"""Import the original NATS-Bench topology folder (Dong et al., TPAMI 2021) into the package's own table.

The folder ``NATS-tss-v1_0-3ffb9-simple`` holds one bz2-compressed pickle a cell and ``meta.pickle.pbz2``. They exist
only as pickles, so they are read with an allow-list of types; their meaning comes from the optional package
``nats-bench``.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasbench.core.errors import BadInput, MissingData
from nasbench.core.state import write_atomically
from nasbench.tables.held_out import refuse_twelve_epochs
from nasbench.tables.nasbench201_file import ACCURACY_FILE, CELLS

ALLOWED = {
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("builtins", "list"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "scalar"),
}
# (column, the benchmark's name of the training, the set it is measured on, epochs). On CIFAR-10 the search scores come
# from a training on one half of the training set, the final ones from another on the whole.
COLUMNS = (
    ("cifar10_valid_12", "cifar10-valid", "x-valid", "12"),
    ("cifar10_test_200", "cifar10", "ori-test", "200"),
    ("cifar100_valid_12", "cifar100", "x-valid", "12"),
    ("cifar100_test_200", "cifar100", "x-test", "200"),
    ("ImageNet16-120_valid_12", "ImageNet16-120", "x-valid", "12"),
    ("ImageNet16-120_test_200", "ImageNet16-120", "x-test", "200"),
)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")  # the files were written with numpy 1
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no benchmark file needs")
        return super().find_class(module, name)


def read_pickle(file: Path) -> Any:
    """Read one compressed pickle of plain containers; raise BadInput if it is damaged or asks for anything else."""
    try:
        return _Unpickler(io.BytesIO(bz2.decompress(file.read_bytes()))).load()
    except FileNotFoundError as error:
        raise MissingData(f"{file} is missing; the folder must hold {CELLS} cells and meta.pickle.pbz2.") from error
    except Exception as error:  # a damaged pickle may raise anything at all
        raise BadInput(f"{file} is damaged or unsafe and was not read ({error}).") from error


def read_cell(file: Path) -> dict[str, float]:
    """Return the accuracies in percent of one cell, by column; trained seeds averaged."""
    try:
        from nats_bench.api_utils import ArchResults
    except ImportError as error:
        raise MissingData("importing NATS-Bench needs its package: pip install 'nasbench[nats-bench]'.") from error
    by_epochs = read_pickle(file)
    try:
        results = {epochs: ArchResults.create_from_state_dict(state) for epochs, state in by_epochs.items()}
        return {
            column: float(results[epochs].get_metrics(training, part)["accuracy"])
            for column, training, part, epochs in COLUMNS
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{file} is not a cell of the NATS-Bench topology space ({error!r}).") from error


def import_folder(folder: Path, target: Path, progress: Callable[[int], None] = lambda done: None) -> Path:
    """Convert a NATS-Bench topology folder to ``nasbench201/accuracy.csv.gz`` under ``target``; return the file.

    Raises MissingData or BadInput, and writes nothing, unless all 15,625 cells are there and plausible.
    """
    import numpy as np

    meta = read_pickle(folder / "meta.pickle.pbz2")
    cells = list(meta.get("meta_archs", [])) if isinstance(meta, dict) else []
    if len(set(cells)) != CELLS:
        raise BadInput(
            f"{folder}: {len(set(cells))} cells; the topology space has {CELLS}. Is it the size space 'sss'?"
        )
    rows = []
    for index in range(CELLS):
        rows.append(read_cell(folder / f"{index:06d}.pickle.pbz2"))
        progress(index + 1)
    refuse_twelve_epochs("cifar10", np.array([row["cifar10_test_200"] for row in rows]))
    text = io.StringIO()
    columns = [column for column, *_ in COLUMNS]
    writer = csv.writer(text)
    writer.writerow(["index", "arch", *columns])
    for index, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        writer.writerow([index, cell, *(f"{row[column]:.4f}" for column in columns)])
    file = target / ACCURACY_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, gzip.compress(text.getvalue().encode(), mtime=0))
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}.") from error
    return file

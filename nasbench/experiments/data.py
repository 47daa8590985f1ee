"""Bring benchmark tables and data sets onto this machine, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import find, user_data_folder
from nasbench.datasets.load import locate as locate_data
from nasbench.experiments.reporter import Reporter
from nasbench.tables.nasbench201 import ACCURACY_FILE, LATENCY_FILE, SEARCH_COLUMN, load, locate, read_rows

DOWNLOADS = ("cifar10", "cifar100")
SOURCES = {
    ACCURACY_FILE: "NAS-Bench-201 accuracies: 'nasbench data import FOLDER' with NATS-tss-v1_0-3ffb9-simple",
    LATENCY_FILE: "measured latencies of NAS-Bench-201 cells (HELP, HW-NAS-Bench): copy the file into the data folder",
}


def inventory(data_dir: Path | None) -> dict[str, dict[str, Any]]:
    """Return for every table and data set where it lies (None if nowhere) and how to get it."""
    rows = {}
    for file, how in SOURCES.items():
        path = find([file, Path(file).name], data_dir)
        rows[file] = {"path": None if path is None else str(path), "how": how}
    rows["digits"] = {"path": "bundled with scikit-learn", "how": ""}
    for name in DOWNLOADS:
        path = locate_data(name, data_dir)
        rows[name] = {"path": None if path is None else str(path), "how": f"'nasbench data import {name}'"}
    return rows


def verify_tables(data_dir: Path | None) -> dict[str, dict[str, Any]]:
    """Check the NAS-Bench-201 table; return the facts that were checked, a row a data set."""
    from nasbench.protocol.table_judge import TableJudge

    header, _ = read_rows(locate(data_dir))
    facts = {}
    for name in [column.removesuffix(SEARCH_COLUMN) for column in header if column.endswith(SEARCH_COLUMN)]:
        table = load(name, data_dir)
        baseline = TableJudge(table, data_dir).baseline()
        facts[name] = {
            "file": str(table.file),
            "cells": len(table.row),
            "best validation accuracy": float(table.valid_accuracy.max()),
            "mean test accuracy": baseline.mean,
            "fingerprint": table.fingerprint,
        }
    return facts


def import_source(source: str, data_dir: Path | None, reporter: Reporter) -> Path:
    """Convert a NATS-Bench folder or download a data set into the data folder; return the file or folder made."""
    target = data_dir if data_dir is not None else user_data_folder()
    if source.lower() in DOWNLOADS:
        from nasbench.datasets.download import download

        return download(source.lower(), target)
    folder = Path(source)
    if not folder.exists():
        if "/" in source or "." in source:
            raise MissingData(f"{source} does not exist.")
        raise unknown("data set to download", source, DOWNLOADS)
    if not folder.is_dir():
        raise BadInput(f"{source} is a file; give the folder NATS-tss-v1_0-3ffb9-simple with its .pickle.pbz2 files.")
    from nasbench.tables.nats_bench import import_folder

    with reporter.phase("importing NATS-Bench", 15_625) as step:
        return import_folder(folder, target, lambda done: step(done, "cells read"))

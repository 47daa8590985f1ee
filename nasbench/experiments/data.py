"""Bring benchmark tables and data sets onto this machine, and check them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import find, user_data_folder
from nasbench.datasets import planetoid
from nasbench.datasets.load import CITATIONS
from nasbench.datasets.load import locate as locate_data
from nasbench.experiments.reporter import Reporter
from nasbench.tables import nasbench201, nasbench201_file, nasbench_graph, nasbench_macro, naslib, ofa_mobilenetv3
from nasbench.tables.table import TABLES, Benchmark, Surrogate, Table, datasets, load_table, sources

DOWNLOADS = ("cifar10", "cifar100")


class Importer(Protocol):
    """A module that says of a file or folder, by its content, whether it is its own, and converts it."""

    def is_original(self, source: Path, /) -> bool: ...

    def import_file(self, source: Path, target: Path, /) -> Path: ...


IMPORTERS: tuple[Importer, ...] = (nasbench_macro, ofa_mobilenetv3, nasbench201_file, naslib, planetoid)


def inventory(data_dir: Path | None) -> dict[str, dict[str, Any]]:
    """Return for every table and data set where it lies (None if nowhere) and how to get it."""
    rows = {}
    for space in TABLES:
        for source in sources(space):
            path = find([source.file, Path(source.file).name, *source.other_names], data_dir) or source.elsewhere()
            rows[source.file] = {"path": None if path is None else str(path), "how": source.how}
    rows["digits"] = {"path": "bundled with scikit-learn", "how": ""}
    rows["karate"] = {"path": "bundled with networkx", "how": ""}
    for name in DOWNLOADS:
        path = locate_data(name, data_dir)
        rows[name] = {"path": None if path is None else str(path), "how": f"'nasbench data import {name}'"}
    for name in CITATIONS:
        path = planetoid.locate(name, data_dir)
        rows[name] = {"path": None if path is None else str(path), "how": planetoid.how_to_get(name)}
    return rows


def verify_tables(data_dir: Path | None) -> dict[str, dict[str, Any]]:
    """Check the benchmark tables at hand; return the facts that were checked, a row a data set.

    The data sets of NAS-Bench-201 stand under their own names, those of other benchmarks behind that of their space.
    Raises MissingData if there is no table at all.
    """
    facts, missing = {}, []
    for space in TABLES:
        try:
            tables = _tables_at_hand(space, data_dir)
        except MissingData as error:
            missing.append(error)
            continue
        for table in tables:
            name = table.dataset if space == "nasbench201" else f"{space} {table.dataset}"
            facts[name] = _facts(table, data_dir)
    if not facts:
        raise missing[0]
    return facts


def _tables_at_hand(space: str, data_dir: Path | None) -> list[Benchmark]:
    names = list(datasets(space))
    if space == "nasbench201":  # its file may lack a data set, or have one more
        names = nasbench201.datasets_at_hand(data_dir)
    return [load_table(space, name, data_dir) for name in names]


def _facts(table: Benchmark, data_dir: Path | None) -> dict[str, Any]:
    from nasbench.protocol.table_judge import TableJudge

    facts: dict[str, Any] = {"file": str(table.file)}
    if isinstance(table, Table):
        facts["cells"] = len(table.row)
        facts["best validation accuracy"] = float(table.valid_accuracy.max())
        facts["mean test accuracy"] = TableJudge(table, data_dir).baseline().mean
    elif isinstance(table, Surrogate):
        facts["measured"] = len(table.measured)
        facts["best validation accuracy"] = max(table.measured.values())
        facts |= {f"error of predictions, {name.replace('_', ' ')}": value for name, value in table.error.items()}
    return {**facts, "fingerprint": table.fingerprint}


def import_source(source: str, data_dir: Path | None, reporter: Reporter) -> Path:
    """Convert a benchmark's original files, or download a data set, into the data folder; return what was made."""
    target = data_dir if data_dir is not None else user_data_folder()
    if source.lower() in DOWNLOADS:
        from nasbench.datasets.download import download

        return download(source.lower(), target)
    if source.lower() == nasbench_graph.SPACE:
        return nasbench_graph.import_package(target)
    path = Path(source)
    if not path.exists():
        if source.lower() in CITATIONS:
            raise MissingData(f"{source} is not downloaded; give {planetoid.how_to_get(source.lower())}.")
        if "/" in source or "." in source:
            raise MissingData(f"{source} does not exist.")
        raise unknown("data set to import", source, [*DOWNLOADS, nasbench_graph.SPACE])
    try:
        for benchmark in IMPORTERS:
            if benchmark.is_original(path):
                return benchmark.import_file(path, target)
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}.") from error
    if not path.is_dir():
        raise BadInput(
            f"{source} is a file; give the folder NATS-tss-v1_0-3ffb9-simple with its .pickle.pbz2 files, "
            f"{nasbench_macro.ORIGINALS[0]}, {naslib.ORIGINALS[0]}, a CSV table of NAS-Bench-201, the CSV files of "
            "the Once-for-All sub-networks, or the folder with the files ind.cora.*."
        )
    if (path / "processed").is_dir():
        raise BadInput(f"a data set that torch-geometric has stored needs no import: use it as --dataset {source}.")
    return _import_nats_bench(path, target, reporter)


def _import_nats_bench(folder: Path, target: Path, reporter: Reporter) -> Path:
    from nasbench.tables.nats_bench import import_folder

    with reporter.phase("importing NATS-Bench", 15_625) as step, TemporaryDirectory() as aside:
        table = import_folder(folder, Path(aside), lambda done: step(done, "cells read"))
        return nasbench201_file.import_file(table, target)

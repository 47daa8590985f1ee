"""The converted files of NAS-Bench-201: the same numbers, quickly read; and what an import refuses."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasbench.core.errors import BadInput
from nasbench.tables import held_out
from nasbench.tables.nasbench201 import load, load_latency
from nasbench.tables.nasbench201_file import (
    ACCURACY_FILE,
    CONVERTED_ACCURACY,
    CONVERTED_LATENCY,
    LATENCY_FILE,
    import_file,
    is_original,
)


def test_a_converted_table_says_the_same(table: Path, tmp_path: Path) -> None:
    folder = table / "nasbench201"
    assert is_original(folder) and is_original(table / ACCURACY_FILE) and is_original(table / LATENCY_FILE)
    assert import_file(folder, tmp_path) == tmp_path / CONVERTED_ACCURACY
    assert {file.name for file in (tmp_path / "nasbench201").iterdir()} == {"accuracy.npz", "latency_ms.npz"}
    for dataset in ("cifar10", "cifar100"):
        before, after = load(dataset, table), load(dataset, tmp_path)
        assert after.file == tmp_path / CONVERTED_ACCURACY
        assert (after.row, after.fingerprint) == (before.row, before.fingerprint)
        assert np.array_equal(after.valid_accuracy, before.valid_accuracy)
        assert np.array_equal(held_out.test_accuracies(dataset, tmp_path), held_out.test_accuracies(dataset, table))
    assert load_latency("raspi4", tmp_path) == load_latency("raspi4", table)
    started = time.process_time()
    load("cifar10", tmp_path)
    assert time.process_time() - started < 0.2
    for name in (CONVERTED_ACCURACY, CONVERTED_LATENCY):
        damaged = tmp_path / name
        damaged.write_bytes(damaged.read_bytes()[:-500])
    for read in (lambda: load("cifar10", tmp_path), lambda: load_latency("raspi4", tmp_path)):
        with pytest.raises(BadInput, match="is damaged"):
            read()


def without_a_column(lines: list[str]) -> list[str]:
    return [lines[0].replace("_valid_12", "_valid_13"), *lines[1:]]


def a_cell_twice(lines: list[str]) -> list[str]:
    fields, other = lines[5].split(","), lines[6].split(",")
    return [*lines[:5], ",".join([fields[0], other[1], *fields[2:]]), *lines[6:]]


def no_operation(lines: list[str]) -> list[str]:
    return [*lines[:5], lines[5].replace("~0", "x~0", 1), *lines[6:]]


def above_100(lines: list[str]) -> list[str]:
    fields = lines[5].split(",")
    return [*lines[:5], ",".join([*fields[:2], "100.1", *fields[3:]]), *lines[6:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_column, "no column that ends in '_valid_12'"),
        (lambda lines: lines[:-1], "15624 rows"),
        (lambda lines: [*lines[:-1], lines[-2]], "15625 rows; .* with the indices 0 to 15624"),
        (a_cell_twice, "15624 different cells"),
        (no_operation, "is no cell of the benchmark"),
        (above_100, "between 0 and 100"),
    ],
)
def test_what_is_refused_writes_nothing(
    table: Path, tmp_path: Path, change: Callable[[list[str]], list[str]], message: str
) -> None:
    lines = gzip.decompress((table / ACCURACY_FILE).read_bytes()).decode().splitlines()
    file = tmp_path / "table.csv.gz"
    file.write_bytes(gzip.compress("\n".join(change(lines)).encode(), compresslevel=1))
    assert is_original(file)
    with pytest.raises(BadInput, match=message):
        import_file(file, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_other_files_are_not_taken_for_it(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"index,arch\n", gzip.compress(b"number,arch\n"), gzip.compress(b"\xff"))):
        file = tmp_path / str(number)
        file.write_bytes(content)
        assert not is_original(file)
    assert not is_original(tmp_path)

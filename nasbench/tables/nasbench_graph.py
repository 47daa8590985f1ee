"""NAS-Bench-Graph (Qin et al., NeurIPS 2022 datasets track): trained graph neural networks on nine data sets.

The authors' package ``nas-bench-graph`` brings one pickle a data set: for each network, named by five digits,
validation and test performance, latency and number of parameters, means of three trainings. They are read with an
allow-list of types and without importing the package, checked, and stored as ``nasbench_graph/DATASET.npz``: by
`import_package` in the data folder, else when first needed in the cache folder. A file has ``key`` [networks], sorted,
and the numbers ``valid``, ``held_out`` (shares of 1), ``latency`` (seconds), ``parameters`` (millions) in that order.

Proteins has another space, see `nasbench.tables.nasbench_graph_proteins`. Test scores are read in
`nasbench.tables.held_out` alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache, partial
from pathlib import Path

import numpy as np

from nasbench.core import restricted_pickle
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData, NotTrained, unknown
from nasbench.core.locations import cache_folder, find
from nasbench.search_spaces.nasbench_graph import NOTHING, NasBenchGraph, NasBenchGraphProteins
from nasbench.tables import converted
from nasbench.tables.table import Score, Source, Spec, Table

SPACE = NasBenchGraph.name
PROTEINS = "proteins"
CLASSES = {"cora": 7, "citeseer": 6, "pubmed": 3, "cs": 15, "physics": 5, "photo": 8, "computers": 10, "arxiv": 40}
PACKAGE = "nas_bench_graph"
FOLDER = "nasbench_graph"
DEVICE = "gpu"
"""The one device whose latencies the benchmark has; its authors' package does not say which it is."""

ENTRIES = {"valid": "valid_perf", "held_out": "perf", "latency": "latency", "parameters": "para"}
"""Our names of the numbers, and those in the authors' pickles."""

CONTENT = {
    "cora": "79dc9279281a3e101eca980902967e5c4e457dbaead52dc31cbf1fb54ce1ef11",
    "citeseer": "7e5e24f1ebfdb749f432a67ffad947991aa7b31442fb03e2cf1a6eafec553400",
    "pubmed": "b6db551aed28b3762055268f5ce225f612cb079efe500e9668dbca9fe91a4b87",
    "cs": "a727f6d3343d13a67164b580386aef7a095424373fd84d086cc356c4d5ea2545",
    "physics": "5c00beee96bba75ed5270ba46857ad741e9031516ebe965da96bea3cb0500b3b",
    "photo": "2c911ffecb99d9362a61d54689210a018202fea05847024c346f52f429b97413",
    "computers": "b601a89273956eefeece18f23fef5152ba6fe172de409bbac60c2818ea9955e9",
    "arxiv": "e4cfe9f24f82a52fee254afb68f39890e76f6abc55ca4ff304f749fae8ab5513",
    "proteins": "5e9a4e7d6706b39f48750574f2e78308ae23709ce2f09adf400cba84914f133e",
}
"""SHA-256 of the four numbers of all networks, sorted by key, as little-endian 64-bit floats."""

ABOUT_SCORES = (
    "NAS-Bench-Graph has the means of three trainings of each network: the search saw the mean validation accuracy, "
    "and the test accuracy reported here is the mean over the same trainings."
)
ABOUT_PROTEINS = (
    "On proteins a node has 112 labels of its own and scores are those of the data set, ROC-AUC in percent; where an "
    "accuracy is named, that is meant, and chance is 50."
)


@dataclass(frozen=True)
class Numbers:
    """What the benchmark says of its networks, each [networks] in the order of ``key``; see the module."""

    key: np.ndarray
    valid: np.ndarray
    held_out: np.ndarray
    latency: np.ndarray
    parameters: np.ndarray


@dataclass(frozen=True, kw_only=True)
class GraphTable(Table):
    """Scores by encoding; ``network`` [rows] is the place of each in the numbers by key, ``parameters`` [networks]."""

    network: np.ndarray
    parameters: np.ndarray

    def by_encoding(self, values: np.ndarray) -> np.ndarray:
        """Spread numbers [networks] over the rows."""
        return np.asarray(values[self.network])

    def score(self, architecture: Architecture) -> Score:
        row = self.row.get(architecture.spec)
        if row is None:
            if architecture.spec[-len(NOTHING) :] == NOTHING:
                raise NotTrained("four skips compute nothing; NAS-Bench-Graph has no such network.")
            return super().score(architecture)
        further = {"parameters": float(self.parameters[self.network[row]])}
        return Score(float(self.valid_accuracy[row]), "table", further)


class Rows(Mapping[Spec, int]):
    """The row of each encoding of a space, computed when asked for: there are many."""

    def __init__(self, space: type[NasBenchGraph]) -> None:
        self._space = space

    def __getitem__(self, spec: Spec) -> int:
        return self._space.row(spec)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._space.all_specs())

    def __len__(self) -> int:
        return len(networks(self._space)[1])


class Latencies(Mapping[Spec, float]):
    """Milliseconds by encoding."""

    def __init__(self, row: Rows, milliseconds: np.ndarray) -> None:
        self._row, self._milliseconds = row, milliseconds

    def __getitem__(self, spec: Spec) -> float:
        return float(self._milliseconds[self._row[spec]])

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


def load(dataset: str, data_dir: Path | None = None) -> GraphTable:
    """Read the search scores of a data set, whatever the case of its name.

    Raises MissingData if there is neither a file nor the package, BadInput if the numbers are not the benchmark's.
    """
    name = dataset.lower()
    if name == PROTEINS:
        raise BadInput(
            f"NAS-Bench-Graph has five of the nine operations on {PROTEINS}, which is a space of its own: use "
            f"--space {NasBenchGraphProteins.name}."
        )
    if name not in CLASSES:
        raise unknown("data set in the NAS-Bench-Graph table", dataset, [*CLASSES, PROTEINS])
    return read_table(NasBenchGraph, name, CLASSES[name], data_dir)


def read_table(space: type[NasBenchGraph], dataset: str, classes: int, data_dir: Path | None) -> GraphTable:
    """Return the table of a data set over all encodings of a space."""
    file = locate(dataset, data_dir)
    found = numbers(file, dataset)
    row, network = Rows(space), networks(space)[1]
    valid = percent(found.valid)
    return GraphTable(
        space=space.name,
        dataset=dataset,
        classes=classes,
        row=row,
        valid_accuracy=valid[network],
        fidelity="mean of three trainings",
        file=file,
        fingerprint=hashlib.sha256(f"{space.name} {dataset}".encode() + valid.tobytes()).hexdigest()[:16],
        notes=(ABOUT_SCORES, *([ABOUT_PROTEINS] if dataset == PROTEINS else []), about_encodings(space)),
        network=network,
        parameters=np.round(1e6 * found.parameters, 2),
        latencies=partial(_latencies, row, network, found.latency),
    )


def about_encodings(space: type[NasBenchGraph]) -> str:
    """Return what must be said of random architectures of this table."""
    count = np.bincount(networks(space)[1])
    return (
        f"The {count.sum():,} encodings (link lists and operations of four nodes, nothing but skips left out) are "
        f"{len(count):,} different networks, and encodings of one network share its three trainings. Random search and "
        "the average random architecture draw encodings uniformly, as the benchmark's own searches do, so that a "
        f"network counts as often as it has encodings ({count.min()} to {count.max()}); a method that recognises equal "
        "networks sees more of them with as many evaluations."
    )


def locate(dataset: str, data_dir: Path | None = None) -> Path:
    """Return the converted file of a data set, from a data folder or the cache, where it is made if need be."""
    name = _file(dataset)
    imported = find([name], data_dir)
    if imported is not None:
        return imported
    cached = cache_folder() / name
    if cached.exists():
        try:
            numbers(cached, dataset)
            return cached
        except BadInput:
            pass  # what is in the cache can be made again
    return convert(dataset, cache_folder())


def elsewhere(dataset: str) -> Path | None:
    """Return where a data set lies if it was not imported: in the installed package, or converted in the cache."""
    cached, original = cache_folder() / _file(dataset), original_file(dataset)
    return original if original is not None else cached if cached.exists() else None


def original_file(dataset: str) -> Path | None:
    """Return the authors' pickle in the installed package, which is not imported; None if it is not there."""
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        file = Path(folder) / "light" / f"{dataset}.bench"
        if file.exists():
            return file
    return None


def import_package(target: Path) -> Path:
    """Convert all data sets of the installed package to ``nasbench_graph/`` under ``target``; return that folder."""
    for dataset in (*CLASSES, PROTEINS):
        convert(dataset, target)
    return target / FOLDER


def convert(dataset: str, target: Path) -> Path:
    """Convert the authors' pickle of a data set to ``nasbench_graph/DATASET.npz`` under ``target``; return the file.

    Raises MissingData if the package is not installed, BadInput, and writes nothing, unless all is as published.
    """
    original = original_file(dataset)
    if original is None:
        raise MissingData(
            f"the NAS-Bench-Graph table of {dataset} ({_file(dataset)}) is in none of the data folders, and the "
            "package that has it is not installed: pip install 'nasbench[graph]'."
        )
    found = read_original(original, dataset)
    arrays = {field.name: getattr(found, field.name) for field in fields(Numbers)}
    return converted.write(target / _file(dataset), arrays, compressed=False)


def read_original(file: Path, dataset: str) -> Numbers:
    """Read an authors' pickle; raise BadInput unless it has the networks and numbers as published."""
    try:
        with file.open("rb") as data:
            entries = restricted_pickle.load(str(file), data, restricted_pickle.SCALARS)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from error
    expected = _keys(dataset)
    if not isinstance(entries, dict) or entries.keys() != set(expected.tolist()):
        count = len(entries) if isinstance(entries, dict) else 0
        raise BadInput(f"{file}: {count} entries; NAS-Bench-Graph has {len(expected)} networks on {dataset}.")
    try:
        columns = {
            name: np.array([float(entries[key][original]) for key in expected.tolist()])
            for name, original in ENTRIES.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{file}: not the four numbers of a network ({error!r}).") from error
    return checked(file, dataset, Numbers(expected, **columns))


def numbers(file: Path, dataset: str) -> Numbers:
    """Read a converted file; raise BadInput unless all is as published."""
    return checked(file, dataset, Numbers(*converted.read(file, *(field.name for field in fields(Numbers)))))


def checked(file: Path, dataset: str, found: Numbers) -> Numbers:
    """Return the numbers; raise BadInput unless they are those of the data set."""
    if not np.array_equal(found.key, _keys(dataset)):
        raise BadInput(f"{file}: its networks are not those of NAS-Bench-Graph on {dataset}.")
    if digest(found) != CONTENT[dataset]:
        raise BadInput(f"{file}: the numbers are not those of NAS-Bench-Graph on {dataset} (their checksum differs).")
    return found


def digest(found: Numbers) -> str:
    """Return the SHA-256 of the numbers."""
    columns = [np.asarray(getattr(found, name)) for name in ENTRIES]
    return hashlib.sha256(b"".join(column.astype("<f8").tobytes() for column in columns)).hexdigest()


def percent(shares: np.ndarray) -> np.ndarray:
    """Return shares of 1 in percent, without the last bits, in which equal means of three may differ."""
    return np.asarray(np.round(100 * shares, 6))


def _latencies(row: Rows, network: np.ndarray, seconds: np.ndarray, device: str, data_dir: Path | None) -> Latencies:
    if device != DEVICE:
        raise unknown("device", device, [DEVICE])
    return Latencies(row, (1e3 * seconds)[network])


@cache
def networks(space: type[NasBenchGraph]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted keys of a space [networks], and the place in them of each encoding [rows]."""
    keys, place = np.unique(space.all_keys(), return_inverse=True)
    return keys, place


def _keys(dataset: str) -> np.ndarray:
    return networks(NasBenchGraphProteins if dataset == PROTEINS else NasBenchGraph)[0]


def _file(dataset: str) -> str:
    return f"{FOLDER}/{dataset}.npz"


def source(dataset: str) -> Source:
    """Return where a data set comes from."""
    return Source(
        _file(dataset),
        "NAS-Bench-Graph: pip install 'nasbench[graph]', and if you like 'nasbench data import nasbench-graph'",
        elsewhere=partial(elsewhere, dataset),
    )


SOURCES = tuple(map(source, CLASSES))

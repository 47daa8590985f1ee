"""Cora, CiteSeer and PubMed in the files of Yang et al. ("Revisiting Semi-Supervised Learning", ICML 2016).

Imports no torch at module level, so that looking for the files is instant.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nasbench.core import restricted_pickle
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.locations import data_folders, find

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from nasbench.datasets.graph_splits import NodeSource

TITLES = {"cora": "Cora", "citeseer": "CiteSeer", "pubmed": "PubMed"}
URL = "https://github.com/kimiyoung/planetoid/tree/master/data"
FILES = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
READ = ("allx", "tx", "y", "ally", "ty", "graph", "test.index")  # x is the first rows of allx
VALIDATION_NODES = 500

Integers = npt.NDArray[np.int64]


class _StoredMatrix:
    """Stands in for SciPy's matrix of compressed rows: keeps its state, and runs none of its code."""

    state: Mapping[Any, Any] = {}

    def __setstate__(self, state: Mapping[Any, Any]) -> None:
        self.state = state


ALLOWED: restricted_pickle.Allowed = {
    **restricted_pickle.ARRAYS,
    ("scipy.sparse.csr", "csr_matrix"): _StoredMatrix,
    ("scipy.sparse._csr", "csr_matrix"): _StoredMatrix,
    ("collections", "defaultdict"): lambda factory=None: {},
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
}


def names_in(folder: Path) -> list[str]:
    """Return the names of the data sets whose files lie in a folder or its ``raw``: ``cora`` for ``ind.cora.allx``."""
    found = [file.name.split(".", 2) for place in (folder, folder / "raw") for file in place.glob("ind.*.*")]
    return sorted({name for _, name, part in found if part in FILES})


def locate(name: str, data_dir: Path | None) -> Path | None:
    """Return the folder that holds the files of ``cora``, ``citeseer`` or ``pubmed``, None if there is none.

    Looked for in every data folder are ``planetoid/Cora/raw``, ``Planetoid/Cora/raw``, ``Cora/raw``, ``Cora`` (as
    torch-geometric lays them out; also in small letters), ``planetoid``, and the folder itself.
    """
    inside = [f"{spelling}{raw}" for spelling in (TITLES[name], name) for raw in ("/raw", "")]
    folders = [f"{prefix}{place}" for prefix in ("planetoid/", "Planetoid/", "") for place in inside]
    marker = f"ind.{name}.allx"
    places = [*folders, "planetoid", "Planetoid", "planetoid/data", "raw"]
    found = find([*(f"{place}/{marker}" for place in places), marker], data_dir)
    return None if found is None else found.parent


def how_to_get(name: str) -> str:
    """Say where the files of ``cora``, ``citeseer`` or ``pubmed`` come from, and how they are brought in."""
    return (
        f"the eight files ind.{name}.x, .tx, .allx, .y, .ty, .ally, .graph and .test.index from {URL} in a folder, "
        "then 'nasbench data import FOLDER'"
    )


def read_built_in(name: str, data_dir: Path | None) -> NodeSource:
    """Read ``cora``, ``citeseer`` or ``pubmed`` from a data folder; MissingData says what to get and from where."""
    folder = locate(name, data_dir)
    if folder is None:
        places = ", ".join(str(place) for place in data_folders(data_dir))
        raise MissingData(
            f"{TITLES[name]} is not in {places}. To get it: {how_to_get(name)}; or name the folder with --data-dir."
        )
    return read_planetoid(folder, name)


def read_planetoid(folder: Path, name: str) -> NodeSource:
    """Read the files ``ind.<name>.*`` of a folder or of ``raw`` in it, with the public split.

    The first rows, 20 a class, are for training, the 500 after them for validation, the 1,000 of ``test.index`` for
    testing. Rows of features are divided by their sum. Loops and repeated edges are left out. Where ``test.index``
    skips a node (15 isolated ones of CiteSeer) its features are zero, and it has no label and is in no part.
    Raises BadInput if a file is missing or damaged, or holds anything but numbers.
    """
    import torch
    from scipy.sparse import coo_matrix, vstack

    from nasbench.datasets.graph_splits import NodeSource, Parts
    from nasbench.datasets.graphs import Graph, tidy_edges
    from nasbench.networks.sparse_products import csr

    folder = _raw(folder, name)
    parts = {part: _read(folder / f"ind.{name}.{part}", part) for part in READ}
    allx, tx, testing = parts["allx"], parts["tx"], parts["test.index"]
    known, train = allx.shape[0], len(parts["y"])
    fits = (
        tx.shape == (len(testing), allx.shape[1])
        and len(parts["ally"]) == known
        and len(parts["ty"]) == len(np.unique(testing)) == len(testing)
        and known <= int(testing.min()) <= int(testing.max()) < known + 2 * len(testing)  # gaps are few
        and train + VALIDATION_NODES <= known
        and np.array_equal(parts["y"], parts["ally"][:train])
        and parts["ty"].shape[1] == parts["ally"].shape[1]
    )
    if not fits:
        raise BadInput(f"{folder}: the files ind.{name}.* do not belong together; get them again from {URL}.")

    nodes = int(testing.max()) + 1
    places = np.concatenate([np.arange(known), testing])
    one_hot = np.zeros((nodes, parts["ally"].shape[1]), dtype=np.int64)
    one_hot[places] = np.concatenate([parts["ally"], parts["ty"]])
    labels = np.where(one_hot.any(1), one_hot.argmax(1), -1)

    stacked = coo_matrix(vstack([allx, tx]))
    features = coo_matrix((stacked.data, (places[stacked.row], stacked.col)), (nodes, allx.shape[1])).tocsr()
    features.eliminate_zeros()
    sums = np.asarray(features.sum(1)).ravel()
    features.data /= np.repeat(np.where(sums == 0, 1, sums), np.diff(features.indptr))
    crow, columns = (torch.from_numpy(part.astype(np.int64)) for part in (features.indptr, features.indices))
    values = torch.from_numpy(features.data.astype(np.float32))
    edges = torch.from_numpy(_edges(parts["graph"], folder / f"ind.{name}.graph", nodes))
    graph = Graph(csr(crow, columns, values, (nodes, allx.shape[1])), tidy_edges(edges, nodes))
    public = (np.arange(train), np.arange(train, train + VALIDATION_NODES), np.sort(testing))
    classes = tuple(str(label) for label in range(one_hot.shape[1]))
    split = Parts(*map(torch.from_numpy, public))
    return NodeSource(graph, torch.from_numpy(labels), classes, f"ind.{name}.*", (split,))


def is_original(source: Path) -> bool:
    """Say whether a folder holds the files of one of the three data sets, as `import_file` looks for them."""
    return source.is_dir() and bool(_originals(source))


def import_file(source: Path, target: Path) -> Path:
    """Copy the files of every one of the three data sets in a folder to ``target/planetoid/<Name>/raw``.

    They may lie in the folder itself, in its ``raw``, or in ``<Name>/raw``. What was not read without fault is not
    copied. Returns the folder ``planetoid``.
    """
    for folder, name in _originals(source):
        read_planetoid(folder, name)
        place = target / "planetoid" / TITLES[name] / "raw"
        place.mkdir(parents=True, exist_ok=True)
        for file in (_raw(folder, name) / f"ind.{name}.{part}" for part in FILES):
            if file.exists() and file.resolve() != (place / file.name).resolve():
                shutil.copyfile(file, place / file.name)
    return target / "planetoid"


def _raw(folder: Path, name: str) -> Path:
    return folder if any(folder.glob(f"ind.{name}.*")) else folder / "raw"


def _originals(source: Path) -> list[tuple[Path, str]]:
    places = [source, *(source / title for title in TITLES.values())]
    return [(place, name) for place in places for name in names_in(place) if name in TITLES]


def _edges(lists: Mapping[int, list[int]], file: Path, nodes: int) -> Integers:
    """Return the lists of neighbours as edges [2, n], from neighbour to node, as they stand in the file."""
    pairs = [(neighbour, node) for node, neighbours in lists.items() for neighbour in neighbours]
    if not all(type(end) is int and 0 <= end < nodes for pair in pairs for end in pair):
        raise BadInput(f"{file} names nodes that are not there; the data set has nodes 0 to {nodes - 1}.")
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _read(file: Path, part: str) -> Any:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{file.parent} lacks {file.name}; get it from {URL}.") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from error
    found: Any = data if part == "test.index" else restricted_pickle.load(str(file), io.BytesIO(data), ALLOWED)
    try:
        if part == "test.index":
            found = np.array(data.split(), dtype=np.int64)
            good = len(found) > 0
        elif part in ("allx", "tx"):
            good, found = True, _matrix(found.state)
        elif part == "graph":
            good = isinstance(found, dict) and all(isinstance(neighbours, list) for neighbours in found.values())
        else:
            good = found.ndim == 2 and found.dtype.kind in "iu" and not ((found < 0) | (found > 1)).any()
            good = good and not (found.sum(1) > 1).any()
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise BadInput(f"{file} does not hold what such a file holds; get it from {URL}.")
    return found


def _matrix(state: Mapping[Any, Any]) -> csr_matrix:
    """Return the matrix of this state, float64; raise an error of many kinds if it is none."""
    from scipy.sparse import csr_matrix

    named = {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in state.items()}
    data, shape = np.asarray(named["data"]), named.get("_shape") or named["shape"]
    if data.dtype.kind not in "fiu" or not np.isfinite(data).all():
        raise ValueError("a feature is no number")
    matrix = csr_matrix((data.astype(np.float64), named["indices"], named["indptr"]), shape=shape)
    matrix.check_format(full_check=True)
    return matrix

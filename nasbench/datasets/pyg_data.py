"""Graphs of torch-geometric: a data set that it has stored on disk, or a ``Data`` that the user's code made.

Nothing here imports torch-geometric: of a file, only tensors and plain values are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from nasbench.core.errors import BadInput
from nasbench.datasets.graph_splits import GraphSource, NodeSource, Parts
from nasbench.datasets.graphs import Graph, Graphs, packed, tidy_edges
from nasbench.networks.sparse_products import csr

MASKS = ("train_mask", "val_mask", "test_mask")
NEEDED = {"x": "features of nodes", "edge_index": "edges", "y": "labels"}
READ = (*NEEDED, *MASKS, "num_nodes", "batch", "ptr")
FILES_BESIDE = ("pre_filter.pt", "pre_transform.pt")


class _Plain:
    """Stands in for a class of torch-geometric that a file names: an object with the same values and no code."""


SAFE = tuple(
    (type(name.rpartition(".")[2], (_Plain,), {}), f"torch_geometric.data.{name}")
    for name in (
        "data.Data",
        "storage.GlobalStorage",
        "storage.BaseStorage",
        "data.DataEdgeAttr",
        "data.DataTensorAttr",
    )
)


def stored_file(path: Path) -> Path | None:
    """Return the file of a data set of torch-geometric, given it, its folder or ``processed``; None if it is none."""
    if path.is_file():
        return path if path.suffix == ".pt" else None
    folder = path if path.name == "processed" else path / "processed"
    files = sorted(file for file in folder.glob("*.pt") if file.name not in FILES_BESIDE)
    usual = [file for file in files if file.name == "data.pt"]
    return (usual or files)[0] if usual or len(files) == 1 else None


def read_stored(file: Path) -> NodeSource | GraphSource:
    """Read ``processed/data.pt``: one graph with masks, or many graphs with a label each. See `source_of`.

    Read with torch's own restricted reader, which executes nothing. Raises BadInput if the file cannot be read so.
    """
    where = str(file)
    found = _load(file)
    values, slices = found[:2] if isinstance(found, tuple) and len(found) in (2, 3) else (found, None)
    if isinstance(values, _Plain):  # an object of today holds its values in a store, one of earlier versions itself
        values = vars(values)
        store = values.get("_store")
        values = vars(store).get("_mapping") if isinstance(store, _Plain) else values
    if not isinstance(values, Mapping) or not (slices is None or isinstance(slices, Mapping)):
        raise BadInput(f"{where} holds no graph of torch-geometric (one 'Data', or many of them with their slices).")
    return _source([dict(values)] if slices is None else _cut(values, slices, where), where)


def source_of(value: Any, where: str) -> NodeSource | GraphSource:
    """Return the source that a ``Data``, a list of them, or a data set of torch-geometric is.

    Of each graph are read ``x`` (numbers, as given), ``edge_index`` (directions as given; loops and repeated edges left
    out), ``y`` (whole numbers; of one graph one a node, negative where unknown; of many one a graph) and the masks.
    Raises BadInput naming what is missing or does not fit.
    """
    try:
        items = [value] if is_data(value) else [value[number] for number in range(len(value))]
    except Exception as error:  # whatever the user's data set raises
        raise BadInput(f"{where} cannot be read as graphs: {type(error).__name__}: {error}") from error
    if strange := [item for item in items if not is_data(item)]:
        raise BadInput(f"{where}: expected graphs alone, and one item is a {type(strange[0]).__name__}.")
    return _source([dict(item.to_dict()) for item in items], where)


def is_data(value: Any) -> bool:
    """Say whether a value looks like torch-geometric's ``Data``."""
    return not isinstance(value, type) and hasattr(value, "edge_index") and hasattr(value, "to_dict")


def is_graph_data(value: Any) -> bool:
    """Say whether `source_of` is meant to read a value: a ``Data``, a list of them, a data set of torch-geometric."""
    if isinstance(value, list | tuple):
        return bool(value) and is_graph_data(value[0])
    ancestors = {kind.__module__.split(".")[0] for kind in type(value).__mro__}
    return is_data(value) or "torch_geometric" in ancestors


def _source(graphs: list[dict[str, Any]], where: str) -> NodeSource | GraphSource:
    if not graphs:
        raise BadInput(f"{where} holds no graphs.")
    for number, graph in enumerate(graphs):
        _check_values(graph, where if len(graphs) == 1 else f"{where}: graph {number}")
    return _node_source(graphs[0], where) if len(graphs) == 1 else _graph_source(graphs, where)


def _node_source(values: Mapping[str, Any], where: str) -> NodeSource:
    """Return one graph, with the splits that its masks are."""
    features, labels = _features(values["x"], where), _labels(values["y"], where).clamp(min=-1)
    nodes = len(features)
    if len(labels) != nodes:
        raise BadInput(f"{where}: {nodes} nodes and {len(labels)} labels; give one label a node, or several graphs.")
    try:
        graph = Graph(features, tidy_edges(_edges(values["edge_index"]), nodes))
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    splits = _masked(values, nodes, where)
    return NodeSource(graph, labels, _class_names(labels), _origin(where), splits, ignored=_ignored(values))


def _graph_source(graphs: list[dict[str, Any]], where: str) -> GraphSource:
    if len(widths := {graph["x"].shape[1] for graph in graphs}) > 1:
        raise BadInput(f"{where}: graphs have {min(widths)} and {max(widths)} features a node; one number is needed.")
    for number, graph in enumerate(graphs):
        if graph["y"].numel() != 1:
            raise BadInput(
                f"{where}: graph {number} of {len(graphs)} has {graph['y'].numel()} labels; several graphs need one "
                "label each, and labels of nodes are read of one graph alone."
            )
        if not len(graph["x"]):
            raise BadInput(f"{where}: graph {number} has no nodes.")
    features = _features(torch.cat([graph["x"].to_dense() for graph in graphs]), where)
    labels = _labels(torch.cat([graph["y"].reshape(1) for graph in graphs]), where)
    edges = torch.cat([_edges(graph["edge_index"]) for graph in graphs], dim=1)
    sizes = torch.tensor([len(graph["x"]) for graph in graphs])
    owner = torch.repeat_interleave(torch.tensor([graph["edge_index"].shape[1] for graph in graphs]))
    if (stray := ((edges < 0) | (edges >= sizes[owner])).any(0).nonzero()).numel():
        number = int(owner[stray[0]])
        last = int(sizes[number]) - 1
        raise BadInput(f"{where}: an edge of graph {number} names a node that is not there; it has 0 to {last}.")
    whole = Graph(features, tidy_edges(edges + (sizes.cumsum(0) - sizes)[owner], len(features)))
    joined = Graphs(whole, torch.repeat_interleave(sizes), labels)
    return GraphSource(joined, _class_names(labels), _origin(where), _ignored(graphs[0]))


def _cut(values: Mapping[str, Any], slices: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the graphs that were stored one behind the other, the values of each."""
    _check_values(values, where)
    tensors = {"x": values["x"].to_dense(), "edge_index": values["edge_index"].T, "y": values["y"]}
    bounds = {}
    for key, tensor in tensors.items():
        try:
            bounds[key] = [int(bound) for bound in slices[key]]
        except (KeyError, TypeError, ValueError):
            raise BadInput(f"{where}: the slices of {key} are missing or damaged.") from None
        rising = bounds[key] == sorted(bounds[key]) and bounds[key][:1] == [0] and bounds[key][-1] == len(tensor)
        if not rising or len(bounds[key]) != len(bounds["x"]):
            raise BadInput(f"{where}: the slices of {key} do not fit its {len(tensor)} entries.")
    count = len(bounds["x"]) - 1
    if count == 1:
        return [dict(values)]
    cut = {key: [tensors[key][a:b] for a, b in pairwise(bound)] for key, bound in bounds.items()}
    columns = zip(cut["x"], cut["edge_index"], cut["y"], strict=True)
    return [{**values, "x": x, "edge_index": edges.T, "y": y} for x, edges, y in columns]


def _load(file: Path) -> Any:
    marked = get_safe_globals()  # torch-geometric marks its own classes as safe: here, what stands in for them is read
    clear_safe_globals()
    add_safe_globals(list(SAFE))
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from error
    except Exception as error:  # a damaged or refused file fails with errors of nearly every type
        refused = re.search(r"GLOBAL ([\w.]+\w)", str(error))
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        why = f"it names {refused[1]}" if refused else f"it is damaged or of another kind ({first})"
        raise BadInput(
            f"{file} is not read, because {why}; allowed are tensors and plain values in a 'Data'. Nothing was run."
        ) from error
    finally:
        clear_safe_globals()
        add_safe_globals(marked)


def _check_values(values: Mapping[str, Any], where: str) -> None:
    """Raise BadInput unless features, edges and labels are tensors of the right dimensions."""
    for key, what in NEEDED.items():
        if not isinstance(values.get(key), Tensor):
            names = ", ".join(sorted(str(name) for name, value in values.items() if value is not None)) or "nothing"
            raise BadInput(f"{where} has no {what} ({key}, a tensor); it has: {names}.")
    if values["x"].ndim != 2:
        raise BadInput(f"{where}: x must be [nodes, features], not {list(values['x'].shape)}.")
    edges = values["edge_index"]
    if edges.ndim != 2 or len(edges) != 2 or edges.dtype not in (torch.int64, torch.int32):
        raise BadInput(f"{where}: edge_index must be whole numbers [2, edges], not {edges.dtype} {list(edges.shape)}.")


def _features(x: Tensor, where: str) -> Tensor:
    """Return features as float32, in CSR if they are sparse or if that pays."""
    if x.is_complex():
        raise BadInput(f"{where}: features must be real numbers, not {x.dtype}.")
    x = x.detach().to("cpu")
    if x.layout == torch.strided:
        features = packed(x.to(torch.float32).contiguous())
    else:
        rows = x.to_sparse_csr()
        stored = (rows.crow_indices().long(), rows.col_indices().long(), rows.values().to(torch.float32))
        features = csr(*stored, (x.shape[0], x.shape[1]))
    numbers = features if features.layout == torch.strided else features.values()
    if not numbers.isfinite().all():
        raise BadInput(f"{where}: features hold a number that is not finite.")
    return features


def _labels(y: Tensor, where: str) -> Tensor:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise BadInput(f"{where}: labels are {list(y.shape)}; one class a node or graph is read, not several at once.")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise BadInput(f"{where}: labels are {y.dtype}; allowed are whole numbers from 0 (y.long()).")
    if y.numel() and int(y.max()) >= y.numel():
        raise BadInput(
            f"{where}: a label is {int(y.max())}; classes are numbered from 0, and there are {y.numel()} labels."
        )
    return y.detach().to("cpu", torch.int64)


def _edges(edges: Tensor) -> Tensor:
    return edges.detach().as_subclass(Tensor).to("cpu", torch.int64)  # torch-geometric has a class of its own for them


def _class_names(labels: Tensor) -> tuple[str, ...]:
    return tuple(str(label) for label in range(int(labels.max()) + 1 if len(labels) else 0))


def _masked(values: Mapping[str, Any], nodes: int, where: str) -> tuple[Parts, ...]:
    """Return the splits that the masks are: [nodes] for one, [nodes, splits] for several; none without all three."""
    columns = []
    for key in MASKS:
        mask = values.get(key)
        if mask is None:
            return ()
        if not isinstance(mask, Tensor) or mask.dtype not in (torch.bool, torch.uint8) or mask.shape[:1] != (nodes,):
            form = f"{mask.dtype} {list(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
            raise BadInput(f"{where}: {key} must be bool [{nodes}] or [{nodes}, splits], not {form}.")
        columns.append(mask.detach().to("cpu", torch.bool).reshape(nodes, -1))
    splits = max(column.shape[1] for column in columns)
    if any(column.shape[1] not in (1, splits) for column in columns):
        counts = " and ".join(str(column.shape[1]) for column in columns)
        raise BadInput(f"{where}: the three masks hold {counts} splits.")
    wide = [column.expand(nodes, splits).T for column in columns]
    return tuple(Parts(*(mask.nonzero().flatten() for mask in masks)) for masks in zip(*wide, strict=True))


def _ignored(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(str(key) for key, value in values.items() if key not in READ and isinstance(value, Tensor)))


def _origin(where: str) -> str:
    """Return the last parts of a path, since a split's record holds no folder of this machine."""
    return "/".join(Path(where).parts[-3:])

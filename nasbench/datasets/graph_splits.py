"""Splits of graphs, and the task that a source of nodes or of graphs becomes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasbench.core.errors import BadInput, unknown
from nasbench.core.problem import SearchTask, Task
from nasbench.core.seeding import generator
from nasbench.datasets.graphs import Graph, Graphs, Nodes
from nasbench.datasets.splits import LoadedTask, check_counts, check_fractions, stratified_split

WAYS = ("given", "random", "stratified")
INDUCTIVE = "inductive"
SPLITS = (*WAYS, INDUCTIVE, *(f"{way}-{INDUCTIVE}" for way in WAYS[1:]))
PER_CLASS = (20, 30)


@dataclass(frozen=True)
class Parts:
    """Numbers of the nodes or graphs in the three parts, each int64 and rising. What has no label is in none."""

    train: Tensor
    validation: Tensor
    held_out: Tensor

    def named(self) -> dict[str, Tensor]:
        """Return the parts by the names that a split's record has for them."""
        return {"train": self.train, "validation": self.validation, "test": self.held_out}


@dataclass(frozen=True)
class NodeSource:
    """What a reader of one graph returns. ``labels``: int64 [nodes], -1 where there is none.

    ``given`` are the splits that come with the data: none, one, or several of which the seed picks one. ``per_class``
    is how many nodes of a class the split ``random`` takes for training and for validation, where the usual 20 and 30
    do not fit. ``ignored`` names what the source holds and no network here reads, such as weights of edges.
    """

    graph: Graph
    labels: Tensor
    class_names: tuple[str, ...]
    origin: str
    given: tuple[Parts, ...] = ()
    per_class: tuple[int, int] | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphSource:
    """What a reader of many graphs with a label each returns; see `NodeSource`."""

    graphs: Graphs
    class_names: tuple[str, ...]
    origin: str
    ignored: tuple[str, ...] = ()


def make_graph_task(
    name: str, source: NodeSource | GraphSource, split: str | None, *, seed: int, validation: float, test: float
) -> LoadedTask:
    """Make a task of kind "node" of one graph, or of kind "graph" of many.

    ``split`` is one of `SPLITS`: ``given`` (the default where the data come with a split; of several the one numbered
    ``seed``), ``random`` (`random_parts`), or ``stratified`` (the fractions ``validation`` and ``test`` of the labelled
    nodes or graphs of each class; the default elsewhere, and all there is for many graphs). In all three a search sees
    the whole graph, and of the labels those of its own nodes. With ``inductive`` (for the default) or ``-inductive``
    behind it, the graph of training lacks the nodes of validation and test and their edges, that of validation those of
    test, as in Hamilton et al. (GraphSAGE, NeurIPS 2017, section 4): nodes that are in no part stay in all three.

    Raises BadInput for a split that is not there, parts that overlap or are empty, or a class with too few members.
    """
    if isinstance(source, NodeSource):
        kind, whole, labels = "node", source.graph, source.labels
    else:
        kind, whole, labels = "graph", source.graphs.graph, source.graphs.labels
    check_labels(labels, len(source.class_names), source.origin, least=-1 if kind == "node" else 0)
    if whole.width < 1:
        raise BadInput(f"{source.origin}: the nodes have no features.")

    way, inductive = _way(name, split, source)
    details: dict[str, Any] = {}
    if isinstance(source, NodeSource) and way == "given":
        parts = _given(source, seed)
    elif isinstance(source, NodeSource) and way == "random":
        per_class = source.per_class or PER_CLASS
        parts = random_parts(labels, len(source.class_names), seed, *per_class)
        details = dict(zip(("train_per_class", "validation_per_class"), per_class, strict=True))
    else:
        parts = stratified_parts(labels, source.class_names, seed, validation, test)
        details = {"validation": validation, "test": test}
    _check_parts(labels, parts, source.origin)

    data: list[Nodes] | list[Graphs]
    if isinstance(source, GraphSource):
        data = [source.graphs.subset(numbers) for numbers in parts.named().values()]
    else:
        places = _inductive(whole, parts) if inductive else [(whole, numbers) for numbers in parts.named().values()]
        found = zip(places, parts.named().values(), strict=True)
        data = [Nodes(graph, index, labels[numbers]) for (graph, index), numbers in found]

    default = _default(source)
    title = way if not inductive else INDUCTIVE if way == default else f"{way}-{INDUCTIVE}"
    indices = {f"{part}_indices": numbers.tolist() for part, numbers in parts.named().items()}
    record = {
        "split": title,
        "seed": seed,
        **details,
        "sizes": {part: len(numbers) for part, numbers in parts.named().items()},
        "unlabelled": int((labels < 0).sum()),
        "nodes": whole.nodes,
        "edges": whole.edges.shape[1],
        "classes": list(source.class_names),
        "origin": source.origin,
        "ignored": list(source.ignored),
        **indices,
        "sha256": hashlib.sha256(json.dumps(indices).encode()).hexdigest(),
    }
    digests = [part.digest() for part in data]
    search = SearchTask(
        name=name if title == default else f"{name}@{title}",
        kind=kind,
        input_shape=(whole.width,),
        classes=len(source.class_names),
        train=data[0],
        validation=data[1],
        fingerprint=hashlib.sha256(json.dumps([digests, record["classes"]]).encode()).hexdigest(),
    )
    return LoadedTask(Task(search, data[2]), record)


def random_parts(
    labels: Tensor, classes: int, seed: int, train: int = PER_CLASS[0], validation: int = PER_CLASS[1]
) -> Parts:
    """Draw ``train`` and ``validation`` nodes of each class; all other nodes with a label are for testing.

    20 and 30, as in Shchur et al. ("Pitfalls of Graph Neural Network Evaluation", 2018, section 3), who also keep only
    the largest connected component; here the graph stays whole. Raises BadInput naming a class that is too small.
    """
    rng = generator(seed, "node split")
    chosen = []
    for label in range(classes):
        nodes = np.flatnonzero(labels.numpy() == label)
        if len(nodes) <= train + validation:
            raise BadInput(
                f"class {label} has {len(nodes)} nodes; the split '@random' takes {train} of a class to train on and "
                f"{validation} to validate, and needs one to test. '@stratified' takes shares."
            )
        chosen.append(np.split(rng.permutation(nodes), [train, train + validation]))
    return Parts(*(torch.from_numpy(np.sort(np.concatenate(part))) for part in zip(*chosen, strict=True)))


def stratified_parts(labels: Tensor, class_names: tuple[str, ...], seed: int, validation: float, test: float) -> Parts:
    """Split what has a label by fractions, each class in proportion, with the draws of `nasbench.datasets.splits`."""
    check_fractions(validation, test)
    known = np.flatnonzero(labels.numpy() >= 0)
    found = labels.numpy()[known]
    check_counts(found, class_names, 3, "labelled members")
    remaining, held_out = stratified_split(found, test, generator(seed, "test split"))
    share = validation / (1 - test)
    train, valid = stratified_split(found[remaining], share, generator(seed, "validation split"))
    return Parts(*(torch.from_numpy(known[part]) for part in (remaining[train], remaining[valid], held_out)))


def check_labels(labels: Tensor, classes: int, where: str, *, least: int = 0) -> None:
    """Raise BadInput unless labels are whole numbers from ``least`` to ``classes - 1``, and classes 2 or more."""
    if classes < 2:
        raise BadInput(f"{where} has {classes} class{'es' * (not classes)}; classification needs at least 2.")
    if len(labels) and not least <= int(labels.min()) <= int(labels.max()) < classes:
        low, high = int(labels.min()), int(labels.max())
        raise BadInput(f"{where}: label {low if low < least else high}; allowed are 0 to {classes - 1}.")


def check_graph_task(task: Task, where: str) -> None:
    """Raise BadInput unless what a search sees of a user's task of kind "node" or "graph" is what that kind holds."""
    search = task.search
    wanted: type[Nodes] | type[Graphs] = Nodes if search.kind == "node" else Graphs
    for part, data in (("train", search.train), ("validation", search.validation)):
        if not isinstance(data, wanted):
            raise BadInput(f"{where}: {part} of a task of kind '{search.kind}' must be {wanted.__name__}.")
        if not len(data):
            raise BadInput(f"{where}: the {part} part is empty.")
        if search.input_shape != (data.graph.width,):
            raise BadInput(f"{where}: input_shape is {search.input_shape}, {part} has {data.graph.width} features.")
        check_labels(data.labels, search.classes, f"{where} ({part})")


def check_split(split: str) -> str:
    """Return the name of a split in small letters, ``public`` as ``given``; raise BadInput if there is none such."""
    lower = "given" if split.lower() == "public" else split.lower()
    if lower not in SPLITS:
        raise unknown("split", split, [*SPLITS, "public"])
    return lower


def _default(source: NodeSource | GraphSource) -> str:
    if isinstance(source, GraphSource):
        return "stratified"
    return "given" if source.given else "random" if source.per_class else "stratified"


def _way(name: str, split: str | None, source: NodeSource | GraphSource) -> tuple[str, bool]:
    """Return how nodes or graphs are drawn, and whether the graph is cut too."""
    if isinstance(source, GraphSource) and split not in (None, "stratified"):
        raise BadInput(f"'{name}' has a label a graph; it can be split '@stratified' alone, not '@{split}'.")
    if split in (None, INDUCTIVE):
        return _default(source), split == INDUCTIVE
    way = split.removesuffix(f"-{INDUCTIVE}")
    if way == "given" and isinstance(source, NodeSource) and not source.given:
        raise BadInput(f"'{name}' has no split of its own; allowed are '@random' and '@stratified'.")
    return way, way != split


def _given(source: NodeSource, seed: int) -> Parts:
    count = len(source.given)
    if count > 1 and seed >= count:
        raise BadInput(
            f"{source.origin} comes with {count} splits; split_seed picks one, 0 to {count - 1}, not {seed}."
        )
    return source.given[seed if count > 1 else 0]


def _check_parts(labels: Tensor, parts: Parts, where: str) -> None:
    taken = torch.zeros(len(labels), dtype=torch.int64)
    for part, numbers in parts.named().items():
        if not len(numbers):
            raise BadInput(f"{where}: the {part} part has no nodes.")
        if (bare := numbers[labels[numbers] < 0]).numel():
            raise BadInput(f"{where}: node {int(bare[0])} of the {part} part has no label.")
        taken[numbers] += 1
    if (taken > 1).any():
        raise BadInput(f"{where}: node {int(taken.argmax())} is in two of the parts train, validation, test.")


def _inductive(graph: Graph, parts: Parts) -> list[tuple[Graph, Tensor]]:
    """Return for each part its graph, without the nodes of later parts, and the part's nodes as numbered in it."""
    there = torch.ones(graph.nodes, dtype=torch.bool)
    places = [(graph, parts.held_out)]
    for later, numbers in ((parts.held_out, parts.validation), (parts.validation, parts.train)):
        there[later] = False
        kept = there.nonzero().flatten()
        places.append((graph.subgraph(kept), torch.searchsorted(kept, numbers)))
    return places[::-1]

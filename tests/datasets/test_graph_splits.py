"""Splits of graphs: who is in which part, what a search sees, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask, Task
from nasbench.datasets.graph_splits import (
    GraphSource,
    NodeSource,
    Parts,
    check_graph_task,
    check_split,
    make_graph_task,
)
from nasbench.datasets.graphs import Graph, Graphs, Nodes, tidy_edges
from nasbench.datasets.load import load_task, load_task_with_split, spelled
from nasbench.datasets.splits import LoadedTask

COUNTS = (60, 70, 80)


def source(nodes: int = sum(COUNTS), unlabelled: int = 5, given: tuple[Parts, ...] = ()) -> NodeSource:
    """A random graph of three classes; the last nodes have no label; a node's feature is its number."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.permutation(np.repeat(range(3), COUNTS)), np.full(unlabelled, -1)])
    count = nodes + unlabelled
    edges = tidy_edges(torch.from_numpy(rng.integers(0, count, (2, 4 * count))), count)
    features = torch.arange(float(count))[:, None]
    return NodeSource(Graph(features, edges), torch.from_numpy(labels), ("a", "b", "c"), "made", given)


def make(split: str | None, seed: int = 0, data: NodeSource | GraphSource | None = None) -> LoadedTask:
    return make_graph_task("made", data or source(), split, seed=seed, validation=0.2, test=0.25)


def members(part: Nodes) -> list[int]:
    """The numbers that the nodes of a part have in the source."""
    return part.graph.features[part.index, 0].int().tolist()


GIVEN = Parts(torch.arange(0, 30), torch.arange(30, 60), torch.arange(100, 200))


@pytest.mark.parametrize(
    "split", ["random", "stratified", "inductive", "random-inductive", "stratified-inductive", None]
)
def test_parts_are_disjoint_and_follow_the_seed(split: str | None) -> None:
    loaded = make(split)
    search = loaded.task.search
    parts = [members(part) for part in (search.train, search.validation, loaded.task.test)]
    assert sorted(node for part in parts for node in part) == list(range(210)) and loaded.split["unlabelled"] == 5
    labels = source().labels
    for name, part, data in zip(
        ("train", "validation", "test"), parts, (search.train, search.validation, loaded.task.test), strict=True
    ):
        assert loaded.split[f"{name}_indices"] == part and torch.equal(data.labels, labels[part])
    assert (search.kind, search.input_shape, search.classes) == ("node", (1,), 3)
    assert search.fingerprint == make(split).task.search.fingerprint != make(split, 1).task.search.fingerprint
    assert make(split, 1).split["train_indices"] != parts[0]
    assert json.loads(json.dumps(loaded.split)) == loaded.split


def test_random_is_balanced_and_stratified_in_proportion() -> None:
    search = make("random").task.search
    assert search.train.labels.bincount().tolist() == [20] * 3
    assert search.validation.labels.bincount().tolist() == [30] * 3
    assert search.name == "made@random"
    loaded = make("stratified")
    assert loaded.task.search.name == "made"  # without masks the default
    assert loaded.task.search.validation.labels.bincount().tolist() == [12, 14, 16]
    assert loaded.split["sizes"] == {"train": 116, "validation": 42, "test": 52}


def test_the_validation_fraction_is_for_stratified_alone() -> None:
    for split, same in (("random", True), ("given", True), ("stratified", False)):
        made = [
            make_graph_task("made", source(given=(GIVEN,)), split, seed=0, validation=share, test=0.2)
            for share in (0.1, 0.3)
        ]
        fingerprints = {loaded.task.search.fingerprint for loaded in made}
        assert (len(fingerprints) == 1) == same


def test_transductive_parts_share_one_graph_and_a_search_sees_no_test_label() -> None:
    data = source(given=(GIVEN,))
    loaded = make(None, data=data)
    search = loaded.task.search
    assert search.train.graph is search.validation.graph is data.graph is loaded.task.test.graph
    assert loaded.split["split"] == "given" and search.name == "made"
    seen = {*members(search.train), *members(search.validation)}
    assert not seen & set(GIVEN.held_out.tolist())
    assert not hasattr(search, "test") and len(search.train.labels) + len(search.validation.labels) == 60
    labels = data.labels.clone()
    labels[GIVEN.held_out] = labels[GIVEN.held_out].flip(0)
    other = NodeSource(data.graph, labels, data.class_names, "made", (GIVEN,))
    again = make(None, data=other).task.search
    assert (again.train.digest(), again.validation.digest()) == (search.train.digest(), search.validation.digest())


@pytest.mark.parametrize("split", ["inductive", "random-inductive", "stratified-inductive"])
def test_inductive_graphs_lack_later_nodes_and_their_edges(split: str) -> None:
    data = source(given=(GIVEN,))
    task = make(split, data=data).task
    parts = [task.search.train, task.search.validation, task.test]
    numbers = [set(part.graph.features[:, 0].int().tolist()) for part in parts]
    everyone = set(range(215))
    assert numbers[2] == everyone and task.test.graph is data.graph
    assert numbers[1] == everyone - set(members(task.test))
    assert numbers[0] == numbers[1] - set(members(task.search.validation))
    for part, present in zip(parts, numbers, strict=True):
        ends = part.graph.features[part.graph.edges, 0].int().T.tolist()
        assert ends == [pair for pair in data.graph.edges.T.tolist() if present.issuperset(pair)]
        assert torch.equal(part.labels, data.labels[members(part)])


def test_the_seed_picks_one_of_several_given_splits() -> None:
    swapped = Parts(GIVEN.validation, GIVEN.train, GIVEN.held_out)
    data = source(given=(GIVEN, swapped))
    assert members(make("given", 1, data).task.search.train) == GIVEN.validation.tolist()
    with pytest.raises(BadInput, match="comes with 2 splits; split_seed picks one, 0 to 1, not 2"):
        make("given", 2, data)
    assert make(None, 7, source(given=(GIVEN,))).split["train_indices"] == GIVEN.train.tolist()


def several(count: int = 30) -> GraphSource:
    """Rings of 3 to 5 nodes; the label is whether the ring has 4."""
    sizes = [3 + number % 3 for number in range(count)]
    edges, start = [], 0
    for size in sizes:
        ring = torch.arange(size)
        edges.append(torch.stack([ring, (ring + 1) % size]) + start)
        start += size
    graph = Graph(torch.arange(float(start))[:, None], tidy_edges(torch.cat(edges, dim=1), start))
    membership = torch.repeat_interleave(torch.tensor(sizes))
    return GraphSource(Graphs(graph, membership, torch.tensor(sizes).eq(4).long()), ("no", "yes"), "rings")


def test_many_graphs() -> None:
    loaded = make(None, data=several())
    search = loaded.task.search
    assert (search.kind, search.input_shape, search.classes) == ("graph", (1,), 2)
    assert loaded.split["sizes"] == {"train": 16, "validation": 6, "test": 8} and loaded.split["split"] == "stratified"
    parts = [search.train, search.validation, loaded.task.test]
    seen = torch.cat([part.graph.features for part in parts])[:, 0]
    assert seen.sort().values.tolist() == list(range(120))
    for part in parts:
        assert torch.equal(part.labels, part.sizes.eq(4).long()) and torch.equal(
            part.graph.degrees, torch.ones(part.graph.nodes)
        )
    assert make(None, 1, several()).split["test_indices"] != loaded.split["test_indices"]
    for split in ("random", "given", "inductive"):
        with pytest.raises(BadInput, match=f"can be split '@stratified' alone, not '@{split}'"):
            make(split, data=several())


def parts(train: list[int], validation: list[int], held_out: list[int]) -> tuple[Parts]:
    return (Parts(*(torch.tensor(numbers, dtype=torch.int64) for numbers in (train, validation, held_out))),)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make("given"), "'made' has no split of its own; allowed are '@random' and '@stratified'"),
        (lambda: make(None, data=source(given=parts([0], [1], []))), "the test part has no nodes"),
        (lambda: make(None, data=source(given=parts([0], [1], [214]))), "node 214 of the test part has no label"),
        (lambda: make(None, data=source(given=parts([0, 1], [1], [2]))), "node 1 is in two of the parts"),
        (lambda: make("random", data=several_labels(2)), "class 1 has 2 nodes; the split '@random' takes 20"),
        (lambda: make("stratified", data=several_labels(2)), "class 'b' has 2 labelled members; at least 3"),
        (lambda: make(None, data=NodeSource(Graph(torch.eye(3)[:, :0], tidy_edges(torch.zeros(2, 1).long(), 3)),
            torch.tensor([0, 1, 1]), ("a", "b"), "bare")), "bare: the nodes have no features"),
        (lambda: make(None, data=NodeSource(source().graph, torch.zeros(215).long(), ("a",), "one")), "has 1 class;"),
        (lambda: make(None, data=NodeSource(source().graph, source().labels + 2, ("a", "b"), "odd")), "label 4; allo"),
        (lambda: check_split("randm"), "unknown split 'randm'. Did you mean 'random'"),
        (lambda: load_task("digits@random", data_dir=None), "'digits' has images; '@random' is a way to split graphs"),
        (lambda: load_task("karate@randm", data_dir=None), "unknown split 'randm'"),
        (lambda: load_task("karat@random", data_dir=None), "unknown data set 'karat'. Did you mean 'karate'"),
        (lambda: load_task("karate@given", data_dir=None), "'karate' has no split of its own"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def several_labels(of_second: int) -> NodeSource:
    data = source()
    labels = torch.zeros(215, dtype=torch.int64)
    labels[:of_second] = 1
    return NodeSource(data.graph, labels, ("a", "b"), "made")


def test_a_task_of_ones_own() -> None:
    graph = source().graph
    part = Nodes(graph, torch.tensor([0, 1]), torch.tensor([0, 1]))

    def task(train: object, shape: tuple[int, ...] = (1,), classes: int = 2) -> Task:
        return Task(SearchTask("own", "node", shape, classes, train, part, ""), part)

    check_graph_task(task(part), "own")
    for wrong, message in (
        (task(several().graphs), "train of a task of kind 'node' must be Nodes"),
        (task(Nodes(graph, part.index[:0], part.index[:0])), "the train part is empty"),
        (task(part, (2,)), "input_shape is .2,., train has 1 features"),
        (task(Nodes(graph, part.index, torch.tensor([0, 5]))), "label 5; allowed are 0 to 1"),
    ):
        with pytest.raises(BadInput, match=message):
            check_graph_task(wrong, "own")


def test_karate() -> None:
    loaded = load_task_with_split("Karate", data_dir=None, split_seed=3)
    search = loaded.task.search
    assert loaded.split["sizes"] == {"train": 8, "validation": 8, "test": 18} and loaded.split["split"] == "random"
    assert (search.name, search.kind, search.input_shape, search.classes) == ("karate", "node", (34,), 2)
    graph = search.train.graph
    assert (
        graph.edges.shape == (2, 156) and int(graph.degrees.max()) == 17 and torch.equal(graph.features, torch.eye(34))
    )
    assert search.train.labels.bincount().tolist() == search.validation.labels.bincount().tolist() == [4, 4]
    stratified = load_task_with_split("karate@STRATIFIED", data_dir=None)
    assert stratified.split["sizes"] == {"train": 20, "validation": 7, "test": 7}
    assert stratified.task.search.name == "karate@stratified"
    assert load_task("karate@inductive", data_dir=None).search.train.graph.nodes == 8


def test_one_spelling_of_a_name() -> None:
    assert [spelled(name) for name in ("Cora", "CORA@public", "cora@given", "PubMed@Random")] == [
        *("cora", "cora", "cora"),
        "pubmed@random",
    ]
    assert [spelled(name) for name in ("./Photos@home", "My:Data@random")] == ["./Photos@home", "My:Data@random"]

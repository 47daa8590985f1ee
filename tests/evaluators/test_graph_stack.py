"""The layers that the training computes equal torch-geometric's on the whole graph: values, losses, gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

pytest.importorskip("torch_geometric", reason="torch-geometric is not installed")

from nasbench.core.architecture import Architecture
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.datasets.graphs import Graph, Graphs, Nodes, packed, tidy_edges
from nasbench.evaluators.graph_parts import part_of
from nasbench.evaluators.graph_stack import GnnStack, ModuleStack, Parts, is_stackable
from nasbench.networks.graph_layer_choices import AGGREGATIONS, ATTENTIONS
from nasbench.networks.graph_layers import Dropout
from nasbench.search_spaces.gnn import Gnn

NODES, FEATURES, CLASSES = 40, 12, 3


def random_graph(seed: int, *, sparse: bool = False) -> Graph:
    """A directed graph with an isolated node."""
    draw = torch.Generator().manual_seed(seed)
    edges = torch.randint(NODES - 1, (2, 130), generator=draw)
    features = torch.rand(NODES, FEATURES, generator=draw)
    features[features < 0.7] = 0.0
    if sparse:
        features = features.to_sparse_csr()
    return Graph(features, tidy_edges(edges, NODES))


def task_on(graph: Graph) -> SearchTask:
    train = Nodes(graph, torch.tensor([7, 2, 39]), torch.tensor([0, 1, 2]))
    validation = Nodes(graph, torch.tensor([1, 5]), torch.tensor([0, 1]))
    return SearchTask("random", "node", (FEATURES,), CLASSES, train, validation, "")


def networks_of(space: Gnn, architecture: Architecture, task: SearchTask, count: int) -> list:
    return [space.build(architecture, task).double() for _ in range(count)]


def doubled(graph: Graph) -> Graph:
    """The same graph with features in float64, for comparisons to the last digits."""
    twin = Graph(graph.features, graph.edges)
    object.__setattr__(twin, "features", graph.features.double())
    return twin


def sampled(space: Gnn) -> list[Architecture]:
    """Every attention with every aggregation, other decisions at random."""
    rng, found = generator(0, "stack"), []
    for attention in ATTENTIONS:
        for aggregation in AGGREGATIONS if space.name.endswith("graphnas") else AGGREGATIONS[:3]:
            choices = space.choices(space.sample(rng))
            choices |= {"attention1": attention, "aggregation1": aggregation}
            choices |= {"attention2": attention, "heads1": min(choices["heads1"], 4), "hidden1": 8}
            found.append(Architecture(space.name, tuple(choices.values())))
    return found


def compare(space: Gnn, architecture: Architecture, graph: Graph, count: int) -> None:
    task = task_on(doubled(graph))
    networks = networks_of(space, architecture, task, count)
    stack = GnnStack(networks, Parts())
    logits = stack.logits(task.train, None)
    assert logits.shape == (count, 3, CLASSES)
    loss = functional.cross_entropy(logits.flatten(0, 1), task.train.labels.repeat(count)) * count
    torch.autograd.backward(loss)
    first, others = stack.weights()
    gradients = [weight.grad for weight in (*first, *others)]
    dense = task.train.graph.features
    dense = dense if dense.layout == torch.strided else dense.to_dense()
    expected: list[list[torch.Tensor]] = []
    for number, network in enumerate(networks):
        network.eval()
        whole = network(dense, graph.edges)
        torch.testing.assert_close(logits[number], whole[task.train.index], rtol=1e-9, atol=1e-12)
        torch.autograd.backward(functional.cross_entropy(whole[task.train.index], task.train.labels))
        expected.append([parameter.grad for parameter in network.parameters()])
    names = [name.split(".")[-1] for name, _ in networks[0].named_parameters()]
    for name, gradient, *each in zip(names, gradients, *expected, strict=True):
        axis = 1 if name in ("weight", "skip_weight") else 0
        torch.testing.assert_close(gradient, torch.stack(each, axis), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_field_restricted_layers_equal_the_whole_graph(sparse: bool) -> None:
    graph = random_graph(0, sparse=sparse)
    for space in (Gnn(skip=True), Gnn(variant="graphnas"), Gnn(linear_reads="both")):
        for architecture in sampled(space):
            compare(space, architecture, graph, count=1)


def test_stacked_networks_equal_each_by_itself() -> None:
    for sparse in (False, True):
        graph = random_graph(1, sparse=sparse)
        for space in (Gnn(skip=True), Gnn(layers=3), Gnn(layers=1)):
            for architecture in [space.sample(generator(n, "stacked")) for n in range(8)]:
                narrow = {"heads1": 2, "hidden1": 4, "hidden2": 4, "heads2": 2}
                choices = {key: narrow.get(key, value) for key, value in space.choices(architecture).items()}
                compare(space, Architecture(space.name, tuple(choices.values())), graph, count=3)


def test_the_receptive_field_alone_is_computed() -> None:
    part = part_of(task_on(random_graph(0)).train, 2)
    outer, inner = part.blocks
    assert inner.edges.rows == 3  # the nodes scored
    assert inner.edges.columns == outer.edges.rows < outer.edges.columns < NODES


def test_whole_graphs_are_averaged() -> None:
    graph = doubled(Graph(torch.rand(9, FEATURES), tidy_edges(torch.tensor([[0, 1, 3, 5, 8], [1, 0, 4, 6, 7]]), 9)))
    data = Graphs(graph, torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2]), torch.tensor([0, 1, 2]))
    task = SearchTask("graphs", "graph", (FEATURES,), CLASSES, data, data, "")
    space = Gnn()
    networks = networks_of(space, space.named("gat"), task, 2)
    logits = GnnStack(networks, Parts()).logits(data, None)
    for number, network in enumerate(networks):
        expected = network.eval()(graph.features, graph.edges, data.membership)
        torch.testing.assert_close(logits[number], expected, rtol=1e-9, atol=1e-12)
    other = ModuleStack(networks[0]).logits(data, None)
    torch.testing.assert_close(other[0], logits[0], rtol=1e-9, atol=1e-12)


def test_dropout_has_the_right_mean_and_differs_between_networks_unless_shared() -> None:
    graph = random_graph(3, sparse=True)
    task = task_on(graph)
    space = Gnn(layers=1)
    network = space.build(space.parse("const sum identity linear 1"), task)
    parts = Parts()
    for shared in (False, True):
        stack = GnnStack([network, network], parts)
        dropout = Dropout(0.5, 0.0, 0, shared_input=shared)
        draws = torch.stack([stack.logits(task.train, dropout).detach() for _ in range(3000)])
        torch.testing.assert_close(draws.mean(0), stack.logits(task.train, None), rtol=0.05, atol=0.08)
        assert torch.equal(draws[:, 0], draws[:, 1]) == shared


def test_weights_remembered_are_written_into_each_network() -> None:
    task = task_on(random_graph(0))
    space = Gnn()
    networks = [space.build(space.named("gat"), task) for _ in range(2)]
    before = [[parameter.detach().clone() for parameter in network.parameters()] for network in networks]
    stack = GnnStack(networks, Parts())
    stack.remember(0)
    for weight in [*stack.weights()[0], *stack.weights()[1]]:
        weight.data += 1.0
    stack.write(remembered=True)
    assert all(torch.equal(a, b) for a, b in zip(networks[0].parameters(), before[0], strict=True))
    for now, then in zip(networks[1].parameters(), before[1], strict=True):
        torch.testing.assert_close(now.detach(), then + 1.0)


def test_a_network_of_ones_own_goes_by_itself() -> None:
    assert not is_stackable(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    features = torch.zeros(600, 300)
    features[::50, ::30] = 1.0
    assert packed(features).layout == torch.sparse_csr

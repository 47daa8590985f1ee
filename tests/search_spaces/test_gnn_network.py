"""What a layer of the spaces of Auto-GNN and GraphNAS computes, in numbers, and against torch-geometric's layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GATConv, GCNConv
from torch_geometric.utils import add_self_loops, scatter

from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.networks.graph_activations import ACTIVATION_FUNCTIONS
from nasbench.networks.graph_layer_choices import (
    ACTIVATIONS,
    AGGREGATIONS,
    ATTENTIONS,
    COMBINES,
    UNWEIGHTED,
    GraphLayerChoices,
)
from nasbench.networks.sparse_features import dropped
from nasbench.search_spaces.gnn import Gnn, GnnSize
from nasbench.search_spaces.gnn_network import GnnLayer, GnnNetwork

SPACE = Gnn()
PATH = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])  # 0 - 1 - 2
PATH_WITH_LOOPS = torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]])
# A directed graph: the nodes of an edge are not to be mixed up. Node 5 has no edge at all.
EDGES = torch.tensor([[0, 1, 2, 3, 1, 4, 4, 2], [1, 0, 3, 2, 3, 0, 2, 4]])
WITH_LOOPS, _ = add_self_loops(EDGES, num_nodes=6)


def features(width: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(6, width, generator=torch.Generator().manual_seed(0), dtype=dtype)


def layer(
    attention: str,
    aggregation: str = "sum",
    combine: str = "identity",
    activation: str = "linear",
    *,
    heads: int = 2,
    hidden: int = 3,
    inputs: int = 5,
    average: bool = False,
    linear_reads: str = "source",
) -> GnnLayer:
    """Return a layer in double precision whose biases are random as well."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        choices = GraphLayerChoices(attention, aggregation, combine, activation, heads, hidden, inputs, average)
        made = GnnLayer(choices, linear_reads).double().eval()
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.data.uniform_(-1, 1)
    return made


# -- known numbers -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("attention", "aggregation", "expected"),
    [
        ("gcn", "sum", (1.3165, 2.7079, 2.8165)),
        ("const", "sum", (3, 7, 6)),
        ("const", "mean", (1.5, 2.3333, 3)),
        ("const", "max", (2, 4, 4)),
        ("gat", "sum", (1.7311, 3.6456, 3.7616)),
        ("sym-gat", "sum", (1.8808, 3.9568, 3.9640)),
        ("cos", "sum", (1.7311, 3.9568, 3.9993)),
        ("linear", "sum", (1.5088, 2.3493, 3.0003)),
        ("gene-linear", "sum", (1.5078, 2.3356, 3.0000)),
    ],
)
def test_a_path_of_three_nodes(attention: str, aggregation: str, expected: tuple[float, ...]) -> None:
    """z = (1, 2, 4), and all weights and vectors are 1."""
    one = layer(attention, aggregation, heads=1, hidden=1, inputs=1)
    for name, parameter in one.named_parameters():
        parameter.data.fill_(0 if name == "bias" else 1)
    given = one(torch.tensor([[1.0], [2], [4]], dtype=torch.float64), PATH)
    assert given.flatten().tolist() == pytest.approx(expected, abs=6e-5)


def test_rows_of_gcn_do_not_sum_to_one() -> None:
    one = layer("gcn", heads=1, hidden=1, inputs=1)
    edges, _ = add_self_loops(PATH, num_nodes=3)
    coefficients = one.coefficients(torch.ones(3, 1, 1, dtype=torch.float64), edges)
    sums = scatter(coefficients.flatten(), edges[1])
    assert sums.tolist() == pytest.approx((0.9082, 1.1498, 0.9082), abs=6e-5)


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_const_adds_up_or_averages_the_neighbourhood(aggregation: str) -> None:
    one, x = layer("const", aggregation), features()[:3]
    adjacency = PATH_WITH_LOOPS.double()
    if aggregation == "mean":
        adjacency = adjacency / adjacency.sum(dim=1, keepdim=True)
    assert torch.allclose(one(x, PATH), adjacency @ x @ one.weight.flatten(1) + one.bias, atol=1e-12)


# -- against torch-geometric -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_gcn_is_that_of_torch_geometric(dtype: torch.dtype, tolerance: float) -> None:
    ours, theirs = layer("gcn", heads=1, hidden=4).to(dtype), GCNConv(5, 4).to(dtype)
    theirs.lin.weight.data, theirs.bias.data = ours.weight.data.flatten(1).T.clone(), ours.bias.data
    x = features(dtype=dtype)
    assert torch.allclose(ours(x, EDGES), theirs(x, EDGES), rtol=0, atol=tolerance)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_gat_is_that_of_torch_geometric(dtype: torch.dtype, tolerance: float, average: bool) -> None:
    ours, theirs = layer("gat", average=average).to(dtype), GATConv(5, 3, heads=2, concat=not average).to(dtype)
    theirs.lin.weight.data, theirs.bias.data = ours.weight.data.flatten(1).T.clone(), ours.bias.data
    theirs.att_src.data, theirs.att_dst.data = ours.source.data[None], ours.target.data[None]
    x = features(dtype=dtype)
    assert torch.allclose(ours(x, EDGES), theirs(x, EDGES), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "features_and_classes", "parameters"),
    [("gcn", (1433, 7), 23_063), ("gcn", (3703, 6), 59_366), ("gat", (1433, 7), 92_373)],
)
def test_known_networks_have_the_published_parameters(
    name: str, features_and_classes: tuple[int, int], parameters: int
) -> None:
    width, classes = features_and_classes
    with torch.device("meta"):
        network = SPACE.build(SPACE.named(name), SearchTask("cora", "node", (width,), classes, None, None, ""))
    assert sum(weight.numel() for weight in network.parameters()) == parameters


# -- attention ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("attention", [name for name in ATTENTIONS if name not in UNWEIGHTED])
def test_coefficients_sum_to_one_for_each_node_and_head(attention: str) -> None:
    one = layer(attention)
    z = (features() @ one.weight.flatten(1)).unflatten(1, (2, 3))
    coefficients = one.coefficients(z, WITH_LOOPS)
    assert coefficients.shape == (14, 2)
    assert torch.allclose(scatter(coefficients, WITH_LOOPS[1]), torch.ones(6, 2, dtype=torch.float64))


@pytest.mark.parametrize("reads", ["source", "both"])
def test_what_linear_reads(reads: str) -> None:
    one = layer("linear", linear_reads=reads)
    z = (features() @ one.weight.flatten(1)).unflatten(1, (2, 3))
    target, source = (z * one.target).sum(-1), (z * one.source).sum(-1)
    sources, targets = WITH_LOOPS
    scores = torch.tanh((target[sources] if reads == "source" else target[targets]) + source[sources]).exp()
    expected = scores / scatter(scores, targets)[targets]
    assert torch.allclose(one.coefficients(z, WITH_LOOPS), expected)


def test_a_layer_has_only_the_parameters_it_needs() -> None:
    def names(*choices: str) -> set[str]:
        return {name for name, _ in layer(*choices).named_parameters()}

    mlp = {"mlp_first_weight", "mlp_first_bias", "mlp_second_weight", "mlp_second_bias"}
    assert names("const") == names("gcn") == {"weight", "bias"}
    assert names("gat") == names("linear") == {"weight", "bias", "target", "source"}
    assert names("gene-linear") == {"weight", "bias", "target", "source", "score"}
    assert names("gcn", "sum", "mlp") == {"weight", "bias", *mlp}
    assert names("gcn", "sum", "skip") == {"weight", "bias", "skip_weight"}
    assert names("gcn", "mlp") == {"weight", "bias", "message_first", "message_second"}


# -- aggregation, combine, activation ----------------------------------------------------------------------------------
@pytest.mark.parametrize("average", [False, True])
def test_the_mlp_of_graphnas_maps_each_message(average: bool) -> None:
    one = layer("cos", "mlp", average=average)
    z = (features() @ one.weight.flatten(1)).unflatten(1, (2, 3))
    messages = z[WITH_LOOPS[0]] * one.coefficients(z, WITH_LOOPS).unsqueeze(2) @ one.message_first @ one.message_second
    heads = scatter(messages, WITH_LOOPS[1])
    joined = heads.mean(dim=1) if average else heads.flatten(1)
    assert torch.allclose(one(features(), EDGES), joined + one.bias, atol=1e-12)


@pytest.mark.parametrize("attention", ["gcn", "gat"])
def test_mean_and_max_are_of_the_weighted_messages(attention: str) -> None:
    for aggregation in ("mean", "max"):
        one = layer(attention, aggregation)
        z = (features() @ one.weight.flatten(1)).unflatten(1, (2, 3))
        messages = z[WITH_LOOPS[0]] * one.coefficients(z, WITH_LOOPS).unsqueeze(2)
        expected = scatter(messages, WITH_LOOPS[1], reduce=aggregation).flatten(1) + one.bias
        assert torch.allclose(one(features(), EDGES), expected, atol=1e-12)


def test_what_combine_adds() -> None:
    x = features()
    plain = layer("gat")(x, EDGES)
    mlp, skip = layer("gat", "sum", "mlp", "elu"), layer("gat", "sum", "skip", "tanh")
    for one in (mlp, skip):
        one.load_state_dict(layer("gat").state_dict(), strict=False)
    inner = torch.relu(plain @ mlp.mlp_first_weight + mlp.mlp_first_bias)
    expected = torch.nn.functional.elu(inner @ mlp.mlp_second_weight + mlp.mlp_second_bias)
    assert torch.allclose(mlp(x, EDGES), expected, atol=1e-12)
    assert torch.allclose(skip(x, EDGES), torch.tanh(plain + x @ skip.skip_weight), atol=1e-12)


def test_all_activations_are_there_and_act_last() -> None:
    assert tuple(ACTIVATION_FUNCTIONS) == ACTIVATIONS
    before = layer("gcn", average=True)(features(), EDGES)
    for name, function in ACTIVATION_FUNCTIONS.items():
        assert torch.equal(layer("gcn", activation=name, average=True)(features(), EDGES), function(before))


# -- whole layers and networks -----------------------------------------------------------------------------------------
def samples() -> list[tuple[str, str, str]]:
    rng = generator(0, "layers")
    every = [(a, b, c) for a in ATTENTIONS for b in AGGREGATIONS for c in COMBINES]
    return [every[int(place)] for place in rng.choice(len(every), 20, replace=False)]


@pytest.mark.parametrize("choices", samples(), ids="-".join)
def test_nodes_may_be_numbered_in_any_way(choices: tuple[str, str, str]) -> None:
    one, x, order = layer(*choices), features(), torch.tensor([3, 5, 0, 4, 1, 2])
    place = torch.argsort(order)  # of each node in the new numbering
    assert torch.allclose(one(x[order], place[EDGES]), one(x, EDGES)[order], atol=1e-12)


@pytest.mark.parametrize("choices", [("gat", "max", "skip"), ("const", "mean", "mlp"), ("gcn", "sum", "identity")])
def test_sparse_features_give_the_same_and_the_same_gradients(choices: tuple[str, str, str]) -> None:
    x = features() * (features() > 0)
    gradients = []
    for given in (x, x.to_sparse_csr()):
        one = layer(*choices)
        out = one(given, EDGES)
        out.square().sum().backward()
        gradients.append([out.detach(), *(parameter.grad for parameter in one.parameters())])
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*gradients, strict=True))


def test_what_dropout_acts_on() -> None:
    x = features()
    for attention in ("gat", "const", "gcn"):
        one = layer(attention)
        quiet = one(x, EDGES, 0.5, 0.5)
        assert torch.equal(quiet, one(x, EDGES))  # in evaluation on nothing
        one.train()
        assert torch.equal(one(x, EDGES), quiet)
        assert not torch.allclose(one(x, EDGES, 0.5), quiet)
        assert torch.allclose(one(x, EDGES, 0.0, 0.5), quiet) == (attention == "gcn")
    const = layer("const", heads=1, hidden=50).train()
    mine = const(x, torch.zeros(2, 0, dtype=torch.long), 0.0, 0.5) - const.bias
    kept = mine != 0  # without edges what is left is z, twice as large or dropped
    assert 100 < int(kept.sum()) < 200
    assert torch.allclose(mine[kept], 2 * (x @ const.weight.flatten(1))[kept])


def test_dropout_of_sparse_features_is_of_their_stored_values() -> None:
    x = (features(200) * (features(200) > 1)).to_sparse_csr()
    kept = dropped(x, 0.5, True)
    assert torch.equal(kept.col_indices(), x.col_indices()) and torch.equal(kept.crow_indices(), x.crow_indices())
    is_kept = kept.values() != 0
    assert 0.3 < is_kept.double().mean() < 0.7
    assert torch.allclose(kept.values()[is_kept], 2 * x.values()[is_kept])
    assert dropped(x, 0.5, False) is x and dropped(x, 0.0, True) is x


def test_a_network_is_its_layers_one_after_the_other() -> None:
    task = SearchTask("small", "node", (5,), 3, None, None, "")
    network = SPACE.build(SPACE.parse("gat mean mlp elu 4x8 | cos max identity tanh 2"), task).eval()
    assert isinstance(network, GnnNetwork) and (network.dropout, network.attention_dropout) == (0.6, 0.6)
    x = features(dtype=torch.float32)
    first, last = network.layers
    logits = network(x, EDGES)
    assert logits.shape == (6, 3) and torch.equal(logits, last(first(x, EDGES), EDGES))
    assert (last.choices.attention, last.choices.inputs, last.choices.average) == ("cos", 32, True)
    graphs = network(x, EDGES, torch.tensor([0, 0, 0, 0, 0, 1]))
    assert torch.allclose(graphs, torch.stack([logits[:5].mean(dim=0), logits[5]]))


def test_the_size_sets_dropout() -> None:
    task = SearchTask("small", "graph", (5,), 3, None, None, "")
    network = SPACE.build(SPACE.named("gat"), task, GnnSize(dropout=0, attention_dropout=0)).train()
    x = features(dtype=torch.float32)
    assert torch.equal(network(x, EDGES), network(x, EDGES))
    network.attention_dropout = 0.5
    assert not torch.equal(network(x, EDGES), network(x, EDGES))


def test_weights_are_drawn_as_torch_geometric_draws_them() -> None:
    torch.manual_seed(0)
    made = GnnLayer(GraphLayerChoices("gene-linear", "sum", "mlp", "relu", 8, 16, 300, False))
    bounds = {"weight": 300 + 128, "target": 8 + 16, "source": 8 + 16, "score": 1 + 16, "mlp_first_weight": 128 + 128}
    for name, fans in bounds.items():
        largest, bound = float(made.get_parameter(name).detach().abs().max()), (6 / fans) ** 0.5
        assert 0.7 * bound < largest <= bound
    assert not any(made.get_parameter(name).any() for name in ("bias", "mlp_first_bias", "mlp_second_bias"))

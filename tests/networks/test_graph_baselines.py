"""SGC, APPNP and ARMA against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import SGConv

from nasbench.networks.graph_baselines import APPNP, ARMA, SGC

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3, 0, 2], [1, 0, 2, 1, 3, 2, 2, 0]])
X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


def normalised(loops: bool) -> Tensor:
    adjacency = torch.zeros(5, 5)
    adjacency[EDGES[1], EDGES[0]] = 1
    adjacency += loops * torch.eye(5)
    scale = adjacency.sum(dim=1).clamp(min=1).rsqrt()
    return scale[:, None] * adjacency * scale


def test_sgc_is_that_of_torch_geometric() -> None:
    ours, theirs = SGC(6, 3), SGConv(6, 3, K=2)
    theirs.lin.load_state_dict(ours.linear.state_dict())
    assert torch.allclose(ours(X, EDGES), theirs(X, EDGES), atol=1e-6)


def test_appnp_spreads_what_its_network_says() -> None:
    network = APPNP(6, 3, hidden=8).eval()
    alone = torch.relu(X @ network.first.weight.T) @ network.second.weight.T
    spread = alone
    for _ in range(10):
        spread = 0.9 * normalised(loops=True) @ spread + 0.1 * alone
    assert torch.allclose(network(X, EDGES), spread, atol=1e-6)


def test_arma_averages_its_stacks() -> None:
    network, elu = ARMA(6, 3, hidden=4).eval(), torch.nn.functional.elu
    first, second, adjacency = network.first, network.second, normalised(loops=False)
    stacks = [
        elu(adjacency @ X @ first.init_weight[k] + X @ first.root_weight[0, k] + first.bias[0, k]) for k in range(2)
    ]
    hidden = elu((stacks[0] + stacks[1]) / 2)
    expected = adjacency @ hidden @ second.init_weight[0] + hidden @ second.root_weight[0, 0] + second.bias[0, 0]
    assert torch.allclose(network(X, EDGES), expected, atol=1e-6)


def test_arma_is_made_of_torch_geometric_layers() -> None:
    network = ARMA(6, 3, hidden=4, stacks=3, iterations=3).eval()
    hidden = torch.nn.functional.elu(network.first(X, EDGES))
    assert torch.allclose(network(X, EDGES), network.second(hidden, EDGES), atol=1e-6)


@pytest.mark.parametrize("baseline", [SGC, APPNP, ARMA])
def test_features_may_be_sparse(baseline: type[torch.nn.Module]) -> None:
    network, x = baseline(6, 3), X * (X > 0)
    network.train()(x.to_sparse_csr(), EDGES).sum().backward()
    assert torch.allclose(network.eval()(x.to_sparse_csr(), EDGES), network(x, EDGES), atol=1e-6)

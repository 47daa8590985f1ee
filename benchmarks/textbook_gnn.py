"""GCN and GAT as torch-geometric's examples train them: its layers, the whole graph in every step, one network.

The same loop takes dense features, as the examples have them, or sparse ones. Beside `benchmarks.gnn_speed`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATConv, GCNConv

from nasbench.core.problem import Task
from nasbench.evaluators.graph_recipe import GraphRecipe
from nasbench.networks.sparse_features import dropped


class TextbookGcn(nn.Module):
    """Two layers, 16 wide, ReLU (Kipf and Welling, ICLR 2017). ``cached``: edges are normalised once, not in a call."""

    def __init__(self, features: int, classes: int, recipe: GraphRecipe, cached: bool) -> None:
        super().__init__()
        self.dropout = recipe.dropout
        self.first, self.last = GCNConv(features, 16, cached=cached), GCNConv(16, classes, cached=cached)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = torch.relu(self.first(dropped(x, self.dropout, self.training), edges))
        return self.last(dropped(x, self.dropout, self.training), edges)  # type: ignore[no-any-return]


class TextbookGat(nn.Module):
    """Eight heads of width 8, ELU, then one head (Velickovic et al., ICLR 2018). Its edges have nothing to keep."""

    def __init__(self, features: int, classes: int, recipe: GraphRecipe, cached: bool) -> None:
        super().__init__()
        self.dropout, edges = recipe.dropout, recipe.attention_dropout
        self.first = GATConv(features, 8, heads=8, dropout=edges)
        self.last = GATConv(64, classes, heads=1, concat=False, dropout=edges)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = functional.elu(self.first(dropped(x, self.dropout, self.training), edges))
        return self.last(dropped(x, self.dropout, self.training), edges)  # type: ignore[no-any-return]


NETWORKS: dict[str, type[TextbookGcn] | type[TextbookGat]] = {"gcn": TextbookGcn, "gat": TextbookGat}


class Trained(NamedTuple):
    """Accuracies in percent, at the epoch of the best validation accuracy, of equal ones that of the lowest loss."""

    valid: float
    test: float


def features_of(task: Task, sparse: bool) -> Tensor:
    """Return the features of all nodes in CSR, or dense."""
    x: Tensor = task.search.train.graph.features
    if x.layout == torch.sparse_csr:
        return x if sparse else x.to_dense()
    return x.to_sparse_csr() if sparse else x


def train(name: str, task: Task, x: Tensor, recipe: GraphRecipe, seed: int) -> Trained:
    """Train one network, and evaluate it after every epoch in one pass over the whole graph.

    With sparse features dropout acts on stored numbers, products are sparse, and GCN's edges are normalised once.
    """
    torch.manual_seed(seed)
    training, validation, test = task.search.train, task.search.validation, task.test
    edges, labels = training.graph.edges, training.labels
    network = NETWORKS[name](x.shape[1], task.search.classes, recipe, cached=x.layout == torch.sparse_csr)
    decay = recipe.weight_decay
    last = decay if recipe.decayed == "all layers" else 0.0
    groups = [
        {"params": network.first.parameters(), "weight_decay": decay},
        {"params": network.last.parameters(), "weight_decay": last},
    ]
    optimiser = torch.optim.Adam(groups, lr=recipe.learning_rate)
    best, chosen = (-1.0, -math.inf), Trained(math.nan, math.nan)
    for _ in range(recipe.epochs):
        network.train()
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(x, edges)[training.index], labels)
        torch.autograd.backward(loss)
        optimiser.step()
        network.eval()
        with torch.no_grad():
            logits = network(x, edges)
        seen = logits[validation.index]
        reached = _percent(seen, validation.labels), -float(functional.cross_entropy(seen, validation.labels))
        of_test = _percent(logits[test.index], test.labels)
        if reached > best:
            best, chosen = reached, Trained(reached[0], of_test)
    return chosen


def _percent(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean()) * 100

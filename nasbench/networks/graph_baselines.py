"""Ready graph networks to compare found ones with, which are no points of the space `gnn`: SGC, APPNP and ARMA.

Each takes ``x`` [nodes, features], dense or sparse in CSR layout, and ``edge_index`` int64 [2, edges] without loops,
and returns logits [nodes, classes]. The defaults are those of the authors' programs for citation networks.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import APPNP as Propagation
from torch_geometric.nn import ARMAConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from nasbench.networks.sparse_features import dropped


class SGC(nn.Module):
    """A linear classifier of features averaged over ``hops`` steps (Wu et al., "Simplifying Graph Convolutional
    Networks", ICML 2019, arXiv 1902.07153).

    The authors train with Adam, learning rate 0.2, for 100 epochs, on Cora, and tune the weight decay on each data set.
    """

    takes_sparse = True

    def __init__(self, features: int, classes: int, hops: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)
        self.propagation = Propagation(hops, alpha=0.0)  # without restarts: the power of the normalised adjacency

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        # Classes are propagated and not features, which gives the same and is cheaper.
        propagated: Tensor = self.propagation(x @ self.linear.weight.T, edge_index)
        return propagated + self.linear.bias


class APPNP(nn.Module):
    """A network of two layers on each node alone, whose outputs spread by personalised PageRank (Klicpera et al.,
    "Predict then Propagate", ICLR 2019, arXiv 1810.05997).

    ``restart`` is the probability to jump back, alpha; ``edge_dropout`` that of an edge in each step, which the
    authors' PyTorch example leaves out. They train with Adam, learning rate 0.01, and an L2 penalty of 0.005 on the
    first layer.
    """

    takes_sparse = True

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: int = 64,
        iterations: int = 10,
        restart: float = 0.1,
        dropout: float = 0.5,
        edge_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.first = nn.Linear(features, hidden, bias=False)
        self.second = nn.Linear(hidden, classes, bias=False)
        self.propagation = Propagation(iterations, restart, edge_dropout)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        hidden = functional.relu(dropped(x, self.dropout, self.training) @ self.first.weight.T)
        logits = self.second(functional.dropout(hidden, self.dropout, self.training))
        spread: Tensor = self.propagation(logits, edge_index)
        return spread


class ARMA(nn.Module):
    """Two layers of auto-regressive moving average filters (Bianchi et al., "Graph Neural Networks with Convolutional
    ARMA Filters", IEEE TPAMI 2021, arXiv 1901.01343).

    The first layer averages ``stacks`` filters of ``iterations`` steps each, the second is one filter of one step;
    ``skip_dropout`` is that of the connection from the input within a filter. The authors' example, for Cora, trains
    with Adam, learning rate 0.01, L2 penalty 5e-5, and stops after 100 epochs without a better validation loss.
    """

    takes_sparse = True

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: int = 16,
        stacks: int = 2,
        iterations: int = 1,
        dropout: float = 0.5,
        skip_dropout: float = 0.75,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.first = ARMAConv(
            features, hidden, stacks, iterations, shared_weights=True, act=functional.elu, dropout=skip_dropout
        )
        self.second = ARMAConv(hidden, classes, 1, 1, shared_weights=True, act=None, dropout=skip_dropout)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        hidden = functional.elu(_first_filters(self.first, x, edge_index))
        logits: Tensor = self.second(functional.dropout(hidden, self.dropout, self.training), edge_index)
        return logits


def _first_filters(layer: ARMAConv, x: Tensor, edge_index: Tensor) -> Tensor:
    """Return what the layer gives, of sparse features too, which torch-geometric's own code does not take."""

    def times(x: Tensor, weights: Tensor) -> Tensor:  # [stacks, nodes, outputs] of weights [stacks, inputs, outputs]
        products = x @ weights.transpose(0, 1).flatten(1)
        return products.view(len(products), len(weights), -1).transpose(0, 1)

    edges, coefficients = gcn_norm(edge_index, None, x.shape[0], add_self_loops=False, dtype=x.dtype)
    values = times(x, layer.init_weight)
    for step in range(layer.num_layers):
        if step > 0:
            values = values @ layer.weight[0]
        skipped = times(dropped(x, layer.dropout, layer.training), layer.root_weight[0])
        values = layer.act(layer.propagate(edges, x=values, edge_weight=coefficients) + skipped + layer.bias[0])
    return values.mean(0)

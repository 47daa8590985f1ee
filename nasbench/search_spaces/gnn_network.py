"""The networks of Auto-GNN and GraphNAS, on torch-geometric's message passing.

The layer is that of GraphNAS' program for torch-geometric (Gao et al., IJCAI 2020, arXiv 1904.09981), whose scheme
Auto-GNN (Zhou et al., arXiv 1909.03184) shares, with three differences. Mean and maximum are those of the messages
themselves, where the program first maps each of them linearly, as it does for ``mlp``; that map has no bias here; and
with the attention ``const``, dropout acts on a node's features, the same for all its neighbours, not on each message.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import MessagePassing, global_mean_pool
from torch_geometric.nn.inits import glorot
from torch_geometric.utils import add_self_loops, degree, softmax

from nasbench.networks.graph_activations import ACTIVATION_FUNCTIONS
from nasbench.networks.graph_layer_choices import MLP_WIDTH, UNWEIGHTED, GraphLayerChoices
from nasbench.networks.sparse_features import dropped

SLOPE = 0.2
"""Negative slope of the LeakyReLU in ``gat`` and ``sym-gat`` (Velickovic et al., ICLR 2018, section 3.3)."""


class GnnLayer(MessagePassing):  # type: ignore[misc]  # torch-geometric has no type hints for mypy
    """One layer: linear map, attention, aggregation, heads joined, bias, combine, activation.

    Parameters, of which a layer has those that its choices need (the others are None): ``weight`` [inputs, heads,
    hidden], ``bias`` [outputs]; of attention ``target`` and ``source`` [heads, hidden], with which a node and its
    neighbour are multiplied, and ``score`` [hidden], which all heads share; of combine ``mlp_first_weight`` [outputs,
    128], ``mlp_first_bias``, ``mlp_second_weight`` [128, outputs], ``mlp_second_bias`` and ``skip_weight`` [inputs,
    outputs]; of aggregation ``message_first`` [hidden, 128] and ``message_second`` [128, hidden].
    """

    def __init__(self, choices: GraphLayerChoices, linear_reads: str = "source") -> None:
        super().__init__(aggr="sum" if choices.aggregation == "mlp" else choices.aggregation, node_dim=0)
        self.choices, self.linear_reads = choices, linear_reads
        inputs, outputs, heads, hidden = choices.inputs, choices.outputs, choices.heads, choices.hidden
        shapes: dict[str, tuple[int, ...]] = {"weight": (inputs, heads, hidden), "bias": (outputs,)}
        attends, combine = choices.attention not in UNWEIGHTED, choices.combine
        optional: dict[str, tuple[bool, tuple[int, ...]]] = {
            "target": (attends, (heads, hidden)),
            "source": (attends, (heads, hidden)),
            "score": (choices.attention == "gene-linear", (hidden,)),
            "message_first": (choices.aggregation == "mlp", (hidden, MLP_WIDTH)),
            "message_second": (choices.aggregation == "mlp", (MLP_WIDTH, hidden)),
            "mlp_first_weight": (combine == "mlp", (outputs, MLP_WIDTH)),
            "mlp_first_bias": (combine == "mlp", (MLP_WIDTH,)),
            "mlp_second_weight": (combine == "mlp", (MLP_WIDTH, outputs)),
            "mlp_second_bias": (combine == "mlp", (outputs,)),
            "skip_weight": (combine == "skip", (inputs, outputs)),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        for name, (is_there, shape) in optional.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)) if is_there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all matrices and vectors from Glorot's uniform distribution, as torch-geometric's layers; biases are 0.

        The heads of ``weight`` count as one matrix [inputs, heads * hidden].
        """
        super().reset_parameters()
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                glorot(parameter.flatten(1) if parameter.dim() > 1 else parameter.unsqueeze(0))

    def forward(self, x: Tensor, edge_index: Tensor, dropout: float = 0.0, attention_dropout: float = 0.0) -> Tensor:
        """Take ``x`` [nodes, inputs], dense or sparse CSR, and edges without loops; return [nodes, outputs].

        ``edge_index`` is int64 [2, edges], sources first; each node gets a loop. In training ``dropout`` acts on ``x``,
        ``attention_dropout`` on the coefficients of attention; with the attention ``const`` on what is aggregated, with
        ``gcn`` on nothing.
        """
        choices = self.choices
        x = dropped(x, dropout, self.training)
        z = (x @ self.weight.flatten(1)).unflatten(1, (choices.heads, choices.hidden))
        edges, _ = add_self_loops(edge_index, num_nodes=len(z))
        coefficients = self.coefficients(z, edges)
        if coefficients is None:
            z = functional.dropout(z, attention_dropout, self.training)
        elif choices.attention not in UNWEIGHTED:
            coefficients = functional.dropout(coefficients, attention_dropout, self.training)
        joined = self.propagate(edges, z=z, coefficients=coefficients)
        if choices.aggregation == "mlp":  # linear, so that the sum of the mapped messages is the mapped sum
            joined = joined @ self.message_first @ self.message_second
        joined = joined.mean(dim=1) if choices.average else joined.flatten(1)
        return ACTIVATION_FUNCTIONS[choices.activation](self._combined(joined + self.bias, x))

    def coefficients(self, z: Tensor, edges: Tensor) -> Tensor | None:
        """Return the weights of the messages [edges, 1 or heads] for ``z`` [nodes, heads, hidden]; None if all are 1.

        ``edges`` int64 [2, edges] has the loops. They sum to 1 over the edges to a node, but for the attention ``gcn``.
        """
        attention, (sources, targets) = self.choices.attention, edges
        if attention == "const":
            return None
        if attention == "gcn":
            scale = degree(targets, len(z), z.dtype).rsqrt()
            normalised: Tensor = scale[sources] * scale[targets]
            return normalised.unsqueeze(1)
        scores = self._scores(z * self.target, z * self.source, targets, sources)
        shares: Tensor = softmax(scores, targets, num_nodes=len(z))
        return shares

    def message(self, z_j: Tensor, coefficients: Tensor | None) -> Tensor:
        """Return the messages along the edges [edges, heads, hidden]; called by torch-geometric."""
        return z_j if coefficients is None else z_j * coefficients.unsqueeze(2)

    def _scores(self, left: Tensor, right: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """Return what the softmax is taken of, [edges, heads], for targets ``i`` and sources ``j``.

        ``left`` and ``right`` are the nodes multiplied with the vectors for targets and for sources.
        """
        attention = self.choices.attention
        if attention == "cos":
            return (left[i] * right[j]).sum(dim=-1)
        if attention == "gene-linear":
            score: Tensor = self.score
            return torch.tanh(left[i] + right[j]) @ score
        left, right = left.sum(dim=-1), right.sum(dim=-1)
        if attention == "linear":
            return torch.tanh((left[j] if self.linear_reads == "source" else left[i]) + right[j])
        scores = functional.leaky_relu(left[i] + right[j], SLOPE)
        if attention == "sym-gat":
            scores = scores + functional.leaky_relu(left[j] + right[i], SLOPE)
        return scores

    def _combined(self, joined: Tensor, x: Tensor) -> Tensor:
        if self.choices.combine == "mlp":
            inner = functional.relu(joined @ self.mlp_first_weight + self.mlp_first_bias)
            joined = inner @ self.mlp_second_weight + self.mlp_second_bias
        if self.choices.combine == "skip":
            joined = joined + x @ self.skip_weight
        return joined


class GnnNetwork(nn.Module):
    """Layers one after the other, from features of nodes to logits of nodes, or of graphs.

    ``dropout`` and ``attention_dropout`` are those of all layers, and may be set at any time.
    """

    def __init__(
        self,
        layers: Sequence[GraphLayerChoices],
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        linear_reads: str = "source",
    ) -> None:
        super().__init__()
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.layers = nn.ModuleList(GnnLayer(choices, linear_reads) for choices in layers)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Take ``x`` [nodes, features] and ``edge_index`` int64 [2, edges]; return logits [nodes, classes].

        With ``batch`` int64 [nodes], the graph that each node is in, return the means of their nodes' logits, [graphs,
        classes]. The last layer has an activation as any other; the softmax is left to the loss.
        """
        for layer in self.layers:
            x = layer(x, edge_index, self.dropout, self.attention_dropout)
        return x if batch is None else global_mean_pool(x, batch)

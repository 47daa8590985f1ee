"""What is chosen in one layer of a graph neural network, and its names; without torch.

The layer is that of GraphNAS (Gao et al., IJCAI 2020, arXiv 1904.09981) and Auto-GNN (Zhou et al., Frontiers in Big
Data 2022, arXiv 1909.03184); `nasbench.search_spaces.gnn_network` builds it.
"""

from __future__ import annotations

from dataclasses import dataclass

ATTENTIONS = ("const", "gcn", "gat", "sym-gat", "cos", "linear", "gene-linear")
"""How much a node takes from each neighbour."""
UNWEIGHTED = ("const", "gcn")
"""The attentions that learn nothing: no vectors, no softmax, and no dropout of the coefficients."""
AGGREGATIONS = ("sum", "mean", "max", "mlp")
"""What is made of the messages to a node; ``mlp`` is GraphNAS' linear map of each message, and their sum."""
COMBINES = ("identity", "mlp", "skip")
"""What follows on the aggregation; ``skip`` adds a linear map of the node itself."""
ACTIVATIONS = ("sigmoid", "tanh", "relu", "linear", "softplus", "leaky_relu", "relu6", "elu")
MLP_WIDTH = 128
"""Width between the two linear maps of an ``mlp``."""


@dataclass(frozen=True)
class GraphLayerChoices:
    """One layer: the names chosen, ``heads`` of width ``hidden`` each, and ``inputs``, the width of what comes in.

    The heads are concatenated, or averaged if ``average``, as in the last layer.
    """

    attention: str
    aggregation: str
    combine: str
    activation: str
    heads: int
    hidden: int
    inputs: int
    average: bool

    @property
    def outputs(self) -> int:
        """The width of what goes out."""
        return self.hidden if self.average else self.heads * self.hidden

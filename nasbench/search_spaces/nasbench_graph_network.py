"""The stand-alone networks of NAS-Bench-Graph (Qin et al., NeurIPS 2022), with the layers of torch-geometric.

The numbers of parameters in the benchmark's tables fix the layers, but not the order of norm, activation and dropout in
a node, nor the heads. The order is that of code which other projects publish as the authors'; heads are the two that
the authors' package names, where that code has four. On proteins it leaves out the normalisation of graph
convolutions, which is done here as on all other data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import ARMAConv, ChebConv, GATConv, GCNConv, GINConv, GraphConv, SAGEConv

from nasbench.core.errors import BadInput
from nasbench.search_spaces.nasbench_graph import NasBenchGraphSize

WITHOUT_NEIGHBOURS = ("fc", "skip")


class NasBenchGraphNetwork(nn.Module):
    """A graph's ``x`` [nodes, ``features``] and ``edge_index`` int64 [2, edges] to logits [nodes, ``outputs``].

    Dropout; a linear layer where the size has one before; four nodes; what the leaves give, concatenated, through a
    ReLU and a linear layer; a second linear layer where the size has one after. A node is batch norm, ReLU, dropout and
    its operation; on the raw input it is the operation alone, and its batch norm, which is counted all the same, stays
    unused. A skip passes on what it gets. All other operations turn their input into ``width`` numbers a graph node.
    """

    def __init__(
        self,
        sources: Sequence[int],
        operations: Sequence[str],
        features: int,
        outputs: int,
        size: NasBenchGraphSize,
    ) -> None:
        super().__init__()
        if size.width % size.heads:
            raise BadInput(f"{size.heads} attention heads cannot share a width of {size.width}.")
        self.sources, self.operations, self.dropout = tuple(sources), tuple(operations), size.dropout
        self.before = nn.Linear(features, size.width) if size.before else None
        widths = [size.width if size.before else features]
        is_raw = [not size.before]
        self.nodes, self.norms = nn.ModuleList(), nn.ModuleList()
        for source, operation in zip(sources, operations, strict=True):
            self.nodes.append(_operation(operation, widths[source], size.width, size.heads))
            self.norms.append(nn.BatchNorm1d(size.width))
            passes_on = operation == "skip"
            widths.append(widths[source] if passes_on else size.width)
            is_raw.append(is_raw[source] and passes_on)
        self.is_raw = tuple(is_raw)
        self.leaves = [node for node in range(1, len(widths)) if node not in sources]
        joined = sum(widths[leaf] for leaf in self.leaves)
        self.join = nn.Linear(joined, size.width if size.after else outputs)
        self.after = nn.Linear(size.width, outputs) if size.after else None

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = self._dropped(x)
        values = [x if self.before is None else self.before(x)]
        for source, name, operation, norm in zip(self.sources, self.operations, self.nodes, self.norms, strict=True):
            x = values[source]
            if not self.is_raw[source]:
                x = self._dropped(functional.relu(norm(x)))
            values.append(operation(x) if name in WITHOUT_NEIGHBOURS else operation(x, edge_index))
        joined: Tensor = self.join(functional.relu(torch.cat([values[leaf] for leaf in self.leaves], dim=1)))
        return joined if self.after is None else self.after(joined)

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


def _operation(name: str, inputs: int, outputs: int, heads: int) -> nn.Module:
    layers: dict[str, Callable[[], nn.Module]] = {
        "gat": lambda: GATConv(inputs, outputs // heads, heads),
        "gcn": lambda: GCNConv(inputs, outputs),
        "gin": lambda: GINConv(nn.Linear(inputs, outputs)),
        "cheb": lambda: ChebConv(inputs, outputs, K=2),
        "sage": lambda: SAGEConv(inputs, outputs),
        "arma": lambda: ARMAConv(inputs, outputs),
        "graph": lambda: GraphConv(inputs, outputs),
        "fc": lambda: nn.Linear(inputs, outputs),
        "skip": nn.Identity,
    }
    return layers[name]()

"""Several networks on graphs that are trained side by side, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nasbench.datasets.graphs import Graphs, Nodes
from nasbench.evaluators.graph_parts import GraphPart, part_of
from nasbench.networks import device as settings
from nasbench.networks.graph_layers import Dropout, axis_of_networks, graph_layer, stacked_weights


class Stack(Protocol):
    """Networks that are trained together: what the training of networks on graphs needs to know of them."""

    networks: list[Any]

    def weights(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weights of the first layer, and all others."""

    def logits(self, data: Nodes | Graphs, dropout: Dropout | None) -> Tensor:
        """Return [networks, scored, classes]; None for ``dropout`` is evaluation."""

    def remember(self, number: int) -> None:
        """Remember the present weights of one network, in place of what was remembered before."""

    def write(self, *, remembered: bool) -> None:
        """Write into each network the weights remembered of it, or the present ones."""


class Parts:
    """Parts of a task on the device, and what networks of so many layers need of them, kept for the next network."""

    def __init__(self) -> None:
        self._placed: dict[int, tuple[Nodes | Graphs, Nodes | Graphs]] = {}
        self._found: dict[tuple[int, int], tuple[Nodes | Graphs, GraphPart]] = {}

    def placed(self, data: Nodes | Graphs) -> Nodes | Graphs:
        """Return the data on the device that networks run on; the same object for the same data."""
        if id(data) not in self._placed:
            self._placed[id(data)] = data, data.to(settings.device())
        return self._placed[id(data)][1]

    def of(self, data: Nodes | Graphs, layers: int) -> GraphPart:
        """Return `part_of` the data, computed once for each object and number of layers."""
        key = id(data), layers
        if key not in self._found:
            self._found[key] = data, part_of(data, layers)  # the data stay alive, and so does their identity
        return self._found[key][1]


class GnnStack:
    """Networks of one architecture of the space `gnn`, with layers computed for the nodes that need them alone."""

    def __init__(self, networks: Sequence[nn.Module], parts: Parts) -> None:
        self.networks: list[Any] = list(networks)
        self._parts = parts
        self._layers = [(layer.choices, layer.linear_reads) for layer in self.networks[0].layers]
        by_layer = zip(*(network.layers for network in self.networks), strict=True)
        stacked = [stacked_weights([dict(layer.named_parameters()) for layer in layers]) for layers in by_layer]
        self._weights = [
            {name: tensor.detach().requires_grad_() for name, tensor in layer.items()} for layer in stacked
        ]
        self._remembered: dict[int, list[dict[str, Tensor]]] = {}

    def weights(self) -> tuple[list[Tensor], list[Tensor]]:
        first, *others = ([*layer.values()] for layer in self._weights)
        return first, [tensor for layer in others for tensor in layer]

    def logits(self, data: Nodes | Graphs, dropout: Dropout | None) -> Tensor:
        part = self._parts.of(data, len(self._layers))
        values: Any = part.features
        if isinstance(values, Tensor):
            values = values.expand(len(self.networks), -1, -1)
        for (choices, reads), weights, block in zip(self._layers, self._weights, part.blocks, strict=True):
            values = graph_layer(choices, weights, values, block, dropout, reads)
        return part.scored(values)

    def remember(self, number: int) -> None:
        self._remembered[number] = self._of(number)

    def write(self, *, remembered: bool) -> None:
        with torch.no_grad():
            for number, network in enumerate(self.networks):
                stored = self._remembered.get(number) if remembered else None
                for layer, weights in zip(network.layers, stored or self._of(number), strict=True):
                    for name, parameter in layer.named_parameters():
                        parameter.copy_(weights[name])

    def _of(self, number: int) -> list[dict[str, Tensor]]:
        """Return copies of the present weights of one network, layer by layer."""
        return [
            {name: tensor.detach().select(axis_of_networks(name), number).clone() for name, tensor in layer.items()}
            for layer in self._weights
        ]


class ModuleStack:
    """One network of any other kind, called with all features [nodes, features] and all edges int64 [2, edges].

    Features are dense, unless they are stored sparse and the network has an attribute ``takes_sparse`` that is true. On
    whole graphs it gets the number of each node's graph, int64 [nodes], too.
    """

    def __init__(self, network: nn.Module) -> None:
        self.networks = [network]
        self._remembered: dict[str, Tensor] | None = None

    def weights(self) -> tuple[list[Tensor], list[Tensor]]:
        """A network that is not known layer by layer has no first layer: that of its first child with weights."""
        for child in self.networks[0].children():
            first: list[Tensor] = list(child.parameters())
            if first:
                known = {id(parameter) for parameter in first}
                return first, [parameter for parameter in self.networks[0].parameters() if id(parameter) not in known]
        return list(self.networks[0].parameters()), []

    def logits(self, data: Nodes | Graphs, dropout: Dropout | None) -> Tensor:
        self.networks[0].train(dropout is not None)
        features = data.graph.features
        if features.layout != torch.strided and not getattr(self.networks[0], "takes_sparse", False):
            features = features.to_dense()
        if isinstance(data, Graphs):
            logits: Tensor = self.networks[0](features, data.graph.edges, data.membership)
            return logits[None]
        logits = self.networks[0](features, data.graph.edges)
        return logits[None, data.index]

    def remember(self, number: int) -> None:
        self._remembered = {name: tensor.clone() for name, tensor in self.networks[0].state_dict().items()}

    def write(self, *, remembered: bool) -> None:
        if remembered and self._remembered is not None:
            self.networks[0].load_state_dict(self._remembered)
        self.networks[0].eval()


def is_stackable(network: nn.Module) -> bool:
    """Say whether several networks of this kind can be trained side by side."""
    layers = getattr(network, "layers", None)
    return isinstance(layers, nn.ModuleList) and all(hasattr(layer, "choices") for layer in layers)


def stack_of(networks: Sequence[nn.Module], parts: Parts) -> Stack:
    """Return networks of one architecture as a stack. Networks of other spaces go one at a time."""
    if is_stackable(networks[0]):
        return GnnStack(networks, parts)
    assert len(networks) == 1
    return ModuleStack(networks[0])

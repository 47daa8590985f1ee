"""How much memory a network on graphs takes to train, told from its layers before it is built."""

from __future__ import annotations

from collections.abc import Sequence

from nasbench.core.architecture import Architecture
from nasbench.core.errors import TooLarge
from nasbench.core.problem import SearchTask
from nasbench.core.search_space import SearchSpace
from nasbench.networks.graph_layer_choices import GraphLayerChoices

COPIES = 6
"""Tensors of the size of a layer's values, or of its messages, that a training step holds at once (ours).

Of its weights there are the network's, those trained, their gradients, Adam's two moments, and those remembered. On
Cora the memory that four networks of 2,048 and 4,096 columns took was 0.3 to 1.1 times the estimate; it was least where
messages are stored, since the training nodes need few of them.
"""
BYTES = 4  # of a number in float32
GIB = 2**30


def numbers_of(layer: GraphLayerChoices, nodes: int, edges: int) -> int:
    """Return the numbers in a layer's largest tensors: its weights, its values and, where stored, its messages.

    Weights are inputs x heads x hidden, values nodes x heads x hidden. Messages, edges x heads x hidden, are stored for
    the maximum of them and for the logits of ``gene-linear``; every other layer is a product with a sparse matrix,
    which stores none.
    """
    stored = (layer.aggregation == "max") + (layer.attention == "gene-linear")
    return layer.heads * layer.hidden * (layer.inputs + nodes + stored * edges)


def bytes_of_a_step(layers: Sequence[GraphLayerChoices], nodes: int, edges: int) -> int:
    """Estimate the bytes of one training step: 4 x 6 x the sum of `numbers_of` over all layers, for backward needs all.

    ``edges`` has a loop for each node. An upper bound where a layer is computed for a part of the nodes alone.
    """
    return BYTES * COPIES * sum(numbers_of(layer, nodes, edges) for layer in layers)


def networks_that_fit(space: SearchSpace, architecture: Architecture, task: SearchTask, memory_gib: float) -> int:
    """Return how many networks of an architecture may be trained side by side within so much memory.

    Nothing is built. Raises TooLarge if it is none. Of a space without ``layer_choices`` nothing is known: it is one.
    """
    layer_choices = getattr(space, "layer_choices", None)
    if layer_choices is None:
        return 1
    graphs = [part.graph for part in (task.train, task.validation)]
    nodes = max(graph.nodes for graph in graphs)
    edges = max(graph.edges.shape[1] + graph.nodes for graph in graphs)
    needed = bytes_of_a_step(layer_choices(architecture, task.input_shape[0], task.classes), nodes, edges) / GIB
    if needed > memory_gib:
        raise TooLarge(f"training it takes about {needed:.3g} GiB, and recipe.memory_gib allows {memory_gib:g}.")
    return int(memory_gib / needed)

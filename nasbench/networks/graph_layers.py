"""Graph layers on several networks at once, restricted to the nodes whose results are wanted.

The layers are those of `nasbench.search_spaces.gnn_network`, and compute the same from the same weights. Here the
weights of several networks of one architecture are stacked, so that one product serves all of them and all their heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nasbench.networks.graph_activations import ACTIVATION_FUNCTIONS
from nasbench.networks.graph_layer_choices import UNWEIGHTED, GraphLayerChoices
from nasbench.networks.sparse_products import Pattern, maximum_of_rows, multiply, softmax_of_rows

SLOPE = 0.2  # of the leaky rectifier in the attention of GAT (Velickovic et al., ICLR 2018, section 2.1)

Weights = Mapping[str, Tensor]
"""Weights of a layer by name, those of several networks stacked; see `stacked_weights`."""


@dataclass(frozen=True, eq=False)
class Block:
    """The edges along which one layer passes messages, from nodes whose values are there to those wanted.

    ``edges`` has a row for each node wanted and a column for each node there. ``loops`` int64 [wanted] is where a node
    wanted stands among those there. Degrees count all edges of the whole graph that end in a node, its loop included:
    ``degrees`` float [there], of nodes wanted `wanted_degrees`.
    """

    edges: Pattern
    loops: Tensor
    degrees: Tensor

    @cached_property
    def targets(self) -> Tensor:
        """Where the target of each edge stands among the nodes there, int64 [edges]."""
        return self.loops[self.edges.row]

    @cached_property
    def wanted_degrees(self) -> Tensor:
        return self.degrees[self.loops]

    @cached_property
    def normalised(self) -> Tensor:
        """The coefficients ``1 / sqrt(d_i d_j)`` of Kipf and Welling (ICLR 2017, equation 2), float [edges]."""
        roots = self.degrees.rsqrt()
        return roots[self.targets] * roots[self.edges.column]

    @cached_property
    def ones(self) -> Tensor:
        return torch.ones_like(self.normalised)

    def coefficients(self, attention: str) -> Tensor:
        """Return the coefficients of an attention that learns nothing, float [edges]."""
        return self.ones if attention == "const" else self.normalised


@dataclass(frozen=True, eq=False)
class SparseInput:
    """Features stored where they are not zero: their places and their numbers [stored]."""

    pattern: Pattern
    values: Tensor


class Dropout:
    """Drops numbers while training: of what a layer gets (``inputs``) and of coefficients (``attention``).

    Every network of a stack has numbers of its own dropped. With ``shared_input`` the features of the first layer are
    dropped for all alike, which is faster and makes the networks of a stack depend on each other. On the CPU numpy
    draws 16 bits a number, which takes a twentieth of the time of torch's own draws; shares are met to 1e-5.
    """

    def __init__(self, inputs: float, attention: float, seed: int, *, shared_input: bool = False) -> None:
        self.inputs, self.attention, self.shared_input = inputs, attention, shared_input
        self._numpy = np.random.Generator(np.random.SFC64(seed))
        self._seed = seed
        self._torch: torch.Generator | None = None

    def on(self, values: Tensor, share: float) -> Tensor:
        """Return the values, a share of them dropped and the others scaled up."""
        if share == 0:
            return values
        if values.device.type == "cpu":
            drawn = np.frombuffer(self._numpy.bytes(2 * values.numel()), dtype=np.uint16)
            kept = torch.from_numpy(drawn >= round(share * 2**16)).view(values.shape)
        else:
            if self._torch is None:
                self._torch = torch.Generator(values.device).manual_seed(self._seed)
            kept = torch.rand(values.shape, generator=self._torch, device=values.device) >= share
        return values * (kept.to(values.dtype) / (1.0 - share))


def stacked_weights(layers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the weights of one layer of several networks."""
    return {name: torch.stack([layer[name] for layer in layers], dim=axis_of_networks(name)) for name in layers[0]}


def axis_of_networks(name: str) -> int:
    """Return the axis along which a weight is stacked: 1 where axis 0 meets the layer's input, which networks share."""
    return 1 if name in ("weight", "skip_weight") else 0


def graph_layer(
    choices: GraphLayerChoices,
    weights: Weights,
    inputs: Tensor | SparseInput,
    block: Block,
    dropout: Dropout | None,
    linear_reads: str = "source",
) -> Tensor:
    """Return what a layer of several networks gives, [networks, wanted, outputs].

    ``inputs`` is dense [networks, there, inputs], or sparse and then the same for all networks. None for ``dropout``
    is evaluation.
    """
    networks, heads, hidden = weights["weight"].shape[1:]
    values, scores, skipped = _transformed(choices, weights, inputs, block, dropout, linear_reads)
    if dropout is not None and choices.attention == "const":
        values = dropout.on(values, dropout.attention)
    if choices.attention in UNWEIGHTED:
        coefficients = block.coefficients(choices.attention)[:, None]  # of all networks and heads
    else:
        coefficients = softmax_of_rows(block.edges, _logits(choices, weights, values, scores, block, linear_reads))
        if dropout is not None:
            coefficients = dropout.on(coefficients, dropout.attention)
    if choices.aggregation == "max":
        messages = values.index_select(0, block.edges.column) * coefficients[:, :, None]
        sums = maximum_of_rows(block.edges, messages.flatten(1))
    elif choices.attention in UNWEIGHTED:
        sums = multiply(block.edges, coefficients[:, 0], values.flatten(1))
    else:
        sums = block.edges.repeated(networks * heads).multiply(coefficients, values)
    if choices.aggregation == "mean":
        sums = sums.view(len(block.loops), -1) / block.wanted_degrees[:, None]
    sums = sums.view(-1, networks, heads, hidden)
    if choices.aggregation == "mlp":  # a linear map of each message, which is one of their sum
        sums = sums @ (weights["message_first"] @ weights["message_second"])
    joined = sums.mean(2) if choices.average else sums.flatten(2)
    return _finished(choices, weights, joined.transpose(0, 1) + weights["bias"][:, None], skipped)


def _transformed(
    choices: GraphLayerChoices,
    weights: Weights,
    inputs: Tensor | SparseInput,
    block: Block,
    dropout: Dropout | None,
    linear_reads: str,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return ``xW`` and what else is linear in the layer's input x.

    ``xW`` is [there, networks * heads, hidden]. The products of each of its rows with the vectors of an attention that
    reads them alone are [there, vectors, networks * heads]; the skip connection's are [networks, wanted, outputs].
    """
    weight = weights["weight"]
    _, networks, heads, hidden = weight.shape
    there = _dropped(inputs, networks, dropout)
    values = _times(there, weight.flatten(2)).reshape(-1, networks * heads, hidden)
    vectors, scores, skipped = _vectors(choices, weights, linear_reads), None, None
    if vectors is not None:  # x (W a) for (x W) a
        reading = torch.einsum("ibhd,bhdv->ibvh", weight, vectors)
        scores = _times(there, reading.flatten(2)).view(-1, networks, vectors.shape[3], heads)
        scores = scores.transpose(1, 2).reshape(-1, vectors.shape[3], networks * heads)
    if choices.combine == "skip":
        skipped = _times(there, weights["skip_weight"]).index_select(0, block.loops).transpose(0, 1)
    return values, scores, skipped


def _vectors(choices: GraphLayerChoices, weights: Weights, linear_reads: str) -> Tensor | None:
    """Return the vectors of an attention whose logits are made of their products with a node: [.., hidden, vectors]."""
    if choices.attention == "linear" and linear_reads == "source":
        return (weights["target"] + weights["source"])[..., None]
    if choices.attention in ("gat", "sym-gat", "linear"):
        return torch.stack([weights["target"], weights["source"]], dim=-1)
    return None


def _dropped(inputs: Tensor | SparseInput, networks: int, dropout: Dropout | None) -> Tensor | list[SparseInput]:
    """Return the input after dropout: one of sparse ones for all networks, or one for each of them."""
    share = 0.0 if dropout is None else dropout.inputs
    if isinstance(inputs, Tensor):
        return inputs if dropout is None else dropout.on(inputs, share)
    if dropout is None or share == 0:
        return [inputs]
    count = 1 if dropout.shared_input else networks
    return [SparseInput(inputs.pattern, dropout.on(inputs.values, share)) for _ in range(count)]


def _times(inputs: Tensor | list[SparseInput], weights: Tensor) -> Tensor:
    """Return [there, networks, width] of weights [inputs, networks, width]."""
    if isinstance(inputs, Tensor):
        return torch.matmul(inputs, weights.transpose(0, 1)).transpose(0, 1)
    size = weights.shape[1] // len(inputs)
    each = [
        multiply(one.pattern, one.values, part.flatten(1)).view(-1, *part.shape[1:])
        for one, part in zip(inputs, weights.split(size, dim=1), strict=True)  # type: ignore[no-untyped-call]
    ]
    return each[0] if len(each) == 1 else torch.cat(each, dim=1)


def _logits(
    choices: GraphLayerChoices,
    weights: Weights,
    values: Tensor,
    scores: Tensor | None,
    block: Block,
    linear_reads: str,
) -> Tensor:
    """Return what the softmax is taken of, [edges, networks * heads]; values and scores as `_transformed` has them."""
    targets, sources = block.targets, block.edges.column
    if choices.attention == "cos":
        target, source = weights["target"].flatten(0, 1), weights["source"].flatten(0, 1)
        weighted = values.index_select(0, block.loops) * (target * source)
        return block.edges.repeated(values.shape[1]).inner_products(weighted, values)
    if choices.attention == "gene-linear":
        as_target, as_source = (values * weights[name].flatten(0, 1) for name in ("target", "source"))
        sums = torch.tanh(as_target.index_select(0, targets) + as_source.index_select(0, sources))
        score = weights["score"][:, None].expand(-1, choices.heads, -1).reshape(-1, choices.hidden)
        return (sums * score).sum(-1)
    assert scores is not None
    if choices.attention == "linear" and linear_reads == "source":
        return torch.tanh(scores[:, 0]).index_select(0, sources)
    as_target, as_source = scores[:, 0].contiguous(), scores[:, 1].contiguous()
    logits = as_target.index_select(0, targets) + as_source.index_select(0, sources)
    if choices.attention == "linear":
        return torch.tanh(logits)
    logits = functional.leaky_relu(logits, SLOPE)
    if choices.attention == "sym-gat":
        turned = as_target.index_select(0, sources) + as_source.index_select(0, targets)
        logits = logits + functional.leaky_relu(turned, SLOPE)
    return logits


def _finished(choices: GraphLayerChoices, weights: Weights, values: Tensor, skipped: Tensor | None) -> Tensor:
    if choices.combine == "mlp":
        inner = torch.relu(values @ weights["mlp_first_weight"] + weights["mlp_first_bias"][:, None])
        values = inner @ weights["mlp_second_weight"] + weights["mlp_second_bias"][:, None]
    elif skipped is not None:
        values = values + skipped
    return ACTIVATION_FUNCTIONS[choices.activation](values)

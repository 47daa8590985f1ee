"""The spaces of Auto-GNN and GraphNAS: graph neural networks whose every layer is chosen part by part.

Zhou, Song, Huang, Hu, "Auto-GNN: Neural Architecture Search of Graph Neural Networks", Frontiers in Big Data 2022,
arXiv 1909.03184; Gao et al., "GraphNAS", IJCAI 2020, arXiv 1904.09981.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nasbench.core.architecture import Architecture, Value
from nasbench.core.configuration import validated
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.problem import GRAPH_KINDS
from nasbench.networks.graph_layer_choices import (
    ACTIVATIONS,
    AGGREGATIONS,
    ATTENTIONS,
    COMBINES,
    GraphLayerChoices,
)

if TYPE_CHECKING:
    from nasbench.core.problem import SearchTask
    from nasbench.search_spaces.gnn_network import GnnNetwork

HIDDEN = (4, 8, 16, 32, 64, 128, 256)
"""Widths of a head."""
HEADS: dict[str, tuple[int, ...]] = {"auto-gnn": (1, 2, 4, 8, 16), "graphnas": (1, 2, 4, 6, 8, 16)}
# (of all layers but the last, of the last): the network of each name, as (attention, aggregation, combine, activation,
# heads, width of a head). The last layer's width is the number of classes.
NAMED: dict[str, tuple[tuple[Value, ...], tuple[Value, ...]]] = {
    "gcn": (("gcn", "sum", "identity", "relu", 1, 16), ("gcn", "sum", "identity", "linear", 1, HIDDEN[0])),
    "gat": (("gat", "sum", "identity", "elu", 8, 8), ("gat", "sum", "identity", "linear", 1, HIDDEN[0])),
}


class GnnConfig(BaseModel):
    """The arguments of `Gnn`."""

    model_config = ConfigDict(extra="forbid")

    layers: int = Field(default=2, ge=1, le=8, description="number of layers")
    variant: Literal["auto-gnn", "graphnas"] = Field(
        default="auto-gnn", description="graphnas: six numbers of heads, the aggregation mlp, and nothing combined"
    )
    skip: bool = Field(
        default=False, description="offer the combine value skip, an extension: a linear map of the node is added"
    )
    # The papers' text has the vectors of both nodes; GraphNAS' program multiplies both with the neighbour.
    linear_reads: Literal["source", "both"] = Field(
        default="source", description="what the attention linear reads: the neighbour, or both nodes"
    )

    @model_validator(mode="after")
    def _combines(self) -> GnnConfig:
        if self.skip and self.variant == "graphnas":
            raise ValueError("skip is a value of the decision combine, which the variant graphnas has not")
        return self


class GnnSize(BaseModel):
    """What a network can vary around its choices. Defaults: GraphNAS' program."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dropout: float = Field(default=0.6, ge=0, lt=1, description="of what comes into a layer")
    attention_dropout: float = Field(default=0.6, ge=0, lt=1, description="of the coefficients of attention")


class Gnn(DecisionSpace):
    """Graph neural networks of ``layers`` layers, each of six decisions, for single nodes or for whole graphs.

    A layer is attention, aggregation, combine, activation, number of heads and width of a head; the groups of decisions
    are these six classes. The width of the last layer is the number of classes, so that its decision is inert.
    Written ``gat sum identity elu 8x8 | gat sum identity linear 1``: heads x width, layer by layer.

    ``variant`` is the set of values: ``auto-gnn``, 11,760 for each layer, or that of GraphNAS' program, ``graphnas``,
    9,408, without a combine decision. The values of ``auto-gnn`` were not checked against the paper's own table.
    ``skip`` adds a third combine value to it (17,640). Neither a
    GraphSAGE layer is a point of the space, for a node is always among its own neighbours, nor a GIN layer, for a
    linear map comes before its network.
    """

    task_kinds: ClassVar[tuple[str, ...]] = GRAPH_KINDS
    Config: ClassVar[type[BaseModel]] = GnnConfig
    Size: ClassVar[type[BaseModel] | None] = GnnSize

    def __init__(
        self,
        layers: int = 2,
        variant: Literal["auto-gnn", "graphnas"] = "auto-gnn",
        skip: bool = False,
        linear_reads: Literal["source", "both"] = "source",
    ) -> None:
        given = {"layers": layers, "variant": variant, "skip": skip, "linear_reads": linear_reads}
        config = validated(GnnConfig, given, "space 'gnn'")
        self.layers, self.linear_reads = config.layers, config.linear_reads
        self.combines = config.variant == "auto-gnn"
        parts = {
            "graphnas": not self.combines,
            f"{config.layers}-layers": config.layers != 2,
            "skip": config.skip,
            "linear-both": config.linear_reads == "both",
        }
        self.name = "-".join(["gnn", *(part for part, named in parts.items() if named)])
        values: dict[str, tuple[Value, ...]] = {
            "attention": ATTENTIONS,
            "aggregation": AGGREGATIONS[:3] if self.combines else AGGREGATIONS,
            "combine": COMBINES if config.skip else COMBINES[:2],
            "activation": ACTIVATIONS,
            "heads": HEADS[config.variant],
            "hidden": HIDDEN,
        }
        if not self.combines:
            del values["combine"]
        self.classes = tuple(values)
        self.decisions = tuple(
            Choice(f"{kind}{layer}", allowed, kind, _never if kind == "hidden" and layer == config.layers else None)
            for layer in range(1, config.layers + 1)
            for kind, allowed in values.items()
        )

    # -- notation ----------------------------------------------------------------------------------------------------
    def named(self, name: str) -> Architecture:
        """Return a known network: ``gcn`` (Kipf and Welling, ICLR 2017) or ``gat`` (Velickovic et al., ICLR 2018).

        With two layers they are those of the papers: 16 wide with ReLU, 8 heads of width 8 with ELU; then one head, and
        no activation. Raises BadInput for other names.
        """
        if name.lower() not in NAMED:
            raise BadInput(f"'{self.name}' has no network named '{name}'; it has: {', '.join(NAMED)}.")
        inner, last = NAMED[name.lower()]
        spec = [
            value
            for layer in [inner] * (self.layers - 1) + [last]
            for position, value in enumerate(layer)
            if self.combines or position != 2
        ]
        return Architecture(self.name, tuple(spec))

    def format(self, architecture: Architecture) -> str:
        """Write layer by layer the names, then heads x width; without the last width if it is the first there is."""
        layers = []
        for number, layer in enumerate(self._by_layer(architecture), start=1):
            *names, heads, hidden = layer
            is_implied = number == self.layers and hidden == HIDDEN[0]
            layers.append(" ".join([*map(str, names), f"{heads}" if is_implied else f"{heads}x{hidden}"]))
        return " | ".join(layers)

    def parse(self, text: str) -> Architecture:
        """Read what `format` writes, a name that `named` knows, or all decisions as ``attention1=gat, ...``."""
        if text.strip().lower() in NAMED:
            return self.named(text.strip())
        if "=" in text:
            return super().parse(text)
        spec: list[Value] = []
        layers = text.split("|")
        for number, layer in enumerate(layers, start=1):
            *names, width = layer.split() or [""]
            found = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", width)
            is_whole = found and (found[2] or number == self.layers)
            if len(layers) != self.layers or len(names) != len(self.classes) - 2 or not found or not is_whole:
                raise BadInput(
                    f"cannot read the network '{text.strip()}'; expected a name ({', '.join(NAMED)}) or, in "
                    f"{self.layers} parts between '|', {', '.join(self.classes[:-2])} and heads x width, as in: "
                    f"{self.format(self.named('gat'))}"
                )
            spec += [*names, int(found[1]), int(found[2] or HIDDEN[0])]
        architecture = Architecture(self.name, tuple(spec))
        self.check(architecture)
        return architecture

    # -- networks ----------------------------------------------------------------------------------------------------
    def layer_choices(self, architecture: Architecture, features: int, outputs: int) -> list[GraphLayerChoices]:
        """Return what each layer is, widths included, for ``features`` of a node and ``outputs`` of the network.

        Raises BadInput if the architecture is none of the space.
        """
        self.check(architecture)
        layers: list[GraphLayerChoices] = []
        for number, values in enumerate(self._by_layer(architecture), start=1):
            layer: dict[str, Any] = {"combine": "identity", **dict(zip(self.classes, values, strict=True))}
            is_last = number == self.layers
            if is_last:
                layer["hidden"] = outputs
            inputs = layers[-1].outputs if layers else features
            layers.append(GraphLayerChoices(**layer, inputs=inputs, average=is_last))
        return layers

    def build(self, architecture: Architecture, task: SearchTask, size: GnnSize | None = None) -> GnnNetwork:
        """Return the network for ``task.input_shape`` = (features,) of a node and ``task.classes`` outputs.

        It takes ``x`` [nodes, features], dense or sparse in CSR layout, and ``edge_index`` int64 [2, edges], sources
        first and without loops, and returns logits [nodes, classes]. With ``batch`` int64 [nodes], the number of each
        node's graph, they are the mean of each graph's nodes, [graphs, classes].

        Raises BadInput if the task is none on graphs, MissingData without torch-geometric.
        """
        if task.kind not in self.task_kinds or len(task.input_shape) != 1:
            raise BadInput(
                f"'{self.name}' builds networks for nodes or graphs, with a row of features for each node; "
                f"'{task.name}' is of kind '{task.kind}' and shape {task.input_shape}."
            )
        layers = self.layer_choices(architecture, task.input_shape[0], task.classes)
        try:
            from nasbench.search_spaces.gnn_network import GnnNetwork
        except ImportError as error:
            raise MissingData(
                "building graph networks needs torch-geometric: pip install 'nasbench[graph]'."
            ) from error
        size = size or GnnSize()
        return GnnNetwork(layers, size.dropout, size.attention_dropout, self.linear_reads)

    def _by_layer(self, architecture: Architecture) -> list[tuple[Value, ...]]:
        count = len(self.classes)
        return [architecture.spec[start : start + count] for start in range(0, len(architecture.spec), count)]


def _never(settings: Mapping[str, Value]) -> bool:
    return False

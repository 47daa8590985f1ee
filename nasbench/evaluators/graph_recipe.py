"""Recipes for networks on graphs, as data. Importing this file does not import torch."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class GraphRecipe(BaseModel):
    """How a network on graphs is trained: by Adam at a constant rate, on all training nodes or graphs in every step.

    The defaults are those of GAT on the citation graphs (Velickovic et al., ICLR 2018, section 3.3), but for the number
    of epochs. Its attention heads and widths belong to the architecture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    epochs: int = Field(default=200, ge=1)  # Kipf and Welling, ICLR 2017, section 5.2; one step each
    learning_rate: float = Field(default=0.005, gt=0)  # GAT 3.3
    weight_decay: float = Field(default=5e-4, ge=0)  # GAT 3.3: L2, which Adam adds to the gradient
    decayed: Literal["all layers", "first layer"] = "all layers"  # GAT: all; GCN 5.2: the first layer
    dropout: float = Field(default=0.6, ge=0, lt=1)  # GAT 3.3: of the inputs of every layer
    attention_dropout: float = Field(default=0.6, ge=0, lt=1)  # GAT 3.3: of the coefficients of the edges

    # Which epoch's weights are kept: those of the best validation accuracy, the first of equal ones being that of the
    # lowest validation loss; or the last. Validation is looked at every so many epochs and at the end: with 10 a
    # training takes two thirds of its time, and the choice is among fewer epochs (ours).
    selection: Literal["best", "last"] = "best"
    evaluate_every: int = Field(default=10, ge=1)
    # A training ends early when so many looks at validation in a row brought neither an accuracy nor a loss as good as
    # the best so far; GAT 3.3 takes 100 epochs. None: never.
    patience: int | None = Field(default=None, ge=1)

    # A network that would take more to train is not built, and fails: in a search, among the random architectures that
    # it is compared with, and at the end alike. See `nasbench.evaluators.graph_memory` (ours).
    memory_gib: float = Field(default=4.0, gt=0)
    threads: int = Field(default=1, ge=1)  # CPU threads of one training; its last bits depend on it
    validation: float = Field(default=0.2, gt=0, lt=1)  # share held out, where a split takes shares
    split_seed: int = Field(default=0, ge=0)  # the split is part of the recipe: all methods share it

    @model_validator(mode="after")
    def _consistent(self) -> GraphRecipe:
        if self.selection == "last" and self.patience is not None:
            raise ValueError("patience picks an epoch by validation; it goes with selection 'best'")
        return self

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that identify the training; the name is not part of it."""
        text = json.dumps(self.model_dump(exclude={"name"}), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def shortened(self, epochs: int) -> GraphRecipe:
        """Return the recipe with another number of epochs."""
        return self.model_copy(update={"epochs": epochs})


GRAPH_RECIPES: dict[str, GraphRecipe] = {
    # One recipe for every architecture of a search, as Auto-GNN and GraphNAS have it: that of GAT, for 200 epochs.
    "graph": GraphRecipe(name="graph"),
    # Kipf and Welling, ICLR 2017, section 5.2. Edges have no dropout there.
    "gcn": GraphRecipe(
        name="gcn",
        learning_rate=0.01,
        decayed="first layer",
        dropout=0.5,
        attention_dropout=0.0,
        evaluate_every=1,
    ),
    # Velickovic et al., ICLR 2018, section 3.3; its patience within at most 2,000 epochs, which is ours.
    "gat": GraphRecipe(name="gat", epochs=2000, evaluate_every=1, patience=100),
    # A few seconds on a small graph, such as the karate club.
    "graph-small": GraphRecipe(name="graph-small", epochs=40, dropout=0.2, attention_dropout=0.2, learning_rate=0.01),
}

"""Selection of operations by perturbation instead of by alpha (Wang et al., DARTS-PT, ICLR 2021).

An operation is worth what the supernet loses without it. All functions work on coefficients, a dictionary of tensors
[edges, operations] for each kind of cell: an edge not yet decided has the weights of all its operations, a decided one
a single 1, a dropped one zeros. From the softmax of a trained alpha this is DARTS-PT; from that of alpha = 0, in a
supernet trained so, it is the authors' ablation which shows what alpha has learned. The final coefficients decode to
the architecture by the rule of the space, since what was not chosen is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Coefficients = Mapping[str, Tensor]
Accuracy = Callable[[Coefficients], float]
"""The validation accuracy of the supernet with these coefficients."""


def best_operation(
    coefficients: Coefficients, kind: str, edge: int, accuracy: Accuracy, candidates: Sequence[int]
) -> int:
    """Return the column among ``candidates`` whose removal from the edge leaves the lowest accuracy; first of ties."""
    return min(candidates, key=lambda column: accuracy(_without(coefficients, kind, (edge, column))))


def best_inputs(
    coefficients: Coefficients, kind: str, edges: Sequence[int], accuracy: Accuracy, keep: int = 2
) -> list[int]:
    """Return the ``keep`` edges into a node left when, again and again, the edge missed least is dropped.

    Of edges missed equally, the last one goes.
    """
    remaining = list(edges)
    while len(remaining) > keep:
        scores = [accuracy(_without(coefficients, kind, (edge,))) for edge in remaining]
        dropped = max(range(len(remaining)), key=lambda position: (scores[position], position))
        coefficients = _without(coefficients, kind, (remaining.pop(dropped),))
    return remaining


class PerturbationSelection:
    """Decides the operation of every edge, then the inputs of every node, one round at a time.

    A round decides one edge of each kind of cell, or, when all edges are decided, one node of each kind. The supernet
    is tuned between rounds, by the caller. A selection that is restored after any round goes on to the same result.
    """

    def __init__(
        self,
        weights: Coefficients,
        generator: torch.Generator,
        *,
        candidates: Sequence[int] | None = None,
        nodes: Sequence[Sequence[int]] | None = None,
        keep: int = 2,
    ) -> None:
        """Start from ``weights``, the coefficients of the trained supernet; draw the order of edges and of nodes.

        ``candidates`` are the columns that may be chosen (default: all); a space whose architectures cannot hold
        ``none`` leaves that column out. ``nodes`` lists the edges (rows) into each node, the same for all kinds of
        cell; ``keep`` of each remain. Without ``nodes`` every edge remains.
        """
        self._decided = {kind: tensor.detach().clone() for kind, tensor in weights.items()}
        self._candidates = candidates
        self._crowded = [list(edges) for edges in nodes or () if len(edges) > keep]
        self._keep = keep
        self._edge_order = {kind: _order(len(tensor), generator) for kind, tensor in weights.items()}
        self._node_order = {kind: _order(len(self._crowded), generator) for kind in weights}
        self._position = 0

    @property
    def rounds(self) -> int:
        """The number of rounds from the first to the last."""
        return self._edge_rounds + len(self._crowded)

    @property
    def finished(self) -> bool:
        """Whether all is decided."""
        return self._position >= self.rounds

    @property
    def decided(self) -> dict[str, Tensor]:
        """The present coefficients: of undecided edges the weights, of decided ones a single 1, of dropped ones 0."""
        return dict(self._decided)

    def step(self, accuracy: Accuracy) -> None:
        """Do one round; later kinds see what it has decided for earlier ones. Must not be called when finished.

        Nothing changes if ``accuracy`` raises.
        """
        assert not self.finished, "all is decided"
        result = {kind: tensor.clone() for kind, tensor in self._decided.items()}
        for kind in result:
            if self._position >= self._edge_rounds:
                edges = self._crowded[self._node_order[kind][self._position - self._edge_rounds]]
                kept = best_inputs(result, kind, edges, accuracy, self._keep)
                result[kind][[edge for edge in edges if edge not in kept]] = 0
            elif self._position < len(self._edge_order[kind]):
                edge = self._edge_order[kind][self._position]
                columns = range(result[kind].shape[1]) if self._candidates is None else self._candidates
                column = best_operation(result, kind, edge, accuracy, columns)
                result[kind][edge] = 0
                result[kind][edge, column] = 1
        self._decided = result
        self._position += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the orders, the position in them and what is decided."""
        return {
            "edge_order": {kind: list(order) for kind, order in self._edge_order.items()},
            "node_order": {kind: list(order) for kind, order in self._node_order.items()},
            "position": self._position,
            "decided": {kind: tensor.clone() for kind, tensor in self._decided.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the selection was that returned this state, on the device of this one's coefficients."""
        self._edge_order = {kind: list(order) for kind, order in state["edge_order"].items()}
        self._node_order = {kind: list(order) for kind, order in state["node_order"].items()}
        self._position = int(state["position"])
        self._decided = {kind: tensor.clone().to(self._decided[kind]) for kind, tensor in state["decided"].items()}

    @property
    def _edge_rounds(self) -> int:
        return max(map(len, self._edge_order.values()), default=0)


def _order(count: int, generator: torch.Generator) -> list[int]:
    order: list[int] = torch.randperm(count, generator=generator, device=generator.device).tolist()
    return order


def _without(coefficients: Coefficients, kind: str, position: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the coefficients with one entry (edge, operation), or one row (edge,), set to 0; the others unscaled."""
    masked = coefficients[kind].clone()
    masked[position] = 0
    return {**coefficients, kind: masked}

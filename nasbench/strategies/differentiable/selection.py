"""Selection of operations by perturbation instead of by alpha (Wang et al., DARTS-PT, ICLR 2021).

An operation is worth what the supernet loses without it. All functions work on coefficients, a dictionary of tensors
[edges, operations] for each kind of cell: an edge not yet decided has the weights of all its operations, a decided one
a single 1, a dropped one zeros. From the softmax of a trained alpha this is DARTS-PT; from that of alpha = 0, in a
supernet trained so, it is the authors' ablation which shows what alpha has learned. The final coefficients decode to
the architecture by the rule of the space, since what was not chosen is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

Coefficients = Mapping[str, Tensor]
Accuracy = Callable[[Coefficients], float]
"""The validation accuracy of the supernet with these coefficients."""
Tune = Callable[[Coefficients], None]
"""Trains the weights of the supernet on with these coefficients; called after each round of decisions."""


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


def select_operations(
    weights: Coefficients,
    accuracy: Accuracy,
    generator: torch.Generator,
    *,
    candidates: Sequence[int] | None = None,
    tune: Tune | None = None,
) -> dict[str, Tensor]:
    """Decide the operation of every edge, in random order; return one-hot coefficients.

    A round decides one edge of each kind of cell, then tunes. ``candidates`` are the columns that may be chosen
    (default: all); a space whose architectures cannot hold ``none`` leaves that column out.
    """
    decided = {kind: tensor.detach().clone() for kind, tensor in weights.items()}
    for kinds in _rounds({kind: len(tensor) for kind, tensor in weights.items()}, generator):
        for kind, edge in kinds:
            columns = range(decided[kind].shape[1]) if candidates is None else candidates
            column = best_operation(decided, kind, edge, accuracy, columns)
            decided[kind][edge] = 0
            decided[kind][edge, column] = 1
        if tune is not None:
            tune(decided)
    return decided


def select_inputs(
    decided: Coefficients,
    nodes: Sequence[Sequence[int]],
    accuracy: Accuracy,
    generator: torch.Generator,
    *,
    keep: int = 2,
    tune: Tune | None = None,
) -> dict[str, Tensor]:
    """Keep the best ``keep`` edges into every node, nodes in random order; return the coefficients, others zero.

    ``nodes`` lists the edges (rows) into each node, the same for all kinds of cell. A round decides one node of each
    kind, then tunes.
    """
    result = {kind: tensor.detach().clone() for kind, tensor in decided.items()}
    crowded = [edges for edges in nodes if len(edges) > keep]
    for kinds in _rounds(dict.fromkeys(result, len(crowded)), generator):
        for kind, node in kinds:
            kept = best_inputs(result, kind, crowded[node], accuracy, keep)
            result[kind][[edge for edge in crowded[node] if edge not in kept]] = 0
        if tune is not None:
            tune(result)
    return result


def _rounds(counts: Mapping[str, int], generator: torch.Generator) -> Iterator[list[tuple[str, int]]]:
    """Yield lists of (kind, index), each index of each kind once and in random order, one of each kind at a time."""
    orders = {
        kind: torch.randperm(count, generator=generator, device=generator.device).tolist()
        for kind, count in counts.items()
    }
    for position in range(max(counts.values(), default=0)):
        yield [(kind, order[position]) for kind, order in orders.items() if position < len(order)]


def _without(coefficients: Coefficients, kind: str, position: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the coefficients with one entry (edge, operation), or one row (edge,), set to 0; the others unscaled."""
    masked = coefficients[kind].clone()
    masked[position] = 0
    return {**coefficients, kind: masked}

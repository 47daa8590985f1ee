"""Selection by perturbation: what is removed, what is kept, in which order, and what decodes from it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.differentiable.selection import PerturbationSelection, best_inputs, best_operation

NODES = [[0, 1], [2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12, 13]]
"""The edges into each node of a DARTS cell."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(**shapes: tuple[int, int]) -> dict[str, Tensor]:
    """Return the weights of alpha = 0."""
    return {kind: torch.zeros(shape).softmax(dim=-1) for kind, shape in shapes.items()}


def selected(weights: Mapping[str, Tensor], accuracy: Any, seed: int = 0, **settings: Any) -> dict[str, Tensor]:
    """Return what a whole selection decides."""
    selection = PerturbationSelection(weights, generator(seed), **settings)
    while not selection.finished:
        selection.step(accuracy)
    return selection.decided


class Worth:
    """An accuracy that adds up what each present operation is worth, and remembers all that it was asked."""

    def __init__(self, **shapes: tuple[int, int]) -> None:
        draw = generator(11)
        self.worth = {kind: torch.rand(shape, generator=draw) for kind, shape in shapes.items()}
        self.asked: list[dict[str, Tensor]] = []

    def __call__(self, coefficients: Mapping[str, Tensor]) -> float:
        self.asked.append({kind: tensor.clone() for kind, tensor in coefficients.items()})
        return float(sum((self.worth[kind] * (tensor > 0)).sum() for kind, tensor in coefficients.items()))


def test_one_operation_at_a_time_is_removed_and_the_others_keep_their_weights() -> None:
    weights, accuracy = uniform(cell=(6, 5)), Worth(cell=(6, 5))
    column = best_operation(weights, "cell", 2, accuracy, range(5))
    assert column == int(accuracy.worth["cell"][2].argmax())
    for removed, asked in enumerate(accuracy.asked):
        expected = torch.full((6, 5), 0.2)
        expected[2, removed] = 0
        assert torch.equal(asked["cell"], expected)
    assert torch.equal(weights["cell"], torch.full((6, 5), 0.2))


def test_ties_go_to_the_first_operation_and_the_first_edges() -> None:
    weights = uniform(cell=(6, 5))
    assert best_operation(weights, "cell", 0, lambda _: 0.5, [3, 1, 2]) == 3
    assert best_inputs(weights, "cell", [1, 2, 3, 5], lambda _: 0.5) == [1, 2]


def test_every_edge_ends_with_the_operation_that_was_worth_most() -> None:
    accuracy = Worth(normal=(14, 8), reduce=(14, 8))
    weights = uniform(normal=(14, 8), reduce=(14, 8))
    selection = PerturbationSelection(weights, generator())
    ones: list[int] = []
    while not selection.finished:
        selection.step(accuracy)
        ones.append(sum(int((table == 1).sum()) for table in selection.decided.values()))
    decided = selection.decided
    for kind in ("normal", "reduce"):
        assert torch.equal(decided[kind], torch.eye(8)[accuracy.worth[kind].argmax(dim=1)])
        assert torch.equal(weights[kind], torch.full((14, 8), 1 / 8))
    assert len(accuracy.asked) == 2 * 14 * 8
    assert ones == list(range(2, 29, 2))  # after each round one more edge of both kinds is decided
    assert selection.rounds == 14


def test_columns_left_out_are_never_removed_and_never_chosen() -> None:
    accuracy = Worth(cell=(6, 5))
    accuracy.worth["cell"][:, 0] = 9
    decided = selected(uniform(cell=(6, 5)), accuracy, candidates=[1, 2, 3, 4])
    assert decided["cell"].argmax(dim=1).tolist() == (accuracy.worth["cell"][:, 1:].argmax(dim=1) + 1).tolist()
    assert len(accuracy.asked) == 6 * 4


def edge_order(seed: int) -> list[int]:
    accuracy = Worth(cell=(6, 5))
    selected(uniform(cell=(6, 5)), accuracy, seed)
    # Of the five questions about an edge, the first removes column 0 of that edge alone among the undecided ones.
    return [
        next(edge for edge in range(6) if asked["cell"][edge, 0] == 0 and asked["cell"][edge, 1] == pytest.approx(0.2))
        for asked in accuracy.asked[::5]
    ]


def test_edges_come_in_an_order_that_the_seed_decides() -> None:
    orders = {tuple(edge_order(seed)) for seed in range(20)}
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len(orders) > 15
    assert edge_order(3) == edge_order(3)


def test_later_decisions_see_earlier_ones() -> None:
    # Operation 1 of an edge is worth something only until another edge has been decided for it.
    def accuracy(coefficients: Mapping[str, Tensor]) -> float:
        cell = coefficients["cell"]
        return float((cell[:, 1] > 0).any()) + 0.01 * float((cell[:, 0] > 0).sum())

    decided = selected(uniform(cell=(2, 2)), accuracy)
    assert sorted(decided["cell"].argmax(dim=1).tolist()) == [0, 1]


def test_inputs_are_dropped_one_after_another() -> None:
    # Edges 0 and 1 stand in for each other: either alone is not missed, and once one is gone the other is.
    def accuracy(coefficients: Mapping[str, Tensor]) -> float:
        used = coefficients["cell"].sum(dim=1) > 0
        return 0.5 * float(used[0] or used[1]) + 0.3 * float(used[2]) + 0.1 * float(used[3])

    one_hot = {"cell": torch.eye(4)}
    assert best_inputs(one_hot, "cell", [0, 1, 2, 3], accuracy) == [0, 2]
    assert torch.equal(one_hot["cell"], torch.eye(4))


def test_selected_coefficients_decode_to_the_selected_architecture() -> None:
    space = Darts("darts")
    shape = (14, len(space.operations) + 1)
    accuracy = Worth(normal=shape, reduce=shape)
    weights = uniform(normal=shape, reduce=shape)
    selection = PerturbationSelection(weights, generator(), candidates=range(1, shape[1]), nodes=NODES)
    assert selection.rounds == 14 + 3  # the first node has two inputs only
    for _ in range(14):
        selection.step(accuracy)
    decided = selection.decided
    while not selection.finished:
        selection.step(accuracy)
    final = selection.decided

    expected: list[object] = []
    for kind in ("normal", "reduce"):
        best, columns = accuracy.worth[kind][:, 1:].max(dim=1)
        for node in NODES:
            a, b = sorted(sorted(node, key=lambda edge: -float(best[edge]))[:2])
            assert final[kind][[a, b]].sum() == 2
            assert final[kind][node].sum() == 2
            expected += [(a - node[0], b - node[0]), *(space.operations[int(columns[edge])] for edge in (a, b))]
    assert space.discretize({kind: tensor.numpy() for kind, tensor in final.items()}).spec == tuple(expected)
    assert all(decided[kind].sum() == 14 for kind in decided)


def test_kinds_with_different_numbers_of_edges() -> None:
    accuracy = Worth(small=(2, 3), large=(5, 3))
    decided = selected(uniform(small=(2, 3), large=(5, 3)), accuracy)
    assert all(torch.equal(decided[k], torch.eye(3)[accuracy.worth[k].argmax(dim=1)]) for k in decided)


def test_without_nodes_every_edge_stays_and_may_be_none() -> None:
    space, accuracy = NasBench201(), Worth(cell=(6, 5))
    decided = selected(uniform(cell=(6, 5)), accuracy)
    cell = space.discretize({"cell": decided["cell"].numpy()})
    assert {kind: torch.from_numpy(table).tolist() for kind, table in space.one_hot(cell).items()} == {
        "cell": decided["cell"].tolist()
    }
    accuracy.worth["cell"][4, 0] = 9
    assert space.discretize({"cell": selected(uniform(cell=(6, 5)), accuracy)["cell"].numpy()}).spec[4] == "none"


# -- killed and resumed ----------------------------------------------------------------------------------------------
def darts_selection(seed: int) -> PerturbationSelection:
    return PerturbationSelection(
        uniform(normal=(14, 8), reduce=(14, 8)), generator(seed), candidates=range(1, 8), nodes=NODES
    )


@pytest.mark.parametrize("killed_after", [0, 1, 6, 14, 15, 17])
def test_a_selection_goes_on_after_any_round_as_if_it_had_not_stopped(killed_after: int) -> None:
    accuracy = Worth(normal=(14, 8), reduce=(14, 8))
    whole = darts_selection(1)
    while not whole.finished:
        whole.step(accuracy)
    asked = accuracy.asked

    accuracy.asked = []
    first = darts_selection(1)
    for _ in range(killed_after):
        first.step(accuracy)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = darts_selection(2)  # another order, which the state replaces
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.finished == (killed_after == 17)
    while not second.finished:
        second.step(accuracy)

    assert all(torch.equal(second.decided[kind], table) for kind, table in whole.decided.items())
    assert len(accuracy.asked) == len(asked)
    for a, b in zip(accuracy.asked, asked, strict=True):
        assert all(torch.equal(a[kind], b[kind]) for kind in b)


def test_a_state_does_not_change_with_the_selection_it_was_taken_from() -> None:
    accuracy = Worth(cell=(6, 5))
    selection = PerturbationSelection(uniform(cell=(6, 5)), generator())
    state, before = selection.state_dict(), selection.decided
    selection.step(accuracy)
    assert torch.equal(state["decided"]["cell"], torch.full((6, 5), 0.2))
    assert torch.equal(before["cell"], torch.full((6, 5), 0.2))
    assert state["position"] == 0
    other = PerturbationSelection(uniform(cell=(6, 5)), generator(5))
    other.load_state_dict(state)
    other.step(accuracy)
    assert torch.equal(other.decided["cell"], selection.decided["cell"])


def test_a_round_that_fails_changes_nothing() -> None:
    weights, accuracy = uniform(normal=(3, 2), reduce=(3, 2)), Worth(normal=(3, 2), reduce=(3, 2))
    selection = PerturbationSelection(weights, generator())

    def failing(coefficients: Mapping[str, Tensor]) -> float:
        if len(accuracy.asked) == 3:  # in the second kind, when the first has been decided
            raise RuntimeError("out of memory")
        return accuracy(coefficients)

    with pytest.raises(RuntimeError, match="out of memory"):
        selection.step(failing)
    assert all(torch.equal(selection.decided[kind], table) for kind, table in weights.items())
    assert selection.state_dict()["position"] == 0

"""The LSTM in numpy: its gradient against automatic differentiation, its bounds, its state."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nasbench.core.seeding import generator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.search_spaces.nasbench_graph import NasBenchGraph
from nasbench.strategies.decision_classes import decision_kinds
from nasbench.strategies.recurrent import DecisionLstm, Precision, pick_from
from nasbench.testing.strategies import SmallSpace
from tests.strategies.conditional import ConditionalSpace

COUNTS, HIDDEN = [3, 5, 2], 7
SEQUENCE: list[tuple[int | None, int]] = [(None, 0), (1, 4), (0, 2), (0, 2), (None, 0), (2, 1)]
ASKED = {1: [(1, 3, 0.7)], 3: [(0, 1, -1.3), (2, 0, 0.4)], 6: [(1, 0, 2.0)]}  # step: kind, pick, advantage


def lstm(precision: Precision = np.float64) -> DecisionLstm:
    return DecisionLstm(COUNTS, HIDDEN, generator(0, "policy"), 0.05, precision)


def pulls_of(network: DecisionLstm):
    trace, pulls = network.begin(), []
    for number, (kind, pick) in enumerate(SEQUENCE, start=1):
        network.step(trace, kind, pick)
        pulls += [(network.answer(trace, kind), pick, advantage) for kind, pick, advantage in ASKED.get(number, [])]
    return trace, pulls


def gain_in_torch(flat: torch.Tensor, network: DecisionLstm) -> torch.Tensor:
    """The same sequence with torch's own cell: the sum of advantage times log-probability."""
    names, sizes = zip(*((name, part.size) for name, part in network.named(network.parameters).items()), strict=True)
    shapes = [part.shape for part in network.named(network.parameters).values()]
    parts = dict(zip(names, (p.view(s) for p, s in zip(flat.split(sizes), shapes, strict=True)), strict=True))
    weights = (parts["cell"][:, :HIDDEN], parts["cell"][:, HIDDEN:], *parts["cell_biases"])
    first = np.cumsum([0, *COUNTS])
    state = torch.zeros(1, HIDDEN, dtype=torch.float64), torch.zeros(1, HIDDEN, dtype=torch.float64)
    gain = torch.zeros((), dtype=torch.float64)
    for number, (kind, pick) in enumerate(SEQUENCE, start=1):
        given = (
            torch.zeros(1, HIDDEN, dtype=torch.float64)
            if kind is None
            else parts["embeddings"][None, first[kind] + pick]
        )
        state = torch.lstm_cell(given, state, *weights)
        for asked, taken, advantage in ASKED.get(number, []):
            rows = slice(first[asked], first[asked + 1])
            raw = state[0][0] @ parts["answers"][rows].T + parts["answer_biases"][rows]
            gain = gain + advantage * torch.log_softmax(2.5 * torch.tanh(raw / 5), dim=0)[taken]
    return gain


def test_value_and_gradient_are_those_of_automatic_differentiation() -> None:
    network = lstm()
    network.parameters *= 8  # so that the squashing matters
    trace, pulls = pulls_of(network)
    flat = torch.tensor(network.parameters, requires_grad=True)
    gain = gain_in_torch(flat, network)
    assert sum(advantage * answer.logs[pick] for answer, pick, advantage in pulls) == pytest.approx(
        gain.item(), abs=1e-12
    )
    gain.backward()
    assert flat.grad is not None
    assert np.allclose(network.gradient(trace, pulls), flat.grad.numpy(), atol=1e-12)
    assert abs(flat.grad).max() > 0.1


def test_many_steps_are_those_of_torchs_adam() -> None:
    network = lstm()
    flat = torch.tensor(network.parameters, requires_grad=True)
    adam = torch.optim.Adam([flat], lr=0.05, maximize=True)
    for _ in range(20):
        network.ascend(*pulls_of(network))
        adam.zero_grad()
        gain_in_torch(flat, network).backward()
        adam.step()
    assert np.allclose(network.parameters, flat.detach().numpy(), atol=1e-9)


def test_in_single_precision_everything_stays_single_and_close() -> None:
    single, double = lstm(np.float32), lstm()
    for _ in range(5):
        for network in (single, double):
            network.ascend(*pulls_of(network))
    trace, pulls = pulls_of(single)
    kept = [single.parameters, single.gradient(trace, pulls), trace.state, *trace.gates, *(a.logs for a, _, _ in pulls)]
    assert all(array.dtype == np.float32 for array in kept)
    assert np.allclose(single.parameters, double.parameters, atol=1e-5)


def test_distributions_are_bounded() -> None:
    network = lstm()
    network.parameters *= 1000
    _, pulls = pulls_of(network)
    for answer, _, _ in pulls:
        assert answer.probabilities.sum() == pytest.approx(1)
        assert 0 <= answer.entropy <= math.log(len(answer.logs))
        assert np.ptp(answer.logs) <= 2 * DecisionLstm.RANGE + 1e-12


def test_a_restored_network_goes_on_as_before() -> None:
    network, other = lstm(np.float32), DecisionLstm(COUNTS, HIDDEN, generator(1, "policy"), 0.05)
    network.ascend(*pulls_of(network))
    state = network.state_dict()
    network.ascend(*pulls_of(network))
    other.load_state_dict(state)
    other.ascend(*pulls_of(other))
    assert np.array_equal(network.parameters, other.parameters)


def test_picks_divide_the_interval_by_the_probabilities() -> None:
    draws = [0.0, 0.19, 0.21, 0.49, 0.51, 0.999]
    assert [pick_from(np.array([0.2, 0.3, 0.5]), draw) for draw in draws] == [0, 0, 1, 1, 2, 2]
    assert pick_from(np.array([0.0, 1.0]), 0.0) == 1


def test_decisions_of_a_group_with_the_same_values_are_of_one_kind() -> None:
    assert decision_kinds(SmallSpace()) == ([0, 1, 0, 1, 0, 1], [4, 4])
    assert decision_kinds(NasBenchGraph()) == ([0, 1, 2, 3, 3, 3, 3], [2, 3, 4, 9])
    assert decision_kinds(NasBench201()) == ([0, 1, 1, 2, 2, 2], [5, 5, 5])
    assert decision_kinds(ConditionalSpace()) == ([0, 1, 2, 3], [3, 3, 2, 3])  # without groups

"""Entropy of alpha, and the shares of skips and of operations without weights."""

from __future__ import annotations

import pytest
import torch

from nasbench.search_spaces import darts, nasbench201
from nasbench.strategies.differentiable.measures import (
    PARAMETER_FREE,
    entropy,
    parameter_free_share,
    skip_share,
    skip_weight,
)


def test_entropy_runs_from_decided_to_uniform() -> None:
    assert entropy(torch.zeros(6, 5)) == pytest.approx(1)
    assert entropy(torch.tensor([[100.0, 0, 0], [0, 0, 100.0]])) == pytest.approx(0, abs=1e-6)
    # One edge between two of four operations (half of the largest entropy), one uniform.
    half = torch.tensor([[0.0, 0.0, -200, -200], [3.0, 3.0, 3.0, 3.0]])
    assert entropy(half.requires_grad_()) == pytest.approx(0.75)


def test_shares_count_chosen_operations() -> None:
    chosen = ["skip_connect", "none", "avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1"]
    assert skip_share(chosen) == pytest.approx(2 / 6)
    assert parameter_free_share(chosen) == pytest.approx(4 / 6)


def test_a_random_nasbench201_cell_has_three_fifths_without_weights() -> None:
    assert 6 * parameter_free_share(nasbench201.OPERATIONS) == pytest.approx(3.6)


def test_parameter_free_names_are_those_of_the_spaces() -> None:
    names = {"none", *nasbench201.OPERATIONS}.union(*darts.OPERATIONS.values())
    assert {name for name in names if "conv" not in name} == PARAMETER_FREE


def test_skip_weight_is_the_mean_over_edges() -> None:
    weights = torch.tensor([[0.1, 0.7, 0.2], [0.2, 0.3, 0.5]])
    assert skip_weight(weights, ("none", "skip_connect", "nor_conv_1x1")) == pytest.approx(0.5)

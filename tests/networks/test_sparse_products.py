"""Products with sparse matrices equal those of dense ones: values, gradients, and several copies side by side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nasbench.networks.sparse_products import Pattern, maximum_of_rows, multiply, softmax_of_rows

ROWS, COLUMNS, WIDTH = 5, 7, 3


def pattern_of(seed: int) -> Pattern:
    """A pattern with a loop-like place in every row, so that no row is empty, and with an empty column."""
    places = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed)) < 0.4
    places[:, 0] = True
    places[:, -1] = False
    row, column = places.nonzero().T
    return Pattern.of(row, column, ROWS, COLUMNS)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def dense_of(pattern: Pattern, values: Tensor, fill: float = 0.0) -> Tensor:
    whole = torch.full((pattern.rows, pattern.columns), fill, dtype=values.dtype)
    return whole.index_put((pattern.row, pattern.column), values)


def same(ours: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    """Assert that two results and their gradients, weighted at random, are equal."""
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad((r * weights).sum(), inputs) for r in (ours, expected)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_products_softmax_and_maximum_equal_their_dense_forms() -> None:
    for seed in range(3):
        pattern = pattern_of(seed)
        stored = len(pattern.row)
        values, dense = drawn(stored, seed=1), drawn(COLUMNS, WIDTH, seed=2)
        same(multiply(pattern, values, dense), dense_of(pattern, values) @ dense, [values, dense])
        logits = drawn(stored, 2, seed=3)
        each = [dense_of(pattern, column, -torch.inf).softmax(1)[pattern.row, pattern.column] for column in logits.T]
        same(softmax_of_rows(pattern, logits), torch.stack(each, dim=1), [logits])
        entries = drawn(stored, WIDTH, seed=4)
        highest = torch.stack([entries[pattern.row == row].amax(0) for row in range(ROWS)])
        same(maximum_of_rows(pattern, entries), highest, [entries])


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_side_by_side_equal_each_by_itself(copies: int) -> None:
    pattern = pattern_of(0)
    values, dense = drawn(len(pattern.row), copies, seed=1), drawn(COLUMNS, copies, WIDTH, seed=2)
    left = drawn(ROWS, copies, WIDTH, seed=3)
    products = [dense_of(pattern, values[:, copy]) @ dense[:, copy] for copy in range(copies)]
    repeated = pattern.repeated(copies)
    assert pattern.repeated(copies) is repeated
    same(repeated.multiply(values, dense), torch.stack(products, dim=1), [values, dense])
    inner = [(left[:, copy] @ dense[:, copy].T)[pattern.row, pattern.column] for copy in range(copies)]
    same(repeated.inner_products(left, dense), torch.stack(inner, dim=1), [left, dense])


def test_gradients_equal_differences() -> None:
    pattern = pattern_of(5)
    stored = len(pattern.row)
    values, dense, left = drawn(stored, 2), drawn(COLUMNS, 2, WIDTH, seed=1), drawn(ROWS, 2, WIDTH, seed=2)
    assert torch.autograd.gradcheck(pattern.repeated(2).multiply, (values, dense))
    assert torch.autograd.gradcheck(pattern.repeated(2).inner_products, (left, dense))
    assert torch.autograd.gradcheck(lambda v: softmax_of_rows(pattern, v), (values,))


def test_rows_of_a_softmax_sum_to_one_whatever_the_size_of_the_logits() -> None:
    pattern = pattern_of(1)
    shares = softmax_of_rows(pattern, drawn(len(pattern.row), 1).detach() * 1e3)[:, 0]
    sums = torch.zeros(ROWS, dtype=torch.float64).index_add_(0, pattern.row, shares)
    torch.testing.assert_close(sums, torch.ones(ROWS, dtype=torch.float64))

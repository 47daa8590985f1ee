"""Products with sparse matrices whose pattern stays and whose numbers change, as message passing needs them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the stored numbers of a sparse matrix [rows, columns] lie, by row and then by column.

    ``starts`` int64 [rows + 1] is where the numbers of each row begin, ``column`` and ``row`` int64 [stored].
    """

    rows: int
    columns: int
    starts: Tensor
    column: Tensor
    row: Tensor
    _repeated: dict[int, Repeated] = field(default_factory=dict, init=False, repr=False)

    @staticmethod
    def of(row: Tensor, column: Tensor, rows: int, columns: int) -> Pattern:
        """Return the pattern of pairs int64 [stored], no pair twice, sorted by row and then by column."""
        return Pattern(rows, columns, _starts(row, rows), column, row)

    @cached_property
    def order(self) -> Tensor:
        """Where each number of the transpose, in its own order, stands here, int64 [stored]."""
        return torch.argsort(self.column, stable=True)

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor]:
        """Starts and columns of the transpose."""
        return _starts(self.column, self.columns), self.row[self.order]

    def repeated(self, copies: int) -> Repeated:
        """Return the pattern for so many matrices at once; made once. See `Repeated`."""
        if copies not in self._repeated:
            self._repeated[copies] = _repeat(self, copies)
        return self._repeated[copies]

    def matrix(self, values: Tensor) -> Tensor:
        """Return the matrix of these numbers [stored], in CSR."""
        return csr(self.starts, self.column, values, (self.rows, self.columns))

    def transposed_matrix(self, values: Tensor) -> Tensor:
        """Return the transpose of the matrix of these numbers, in CSR."""
        starts, column = self.transposed
        return csr(starts, column, values.index_select(0, self.order), (self.columns, self.rows))


@dataclass(frozen=True, eq=False)
class Repeated:
    """Several matrices of one pattern as a single one, for dense matrices [rows, copies, width].

    Row ``r`` of copy ``c`` is row ``r * copies + c``, and so with columns. ``to`` turns numbers [stored, copies], flat,
    into the order of ``pattern``, ``back`` turns them back.
    """

    pattern: Pattern
    to: Tensor
    back: Tensor

    def multiply(self, values: Tensor, dense: Tensor) -> Tensor:
        """Return [rows, copies, width] of numbers [stored, copies] and ``dense`` [columns, copies, width]."""
        flat = _Rearranged.apply(values.flatten(), self.to, self.back)  # type: ignore[no-untyped-call]
        return multiply(self.pattern, flat, dense.flatten(0, 1)).view(-1, *dense.shape[1:])

    def inner_products(self, left: Tensor, right: Tensor) -> Tensor:
        """Return ``left[row] · right[column]``, [stored, copies], of [rows, copies, width] and [columns, ...]."""
        flat = _InnerProducts.apply(self.pattern, left.flatten(0, 1), right.flatten(0, 1))  # type: ignore[no-untyped-call]
        products: Tensor = _Rearranged.apply(flat, self.back, self.to)  # type: ignore[no-untyped-call]
        return products.view(-1, left.shape[1])


def multiply(pattern: Pattern, values: Tensor, dense: Tensor) -> Tensor:
    """Return the product of a sparse matrix, given by its numbers [stored], and a dense one [columns, width].

    Gradients flow to both; that of the numbers is computed where numbers are stored alone.
    """
    return _Multiply.apply(pattern, values, dense)  # type: ignore[no-any-return, no-untyped-call]


def softmax_of_rows(pattern: Pattern, logits: Tensor) -> Tensor:
    """Return the softmax of each column of stored numbers [stored, n] over each row, of which none is empty."""
    return _SoftmaxOfRows.apply(pattern, logits)  # type: ignore[no-any-return, no-untyped-call]


def maximum_of_rows(pattern: Pattern, entries: Tensor) -> Tensor:
    """Return the largest of the entries [stored, width] of each row, [rows, width]; equal ones share the gradient."""
    return torch.segment_reduce(entries, "max", offsets=pattern.starts, axis=0)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, values: Tensor, dense: Tensor) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(values, dense)
        return pattern.matrix(values) @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        values, dense = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_values = _inner(ctx.pattern, gradient, dense) if ctx.needs_input_grad[1] else None
        of_dense = ctx.pattern.transposed_matrix(values) @ gradient if ctx.needs_input_grad[2] else None
        return None, of_values, of_dense


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(left, right)
        return _inner(pattern, left, right)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        left, right = ctx.saved_tensors
        gradient = gradients[0]
        return None, ctx.pattern.matrix(gradient) @ right, ctx.pattern.transposed_matrix(gradient) @ left


class _SoftmaxOfRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pattern: Pattern, logits: Tensor) -> Tensor:
        highest = torch.segment_reduce(logits, "max", offsets=pattern.starts, axis=0)
        powers = (logits - highest.index_select(0, pattern.row)).exp_()
        ctx.sums = csr(
            pattern.starts,
            torch.arange(len(powers), device=powers.device),
            powers.new_ones(len(powers)),
            (pattern.rows, len(powers)),
        )
        shares = powers.div_((ctx.sums @ powers).index_select(0, pattern.row))
        ctx.pattern = pattern
        ctx.save_for_backward(shares)
        return shares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        (shares,) = ctx.saved_tensors
        weighted = shares * gradients[0]
        return None, weighted.addcmul_(shares, (ctx.sums @ weighted).index_select(0, ctx.pattern.row), value=-1.0)


class _Rearranged(torch.autograd.Function):
    """Numbers in another order, given as positions, and the order that undoes it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, to: Tensor, back: Tensor) -> Tensor:
        ctx.back = back
        return values.index_select(0, to)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].index_select(0, ctx.back), None, None


def _repeat(pattern: Pattern, copies: int) -> Repeated:
    number = torch.arange(copies, device=pattern.row.device)
    row = (pattern.row[:, None] * copies + number).flatten()
    column = (pattern.column[:, None] * copies + number).flatten()
    to = torch.argsort(row, stable=True)  # of one row the columns rise already
    back = torch.empty_like(to)
    back[to] = torch.arange(len(to), device=to.device)
    return Repeated(Pattern.of(row[to], column[to], pattern.rows * copies, pattern.columns * copies), to, back)


def _inner(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    zeros = left.new_zeros(len(pattern.column))
    products: Tensor = torch.sparse.sampled_addmm(pattern.matrix(zeros), left, right.t(), beta=0.0)
    return products.values()


def _starts(row: Tensor, rows: int) -> Tensor:
    starts = torch.zeros(rows + 1, dtype=torch.int64, device=row.device)
    torch.cumsum(torch.bincount(row, minlength=rows), 0, out=starts[1:])
    return starts


def csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a sparse matrix in compressed rows; the columns of each row must rise."""
    return torch.sparse_csr_tensor(starts, columns, values, size, check_invariants=False)


with warnings.catch_warnings():  # torch notes once a process that its compressed matrices are in beta state
    warnings.simplefilter("ignore", UserWarning)
    csr(torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0), (1, 1))

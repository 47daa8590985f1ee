"""Cells of the DARTS space as data: the literature's text format, the edges, one representative per isomorphism class.

A cell is a tuple of 12 decisions, three for each of the four intermediate nodes: the pair of its inputs, the operation
on the lower input, the operation on the upper one. Inputs count from 0: the two previous cells, then the nodes as 2..5.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from nasbench.core.errors import BadInput, nearest, unknown

NODES = 4
KINDS = ("normal", "reduce")
EXAMPLE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ...], normal_concat=range(2, 6), "
    "reduce=[...], reduce_concat=range(2, 6))"
)
LONGEST_TEXT = 3_000
"""Characters without extra white space; a genotype has about 600. Python's parser is not made for hostile megabytes."""

Cell = tuple[Any, ...]

KNOWN_CELLS: dict[str, str] = {
    # Liu, Simonyan, Yang, DARTS, ICLR 2019: found by first-order (V1) and second-order (V2) search on CIFAR-10.
    "DARTS_V1": (
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], "
        "normal_concat=[2, 3, 4, 5], "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    "DARTS_V2": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=[2, 3, 4, 5], "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    # Hundt, Jain, Hager, sharpDARTS, 2019: found in the spaces sharpsepconv-darts, sharpdarts and sharper.
    "SHARPSEPCONV_DARTS": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1)], "
        "normal_concat=range(2, 6), "
        "reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('skip_connect', 2), ('avg_pool_3x3', 0), "
        "('skip_connect', 2), ('avg_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 3)], "
        "reduce_concat=range(2, 6))"
    ),
    "SHARP_DARTS": (
        "Genotype(normal=[('choke_conv_3x3', 0), ('choke_conv_3x3', 1), ('skip_connect', 0), ('choke_conv_3x3', 1), "
        "('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1)], "
        "normal_concat=range(2, 6), "
        "reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 0), ('skip_connect', 2), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('flood_conv_3x3', 0)], "
        "reduce_concat=range(2, 6))"
    ),
    "SHARPER_MAX_W": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), "
        "('avg_pool_3x3', 3), ('flood_conv_3x3', 0), ('flood_conv_3x3', 1), ('skip_connect', 2)], "
        "normal_concat=range(2, 6), "
        "reduce=[('flood_conv_5x5', 0), ('dil_flood_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2), "
        "('sep_conv_3x3', 0), ('skip_connect', 2), ('dil_conv_5x5', 4), ('sep_conv_3x3', 0)], "
        "reduce_concat=range(2, 6))"
    ),
}
"""Cells of the literature by name."""


def cell_edges(cell: Cell) -> list[tuple[int, int, str]]:
    """Return the 8 edges (source, target, operation), two for each target 2..5, the lower source first."""
    return [
        (source, i + 2, cell[3 * i + 1 + position]) for i in range(NODES) for position, source in enumerate(cell[3 * i])
    ]


@lru_cache(maxsize=1 << 16)
def canonical_cell(cell: Cell) -> Cell:
    """Return the smallest of the cells that differ from this one only in how their nodes are numbered.

    A node stays behind the nodes it reads. Sums are commutative and every node is concatenated, so renumbering nodes
    permutes the channels of the output and nothing else.
    """
    return _smallest_numbering([cell[i : i + 3] for i in range(0, 3 * NODES, 3)], {0: 0, 1: 1})


def _smallest_numbering(nodes: list[Cell], numbers: dict[int, int]) -> Cell:
    """Number the nodes not yet in ``numbers`` (old to new) one by one, always a smallest one; try all on a tie."""
    if len(numbers) == len(nodes) + 2:
        return ()
    ready = []
    for i, ((a, b), first, second) in enumerate(nodes, start=2):
        if i not in numbers and a in numbers and b in numbers:
            a, b = numbers[a], numbers[b]
            ready.append((((a, b), first, second) if a < b else ((b, a), second, first), i))
    smallest = min(ready)[0]
    rest = [_smallest_numbering(nodes, {**numbers, i: len(numbers)}) for node, i in ready if node == smallest]
    return smallest + min(rest)


def format_genotype(cells: Sequence[Cell]) -> str:
    """Write the normal and the reduction cell as the literature does."""
    parts = []
    for kind, cell in zip(KINDS, cells, strict=True):
        pairs = ", ".join(f"('{operation}', {source})" for source, _, operation in cell_edges(cell))
        parts.append(f"{kind}=[{pairs}], {kind}_concat=range(2, {NODES + 2})")
    return f"Genotype({', '.join(parts)})"


def parse_genotype(text: str, operations: Collection[str]) -> tuple[Cell, ...]:
    """Read a genotype, or the name of one in `KNOWN_CELLS`, and return its normal and its reduction cell.

    Read are the form of `format_genotype`; a prefix ``NAME =``; the concatenation as range, list or tuple; a node's two
    pairs in either order; a list of two pairs per node instead of the flat list; sharpDARTS' ``layout='cell'``. Nothing
    is evaluated. Raises BadInput.
    """
    call = _read_call(text)
    if isinstance(call, ast.Name):
        if call.id not in KNOWN_CELLS:
            raise unknown("genotype", _short(call.id), KNOWN_CELLS)
        return parse_genotype(KNOWN_CELLS[call.id], operations)
    fields: dict[str, ast.expr] = {}
    allowed = [kind + suffix for kind in KINDS for suffix in ("", "_concat")]
    for keyword in call.keywords:
        if keyword.arg not in (*allowed, "layout"):
            raise unknown("part of a genotype", _short(keyword.arg or "**"), allowed)
        if keyword.arg in fields:
            raise BadInput(f"the genotype gives '{keyword.arg}' twice.")
        fields[keyword.arg] = keyword.value
    for name in allowed:
        if name not in fields:
            raise BadInput(f"the genotype lacks '{name}'; expected {EXAMPLE}.")
    if "layout" in fields and (layout := _literal(fields["layout"], "layout")) != "cell":
        raise BadInput(f"a genotype's layout must be 'cell', not '{_short(layout)}'.")
    for kind in KINDS:
        _check_concatenation(fields[f"{kind}_concat"], kind)
    return tuple(_read_cell(_literal(fields[kind], kind), kind, operations) for kind in KINDS)


def _read_call(text: str) -> ast.Call | ast.Name:
    """Return the call ``Genotype(...)`` or the bare name in a text, without a prefix ``NAME =``."""
    text = " ".join(text.split())
    if len(text) > LONGEST_TEXT or "\\" in text or "#" in text:
        raise BadInput(f"not a genotype; expected at most {LONGEST_TEXT} characters, without '\\' and '#': {EXAMPLE}.")
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "not a Python expression"
        raise BadInput(f"cannot read the genotype ({reason}); expected {EXAMPLE}.") from None
    match body:
        case [ast.Expr(value=expression)]:
            pass
        case [ast.Assign(targets=[ast.Name()], value=expression)]:
            pass
        case _:
            raise BadInput(f"cannot read the genotype; expected one expression: {EXAMPLE}.")
    match expression:
        case ast.Call(func=ast.Name(id="Genotype"), args=[]) | ast.Name():
            return expression
        case _:
            raise BadInput(f"this is not a genotype; expected {EXAMPLE}, or one of {', '.join(KNOWN_CELLS)}.")


def _literal(expression: ast.expr, field: str) -> Any:
    try:
        return ast.literal_eval(expression)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise BadInput(
            f"'{field}' of the genotype must be made of lists, tuples, names in quotes and numbers."
        ) from None


def _check_concatenation(expression: ast.expr, kind: str) -> None:
    match expression:
        case ast.Call(
            func=ast.Name(id="range"), args=[ast.Constant(value=first), ast.Constant(value=last)], keywords=[]
        ):
            right = (first, last) == (2, NODES + 2)
        case _:
            value = _literal(expression, f"{kind}_concat")
            right = isinstance(value, (list, tuple)) and list(value) == list(range(2, NODES + 2))
    if not right:
        raise BadInput(f"{kind}_concat must be range(2, {NODES + 2}): every node is concatenated in this space.")


def _read_cell(pairs: Any, kind: str, operations: Collection[str]) -> Cell:
    if not isinstance(pairs, (list, tuple)):
        raise BadInput(f"'{kind}' of the genotype must be a list of (operation, input) pairs, not {_short(pairs)}.")
    nested = len(pairs) == NODES and all(
        isinstance(node, (list, tuple)) and len(node) == 2 and not isinstance(node[0], str) for node in pairs
    )
    flat = [pair for node in pairs for pair in node] if nested else list(pairs)
    if len(flat) != 2 * NODES:
        raise BadInput(f"'{kind}' needs {2 * NODES} (operation, input) pairs, two for each node, not {len(flat)}.")
    cell: list[Any] = []
    for i in range(NODES):
        (a, first), (b, second) = sorted(_read_pair(pair, kind, i, operations) for pair in flat[2 * i : 2 * i + 2])
        if a == b:
            raise BadInput(f"node {i} of '{kind}' reads input {a} twice; its two inputs must differ.")
        cell += [(a, b), first, second]
    return tuple(cell)


def _read_pair(pair: Any, kind: str, node: int, operations: Collection[str]) -> tuple[int, str]:
    """Return (input, operation) of one pair (operation, input)."""
    match pair:
        case (str(operation), int(source)) if not isinstance(source, bool):
            pass
        case _:
            raise BadInput(f"node {node} of '{kind}': expected a pair like ('sep_conv_3x3', 0), got {_short(pair)}.")
    if operation == "none":
        raise BadInput(f"node {node} of '{kind}': 'none' takes no part in a cell; choose another operation.")
    if operation not in operations:
        hint = nearest(operation, operations)
        raise BadInput(
            f"node {node} of '{kind}': unknown operation '{_short(operation)}'.{hint} Allowed: {', '.join(operations)}."
        )
    if not 0 <= source < node + 2:
        raise BadInput(f"node {node} of '{kind}' can read inputs 0 to {node + 1}, not {_short(source)}.")
    return source, operation


def _short(value: Any) -> str:
    """Return a value as one short line for an error message."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."

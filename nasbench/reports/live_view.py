"""What a terminal shows of a differentiable search while it runs: the weight of every operation, as plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

WIDTH = 100
"""Columns that a terminal is taken to have."""
MOST_EDGES = 40
"""With more edges over all kinds of cell only the strongest operations of each kind are listed."""
STRONGEST = 3
MARK = ">"
GAP = "   "
COMMON_WORDS = frozenset({"conv", "pool", "connect"})


def operation_table(
    operations: Sequence[str],
    edge_labels: Mapping[str, Sequence[str]],
    weights: Mapping[str, np.ndarray],
    words: str,
) -> str:
    """Return the weights as text: a block for each kind of cell, then ``words`` (how the search stands).

    ``weights`` and ``edge_labels`` map each kind to an array [edges, operations] and to the names of its rows. A block
    has a line an edge, with the weights in percent, the strongest of the edge marked with ">"; blocks stand side by
    side as far as 100 columns allow. With more than 40 edges each kind is one line of its three strongest entries.
    """
    if sum(len(labels) for labels in edge_labels.values()) > MOST_EDGES:
        lines = _strongest_entries(operations, edge_labels, weights)
    else:
        lines = _blocks(operations, edge_labels, weights)
    return "\n".join([*lines, *words.splitlines()])


def short_names(operations: Sequence[str], length: int = 4) -> list[str]:
    """Return a different name for each operation, of ``length`` characters at most unless many would be alike.

    "sep_conv_3x3" becomes "sep3", "dil_flood_conv_3x3" "df3", "skip_connect" "skip".
    """
    names: list[str] = []
    for operation in operations:
        parts = operation.split("_")
        size = re.fullmatch(r"(\d+)x\d+", parts[-1])
        kernel = size.group(1) if size else ""
        telling = [part for part in (parts[:-1] if size else parts) if part and part not in COMMON_WORDS] or parts
        letters = telling[0] if len(telling) == 1 else "".join(part[:1] for part in telling)
        name, count = letters[: max(1, length - len(kernel))] + kernel, 1
        while name in names:
            count += 1
            name = f"{letters[: max(1, length - len(kernel) - 1)]}{kernel}{chr(ord('a') + count - 2)}"
        names.append(name)
    return names


def _blocks(
    operations: Sequence[str], edge_labels: Mapping[str, Sequence[str]], weights: Mapping[str, np.ndarray]
) -> list[str]:
    """Return all blocks, two or more beside each other where they fit; names get shorter if only that makes room."""

    def blocks_of(length: int) -> list[list[str]]:
        names = short_names(operations, length)
        return [_block(kind, labels, names, weights[kind], length) for kind, labels in edge_labels.items()]

    blocks = blocks_of(4)
    if _width(blocks[:2]) > WIDTH:
        narrow = blocks_of(3)
        blocks = narrow if _width(narrow[:2]) <= WIDTH else blocks
    lines: list[str] = []
    while blocks:
        row = [blocks.pop(0)]
        while blocks and _width([*row, blocks[0]]) <= WIDTH:
            row.append(blocks.pop(0))
        lines += [GAP.join(parts).rstrip() for parts in _beside(row)]
        lines.append("")
    return lines


def _block(kind: str, labels: Sequence[str], names: Sequence[str], weights: np.ndarray, length: int) -> list[str]:
    """Return the lines of one kind of cell, all equally wide."""
    left = max(map(len, [kind, *labels]))
    column = max(length, *map(len, names)) + 1
    lines = [f"{kind:<{left}}" + "".join(f"{name:>{column}}" for name in names)]
    for label, row in zip(labels, np.asarray(weights), strict=True):
        strongest = int(np.argmax(row))
        numbers = [f"{MARK if i == strongest else ''}{100 * weight:.0f}" for i, weight in enumerate(row)]
        lines.append(f"{label:<{left}}" + "".join(f"{number:>{column}}" for number in numbers))
    return lines


def _width(blocks: Sequence[Sequence[str]]) -> int:
    return len(GAP.join(block[0] for block in blocks))


def _beside(blocks: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the lines of blocks side by side, shorter ones filled up with blanks."""
    height = max(len(block) for block in blocks)
    return [[block[i] if i < len(block) else " " * len(block[0]) for block in blocks] for i in range(height)]


def _strongest_entries(
    operations: Sequence[str], edge_labels: Mapping[str, Sequence[str]], weights: Mapping[str, np.ndarray]
) -> list[str]:
    names = short_names(operations)
    entries: dict[str, list[tuple[str, str]]] = {}
    for kind, labels in edge_labels.items():
        table = np.asarray(weights[kind])
        # A stable sort: of equal weights the first edge and operation comes first.
        order = np.argsort(-table, axis=None, kind="stable")[:STRONGEST]
        places = [np.unravel_index(place, table.shape) for place in order]
        entries[kind] = [
            (f"{labels[edge]} {names[column]}", f"{100 * table[edge, column]:.1f} %") for edge, column in places
        ]
    left = max(len(kind) for kind in entries)
    middle = max(len(name) for row in entries.values() for name, _ in row)
    lines = [", ".join(f"{short}: {name}" for short, name in zip(names, operations, strict=True))]
    for kind, row in entries.items():
        lines.append(f"{kind:<{left}}" + "".join(f"{GAP}{name:<{middle}} {share:>7}" for name, share in row))
    return [*lines, ""]

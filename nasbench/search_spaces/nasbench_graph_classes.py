"""Which encodings of NAS-Bench-Graph are one network, and the benchmark's number of that network.

Qin et al., "NAS-Bench-Graph", NeurIPS 2022 datasets track, arXiv 2206.09166. A network is a tree of four nodes, each
with one operation and one source; what the leaves give is concatenated. Its number, the *key*, has five digits: the
form of the tree (place in `TREES`) and the operations of the four nodes (places in `OPERATIONS`).

A key is canonical. Skips that change nothing stand first, in a chain from the input: those with a node behind them,
those that are the only node behind another, and those that lead from the input straight to the output. (On the raw
input the last kind has another width than all other nodes, and the benchmark leaves it out, though as drawn it would
add a path.) Then nodes are numbered level by level, of siblings the one with the larger subtree first, and of equal
subtrees the one whose operations come first in `OPERATIONS`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np

OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
"""In the order of the benchmark's digits; ``graph`` is the k-GNN of Morris et al., ``fc`` sees no neighbours."""

SKIP = OPERATIONS.index("skip")
NODES = 4
TREES = tuple(
    tuple(map(int, text)) for text in ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
)
"""The nine canonical link lists: the source of each node, 0 the input and 1 the first node."""

LINKS = tuple((0, *rest) for rest in itertools.product(range(2), range(3), range(4)))
"""All 24 link lists; the source of the first node is always the input."""

# Nodes (from 0) that may change places in a tree, subtree and all: single leaves, or the two chains of 0012.
_TWINS: dict[tuple[int, ...], list[int]] = {
    (0, 0, 0, 0): [0, 1, 2, 3],
    (0, 0, 0, 1): [1, 2],
    (0, 0, 1, 1): [2, 3],
    (0, 1, 1, 1): [1, 2, 3],
    (0, 1, 2, 2): [2, 3],
}
_TWO_CHAINS = (0, 0, 1, 2)


@cache
def keys() -> np.ndarray:
    """Return the key of every encoding, int32 [24 link lists, 9, 9, 9, 9 operations], in the order of `LINKS`."""
    digits = np.indices((len(OPERATIONS),) * NODES).reshape(NODES, -1).T
    patterns = (digits == SKIP) @ (1 << np.arange(NODES))
    found = np.zeros((len(LINKS), len(digits)), dtype=np.int32)
    for pattern in range(1 << NODES):
        rows = np.flatnonzero(patterns == pattern)
        skips = [bool(pattern >> node & 1) for node in range(NODES)]
        for number, links in enumerate(LINKS):
            tree, order = arrange(links, skips)
            operations = _sorted(tree, digits[rows][:, order])
            found[number, rows] = TREES.index(tree) * 10_000 + operations @ [1000, 100, 10, 1]
    return found.reshape(len(LINKS), *(len(OPERATIONS),) * NODES)


def arrange(links: Sequence[int], skips: Sequence[bool]) -> tuple[tuple[int, ...], list[int]]:
    """Return the canonical tree of a link list, given which nodes are skips, and which node (from 0) stands where.

    The order of equal subtrees, which depends on the other operations, is left as it is.
    """
    source = dict(enumerate(links, start=1))
    first: list[int] = []

    def remove(node: int) -> None:
        above = source.pop(node)
        source.update({below: above for below, its_source in source.items() if its_source == node})
        first.append(node)

    is_skip = [node for node in source if skips[node - 1]]
    for node in is_skip:
        if node in source.values():
            remove(node)
    for node in [node for node in is_skip if node in source]:
        alone = list(source.values()).count(source[node]) == 1
        if source[node] == 0 or alone:
            remove(node)
    if first:
        source = {node: above or first[-1] for node, above in source.items()}
        source |= dict(zip(first, [0, *first], strict=False))

    below = {node: [other for other in source if source[other] == node] for node in (0, *source)}

    def size(node: int) -> int:
        return 1 + sum(map(size, below[node]))

    order = [0]
    for node in order:  # grows on the way
        order += sorted(below[node], key=size, reverse=True)
    place = {node: number for number, node in enumerate(order)}
    return tuple(place[source[node]] for node in order[1:]), [node - 1 for node in order[1:]]


def _sorted(tree: tuple[int, ...], operations: np.ndarray) -> np.ndarray:
    """Put equal subtrees in the order of their operations [n, 4]."""
    twins = _TWINS.get(tree)
    if twins is not None:
        operations[:, twins] = np.sort(operations[:, twins], axis=1)
    elif tree == _TWO_CHAINS:
        one, other = operations[:, [0, 2]] @ [10, 1], operations[:, [1, 3]] @ [10, 1]
        operations = np.where((one > other)[:, None], operations[:, [1, 0, 3, 2]], operations)
    return operations

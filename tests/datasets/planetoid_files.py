"""Small files in the form of Planetoid's, as scipy and Python 2 would have written them."""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

WORDS, CLASSES, TRAIN, KNOWN = 6, 2, 4, 505
TEST_INDEX = [507, 505, 508]  # 506 is skipped


def contents() -> dict[str, Any]:
    """What the files hold: 509 nodes in a ring, 505 known, 3 for testing, one of which nothing is known."""
    rng = np.random.default_rng(0)
    allx, tx = (csr_matrix((rng.random((rows, WORDS)) < 0.4).astype(np.float32)) for rows in (KNOWN, len(TEST_INDEX)))
    ally, ty = (np.eye(CLASSES, dtype=np.int32)[np.arange(rows) % CLASSES] for rows in (KNOWN, len(TEST_INDEX)))
    graph = collections.defaultdict(list)
    for node in range(509):
        graph[node] = [(node + 1) % 509, (node - 1) % 509, node, (node + 1) % 509]  # a loop, and an edge twice
    return {
        "allx": allx,
        "tx": tx,
        "x": allx[:TRAIN],
        "ally": ally,
        "ty": ty,
        "y": ally[:TRAIN],
        "graph": graph,
        "test.index": "".join(f"{node}\n" for node in TEST_INDEX).encode(),
    }


def write(folder: Path, name: str = "cora", **changed: Any) -> Path:
    """Write the files ``ind.<name>.*``, some with other contents (bytes as they are; None leaves a file out)."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = {part.replace("_", "."): value for part, value in changed.items()}
    for part, value in (contents() | changed).items():
        if value is not None:
            data = value if isinstance(value, bytes) else pickle.dumps(value, protocol=2)
            (folder / f"ind.{name}.{part}").write_bytes(data)
    return folder

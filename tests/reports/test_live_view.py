from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.reports.live_view import operation_table, short_names
from nasbench.search_spaces.darts import DARTS_OPERATIONS, OPERATIONS

CELL = [f"{source} -> {node}" for node in range(2, 6) for source in range(node)]
WIDTHS = (32, 64, 128, 256)
GRID = [f"{inputs} -> {outputs}" for inputs in WIDTHS for outputs in WIDTHS]
GRID_OPERATIONS = ("sharp_sep_conv_3x3", "resizable_pool_3x3")


def uniform(edges: int, operations: int) -> np.ndarray:
    return np.full((edges, operations), 1 / operations)


def test_a_small_cell_is_shown_in_full() -> None:
    weights = np.array([[0.1, 0.65, 0.25], [1.0, 0.0, 0.0]])
    text = operation_table(
        ("none", "skip_connect", "nor_conv_3x3"), {"cell": ["0 -> 1", "0 -> 2"]}, {"cell": weights}, "entropy 0.4"
    )
    assert text.splitlines() == [
        "cell   none skip nor3",
        "0 -> 1   10  >65   25",
        "0 -> 2 >100    0    0",
        "",
        "entropy 0.4",
    ]


@pytest.mark.parametrize("operations", [DARTS_OPERATIONS, OPERATIONS["sharpdarts"]])
def test_two_kinds_stand_side_by_side_in_a_hundred_columns(operations: tuple[str, ...]) -> None:
    names = ("none", *operations)
    weights = {"normal": uniform(14, len(names)), "reduce": uniform(14, len(names))}
    weights["reduce"][3, 2] = 0.9
    lines = operation_table(names, {"normal": CELL, "reduce": CELL}, weights, "a\nb").splitlines()
    assert len(lines) == 1 + 14 + 1 + 2
    assert lines[0].startswith("normal")
    assert "reduce" in lines[0]
    assert max(map(len, lines)) <= 100
    assert lines[4].startswith("1 -> 3")
    assert lines[4].count("1 -> 3") == 2
    assert lines[4].count(">90") == 1
    assert lines[-2:] == ["a", "b"]


def test_kinds_that_do_not_fit_beside_each_other_stand_below_each_other() -> None:
    names = ("none", *OPERATIONS["sharper"])
    weights = {"normal": uniform(14, len(names)), "reduce": uniform(14, len(names))}
    lines = operation_table(names, {"normal": CELL, "reduce": CELL}, weights, "").splitlines()
    assert [i for i, line in enumerate(lines) if line.startswith(("normal", "reduce"))] == [0, 16]
    assert max(map(len, lines)) <= 100


def test_a_kind_with_fewer_edges_is_filled_up() -> None:
    weights = {"a": np.eye(2), "b": np.eye(2)[:1]}
    text = operation_table(("sep_conv_3x3", "none"), {"a": ["x", "y"], "b": ["z"]}, weights, "")
    assert text.splitlines() == ["a sep3 none   b sep3 none", "x >100    0   z >100    0", "y    0 >100"]


def test_of_a_large_grid_the_strongest_three_of_each_kind_are_listed() -> None:
    kinds = [f"layer{layer}_stride{stride}" for layer in range(4) for stride in (1, 2)]
    weights = {kind: uniform(16, 2) / 16 for kind in kinds}
    weights[kinds[1]][[2, 7, 15], [1, 0, 1]] = 0.25, 0.5, 0.125
    lines = operation_table(GRID_OPERATIONS, dict.fromkeys(kinds, GRID), weights, "entropy 0.9").splitlines()
    assert lines[0] == "ss3: sharp_sep_conv_3x3, res3: resizable_pool_3x3"
    assert re.split("  +", lines[2]) == (
        ["layer0_stride2", "64 -> 256 ss3", "50.0 %", "32 -> 128 res3", "25.0 %", "256 -> 256 res3", "12.5 %"]
    )
    assert lines[1].split()[1:5] == ["32", "->", "32", "ss3"]  # of equal weights the first
    assert len(lines) == 1 + 8 + 1 + 1
    assert max(map(len, lines)) <= 100


def test_operations_have_short_names() -> None:
    assert short_names(("none", *OPERATIONS["sharpdarts"])) == (
        ["none", "max3", "skip", "sep3", "dil3", "flo3", "df3", "cho3", "dc3"]
    )
    assert short_names(("sep_conv_3x3", "sep_conv_3x3_bn", "conv")) == ["sep3", "s3b", "conv"]
    assert short_names(("separable_conv_3x3", "sepia_conv_3x3")) == ["sep3", "se3a"]


@given(st.lists(st.text("ab_3x", max_size=8), min_size=1, max_size=40), st.sampled_from((3, 4)))
def test_short_names_are_different(operations: list[str], length: int) -> None:
    names = short_names(operations, length)
    assert len(set(names)) == len(names) == len(operations)

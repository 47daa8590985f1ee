from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.reports import drawing, figures
from nasbench.reports.drawing import Panel, Picture, draw_architecture, panels
from nasbench.reports.layout import layered_layout
from nasbench.search_spaces.darts import Darts
from nasbench.search_spaces.nasbench201 import NasBench201
from tests.reports.results import Cells, Plain

DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)
SEEDS = st.integers(0, 2**32 - 1)


def place(panel: Panel) -> Picture:
    with figures.figure_style():
        return drawing._place(panel)


def assert_nothing_overlaps(panel: Panel, picture: Picture) -> None:
    """No two boxes touch, all lie inside the picture, and no edge runs through a box that it does not join."""
    boxes = {
        node: (
            x - picture.widths[node] / 2,
            x + picture.widths[node] / 2,
            y - drawing.HEIGHT / 2,
            y + drawing.HEIGHT / 2,
        )
        for node, (x, y) in picture.centres.items()
    }
    assert set(boxes) == set(panel.labels)
    assert set(picture.lines) == set(panel.edges)
    nodes = list(boxes)
    for i, node in enumerate(nodes):
        left, right, top, bottom = boxes[node]
        assert left >= -1e-9 and top >= -1e-9
        assert right <= picture.width + 1e-9 and bottom <= picture.height + 1e-9
        for other in nodes[:i]:
            l2, r2, t2, b2 = boxes[other]
            assert right <= l2 or r2 <= left or bottom <= t2 or b2 <= top, (node, other)
    for edge, points in picture.lines.items():
        for (x0, y0), (x1, y1) in pairwise(points):
            for node in nodes:
                if node in edge:
                    continue
                left, right, top, bottom = boxes[node]
                beside = max(x0, x1) <= left + 1e-9 or min(x0, x1) >= right - 1e-9
                assert beside or max(y0, y1) <= top or min(y0, y1) >= bottom, (edge, node)


@pytest.mark.parametrize("space", [Darts(), NasBench201(), Cells(), Plain()], ids=lambda space: space.name)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_nothing_overlaps(space: object, seed: int) -> None:
    assert isinstance(space, (Darts, NasBench201, Cells, Plain))
    for panel in panels(space, space.sample(np.random.default_rng(seed))):
        assert_nothing_overlaps(panel, place(panel))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.floats(0.1, 0.7), SEEDS)
def test_nothing_overlaps_in_any_graph(n: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    panel = Panel()
    for node in range(n):
        panel.add(node, f"op{node}" * int(rng.integers(1, 4)), "operation")
    panel.edges = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < density or j == i + 1]
    assert_nothing_overlaps(panel, place(panel))


def test_a_darts_cell_has_inputs_left_output_right_and_its_operations_between() -> None:
    space = Darts()
    normal, reduction = panels(space, space.parse(DARTS_V2))
    assert (normal.title, reduction.title) == ("normal cell", "reduction cell")
    operations = Counter(label for node, label in normal.labels.items() if normal.kinds[node] == "operation")
    assert operations == {"sep_conv_3x3": 5, "skip_connect": 2, "dil_conv_3x3": 1}
    graph = nx.DiGraph(normal.edges)
    assert {normal.labels[node] for node in graph.predecessors("output")} == {"2", "3", "4", "5"}
    assert [node for node in graph if graph.in_degree(node) == 0] == [0, 1]
    (dilated,) = [node for node, label in normal.labels.items() if label == "dil_conv_3x3"]
    assert list(graph.predecessors(dilated)) == [2]
    assert list(graph.successors(dilated)) == [5]
    picture = place(normal)
    x = {node: place[0] for node, place in picture.centres.items()}
    assert x[0] == x[1] == min(x.values())
    assert x["output"] == max(x.values())
    assert all(x[source] < x[target] for source, target in normal.edges)


def test_a_cell_of_edges_keeps_absent_operations_as_absent() -> None:
    space = Cells()
    spec = ("nor_conv_3x3", "nor_conv_1x1", "none", "skip_connect", "avg_pool_3x3", "none")
    (panel,) = panels(space, Architecture("cells", spec))
    assert Counter(panel.kinds.values()) == {"state": 4, "operation": 4, "absent": 2}
    states = {node: label for node, label in panel.labels.items() if panel.kinds[node] == "state"}
    assert states == {"0": "input", "1": "1", "2": "2", "3": "output"}
    joined = {
        (source, target): panel.labels[operation]
        for source, operation in panel.edges
        if source in states
        for _, target in [edge for edge in panel.edges if edge[0] == operation]
    }
    assert joined == {
        ("0", "1"): "nor_conv_3x3",
        ("0", "2"): "nor_conv_1x1",
        ("1", "2"): "none",
        ("0", "3"): "skip_connect",
        ("1", "3"): "avg_pool_3x3",
        ("2", "3"): "none",
    }


def test_a_long_chain_is_written_in_rows() -> None:
    space = Plain()
    (panel,) = panels(space, space.sample(np.random.default_rng(0)))
    rows = Counter(y for _, y in place(panel).centres.values())
    assert len(panel.labels) == 12
    assert sorted(rows.values()) == [6, 6]


@pytest.mark.parametrize(
    ("operation", "like"),
    [("sep_conv_5x5", "sep_conv_3x3"), ("max_pool_3x3", "avg_pool_3x3"), ("identity", "skip_connect")],
)
def test_operations_of_one_family_share_a_colour(operation: str, like: str) -> None:
    assert drawing.operation_colour(operation) == drawing.operation_colour(like)
    families = ("sep_conv_3x3", "dil_conv_3x3", "nor_conv_3x3", "max_pool_3x3", "skip_connect", "none")
    assert len({drawing.operation_colour(name) for name in families}) == len(families)


def test_crossings_are_avoided_where_they_can_be() -> None:
    layout = layered_layout([("a", "y"), ("b", "x")], {"a": 0, "b": 0, "x": 1, "y": 1})
    a, b, x, y = (layout.places[node][1] for node in "abxy")
    assert (a - b) * (y - x) > 0


def test_an_edge_that_skips_a_column_has_its_own_place_there() -> None:
    layout = layered_layout([("a", "b"), ("b", "c"), ("a", "c")], {"a": 0, "b": 1, "c": 2})
    ((column, height),) = layout.routes["a", "c"]
    assert column == 1
    assert abs(height - layout.places["b"][1]) >= 0.5


# -- files -----------------------------------------------------------------------------------------------------------
def test_files_are_written_by_suffix(tmp_path: Path) -> None:
    space = Cells()
    architecture = space.sample(np.random.default_rng(1))
    draw_architecture(space, architecture, tmp_path / "cell.svg")
    draw_architecture(space, architecture, tmp_path / "cell.PNG")
    svg = (tmp_path / "cell.svg").read_text()
    assert svg.startswith("<?xml")
    assert "<dc:date>" not in svg
    assert all(f"<!-- {operation} -->" in svg for operation in architecture.spec)
    assert (tmp_path / "cell.PNG").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_bad_input(tmp_path: Path) -> None:
    space = Cells()
    architecture = space.sample(np.random.default_rng(1))
    with pytest.raises(BadInput, match=r"must end in \.svg or \.png"):
        draw_architecture(space, architecture, tmp_path / "cell.jpg")
    with pytest.raises(BadInput, match="belongs to space 'cells'"):
        draw_architecture(Plain(), architecture, tmp_path / "cell.svg")
    with pytest.raises(BadInput, match="cannot write"):
        draw_architecture(space, architecture, tmp_path / "missing" / "cell.svg")
    assert list(tmp_path.iterdir()) == []


def test_the_same_architecture_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    space = Cells()
    draw_architecture(space, space.sample(np.random.default_rng(1)), tmp_path / "here.svg")
    code = (
        "import sys, pathlib, numpy as np, matplotlib\n"
        "matplotlib.rcParams['font.size'] = 30; matplotlib.rcParams['lines.linewidth'] = 9\n"
        "from tests.reports.results import Cells\n"
        "from nasbench.reports.drawing import draw_architecture\n"
        "space = Cells(); a = space.sample(np.random.default_rng(1))\n"
        "draw_architecture(space, a, pathlib.Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams['font.size'] == 30\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "there.svg")],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        cwd=Path(__file__).parents[2],
    )
    assert (tmp_path / "here.svg").read_bytes() == (tmp_path / "there.svg").read_bytes()

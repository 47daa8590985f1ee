"""The picture of a weighted grid: the right path, readable words, the same bytes again."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from PIL import Image

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.reports import figures
from nasbench.reports.grid_drawing import COLOURS, draw_grid, grid_figure
from nasbench.search_spaces.hypercuboid import HyperCuboid
from nasbench.search_spaces.hypercuboid_graph import SYMBOLS, path_steps

SPACES = [
    HyperCuboid(),
    HyperCuboid(1, (4,), ("sharp_sep_conv_3x3",)),
    HyperCuboid(1, (4, 8), tuple(SYMBOLS)),
    HyperCuboid(8, (8, 1024, 4096)),
]


def weights_of(space: HyperCuboid, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (len(space.axes.edges), len(space.axes.operations))
    tables = {block.kind: rng.random(shape) for block in space.axes.blocks}
    return {kind: table / table.sum() for kind, table in tables.items()}


def drawn(space: HyperCuboid, weights: dict[str, np.ndarray]) -> Figure:
    with figures.figure_style():
        return grid_figure(space, weights)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def curves(figure: Figure, line: float) -> list[PathPatch]:
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]
    return [patch for patch in patches if patch.get_linewidth() == line]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_all_words_are_inside_and_none_touches_another(space: HyperCuboid) -> None:
    figure = drawn(space, weights_of(space))
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    boxes = {text: text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts}
    for text, box in boxes.items():
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), (first, second)


def test_the_thick_line_is_the_longest_path() -> None:
    space = SPACES[0]
    for seed in range(3):
        weights = weights_of(space, seed)
        found = space.discretize(weights)
        figure = drawn(space, weights)
        chosen = curves(figure, 4.0)
        rows = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts if text.get_text().isdigit()}
        steps = path_steps(space.axes, found.spec)
        assert len(chosen) == len(steps) == 8
        by_position = sorted(chosen, key=lambda curve: float(curve.get_path().vertices[0, 0]))
        for curve, step in zip(by_position, steps, strict=True):
            (_, start), (_, end) = curve.get_path().vertices[[0, -1]]
            assert start == pytest.approx(rows[str(step.inputs)], abs=0.1)
            assert end == pytest.approx(rows[str(step.outputs)], abs=0.1)
            assert to_hex(curve.get_edgecolor()).upper() == COLOURS[space.axes.operations.index(step.operation)]
        labels = [word for word in words(figure) if "→" in word]
        assert labels == [f"{SYMBOLS[step.operation]} → {step.outputs}" for step in steps]


def test_every_operation_is_drawn_and_the_numbers_are_those_of_the_weights() -> None:
    space = HyperCuboid(1, (4, 8))
    weights = {
        "layer0_stride1": np.array([[0.1, 0.1], [0.2, 0.1], [0.1, 0.1], [0.1, 0.2]]),
        "layer0_stride2": np.array([[0.05, 0.05], [0.05, 0.05], [0.05, 0.05], [0.1, 0.6]]),
    }
    assert space.discretize(weights) == Architecture(space.name, (4, "sharp_sep_conv_3x3", 8, "resizable_pool_3x3", 8))
    figure = drawn(space, weights)
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]
    assert len(patches) == 2 * 2 + 2 * 8 + 2  # ends, operations, and the white below the two chosen
    text = "\n".join(words(figure))
    for expected in (
        "weight 0.2",
        "weight 0.6",
        "rank 1 of 8",
        "S = sharp_sep_conv_3x3",
        "P = resizable_pool_3x3",
        "this path 0.8, mean of all paths 0.25, second best 0.8",
        "the lead over the second is 0 % of the lead over the mean",
    ):
        assert expected in text


def test_nearly_equal_weights_look_equal() -> None:
    space = HyperCuboid(1, (4, 8))
    rng = np.random.default_rng(0)
    close = {block.kind: 0.125 + 1e-4 * rng.random((4, 2)) for block in space.axes.blocks}
    widths = {
        round(patch.get_linewidth(), 2)
        for patch in drawn(space, close).axes[0].patches
        if isinstance(patch, PathPatch) and to_hex(patch.get_edgecolor()).upper() in COLOURS
    }
    assert widths == {1.25, 4.0}
    # Weights that no softmax gives are drawn as well.
    assert curves(drawn(space, {kind: table - 1 for kind, table in close.items()}), 4.0)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_weights_give_the_same_file(tmp_path: Path, suffix: str) -> None:
    space = SPACES[2]
    files = [tmp_path / f"{number}{suffix}" for number in range(3)]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        draw_grid(space, weights_of(space, seed), file)
    same, again, other = (file.read_bytes() for file in files)
    assert same == again != other
    if suffix == ".png":
        with Image.open(files[0]) as picture:
            assert picture.size[0] > 1000
    else:
        assert same.lstrip().startswith(b"<?xml") and b"Weighted grid of space" in same


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    space = SPACES[1]
    weights = weights_of(space)
    with pytest.raises(BadInput, match=r"must end in \.svg or \.png"):
        draw_grid(space, weights, tmp_path / "grid.pdf")
    with pytest.raises(BadInput, match="'layer0_stride2' are missing"):
        draw_grid(space, {"layer0_stride1": weights["layer0_stride1"]}, tmp_path / "grid.svg")
    with pytest.raises(BadInput, match="cannot write to"):
        draw_grid(space, weights, tmp_path / "nowhere" / "grid.svg")
    assert not list(tmp_path.iterdir())

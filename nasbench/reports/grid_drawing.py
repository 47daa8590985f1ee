"""Draw the weighted grid of a HyperCuboid with the path chosen in it: blocks from left to right, one row a width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.core.state import write_atomically
from nasbench.reports import figures
from nasbench.search_spaces.hypercuboid import HyperCuboid
from nasbench.search_spaces.hypercuboid_graph import SYMBOLS, Margin, Step, Weights, checked_weights, path_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Canvas
    from matplotlib.figure import Figure

COLOURS = (figures.BLUE, figures.ORANGE, figures.GREEN, figures.PURPLE, figures.VERMILION)
"""The colours of the operations, in the order of the space's."""

# Sizes in inches, fonts in points.
COLUMN, ROW, NODE, MARGIN = 1.5, 0.95, 0.22, 0.3
ABOVE, BELOW, LINE, NARROWEST = 1.35, 1.3, 0.26, 7.2
APART = 0.085
"""Distance of two operations between the same two nodes."""
FONT, SMALL = 11.0, 10.0


def draw_grid(space: HyperCuboid, weights: Weights, path: Path) -> None:
    """Write the picture as SVG or PNG, by the file's suffix; the same input gives the same bytes.

    ``weights`` are those of `HyperCuboid.discretize`, whose path is drawn over the grid. Raises BadInput for another
    suffix, for weights of another shape, and if the file cannot be written.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"cannot draw to '{path}': the name must end in .svg or .png.")
    if path.suffix.lower() == ".svg":
        data = grid_svg(space, weights).encode()
    else:
        with figures.figure_style():
            data = figures.png_bytes(grid_figure(space, checked_weights(space.axes, weights)), _title(space))
    try:
        write_atomically(path, data)
    except OSError as error:
        raise BadInput(f"cannot write to {path}: {error.strerror}.") from error


def grid_svg(space: HyperCuboid, weights: Weights) -> str:
    """Return the picture as SVG text. Raises BadInput for weights of another shape."""
    with figures.figure_style():
        return figures.svg_text(grid_figure(space, checked_weights(space.axes, weights)), _title(space))


def _title(space: HyperCuboid) -> str:
    return f"Weighted grid of space {space.name}"


def grid_figure(space: HyperCuboid, weights: dict[str, np.ndarray]) -> Figure:
    """Return the figure; call it inside `figures.figure_style`."""
    axes, chosen = space.axes, space.discretize(weights).spec
    steps = path_steps(axes, chosen)
    blocks = len(axes.blocks)
    width = max((blocks + 2) * COLUMN + 2 * MARGIN, NARROWEST)
    height = ABOVE + (len(axes.widths) - 1) * ROW + BELOW + (len(axes.operations) + 3) * LINE
    figure = figures.new_figure(width, height)
    canvas = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    canvas.set_xlim(0, width)
    canvas.set_ylim(height, 0)
    canvas.set_axis_off()
    rows = {channels: ABOVE + position * ROW for position, channels in enumerate(axes.widths)}
    lowest = rows[axes.widths[-1]]
    columns = [MARGIN + (number + 1) * COLUMN for number in range(blocks + 1)]
    middle = (ABOVE + lowest) / 2
    ends = (MARGIN + NODE, columns[-1] + COLUMN - NODE)

    for channels in axes.widths:
        for x0, y0, x1, y1, on_path in (
            (ends[0], middle, columns[0], rows[channels], channels == chosen[0]),
            (columns[-1], rows[channels], ends[1], middle, channels == chosen[-1]),
        ):
            colour, line, order = (figures.INK, 3.0, 3.0) if on_path else (figures.FAINT, 0.8, 1.0)
            _curve(canvas, x0, y0, x1, y1, colour=colour, line=line, order=order)
    for step, left in zip(steps, columns, strict=False):
        table = weights[step.block.kind]
        _draw_block(canvas, space, table, step, left, rows)
        _write_block(canvas, space, table, step, left + COLUMN / 2, lowest)
    for x, channels_on_path in zip(columns, chosen[::2], strict=True):
        for channels, y in rows.items():
            _node(canvas, x, y, str(channels), on_path=channels == channels_on_path)
    _node(canvas, ends[0], middle, "image", on_path=True)
    _node(canvas, ends[1], middle, "class", on_path=True)
    canvas.text(MARGIN, 0.32, _title(space), fontsize=13, fontweight="bold", va="center")
    _write_legend(canvas, space, space.margin(weights), lowest + BELOW)
    return figure


def _draw_block(
    canvas: Canvas, space: HyperCuboid, table: np.ndarray, step: Step, left: float, rows: dict[int, float]
) -> None:
    """Draw all operations of a block, the strong ones over the weak ones, and the chosen one over all."""
    operations = space.axes.operations
    strength = _strength(table)
    for flat in np.argsort(strength, axis=None, kind="stable").tolist():
        edge, column = divmod(flat, len(operations))
        inputs, outputs = space.axes.edges[edge]
        shift = (column - (len(operations) - 1) / 2) * APART
        ends = (left, rows[inputs] + shift, left + COLUMN, rows[outputs] + shift)
        if (inputs, outputs, operations[column]) == (step.inputs, step.outputs, step.operation):
            _curve(canvas, *ends, colour="white", line=6.5, order=2.5)
            _curve(canvas, *ends, colour=COLOURS[column], line=4.0, order=3.0)
        else:
            share = float(strength[edge, column])
            line, opacity = 0.5 + 1.5 * share, 0.12 + 0.53 * share
            _curve(canvas, *ends, colour=COLOURS[column], line=line, order=1.0 + share, opacity=opacity)


def _strength(table: np.ndarray) -> np.ndarray:
    """Scale the weights of a block to 0 (none) to 1 (twice the mean or more): nearly equal weights shall look equal."""
    mean = float(table.mean())
    return (table / (2 * mean)).clip(0, 1) if mean > 0 else np.full(table.shape, 0.5)


def _write_block(canvas: Canvas, space: HyperCuboid, table: np.ndarray, step: Step, x: float, lowest: float) -> None:
    """Write above a block where it stands, and below it what was chosen, with its weight and rank in the block."""
    column = space.axes.operations.index(step.operation)
    weight = float(table[space.axes.edges.index((step.inputs, step.outputs)), column])
    rank = 1 + int((table > weight).sum())
    for y, words, size, colour, face in (
        (ABOVE - 0.67, f"layer {step.block.layer}", FONT, figures.INK, "normal"),
        (ABOVE - 0.45, f"stride {step.block.stride}", SMALL, figures.GREY, "normal"),
        (lowest + 0.5, f"{SYMBOLS[step.operation]} → {step.outputs}", FONT, figures.INK, "bold"),
        (lowest + 0.72, f"weight {weight:.4g}", SMALL, figures.INK, "normal"),
        (lowest + 0.92, f"rank {rank} of {table.size}", SMALL, figures.GREY, "normal"),
    ):
        canvas.text(x, y, words, fontsize=size, color=colour, fontweight=face, ha="center", va="center")


def _write_legend(canvas: Canvas, space: HyperCuboid, margin: Margin, y: float) -> None:
    """Write what the colours mean and how sure the path is, in lines from ``y`` downwards."""
    for name, colour in zip(space.axes.operations, COLOURS, strict=False):
        canvas.plot([MARGIN, MARGIN + 0.35], [y, y], color=colour, linewidth=4.0, solid_capstyle="round")
        canvas.text(MARGIN + 0.45, y, f"{SYMBOLS[name]} = {name}", fontsize=SMALL, va="center")
        y += LINE
    words = "thick: the longest path; thin: by weight, up to twice the mean of the block"
    canvas.text(MARGIN, y, words, fontsize=SMALL, color=figures.GREY, va="center")
    y += LINE
    sums = f"sum of weights: this path {margin.best:.6g}, mean of all paths {margin.mean:.6g}"
    if np.isfinite(margin.second):
        sums += f", second best {margin.second:.6g}"
        words = f"the lead over the second is {100 * margin.relative:.2g} % of the lead over the mean"
        canvas.text(MARGIN, y + LINE, words, fontsize=SMALL, va="center")
    canvas.text(MARGIN, y, sums, fontsize=SMALL, va="center")


def _curve(
    canvas: Canvas,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    *,
    colour: str,
    line: float,
    order: float,
    opacity: float = 1.0,
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    middle = (x0 + x1) / 2
    curve = Curve([(x0, y0), (middle, y0), (middle, y1), (x1, y1)], [Curve.MOVETO, *[Curve.CURVE4] * 3])
    canvas.add_patch(PathPatch(curve, facecolor="none", edgecolor=colour, linewidth=line, alpha=opacity, zorder=order))


def _node(canvas: Canvas, x: float, y: float, label: str, *, on_path: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    width = NODE if len(label) < 4 else NODE + 0.08
    face, edge, text = (figures.INK, figures.INK, "white") if on_path else ("white", figures.GREY, figures.INK)
    shape = "round,pad=0,rounding_size=0.15"
    corner = (x - width, y - 0.15)
    canvas.add_patch(
        FancyBboxPatch(corner, 2 * width, 0.3, boxstyle=shape, facecolor=face, edgecolor=edge, linewidth=1.2, zorder=4)
    )
    canvas.text(x, y, label, fontsize=SMALL, color=text, ha="center", va="center_baseline", zorder=5)

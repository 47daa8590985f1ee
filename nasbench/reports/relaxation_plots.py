"""The charts of a differentiable search: how the weights of the operations moved, and how regular the search was."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nasbench.core.configuration import validated
from nasbench.core.errors import BadInput
from nasbench.core.run_directory import read_json
from nasbench.reports import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (figures.BLUE, figures.ORANGE, figures.GREEN, figures.VERMILION, figures.PURPLE, figures.SKY)
STYLES = ("-", (0, (3, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^")
"""The operations take the colours in turn; each further round has another line style, and marker."""
MOST_PANELS = 40
"""With more edges over all kinds of cell the weights are shown as a map of shades, not as lines."""

# Sizes in inches, fonts in points.
WIDTH, PER_ROW = 10.5, 7
LEFT, RIGHT, BELOW, PANEL, APART, HEADING, LEGEND_LINE = 0.65, 0.1, 0.22, 1.15, 0.45, 0.32, 0.24
MAP_LEFT, MAP_RIGHT, MAP_ABOVE, MAP_BELOW, MAP_APART, MAP_ROW = 1.1, 0.75, 0.6, 0.55, 0.35, 0.155
SMALL = 8.5


class _Relaxation(BaseModel):
    model_config = ConfigDict(extra="allow")

    operations: list[str] = Field(min_length=1)
    edges: dict[str, list[str]] = Field(min_length=1)
    weights: dict[str, list[list[list[float]]]]


def read_relaxation(path: Path) -> dict[str, Any]:
    """Return what ``relaxation.json`` holds: ``operations``, and for each kind of cell ``edges`` (names of its rows)
    and ``weights`` [epoch][edge][operation].

    Raises BadInput if the file is damaged or its parts do not fit together.
    """
    data = read_json(path)
    try:
        relaxation = validated(_Relaxation, data, "relaxation")
    except BadInput as error:
        raise BadInput(f"{path} is damaged ({textwrap.shorten(str(error), 200)})") from error
    operations, edges, weights = relaxation.operations, relaxation.edges, relaxation.weights
    if {*edges} != {*weights}:
        raise BadInput(f"{path} is damaged: it has edges of {', '.join(edges)} but weights of {', '.join(weights)}.")
    epochs = len(next(iter(weights.values())))
    for kind, labels in edges.items():
        if not labels or len(weights[kind]) != epochs or any(len(rows) != len(labels) for rows in weights[kind]):
            raise BadInput(f"{path} is damaged: '{kind}' needs in each of {epochs} epochs a row for each of its edges.")
        if any(len(row) != len(operations) for rows in weights[kind] for row in rows):
            raise BadInput(f"{path} is damaged: a row of '{kind}' has not {len(operations)} weights, one an operation.")
        if not np.isfinite(weights[kind]).all():
            raise BadInput(f"{path} is damaged: a weight of '{kind}' is not a finite number.")
    return data


# -- the weights -----------------------------------------------------------------------------------------------------
def operation_weights(relaxation: Mapping[str, Any]) -> str:
    """Return as SVG text the weight of every operation on every edge, by epoch (1 is after the first).

    ``relaxation`` is what `read_relaxation` returns, with one epoch at least.

    One panel an edge, with one line an operation, the strongest at the end drawn thicker. With more than 40 edges a map
    of shades: one panel for each operation (down) and kind of cell (across), one row an edge, and a mark at the
    strongest entry of each kind.
    """
    operations, edges = relaxation["operations"], relaxation["edges"]
    tables = {kind: np.asarray(relaxation["weights"][kind], dtype=np.float64) for kind in edges}
    with figures.figure_style():
        if sum(len(labels) for labels in edges.values()) > MOST_PANELS:
            figure = _weight_maps(operations, edges, tables)
        else:
            figure = _weight_lines(operations, edges, tables)
        return figures.svg_text(figure, "Weights of the operations by epoch")


def _weight_lines(
    operations: Sequence[str], edges: Mapping[str, Sequence[str]], tables: Mapping[str, np.ndarray]
) -> Figure:
    rows = {kind: _rows(len(labels)) for kind, labels in edges.items()}
    columns = max(math.ceil(len(labels) / rows[kind]) for kind, labels in edges.items())
    legend_lines = math.ceil(len(operations) / 6)
    above = 0.1 + LEGEND_LINE * legend_lines
    panel = PANEL if columns > 3 else 1.5 * PANEL
    block = {kind: HEADING + count * (panel + APART) for kind, count in rows.items()}
    height = above + sum(block.values()) + BELOW
    figure = figures.new_figure(WIDTH, height)
    step = (WIDTH - LEFT - RIGHT + 0.12) / columns
    highest = 1.05 * max(float(table.max()) for table in tables.values())
    top = height - above
    for kind, labels in edges.items():
        figure.text(0.1 / WIDTH, (top - 0.18) / height, kind, fontweight="bold", va="center", parse_math=False)
        for edge, label in enumerate(labels):
            row, column = divmod(edge, columns)
            bottom = top - HEADING - row * (panel + APART) - 0.2 - panel
            axes = figure.add_axes(
                ((LEFT + column * step) / WIDTH, bottom / height, (step - 0.12) / WIDTH, panel / height)
            )
            _lines_of_edge(axes, tables[kind][:, edge, :], operations)
            axes.set_title(_arrow(label), fontsize=SMALL + 0.5, pad=3, color=figures.INK, parse_math=False)
            axes.set_ylim(0, highest)
            axes.tick_params(labelsize=SMALL, length=2.5)
            if column > 0:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel("weight", fontsize=SMALL + 0.5)
            if edge + columns < len(labels):
                axes.tick_params(labelbottom=False)
        top -= block[kind]
    one_epoch = len(next(iter(tables.values()))) == 1
    _legend_of_operations(figure, operations, legend_lines, one_epoch)
    figure.text(0.5, 0.16 / height, "epoch", ha="center", va="center", fontsize=SMALL + 1.5)
    return figure


def _rows(edges: int) -> int:
    """Return in how many rows the panels of one kind of cell stand."""
    return math.ceil(edges / PER_ROW) if edges > PER_ROW else 1 if edges <= 4 else 2


def _lines_of_edge(axes: Axes, weights: np.ndarray, operations: Sequence[str]) -> None:
    """Draw the weights [epoch, operation] of one edge."""
    epochs = np.arange(1, len(weights) + 1)
    strongest = int(np.argmax(weights[-1]))
    # The points of a single epoch stand beside each other, for many of them are about equal.
    beside = np.linspace(-0.35, 0.35, len(operations)) if len(weights) == 1 else np.zeros(len(operations))
    for i in range(len(operations)):
        decided = i == strongest
        axes.plot(
            epochs + beside[i], weights[:, i], **_look(i, len(weights) == 1), linewidth=2.6 if decided else 1.0,
            markersize=7.5 if decided else 4.5, zorder=4 if decided else 3,
        )  # fmt: skip
    _epoch_axis(axes, len(weights))
    axes.grid(axis="y", color=figures.FAINT, alpha=0.4, linewidth=0.6)
    axes.set_axisbelow(True)


def _look(operation: int, point: bool) -> dict[str, Any]:
    """Return how an operation, by its number, is drawn: a line, or a point where there is but one epoch."""
    colour, further = COLOURS[operation % len(COLOURS)], operation // len(COLOURS) % len(STYLES)
    form = {"linestyle": "", "marker": MARKERS[further]} if point else {"linestyle": STYLES[further]}
    return {"color": colour, **form}


def _legend_of_operations(figure: Figure, operations: Sequence[str], lines: int, points: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **_look(i, points), linewidth=2, label=name) for i, name in enumerate(operations)]
    legend = figure.legend(
        handles=handles, loc="upper center", ncols=math.ceil(len(operations) / lines), fontsize=9.5, handlelength=2.6,
        columnspacing=1.4, borderaxespad=0.2, labelspacing=0.25,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _weight_maps(
    operations: Sequence[str], edges: Mapping[str, Sequence[str]], tables: Mapping[str, np.ndarray]
) -> Figure:
    most = max(len(labels) for labels in edges.values())
    panel = min(max(MAP_ROW * most, 0.8), 3.5)
    height = MAP_ABOVE + len(operations) * (panel + MAP_APART) - MAP_APART + MAP_BELOW
    figure = figures.new_figure(WIDTH, height)
    same_labels = len({tuple(labels) for labels in edges.values()}) == 1
    between = 0.12 if same_labels else 0.95
    step = (WIDTH - MAP_LEFT - MAP_RIGHT + between) / len(edges)
    highest = max(float(table.max()) for table in tables.values())
    for column, (kind, labels) in enumerate(edges.items()):
        table = tables[kind]
        strongest_edge, strongest = np.unravel_index(int(np.argmax(table[-1])), table[-1].shape)
        for row, operation in enumerate(operations):
            bottom = height - MAP_ABOVE - row * (panel + MAP_APART) - panel
            axes = figure.add_axes(
                ((MAP_LEFT + column * step) / WIDTH, bottom / height, (step - between) / WIDTH, panel / height)
            )
            image = axes.imshow(
                table[:, :, row].T, cmap="Blues", vmin=0, vmax=highest, aspect="auto", interpolation="none",
                extent=(0.5, len(table) + 0.5, len(labels) - 0.5, -0.5),
            )  # fmt: skip
            _epoch_axis(axes, len(table))
            axes.tick_params(labelsize=SMALL, length=2.5)
            every = math.ceil(len(labels) * 0.13 / panel)
            axes.set_yticks(range(0, len(labels), every))
            if column == 0 or not same_labels:
                shown = [_arrow(label) for label in labels[::every]]
                axes.set_yticklabels(shown, fontsize=SMALL - 1, parse_math=False)
            else:
                axes.tick_params(labelleft=False)
            if row < len(operations) - 1:
                axes.tick_params(labelbottom=False)
            if row == strongest:
                axes.plot(
                    [1.03], [strongest_edge], "<", color=figures.VERMILION, markersize=6, clip_on=False,
                    transform=axes.get_yaxis_transform(),
                )  # fmt: skip
            if column == 0:
                axes.set_title(operation, fontsize=10, loc="left", pad=3, fontweight="bold", parse_math=False)
        middle = (MAP_LEFT + column * step + (step - between) / 2) / WIDTH
        figure.text(
            middle, (height - 0.15) / height, kind, ha="center", va="center", fontsize=SMALL + 0.5, parse_math=False
        )
    bar = figure.add_axes(
        ((WIDTH - MAP_RIGHT + 0.2) / WIDTH, MAP_BELOW / height, 0.13 / WIDTH, min(2.5, panel) / height)
    )
    figure.colorbar(image, cax=bar)
    bar.set_title("weight", fontsize=SMALL, pad=4)
    bar.tick_params(labelsize=SMALL, length=2.5)
    figure.text(0.5, 0.16 / height, "epoch", ha="center", va="center", fontsize=SMALL + 1.5)
    return figure


def _arrow(label: str) -> str:
    return label.replace("->", "→")


def _epoch_axis(axes: Axes, epochs: int, bins: int = 4) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0.5, epochs + 0.5) if epochs < 3 else axes.set_xlim(1, epochs)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=bins, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


# -- the course of the search ----------------------------------------------------------------------------------------
def regularity(records: Sequence[Mapping[str, Any]]) -> str:
    """Return as SVG text, by epoch, how decided the weights are and how accurate the network that shares them.

    ``records`` are those of the ledger in order, learning units and evaluations: an evaluation belongs to the last unit
    before it. Panels: entropy of the weights and shares of parameter-free operations and of skips (0 to 1); accuracies
    in percent; if it was measured, the dominant eigenvalue of the validation loss.
    """
    units: list[Mapping[str, Any]] = []
    at, scores = [], []
    for record in records:
        if "id" in record:
            at.append(len(units))
            failed = record.get("status", "ok") != "ok"
            scores.append(np.nan if failed else float(record["metrics"].get("valid_accuracy", np.nan)))
        elif record["part"] == "strategy":
            units.append(record["metrics"])
    measured = any("eigenvalue" in unit for unit in units)
    with figures.figure_style():
        panels = 3 if measured else 2
        height = 0.3 + panels * 2.45
        figure = figures.new_figure(8.0, height)
        all_axes = [
            figure.add_axes((0.1, (height - 0.35 - 2.45 * i - 1.75) / height, 0.87, 1.75 / height))
            for i in range(panels)
        ]
        _course(
            all_axes[0], units, {"entropy": "entropy", "parameter_free": "parameter-free share", "skips": "skip share"}
        )
        all_axes[0].set_ylim(-0.03, 1.03)
        all_axes[0].set_ylabel("share or entropy")
        _course(all_axes[1], units, {"train_accuracy": "training accuracy of the supernet"}, colour=1)
        if np.isfinite(scores).any():
            all_axes[1].plot(
                at, scores, color=figures.BLUE, linewidth=1.8, marker="o", markersize=_marker(len(scores)),
                label="validation accuracy of the architecture, shared weights",
            )  # fmt: skip
        all_axes[1].set_ylabel("accuracy (%)")
        if measured:
            _course(all_axes[2], units, {"eigenvalue": "dominant eigenvalue of the validation loss"}, colour=3)
            all_axes[2].set_ylabel("eigenvalue")
        for axes in all_axes:
            _epoch_axis(axes, max(1, len(units)), bins=10)
            axes.grid(axis="y", color=figures.FAINT, alpha=0.4, linewidth=0.7)
            axes.set_axisbelow(True)
            if axes.get_legend_handles_labels()[1]:
                axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=3, fontsize=9.5)
        decisions = [i + 1 for i, unit in enumerate(units) if "train_loss" not in unit]
        if decisions:
            for axes in all_axes:
                axes.axvline(decisions[0], color=figures.GREY, linestyle=":", linewidth=1.2)
        all_axes[-1].set_xlabel("epoch (dotted: the first decision about an edge)" if decisions else "epoch")
        return figures.svg_text(figure, "Course of the differentiable search")


def _course(axes: Axes, units: Sequence[Mapping[str, Any]], names: Mapping[str, str], colour: int = 0) -> None:
    """Draw measures of the units, each under its name; units without it leave a gap, a measure of none is left out."""
    for i, (name, label) in enumerate(names.items(), start=colour):
        values = np.array([float(unit.get(name, np.nan)) for unit in units])
        if np.isfinite(values).any():
            axes.plot(
                np.arange(1, len(values) + 1), values, color=COLOURS[i], linestyle=("-", "--", ":", "-")[i],
                linewidth=1.8, marker="o", markersize=_marker(len(values)), label=label,
            )  # fmt: skip


def _marker(count: int) -> float:
    """Return the size of the points, 0 where a line of so many needs none."""
    return 0.0 if count > 60 else 3.0 if count > 5 else 5.0

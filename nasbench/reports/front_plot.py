"""The front of a search for several objectives: every evaluation, and those that nothing measured dominates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nasbench.core.objectives import parse_objectives
from nasbench.core.problem import Objective
from nasbench.reports import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
NAMES = {
    "valid_accuracy": "validation accuracy (%)",
    "train_loss": "training loss (nats)",
    "parameters": "parameters",
    "macs": "multiply-adds of one image",
}


def front_picture(result: Mapping[str, Any], ledger_rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the front as SVG text, one panel for each pair of objectives.

    ``ledger_rows`` are the evaluations' JSON records. Each axis shows the whole front and at least the better three
    quarters of all evaluations; what lies outside is counted in words. With two objectives the steps of the front's
    border are drawn. A cross marks the architecture that was chosen, the best by the first objective.
    """
    objectives = parse_objectives(result["objectives"])
    front = _values(objectives, [point["metrics"] for point in result["front"]])
    seen = _values(objectives, [row["metrics"] for row in ledger_rows if row.get("status", "ok") == "ok"])
    seen = seen[np.isfinite(seen).all(axis=1)]
    pairs = list(combinations(range(len(objectives)), 2))
    columns = min(len(pairs), COLUMNS)
    rows = -(-len(pairs) // columns)
    width = 8.0 if columns == 1 else 4.2 * columns
    with figures.figure_style():
        figure = figures.new_figure(width, 0.4 + (4.4 if columns == 1 else 3.9) * rows)
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes, (i, j) in zip(panels.flat, pairs, strict=False):
            # The first objective of a pair goes up, the second to the right.
            _panel(axes, (objectives[j], objectives[i]), seen[:, [j, i]], front[:, [j, i]], steps=len(objectives) == 2)
        for axes in panels.flat[len(pairs) :]:
            axes.set_visible(False)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=3)
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
        return figures.svg_text(figure, "The front among all evaluations")


def metric_label(name: str) -> str:
    """Return a metric's name as people write it, with its unit where it is known."""
    base, _, device = name.partition("@")
    if base == "latency_ms":
        return f"latency on {device} (ms)"
    return NAMES.get(base, base.replace("_", " ")) + (f" on {device}" if device else "")


def _values(objectives: Sequence[Objective], metrics: Sequence[Mapping[str, float]]) -> np.ndarray:
    values = [[row.get(objective.name, np.nan) for objective in objectives] for row in metrics]
    return np.array(values, dtype=np.float64).reshape(len(metrics), len(objectives))


def _panel(
    axes: Axes, objectives: tuple[Objective, Objective], seen: np.ndarray, front: np.ndarray, *, steps: bool
) -> None:
    """Draw points [n, 2], the first column to the right and the second up."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.scatter(
        seen[:, 0], seen[:, 1], s=14, color=figures.GREY, alpha=0.45, linewidth=0, label="one evaluation", zorder=2
    )
    limits = [_limits(o, seen[:, k], front[:, k]) for k, o in enumerate(objectives)]
    if len(front):
        if steps:
            line = front[np.argsort(front[:, 0], kind="stable")]
            # The border of what is dominated: from a point it goes on towards the worse side of the first axis.
            where: Literal["pre", "post"] = "pre" if objectives[0].maximize else "post"
            axes.step(line[:, 0], line[:, 1], where=where, color=figures.BLUE, linewidth=1.4, zorder=3)
        axes.scatter(
            front[:, 0], front[:, 1], s=34, color=figures.BLUE, edgecolor="white", linewidth=0.8, zorder=4,
            label="the front",
        )  # fmt: skip
        axes.scatter(
            front[:1, 0], front[:1, 1], s=80, marker="x", color=figures.VERMILION, linewidth=2, zorder=5,
            label="chosen: best by the first objective",
        )  # fmt: skip
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    low, high = np.array(limits).T
    outside = int((~((seen >= low) & (seen <= high)).all(axis=1)).sum())
    if outside:
        axes.text(0.99, 0.02, f"{outside} not shown", transform=axes.transAxes, ha="right", fontsize=10,
                  color=figures.GREY)  # fmt: skip
    axes.set_xlabel(metric_label(objectives[0].name))
    axes.set_ylabel(metric_label(objectives[1].name))
    for axis, objective in zip((axes.xaxis, axes.yaxis), objectives, strict=True):
        axis.set_major_locator(MaxNLocator(5))
        if objective.name in ("parameters", "macs"):
            axis.set_major_formatter(EngFormatter(sep=" "))
    axes.grid(color=figures.FAINT, alpha=0.4, linewidth=0.7)
    axes.set_axisbelow(True)


def _limits(objective: Objective, seen: np.ndarray, front: np.ndarray) -> tuple[float, float]:
    """Show the whole front, the best, and the better three quarters of all evaluations."""
    values = np.concatenate([seen, front])
    if not len(values):
        return 0.0, 1.0
    quantile = float(np.quantile(seen if len(seen) else front, 0.25 if objective.maximize else 0.75))
    ends = [quantile, *front.tolist(), float(values.max() if objective.maximize else values.min())]
    margin = 0.05 * (max(ends) - min(ends)) or 0.5
    return min(ends) - margin, max(ends) + margin

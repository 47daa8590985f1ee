"""The two charts of a run: how the search went, and where its result lies among random architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench.reports import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (8.0, 4.4)
METRIC = "valid_accuracy"


def search_curve(result: Mapping[str, Any], ledger_rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the search as SVG text: every evaluation, the best validation accuracy (%) so far, random search behind.

    ``ledger_rows`` are the evaluations' JSON records in order. The vertical range shows where the search was decided;
    evaluations below it are counted in words at the lower edge. Where candidates were trained for several numbers of
    epochs, the best is that of the longest trained, and the others are drawn as rings.
    """
    scores = np.array([_score(row) for row in ledger_rows], dtype=np.float64)
    epochs = np.array([dict(row.get("fidelity", ())).get("epochs", np.inf) for row in ledger_rows], dtype=np.float64)
    brief = epochs < epochs[np.isfinite(scores)].max(initial=0.0)
    number = np.arange(1, len(scores) + 1)
    random = result.get("random_curve")
    with figures.figure_style():
        figure = figures.new_figure(*SIZE)
        axes = figure.add_axes((0.1, 0.13, 0.87, 0.73))
        if random is not None:
            at = np.asarray(random["evaluations"], dtype=np.float64)
            axes.fill_between(
                at, random["low"], random["high"], step="post", color=figures.ORANGE, alpha=0.25, linewidth=0,
                label="random search, middle half",
            )  # fmt: skip
            axes.step(
                at, random["mean"], where="post", color=figures.ORANGE, linestyle="--", label="random search, mean"
            )
        measured = np.isfinite(scores)
        if measured.any():
            best = np.fmax.accumulate(np.where(brief, np.nan, scores))
            if (brief & measured).any():
                axes.scatter(
                    number[brief & measured], scores[brief & measured], s=14, facecolor="none", edgecolor=figures.GREY,
                    linewidth=0.8, alpha=0.7, zorder=3, label="one evaluation, fewer epochs",
                )  # fmt: skip
            whole = measured & ~brief
            axes.scatter(
                number[whole], scores[whole], s=14, color=figures.GREY, alpha=0.45, linewidth=0, zorder=3,
                label="one evaluation",
            )  # fmt: skip
            known = np.isfinite(best)
            axes.step(
                number[known], best[known], where="post", color=figures.BLUE, linewidth=2.2, zorder=4,
                label=f"best so far, {result.get('strategy') or 'this search'}",
            )  # fmt: skip
            low, high = _interesting(scores[whole], best[known], random)
            axes.set_ylim(low, high)
            _note_below(axes, int((scores[measured] < low).sum()), int((~measured).sum()))
        axes.set_xlim(0, max(len(scores), 1) * 1.02)
        _whole_numbers(axes)
        axes.set_xlabel("evaluations")
        axes.set_ylabel("validation accuracy (%)")
        axes.grid(axis="y", color=figures.FAINT, alpha=0.4, linewidth=0.7)
        axes.set_axisbelow(True)
        _legend(axes)
        return figures.svg_text(figure, "Validation accuracy by evaluation")


def baseline_distribution(result: Mapping[str, Any]) -> str:
    """Return as SVG text where the found architecture's test accuracies (%) lie among those of random architectures."""
    baseline = result.get("baseline") or {}
    found = np.array((result.get("final") or {}).get("test_accuracies") or [], dtype=np.float64)
    scores, histogram = baseline.get("scores"), baseline.get("histogram")
    with figures.figure_style():
        figure = figures.new_figure(*SIZE)
        axes = figure.add_axes((0.1, 0.13, 0.87, 0.73))
        if scores:
            low, hidden = _bars_of_scores(axes, np.asarray(scores, dtype=np.float64), found)
        elif histogram:
            low, hidden = _bars_of_histogram(axes, histogram, found)
        else:
            low, hidden = None, 0.0
        if baseline.get("mean") is not None:
            label = f"random architectures, {baseline['mean']:.2f} % (mean of {baseline['n']})"
            if low is None and baseline.get("std") is not None:
                spread = (baseline["mean"] - baseline["std"], baseline["mean"] + baseline["std"])
                axes.axvspan(*spread, color=figures.ORANGE, alpha=0.3, linewidth=0, label="their standard deviation")
            axes.axvline(baseline["mean"], color=figures.INK, linestyle="--", linewidth=1.6, label=label)
        if len(found):
            trainings = "" if len(found) == 1 else f" (mean of {len(found)} trainings)"
            label = f"found, {found.mean():.2f} %{trainings}"
            axes.axvline(found.mean(), color=figures.BLUE, linewidth=2.4, label=label)
            if len(found) > 1:
                axes.scatter(
                    found, np.full(len(found), 0.06), s=46, color=figures.BLUE, edgecolor="white", zorder=5,
                    transform=axes.get_xaxis_transform(), label="its single trainings",
                )  # fmt: skip
        if low is not None:
            axes.set_xlim(left=low)
        if hidden > 0:
            axes.text(
                0.01, 0.97, f"{100 * hidden:.1f} % of them lie further left", transform=axes.transAxes, va="top",
                fontsize=10, color=figures.GREY,
            )  # fmt: skip
        if scores or histogram:
            _whole_numbers(axes, vertical=True)
            axes.set_ylabel("random architectures")
        else:
            axes.set_yticks([])
            axes.spines.left.set_visible(False)
        axes.set_xlabel("test accuracy (%)")
        _legend(axes)
        return figures.svg_text(figure, "Test accuracy of random architectures and of the found one")


def _score(row: Mapping[str, Any]) -> float:
    if row.get("status", "ok") != "ok":
        return np.nan
    return float(row["metrics"].get(METRIC, np.nan))


def _interesting(scores: np.ndarray, best: np.ndarray, random: Mapping[str, Any] | None) -> tuple[float, float]:
    """Choose the vertical range: down to the lower quartile of all scores and the first tenth of each curve."""
    lows = [float(np.quantile(scores, 0.25)), float(best[len(best) // 10])]
    highs = [float(scores.max())]
    if random is not None and len(random["mean"]):
        lows.append(float(random["low"][len(random["low"]) // 10]))
        highs.append(float(max(random["high"])))
    low, high = min(lows), max(highs)
    margin = 0.06 * (high - low) or 0.5
    return low - 2 * margin, high + margin


def _note_below(axes: Axes, below: int, failed: int) -> None:
    notes = [f"{below} below this range"] if below else []
    notes += [f"{failed} failed"] if failed else []
    if notes:
        axes.text(
            0.99, 0.02, "evaluations not shown: " + ", ".join(notes), transform=axes.transAxes, ha="right", fontsize=10,
            color=figures.GREY, zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
        )  # fmt: skip


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _whole_numbers(axes: Axes, vertical: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    (axes.yaxis if vertical else axes.xaxis).set_major_locator(MaxNLocator(integer=True))


def _bars_of_scores(axes: Axes, scores: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Draw a histogram, and below 60 scores every score as a tick; return the left limit and the share beyond it."""
    low = _left_limit(float(scores.min()), float(np.quantile(scores, 0.05)), float(scores.max()), found)
    shown = scores[scores >= low]
    high = float(max([shown.max(), *found]))
    bins = int(np.clip(2 * np.sqrt(len(shown)), 8, 40))
    axes.hist(shown, bins=bins, range=(low, high) if high > low else None, color=figures.ORANGE, alpha=0.55)
    if len(scores) <= 60:
        axes.plot(
            shown, np.full(len(shown), 0.015), "|", color=figures.INK, markersize=10, label="one random architecture",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    return low, 1 - len(shown) / len(scores)


def _bars_of_histogram(axes: Axes, histogram: Mapping[str, Any], found: np.ndarray) -> tuple[float, float]:
    edges = np.asarray(histogram["edges"], dtype=np.float64)
    counts = np.asarray(histogram["counts"], dtype=np.float64)
    share = np.cumsum(counts) / counts.sum()
    filled = np.flatnonzero(counts)
    twentieth = float(edges[np.searchsorted(share, 0.05)])
    low = _left_limit(float(edges[filled[0]]), twentieth, float(edges[filled[-1] + 1]), found)
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=figures.ORANGE, alpha=0.55)
    visible = edges[:-1] >= low
    axes.set_xlim(right=float(max([edges[filled[-1] + 1], *found])) + 0.02 * (edges[filled[-1] + 1] - low))
    if visible.any():
        axes.set_ylim(0, 1.08 * counts[visible].max())
    return low, float(counts[edges[1:] <= low].sum() / counts.sum())


def _left_limit(lowest: float, twentieth: float, high: float, found: np.ndarray) -> float:
    """Show everything unless the worst twentieth would take over a third of the width; never hide the found one."""
    low = min([max(lowest, twentieth - 0.5 * (high - twentieth)), *found.tolist()])
    return float(low - 0.03 * ((high - low) or 1.0))

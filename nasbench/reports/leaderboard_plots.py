"""The charts of the leaderboard's page. A method has one colour, marker and kind of line in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench.protocol.across import Across
from nasbench.reports import figures
from nasbench.reports.leaderboard_anytime import Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    *(figures.BLUE, figures.VERMILION, figures.GREEN, figures.PURPLE),
    *(figures.ORANGE, figures.SKY, figures.INK),
)
LINES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX"
LONGEST_NAME = 34
CEILINGS: tuple[dict[str, Any], ...] = (
    {"color": figures.INK, "linewidth": 1.2, "linestyle": "-"},
    {"color": figures.INK, "linewidth": 1.6, "linestyle": ":"},
)
"""How the best of the space and the proxy ceiling are drawn."""

FEWEST_BINS = 6
"""A histogram of which fewer bins are in sight is not drawn: it would show the bins and not the density."""

Style = dict[str, Any]


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """Return colour, marker and kind of line by method: the combination is unique for the first 28."""
    return {
        method: {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "linestyle": LINES[i // len(COLOURS) % len(LINES)],
        }
        for i, method in enumerate(methods)
    }


def _beside(names: Sequence[str]) -> float:
    """Return the inches that the longest of these names takes beside an axis."""
    return 0.25 + 0.085 * max(len(short(name)) for name in names)


def _margins(figure: Figure, left: float, right: float, bottom: float, top: float, between: float) -> None:
    """Set the margins and the space between panels in inches; to measure every text first would take twice as long."""
    width, height = figure.get_size_inches()
    panels = max(len([axes for axes in figure.axes if axes.axison]), 1)
    inside = (width - left - right - between * (panels - 1)) / panels
    figure.subplots_adjust(
        left / width, bottom / height, 1 - right / width, 1 - top / height, wspace=between / max(inside, 0.1)
    )


def short(name: str) -> str:
    """Return a name that fits beside an axis."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def dots_over_baseline(
    rows: Sequence[Mapping[str, Any]],
    scores: Sequence[Sequence[float]],
    baseline: Mapping[str, Any],
    ceilings: tuple[float, float] | None,
    style: Mapping[str, Style],
    title: str,
) -> str:
    """Return as SVG text every run's test accuracy, mean and 95 % interval, and beside it the relative improvement.

    Behind the left half lie random search of the same cost (mean and standard deviation), and the density of random
    architectures, cut where no run is near. ``rows`` are the rows of the leaderboard with their ``label``, best first,
    ``scores`` the test accuracies of their runs. ``ceilings`` are the best of the space and the proxy ceiling, drawn as
    a full and a dotted line, None where they are not known.
    """
    with figures.figure_style():
        figure = figures.new_figure(9.6, 1.0 + 0.42 * len(rows))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        everything = np.concatenate([np.asarray(runs, dtype=np.float64) for runs in scores])
        ends = [
            *everything.tolist(),
            *(row[key] for row in rows for key in ("test_ci_low", "test_ci_high") if row[key]),
            *(ceilings or ()),
        ]
        margin = 0.08 * (max(ends) - min(ends)) or 0.5
        left.set_xlim(min(ends) - margin, min(100.0, max(ends) + margin) if max(ends) < 100 else max(ends) + margin)
        _density(left, baseline)
        for score, look in zip(ceilings or (), CEILINGS, strict=False):
            left.axvline(score, zorder=2, **look)
        for place, (row, runs) in enumerate(zip(rows, scores, strict=True)):
            look = style[row["label"]]
            if row["rs_mean"] is not None:
                band = {"left": row["rs_mean"] - row["rs_std"], "color": figures.FAINT, "alpha": 0.5, "zorder": 1}
                left.barh(place, 2 * row["rs_std"], 0.72, **band)
            spread = place + np.linspace(-0.22, 0.22, len(runs)) if len(runs) > 1 else np.array([place])
            left.plot(runs, spread, look["marker"], color=look["color"], markersize=4.5, alpha=0.55, zorder=3)
            if row["test_ci_low"] is not None:
                left.plot(
                    [row["test_ci_low"], row["test_ci_high"]], [place] * 2, color=figures.INK, linewidth=2, zorder=4
                )
            left.plot(row["test_mean"], place, "|", color=figures.INK, markersize=13, markeredgewidth=2.4, zorder=5)
            if row["ri"] is not None:
                if row["ri_ci_low"] is not None:
                    right.plot([row["ri_ci_low"], row["ri_ci_high"]], [place] * 2, color=look["color"], linewidth=2)
                right.plot(row["ri"], place, look["marker"], color=look["color"], markersize=7)
        left.set_yticks(range(len(rows)), [short(row["label"]) for row in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        left.set_xlabel("test accuracy (%)")
        right.set_xlabel("relative improvement (%)")
        right.axvline(0, color=figures.GREY, linewidth=1, linestyle="--")
        for axes in (left, right):
            axes.grid(axis="x", color=figures.FAINT, alpha=0.4, linewidth=0.7)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
        _margins(figure, _beside([row["label"] for row in rows]), 0.15, 0.6, 0.3, 0.25)
        return figures.svg_text(figure, title)


def _density(axes: Axes, baseline: Mapping[str, Any]) -> None:
    """Draw the density of random architectures inside the axes' range, if its bins are fine enough, and their mean."""
    low, high = axes.get_xlim()
    back = axes.twinx()
    back.set_axis_off()
    axes.set_zorder(back.get_zorder() + 1)
    axes.patch.set_visible(False)
    histogram, trained = baseline.get("histogram"), baseline.get("scores")
    counts, edges = np.zeros(0), np.zeros(0)
    if histogram:
        counts, edges = (np.asarray(histogram[name], dtype=np.float64) for name in ("counts", "edges"))
    elif trained:
        counts, edges = np.histogram(trained, bins=16, range=(low, high))
    shown = (edges[1:] > low) & (edges[:-1] < high)
    if np.count_nonzero(shown) >= FEWEST_BINS and counts[shown].max() > 0:
        back.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=figures.ORANGE, alpha=0.3)
        back.set_ylim(0, 1.05 * float(counts[shown].max()))
    back.set_xlim(low, high)
    mean = baseline.get("mean")
    if mean is not None and low <= mean <= high:
        axes.axvline(mean, color=figures.ORANGE, linewidth=1.6, linestyle="--")
    elif mean is not None:
        side, name = (
            ("left", "← average random architecture") if mean < low else ("right", "average random architecture →")
        )
        axes.text(0 if mean < low else 1, 1.02, f"{name}: {mean:.2f}", transform=axes.transAxes, ha=side, va="bottom",
                  fontsize=9, color=figures.GREY)  # fmt: skip


def anytime_panels(
    panels: Sequence[tuple[str, str, Mapping[str, Curves]]],
    behind: Mapping[str, Any] | None,
    proxy_ceiling: float | None,
    style: Mapping[str, Style],
    title: str,
) -> str:
    """Return step curves as SVG text: median over runs with its middle half, one panel for each quantity.

    ``panels`` are (label of the upright axis, label of the other, curves by method); ``behind`` is the exact curve of
    random search in the quantity of the first panel. Where ``proxy_ceiling`` is given, the test regret of the proxy
    ceiling, the panels are of regrets, the last of them of test regret, and begin at the best of the space, regret 0.
    """
    with figures.figure_style():
        figure = figures.new_figure(max(4.8 * len(panels), 7.0), 3.9)
        for axes, (upright, across, curves) in zip(
            figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True
        ):
            if behind is not None and upright == panels[0][0]:
                axes.fill_between(
                    behind["at"], behind["low"], behind["high"], step="post", color=figures.FAINT, alpha=0.45,
                    linewidth=0, label="random search, exact",
                )  # fmt: skip
            for method, curve in curves.items():
                look = {key: style[method][key] for key in ("color", "linestyle")}
                axes.step(curve.at, curve.median, where="post", linewidth=1.9, label=short(method), **look)
                axes.fill_between(
                    curve.at, curve.low, curve.high, step="post", color=look["color"], alpha=0.11, linewidth=0
                )
            axes.set_xscale("log")
            axes.minorticks_off()
            low, high = _range_after_the_start(list(curves.values()))
            if proxy_ceiling is not None:
                low = -0.04 * high
                axes.axhline(0, zorder=1, **CEILINGS[0])
                if upright == panels[-1][0]:
                    axes.axhline(proxy_ceiling, zorder=1, **CEILINGS[1])
            axes.set_ylim(low, high)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_xlabel(across)
            axes.set_ylabel(upright)
            axes.grid(color=figures.FAINT, alpha=0.4, linewidth=0.7)
            axes.set_axisbelow(True)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        columns = 4 if max(map(len, labels)) < 22 else 2
        lines = -(-len(labels) // columns)
        figure.set_figheight(3.9 + 0.22 * lines)
        figure.legend(handles, labels, loc="upper center", ncols=columns)
        _margins(figure, 0.8, 0.15, 0.6, 0.2 + 0.22 * lines, 0.85)
        return figures.svg_text(figure, title)


def _range_after_the_start(curves: Sequence[Curves]) -> tuple[float, float]:
    """Leave out the first quarter (on the logarithmic axis) of the curves, where everything is bad."""
    later = [(curve.low[len(curve.at) // 4 :], curve.high[len(curve.at) // 4 :]) for curve in curves]
    low = min(float(values.min()) for values, _ in later)
    high = max(float(values.max()) for _, values in later)
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def interquartile_means(across: Across, style: Mapping[str, Style]) -> str:
    """Return as SVG text the interquartile mean of the normalised scores with its interval, and the profile beside."""
    with figures.figure_style():
        figure = figures.new_figure(9.6, max(3.2, 1.4 + 0.42 * len(across.methods)))
        left, right = figure.subplots(1, 2)
        for place, (method, value) in enumerate(zip(across.methods, across.iqm, strict=True)):
            look = style[method]
            left.plot(across.iqm_intervals[place], [place] * 2, color=look["color"], linewidth=2.4)
            left.plot(value, place, look["marker"], color=look["color"], markersize=7)
            right.step(
                across.thresholds, across.profile[place], where="post", color=look["color"],
                linestyle=look["linestyle"], linewidth=1.8,
            )  # fmt: skip
        left.set_yticks(range(len(across.methods)), [short(method) for method in across.methods])
        left.set_ylim(len(across.methods) - 0.5, -0.5)
        left.tick_params(axis="y", length=0)
        left.set_xlabel("interquartile mean of normalised scores")
        right.set_xlabel("normalised score")
        right.set_ylabel("share of runs above it")
        right.set_ylim(-0.02, 1.02)
        reached = across.profile.min(axis=0) < 1
        first = across.thresholds[max(int(np.argmax(reached)) - 2, 0)] if reached.any() else across.thresholds[0]
        right.set_xlim(float(first), float(across.thresholds[-1]))
        for axes in (left, right):
            axes.grid(color=figures.FAINT, alpha=0.4, linewidth=0.7)
            axes.set_axisbelow(True)
        _margins(figure, _beside(across.methods), 0.15, 0.6, 0.15, 0.85)
        return figures.svg_text(figure, "Normalised scores over data sets")


def critical_difference(across: Across, style: Mapping[str, Style]) -> str:
    """Return the critical-difference diagram (Demšar, JMLR 7, 2006, section 3.2.2) as SVG text.

    Methods stand at their average rank, best on the left; a bar joins those that the Nemenyi test cannot tell apart.
    """
    ranking = across.ranking
    assert ranking is not None
    count = len(across.methods)
    half = -(-count // 2)
    with figures.figure_style():
        figure = figures.new_figure(9.6, 1.7 + 0.3 * (half + len(ranking.cliques)))
        axes = figure.add_axes((0.36, 0.02, 0.3, 0.96))
        bars, deepest = 0.28 * len(ranking.cliques), 0.3 * half
        axes.set_xlim(1, count)
        axes.set_ylim(-0.5 - bars - deepest, 1.0)
        axes.set_axis_off()
        axes.plot([1, count], [0, 0], color=figures.INK, linewidth=1.4, clip_on=False)
        for tick in range(1, count + 1):
            axes.plot([tick] * 2, [0, 0.09], color=figures.INK, linewidth=1.2, clip_on=False)
            axes.text(tick, 0.14, str(tick), ha="center", va="bottom")
        length = min(ranking.distance, count - 1)
        axes.plot([1, 1 + length], [0.62] * 2, color=figures.GREY, linewidth=3, solid_capstyle="butt", clip_on=False)
        axes.text(1 + length / 2, 0.68, f"critical difference {ranking.distance:.2f}", ha="center", va="bottom",
                  fontsize=10)  # fmt: skip
        for place, clique in enumerate(ranking.cliques):
            ends = [across.average_ranks[clique[0]], across.average_ranks[clique[-1]]]
            reach = 0.015 * (count - 1)
            axes.plot(
                [ends[0] - reach, ends[1] + reach], [-0.2 - 0.28 * place] * 2, color=figures.INK, linewidth=4.5,
                solid_capstyle="butt", clip_on=False,
            )  # fmt: skip
        for i, (method, rank) in enumerate(zip(across.methods, across.average_ranks, strict=True)):
            on_left = i < half
            depth = -0.25 - bars - 0.3 * (i if on_left else count - 1 - i)
            end = 1 - 0.03 * (count - 1) if on_left else count + 0.03 * (count - 1)
            axes.plot([rank, rank, end], [0, depth, depth], color=style[method]["color"], linewidth=1.4, clip_on=False)
            axes.text(
                end,
                depth,
                f" {short(method)} ({rank:.2f}) ",
                ha="right" if on_left else "left",
                va="center",
                fontsize=10,
            )
        return figures.svg_text(figure, "Critical difference of average ranks")

"""How every picture looks, and how it becomes a file: same input, same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008: distinguishable with every common colour vision deficiency.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
INK, GREY, FAINT = "#222222", "#767676", "#BBBBBB"


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw inside this block: matplotlib's defaults, whatever the user's own settings are, and fixed identifiers."""
    import matplotlib.style

    settings = {
        "svg.hashsalt": "nasbench",
        "font.size": 11,
        "axes.labelsize": 12,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.color": GREY,
        "ytick.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 10,
    }
    with matplotlib.style.context(["default", settings]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of this size in inches, with its own Agg canvas: pyplot's state is not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def svg_text(figure: Figure, title: str) -> str:
    """Return the figure as SVG text without a date; call it inside `figure_style`, which fixes the identifiers."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
    return buffer.getvalue()


def png_bytes(figure: Figure, title: str) -> bytes:
    """Return the figure as a PNG of 150 dots per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Title": title})
    return buffer.getvalue()

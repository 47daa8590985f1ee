"""Draw an architecture: its cells as directed graphs from left to right, inputs left, output right."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.search_space import SearchSpace
from nasbench.core.state import write_atomically
from nasbench.reports import figures
from nasbench.reports.layout import Edge, Layout, Node, layered_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL_KINDS = {"normal": "normal cell", "reduce": "reduction cell"}
LONGEST_ROW = 6
"""A chain of more nodes than this is drawn in several rows."""

Kind = Literal["state", "operation", "absent"]
FAMILIES = (
    (("none", "zero"), figures.GREY),
    (("skip", "identity"), figures.GREEN),
    (("pool",), figures.ORANGE),
    (("sep", "depthwise", "dw"), figures.BLUE),
    (("dil",), figures.PURPLE),
    (("conv", "conv1x1"), figures.VERMILION),
)
"""Colour of an operation by a word in its name; the first family that fits."""

# Sizes in inches.
FONT, TITLE_FONT = 11.0, 13.0
HEIGHT, ROW, GAP, MARGIN, TITLE = 0.32, 0.52, 0.55, 0.15, 0.42


@runtime_checkable
class CellSpace(Protocol):
    """A space whose architectures are cells: (source, target, operation) with sources 0 and 1 the cell's inputs."""

    def cell_edges(self, architecture: Architecture, kind: str) -> list[tuple[int, int, str]]: ...


@dataclass
class Panel:
    """One graph to draw: a label and a kind for every node, edges in drawing order."""

    title: str = ""
    labels: dict[Node, str] = field(default_factory=dict)
    kinds: dict[Node, Kind] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def add(self, node: Node, label: str, kind: Kind) -> None:
        self.labels[node] = label
        self.kinds[node] = kind

    @property
    def is_chain(self) -> bool:
        return self.edges == list(pairwise(self.labels))


def draw_architecture(space: SearchSpace, architecture: Architecture, path: Path) -> None:
    """Write the picture of an architecture as SVG or PNG, by the file's suffix; the same input gives the same bytes.

    Raises BadInput for another suffix, for an architecture that does not belong to the space, and if the file cannot
    be written.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"cannot draw to '{path}': the name must end in .svg or .png.")
    space.check(architecture)
    title = f"Architecture of space {space.name}"
    with figures.figure_style():
        figure = draw_panels(panels(space, architecture))
        if path.suffix.lower() == ".svg":
            data = figures.svg_text(figure, title).encode()
        else:
            data = figures.png_bytes(figure, title)
    try:
        write_atomically(path, data)
    except OSError as error:
        raise BadInput(f"cannot write to {path}: {error.strerror}.") from error


def panels(space: SearchSpace, architecture: Architecture) -> list[Panel]:
    """Return what to draw: one panel for each cell, or one for the whole graph."""
    if isinstance(space, CellSpace):
        return [cell_panel(title, space.cell_edges(architecture, kind)) for kind, title in CELL_KINDS.items()]
    if isinstance(space, DecisionSpace) and all("<-" in choice.name for choice in space.decisions):
        return [edge_panel(space.choices(architecture))]
    return [graph_panel(space, architecture)]


def cell_panel(title: str, edges: list[tuple[int, int, str]]) -> Panel:
    """A cell with two inputs whose nodes are concatenated into the output (DARTS, ICLR 2019, section 2.1)."""
    panel = Panel(title)
    nodes = sorted({target for _, target, _ in edges})
    panel.add(0, "input 0", "state")
    panel.add(1, "input 1", "state")
    for node in nodes:
        panel.add(node, str(node), "state")
    panel.add("output", "output", "state")
    for source, target, operation in edges:
        _add_operation(panel, source, target, operation)
    panel.edges += [(node, "output") for node in nodes]
    return panel


def edge_panel(choices: dict[str, Any]) -> Panel:
    """A cell with an operation on every edge "target<-source" (NAS-Bench-201, ICLR 2020, section 2.1)."""
    operations = []
    for name, operation in choices.items():
        target, _, source = name.partition("<-")
        operations.append((source.strip(), target.strip(), str(operation)))
    sources, targets = {s for s, _, _ in operations}, {t for _, t, _ in operations}
    panel = Panel()
    for node in sorted(sources | targets, key=lambda name: (len(name), name)):
        label = "input" if node not in targets else "output" if node not in sources else node
        panel.add(node, label, "state")
    for source, target, operation in operations:
        _add_operation(panel, source, target, operation)
    return panel


def graph_panel(space: SearchSpace, architecture: Architecture) -> Panel:
    """The space's own graph, its operations as nodes."""
    graph = space.graph(architecture)
    panel = Panel()
    for node, operation in graph.nodes(data="op"):
        panel.add(node, str(operation), "state" if str(operation) in ("input", "output") else "operation")
    panel.edges = list(graph.edges)
    return panel


def _add_operation(panel: Panel, source: Node, target: Node, operation: str) -> None:
    node = (source, target, len(panel.labels))
    panel.add(node, operation, "absent" if operation in ("none", "zero") else "operation")
    panel.edges += [(source, node), (node, target)]


def operation_colour(operation: str) -> str:
    """Return the colour of an operation's family, ink for a name that tells none."""
    for words, colour in FAMILIES:
        if any(word in operation.lower() for word in words):
            return colour
    return figures.INK


# -- from panels to a figure -----------------------------------------------------------------------------------------
def draw_panels(drawn: list[Panel]) -> Figure:
    """Draw panels one below the other; call it inside `figures.figure_style`."""
    placed = [_place(panel) for panel in drawn]
    width = max(picture.width for picture in placed) + 2 * MARGIN
    height = sum(picture.height for picture in placed) + 2 * MARGIN
    figure = figures.new_figure(width, height)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    top = MARGIN
    for panel, picture in zip(drawn, placed, strict=True):
        if panel.title:
            axes.text(MARGIN, top + 0.12, panel.title, fontsize=TITLE_FONT, fontweight="bold", va="center")
        for edge, points in picture.lines.items():
            _draw_edge(axes, panel, edge, [(x + MARGIN, y + top) for x, y in points], picture.bent)
        for node, (x, y) in picture.centres.items():
            _draw_node(axes, panel, node, x + MARGIN, y + top, picture.widths[node])
        top += picture.height
    return figure


@dataclass
class Picture:
    """A panel in inches: centres and widths of its nodes, the points its edges run through."""

    width: float
    height: float
    centres: dict[Node, tuple[float, float]]
    widths: dict[Node, float]
    lines: dict[Edge, list[tuple[float, float]]]
    bent: bool


def _place(panel: Panel) -> Picture:
    if panel.is_chain and len(panel.labels) > LONGEST_ROW:
        return _place_chain(panel)
    layout = layered_layout(panel.edges, _columns(panel))
    return _place_layers(panel, layout)


def _columns(panel: Panel) -> dict[Node, int]:
    """Give each node the column of its longest path from an input; an operation stands right before its target."""
    import networkx as nx

    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from(panel.labels)
    graph.add_edges_from(panel.edges)
    column = {node: i for i, nodes in enumerate(nx.topological_generations(graph)) for node in nodes}
    labelled_edges = any(
        kind == "state" for node, kind in panel.kinds.items() if graph.in_degree(node) and graph.out_degree(node)
    )
    if labelled_edges:
        for source, target in panel.edges:
            if panel.kinds[source] != "state":
                column[source] = column[target] - 1
    return {node: column[node] for node in panel.labels}


def _place_layers(panel: Panel, layout: Layout) -> Picture:
    top = TITLE if panel.title else 0.0
    widths = {node: _label_width(label) for node, label in panel.labels.items()}
    of_column = [0.0] * layout.columns
    for node, (column, _) in layout.places.items():
        of_column[column] = max(of_column[column], widths[node])
    left = [sum(of_column[:i]) + i * GAP for i in range(layout.columns)]

    def height(y: float) -> float:
        return top + HEIGHT / 2 + y * ROW

    centres, lines = {}, {}
    for node, (column, y) in layout.places.items():
        centres[node] = (left[column] + of_column[column] / 2, height(y))
        if panel.kinds[node] == "operation":
            widths[node] = of_column[column]
    for source, target in panel.edges:
        (x0, y0), (x1, y1) = centres[source], centres[target]
        points = [
            (x0 + widths[source] / 2, y0),
            (left[layout.places[source][0]] + of_column[layout.places[source][0]], y0),
        ]
        for column, y in layout.routes[source, target]:
            points += [(left[column], height(y)), (left[column] + of_column[column], height(y))]
        points += [(left[layout.places[target][0]], y1), (x1 - widths[target] / 2, y1)]
        lines[source, target] = points
    return Picture(left[-1] + of_column[-1], height(layout.rows) + HEIGHT, centres, widths, lines, bent=True)


def _place_chain(panel: Panel) -> Picture:
    """Write a long chain in rows, as text is written."""
    nodes = list(panel.labels)
    rows = -(-len(nodes) // LONGEST_ROW)
    length = -(-len(nodes) // rows)
    widths = dict.fromkeys(nodes, max(_label_width(label) for label in panel.labels.values()))
    step, below = widths[nodes[0]] + GAP, 1.8 * ROW
    centres = {
        node: (step * (i % length) + step / 2 - GAP / 2, HEIGHT / 2 + below * (i // length))
        for i, node in enumerate(nodes)
    }
    lines: dict[Edge, list[tuple[float, float]]] = {}
    for source, target in panel.edges:
        (x0, y0), (x1, y1) = centres[source], centres[target]
        if y0 == y1:
            lines[source, target] = [(x0 + widths[source] / 2, y0), (x1 - widths[target] / 2, y1)]
        else:
            middle = (y0 + y1) / 2
            lines[source, target] = [(x0, y0 + HEIGHT / 2), (x0, middle), (x1, middle), (x1, y1 - HEIGHT / 2)]
    return Picture(step * length - GAP, HEIGHT + below * (rows - 1) + HEIGHT / 2, centres, widths, lines, bent=False)


def _label_width(label: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    drawn = TextPath((0, 0), label, prop=FontProperties(family="DejaVu Sans", size=FONT))
    return max(float(drawn.get_extents().width) / 72 + 0.22, HEIGHT)


def _draw_edge(axes: Axes, panel: Panel, edge: Edge, points: list[tuple[float, float]], bent: bool) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    source, target = edge
    absent = "absent" in (panel.kinds[source], panel.kinds[target])
    if bent:
        vertices, codes = [points[0]], [Curve.MOVETO]
        for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
            if i % 2 == 0:
                if x1 - x0 > 1e-6:
                    vertices.append((x1, y1))
                    codes.append(Curve.LINETO)
            else:
                middle = (x0 + x1) / 2
                vertices += [(middle, y0), (middle, y1), (x1, y1)]
                codes += [Curve.CURVE4] * 3
    else:
        vertices, codes = points, [Curve.MOVETO] + [Curve.LINETO] * (len(points) - 1)
    concatenated = panel.kinds[source] == panel.kinds[target] == "state"
    colour = figures.FAINT if absent else figures.GREY if concatenated else figures.INK
    into_state = panel.kinds[target] == "state"
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(vertices, codes),
            arrowstyle="-|>" if (into_state or not bent) and not absent else "-",
            mutation_scale=11,
            linewidth=1.2,
            linestyle=(0, (1, 2)) if absent else "-",
            color=colour,
            zorder=1,
        )
    )


def _draw_node(axes: Axes, panel: Panel, node: Node, x: float, y: float, width: float) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch

    kind, label = panel.kinds[node], panel.labels[node]
    colour = figures.INK if kind == "state" else operation_colour(label)
    if kind != "absent":
        face = figures.INK if kind == "state" else tuple(1 - 0.18 * (1 - channel) for channel in to_rgb(colour))
        rounding = HEIGHT / 2 if kind == "state" else 0.06
        axes.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - HEIGHT / 2),
                width,
                HEIGHT,
                boxstyle=f"round,pad=0,rounding_size={rounding}",
                facecolor=face,
                edgecolor=colour,
                linewidth=1.4,
                zorder=2,
            )
        )
    text = "white" if kind == "state" else figures.GREY if kind == "absent" else figures.INK
    axes.text(x, y, label, fontsize=FONT, color=text, ha="center", va="center_baseline", zorder=3, parse_math=False)

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.core.errors import BadInput
from nasbench.reports.relaxation_plots import COLOURS, operation_weights, read_relaxation, regularity
from nasbench.reports.run_report import write_run_report
from tests.reports.results import Cells, make_result, write_run
from tests.reports.test_plots import words

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ["0 -> 1", "0 -> 2", "1 -> 2", "0 -> 3", "1 -> 3", "2 -> 3"]


def make_relaxation(
    kinds: dict[str, list[str]] | None = None, epochs: int = 5, operations: tuple[str, ...] = OPERATIONS
) -> dict[str, Any]:
    kinds = {"cell": EDGES} if kinds is None else kinds
    rng = np.random.default_rng(0)
    weights = {
        kind: rng.dirichlet(np.ones(len(operations)), (epochs, len(labels))).tolist() for kind, labels in kinds.items()
    }
    return {"operations": list(operations), "edges": kinds, "weights": weights}


def unit(number: int, metrics: dict[str, float], part: str = "strategy") -> dict[str, Any]:
    return {"unit": number, "part": part, "metrics": metrics, "seconds": 1.0}


def search_records(epochs: int = 3, **more: float) -> list[dict[str, Any]]:
    """Return the ledger of a search: after each epoch the evaluation of what alpha decodes to."""
    records: list[dict[str, Any]] = []
    for epoch in range(epochs):
        measures = {"entropy": 0.9, "parameter_free": 0.5, "skips": 0.25, "train_loss": 2.0, "train_accuracy": 30.0}
        records += [
            unit(epoch, measures | more),
            {"id": epoch, "metrics": {"valid_accuracy": 25.0 + epoch}, "seconds": 0.1},
        ]
    return records


def lines_of_panel(svg: str, panel: int) -> list[tuple[float, str]]:
    """Return the (width, colour) of the lines drawn in a panel."""
    root = ElementTree.fromstring(svg)
    (axes,) = (group for group in root.iter("{http://www.w3.org/2000/svg}g") if group.get("id") == f"axes_{panel}")
    found = []
    for group in axes:
        if re.fullmatch(r"line2d_\d+", group.get("id") or ""):
            style = group[0].get("style") or ""
            width, colour = re.search(r"stroke-width: ([\d.]+)", style), re.search(r"stroke: (#\w+)", style)
            assert colour is not None
            found.append((float(width.group(1)) if width else 1.0, colour.group(1).upper()))
    return found


# -- the weights -----------------------------------------------------------------------------------------------------
def test_every_edge_has_a_panel_and_every_operation_a_name() -> None:
    svg = operation_weights(make_relaxation())
    texts = words(svg)
    assert {*OPERATIONS, "cell", "epoch", *(edge.replace("->", "→") for edge in EDGES)} <= set(texts)
    assert svg.count('id="axes_') == 6
    assert all(texts.count(name) == 1 for name in OPERATIONS)


def test_the_strongest_at_the_end_is_thicker() -> None:
    relaxation = make_relaxation({"cell": EDGES[:2]})
    relaxation["weights"]["cell"][-1] = [[0.1, 0.1, 0.1, 0.6, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1]]
    svg = operation_weights(relaxation)
    for panel, strongest in ((1, 3), (2, 0)):
        lines = sorted(lines_of_panel(svg, panel))
        assert len(lines) == len(OPERATIONS)
        assert lines[-1][1] == COLOURS[strongest]
        assert lines[-2][0] < 2 < lines[-1][0]


def test_twelve_operations_look_different() -> None:
    names = tuple(f"operation_{i}" for i in range(12))
    svg = operation_weights(make_relaxation({"normal": EDGES, "reduce": EDGES}, operations=names))
    legend = svg[svg.index('id="legend_1"') :]
    styles = re.findall(r'style="(fill: none;[^"]*)"', legend)
    assert len(styles) == len(set(styles)) == 12


def test_many_edges_become_a_map_of_shades() -> None:
    kinds = {f"layer{layer}_stride{stride}": [f"w{i} -> w{j}" for i in range(4) for j in range(4)]
             for layer in range(4) for stride in (1, 2)}  # fmt: skip
    svg = operation_weights(make_relaxation(kinds, operations=("sharp_sep_conv_3x3", "resizable_pool_3x3")))
    assert {"sharp_sep_conv_3x3", "resizable_pool_3x3", "weight", "w0 → w3", *kinds} <= set(words(svg))
    assert svg.count("<image") == 16 + 1  # one for the scale


@pytest.mark.parametrize("epochs", [1, 2, 100])
@pytest.mark.parametrize("edges", [1, 3, 14, 60])
def test_any_shape_is_drawn(epochs: int, edges: int) -> None:
    labels = [f"${i}$ -> {{x" for i in range(edges)]
    kinds = {"a": labels, "b": labels[:1]}
    svg = operation_weights(make_relaxation(kinds, epochs, operations=("one", "two_$")))
    assert "two_$" in words(svg)
    assert words(svg).count("$0$ → {x") >= 2


def test_the_same_weights_give_the_same_bytes() -> None:
    for kinds in ({"cell": EDGES}, {"grid": [str(i) for i in range(50)]}):
        relaxation = make_relaxation(kinds)
        assert operation_weights(relaxation) == operation_weights(relaxation)


# -- the course of the search ----------------------------------------------------------------------------------------
def test_the_course_names_what_was_measured() -> None:
    texts = words(regularity(search_records()))
    assert {"entropy", "parameter-free share", "skip share", "training accuracy of the supernet", "epoch"} <= set(texts)
    assert any(text.startswith("validation accuracy") for text in texts)
    assert not any("eigenvalue" in text for text in texts)
    assert "eigenvalue" in words(regularity(search_records(eigenvalue=0.3)))
    assert "skip share" not in words(regularity([unit(0, {"entropy": 0.5, "train_loss": 1.0})]))


def test_units_of_others_and_failed_evaluations_are_not_drawn() -> None:
    records = [unit(0, {"entropy": 0.5, "train_loss": 1.0}), unit(1, {"skips": 0.5}, "evaluator")]
    records.append({"id": 0, "metrics": {}, "status": "failed", "error": "diverged"})
    texts = words(regularity(records))
    assert "skip share" not in texts
    assert not any(text.startswith("validation accuracy") for text in texts)


def test_decisions_after_the_search_are_told_apart() -> None:
    records = [*search_records(), unit(3, {"entropy": 0.4, "parameter_free": 0.5})]
    assert any("decision" in text for text in words(regularity(records)))
    assert not any("decision" in text for text in words(regularity(search_records())))


@pytest.mark.parametrize("epochs", [0, 1, 200])
def test_courses_of_any_length_are_drawn_the_same_each_time(epochs: int) -> None:
    assert regularity(search_records(epochs)) == regularity(search_records(epochs))


# -- the file --------------------------------------------------------------------------------------------------------
def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "relaxation.json"
    file.write_text(json.dumps(make_relaxation()))
    assert read_relaxation(file) == make_relaxation()


def damaged(change: str) -> str:
    data = make_relaxation()
    weights = data["weights"]["cell"]
    if change == "torn":
        return json.dumps(data)[:-5]
    if change == "no weights":
        del data["weights"]
    elif change == "no operations":
        data["operations"] = []
    elif change == "another kind":
        data["edges"] = {"normal": EDGES}
    elif change == "an edge less":
        del weights[2][0]
    elif change == "a weight less":
        del weights[2][0][0]
    elif change == "a text":
        weights[2][0][0] = "much"
    elif change == "weights of another form":
        data["weights"] = [[0.5] * 500]
    elif change == "not a number":
        weights[2][0][0] = float("nan")
    return json.dumps(data)


@pytest.mark.parametrize(
    "change",
    ["torn", "no weights", "no operations", "another kind", "an edge less", "a weight less", "a text",
     "weights of another form", "not a number"],
)  # fmt: skip
def test_damaged_weights_are_one_clear_line(tmp_path: Path, change: str) -> None:
    folder = write_run(tmp_path / "run", make_result(space="cells"), search_records())
    (folder / "relaxation.json").write_text(damaged(change))
    with pytest.raises(BadInput, match=r"relaxation\.json") as raised:
        write_run_report(folder, Cells())
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300 + len(str(folder))
    assert not (folder / "report.html").exists()


# -- the report ------------------------------------------------------------------------------------------------------
HEADING = "How the weights of the operations moved"


def test_the_report_shows_both_pictures(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", make_result(space="cells"), search_records())
    (folder / "relaxation.json").write_text(json.dumps(make_relaxation()))
    write_run_report(folder, Cells())
    page = (folder / "report.html").read_text()
    assert HEADING in page
    assert page.count("<svg") == 4
    identifiers = re.findall(r'\sid="(.*?)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert {"http", "<script"}.isdisjoint(re.findall(r"http|<script", page))
    assert (folder / "weights.svg").read_text() == operation_weights(make_relaxation())
    assert (folder / "regularity.svg").read_text() == regularity(search_records())


@pytest.mark.parametrize("missing", ["file", "units", "epochs"])
def test_other_runs_have_no_such_section(tmp_path: Path, missing: str) -> None:
    records = search_records()
    if missing == "units":
        records = [record for record in records if "id" in record]
    folder = write_run(tmp_path / "run", make_result(space="cells"), records)
    if missing != "file":
        relaxation = make_relaxation(epochs=0 if missing == "epochs" else 3)
        (folder / "relaxation.json").write_text(json.dumps(relaxation))
    write_run_report(folder, Cells())
    assert HEADING not in (folder / "report.html").read_text()
    assert not (folder / "weights.svg").exists()

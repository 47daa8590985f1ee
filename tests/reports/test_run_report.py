from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.core.errors import BadInput
from nasbench.reports.run_report import duration, what_would_change, write_run_report
from tests.reports.results import Cells, make_result, runs, write_run

FILES = ("architecture.svg", "curve.svg", "baseline.svg", "report.html")


class Page(HTMLParser):
    """What the tests look at: identifiers, references, elements, visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            elif name in ("href", "xlink:href", "src") and value:
                self.references.append(value)
            elif value:
                self.references += [f"#{found}" for found in re.findall(r"url\(#(.*?)\)", value)]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.text += data


def cell_result(**more: Any) -> dict[str, Any]:
    space = Cells()
    architecture = space.sample(np.random.default_rng(0))
    return make_result(space="cells", **more) | {
        "architecture": space.format(architecture),
        "architecture_spec": architecture.to_json(),
    }


ROWS: list[dict[str, Any]] = [
    {"id": 0, "metrics": {"valid_accuracy": 80.0}},
    {"id": 1, "metrics": {}, "status": "failed", "error": "<script>alert(1)</script> ran out of memory"},
    {"unit": 0, "part": "strategy", "metrics": {"loss": 1.0}, "seconds": 1.0},
    {"id": 2, "metrics": {"valid_accuracy": 85.0}},
    *({"id": i, "metrics": {}, "status": "failed", "error": "loss is not finite"} for i in range(3, 23)),
]


def report(folder: Path, result: dict[str, Any], rows: list[dict[str, Any]] | None = None) -> Page:
    write_run_report(write_run(folder, result, ROWS if rows is None else rows), Cells())
    return Page((folder / "report.html").read_text())


def test_all_files_are_written_and_the_page_says_what_matters(tmp_path: Path) -> None:
    page = report(tmp_path / "run", cell_result(test=[92.0, 93.0], percentile=87.5))
    assert {file.name for file in (tmp_path / "run").iterdir()} >= set(FILES)
    text = re.sub(r"\s+", " ", page.text)
    for words in (
        "evolution on cells, digits, seed 0",
        "one run: no test",
        "The run reaches a mean score of 92.",
        "92.50 ± 0.71 % (mean of 2 final trainings)",
        "80.00 ± 10.00 % (1000 architectures, known exactly; sampler: uniform)",
        "91.00 ± 1.50 %",
        "87.5 %",
        "100, 90 of them different, 1 failed",
        "1 min 40 s",
        "recipe-a",
        "two cores",
        "nasbench search --out 'my run'",
        "What would change this verdict",
    ):
        assert words in text, words
    assert text.index("one run: no test") < text.index("Key numbers")
    assert text.count("One run: no test") == 0  # the sentence does not repeat the words above it
    assert page.tags.count("svg") == 3


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    page = report(tmp_path / "run", cell_result(test=[92.0, 93.0]))
    text = (tmp_path / "run" / "report.html").read_text()
    assert "http" not in text
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "img" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    assert page.references
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= set(page.ids)


def test_failed_candidates_are_listed_with_their_reasons(tmp_path: Path) -> None:
    result = cell_result()
    result["final"]["failures"] = ["out of disk"]
    page = report(tmp_path / "run", result)
    text = re.sub(r"\s+", " ", page.text)
    assert "<script>alert(1)</script> ran out of memory" in text  # shown, not executed
    assert "loss is not finite" in text
    assert "evaluation 3, evaluation 4" in text
    assert "and 8 more" in text
    assert "out of disk" in text
    assert text.index("loss is not finite") < text.index("ran out of memory")
    assert "None failed." not in text


def test_names_are_escaped(tmp_path: Path) -> None:
    page = report(tmp_path / "run", cell_result(dataset="<b>data</b> & more"))
    assert "<b>data</b> & more" in page.text
    assert "b" not in page.tags


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", cell_result(), ROWS)
    write_run_report(folder, Cells())
    first = {name: (folder / name).read_bytes() for name in FILES}
    write_run_report(folder, Cells())
    assert first == {name: (folder / name).read_bytes() for name in FILES}


def test_unknown_values_are_left_out(tmp_path: Path) -> None:
    result = cell_result()
    nothing = dict.fromkeys(("metrics", "final", "baseline", "random_search", "random_curve", "relative_improvement"))
    result |= nothing | {"architecture_spec": None, "verdict": None, "verdict_sentence": None}
    result["costs"] = dict.fromkeys(result["costs"])
    page = report(tmp_path / "run", result, [])
    assert not (tmp_path / "run" / "architecture.svg").exists()
    assert page.tags.count("svg") == 2
    assert "None failed." in page.text
    assert "average random architecture" not in page.text


def test_a_torn_last_line_is_left_out_and_a_torn_middle_is_bad_input(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", cell_result(), ROWS)
    ledger = folder / "evaluations.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"id":99,"met')
    write_run_report(folder, Cells())
    assert ledger.read_bytes() == whole + b'{"id":99,"met'
    ledger.write_bytes(b"{\n" + whole)
    with pytest.raises(BadInput, match="line 1"):
        write_run_report(folder, Cells())


def test_an_unfinished_or_incomplete_run_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished run"):
        write_run_report(tmp_path, Cells())
    result = cell_result()
    del result["verdict"]
    folder = write_run(tmp_path / "run", result)
    with pytest.raises(BadInput, match=r"result\.verdict: field required"):
        write_run_report(folder, Cells())
    (folder / "result.json").write_text(json.dumps(cell_result()))
    (folder / "evaluations.jsonl").unlink()
    with pytest.raises(BadInput, match=r"evaluations\.jsonl cannot be read"):
        write_run_report(folder, Cells())


def test_what_would_change_the_verdict_follows_from_the_result() -> None:
    (result,) = runs("evolution", [92.0])
    assert any("from 5 runs on" in line for line in what_would_change(result))
    told = result | {"verdict": "cannot be told from random", "runs_needed": 1234}
    assert "about 1,234 runs" in what_would_change(told)[0]
    never = result | {"verdict": "cannot be told from random", "runs_needed": None}
    assert "no affordable number" in what_would_change(never)[0]
    interval = {"value": 2.0, "low": 0.75, "high": 3.25, "p_value": 0.01}
    better = result | {"verdict": "better than random", "relative_improvement": interval}
    assert "more than 0.75 points" in what_would_change(better)[0]
    assert any("± 0.29 points" in line for line in what_would_change(result))  # sqrt(0.5) / sqrt(6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.0123 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text

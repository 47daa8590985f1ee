"""The page renders without network, says everything, and shows what it says."""

from __future__ import annotations

import csv
import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasbench.reports.fairness import cautions
from nasbench.reports.leaderboard import collect, leaderboard, write_csv
from nasbench.reports.leaderboard_anytime import add_anytime
from nasbench.reports.leaderboard_page import render, to_json, write_page
from nasbench.reports.leaderboard_rows import COLUMNS, SCHEMA_VERSION
from tests.reports.ledgers import board_of_six_data_sets, write_runs
from tests.reports.results import make_result, runs

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Balanced(html.parser.HTMLParser):
    """Checks that every tag is closed in order, and collects identifiers, links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("href", "xlink:href", "src") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    board_of_six_data_sets(folder / "runs")
    write_runs(folder / "runs", "other recipe", [95.0, 95.1], dataset="one", recipe_hash="b", own=8)
    results, anytime = add_anytime(collect([folder / "runs"]))
    table = leaderboard(results)
    warnings = [*table.warnings, *cautions(table, anytime, [folder / "runs"])]
    write_page(table, anytime, warnings, folder / "page.html")
    write_csv(table, folder / "board.csv")
    (folder / "board.json").write_text(json.dumps(to_json(table, anytime, warnings)))
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Balanced:
    parsed = Balanced()
    parsed.feed((folder / "page.html").read_text())
    parsed.close()
    return parsed


def test_the_page_is_whole_and_needs_nothing_else(page: Balanced, folder: Path) -> None:
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not page.tags & {"link", "img", "iframe", "object"}
    text = (folder / "page.html").read_text()
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert not re.search(r"(src|href)=.(?!#)", text)
    assert "http" not in text and "@import" not in text and "url(" not in text.replace("url(#", "")


def test_the_page_says_everything(page: Balanced) -> None:
    for words in (
        *("plain, one", "Read before the numbers", "other recipe on plain, one is not ranked: recipe_hash differs"),
        *(
            "Method against method",
            "Over data sets",
            "Probability of improvement",
            "critical difference of the Nemenyi",
        ),
        *("Course of the searches", "What would change the verdict", "a<b & c", "nasbench search --out 'my run'"),
        *("4 methods over 6 data sets", "schema version 1", "one standard deviation of random architectures"),
    ):
        assert words in " ".join(page.text.split()), words


def test_the_page_has_the_numbers_of_the_file(page: Balanced, folder: Path) -> None:
    with (folder / "board.csv").open(newline="") as file:
        _, *lines = csv.reader(file)
    for line in lines:
        for cell in line:
            assert cell in page.text


def test_the_object_has_the_same_numbers(folder: Path) -> None:
    board = json.loads((folder / "board.json").read_text())
    assert next(row["method"] for row in board["rows"] if row["dataset"] == "one") == "a<b & c"
    assert board["over_data_sets"]["methods"][0] == "a<b & c"
    assert board["over_data_sets"]["friedman"]["p_value"] < 0.05
    assert len(board["pairs"]) == 6 * 6
    assert board["regrets"] == [] and board["warnings"]
    assert all(task["simulated_seconds"] is None for task in board["anytime"])


def test_few_data_sets_get_a_reason_and_no_diagram() -> None:
    results = [run for d in "ab" for m in "xyz" for run in runs(m, [90.0, 91.0, 92.0], dataset=d)]
    text = render(leaderboard(results), add_anytime([])[1], [])
    assert "Ranks over 2 data sets are not tested" in text and "Friedman's test over" not in text
    assert "fewer than 20 runs in all" in text


def test_one_run_and_failed_runs_make_a_page_too() -> None:
    failed = [make_result("b", seed, None) for seed in range(3)]
    for results in ([make_result()], failed, [*runs("a", [90.0, 91.0]), *failed]):
        parsed = Balanced()
        parsed.feed(render(leaderboard(results), add_anytime([])[1], []))
        assert parsed.open == []
        assert "nothing is averaged over data sets" in " ".join(parsed.text.split())


def test_names_are_escaped_and_notes_are_shown() -> None:
    results = [run | {"notes": ["Chosen on <the> test images."]} for run in runs("<script>x</script>", [90.0, 91.0])]
    text = render(leaderboard(results), add_anytime([])[1], ["<b>"])
    assert "<script>x" not in text and text.count("<script") == 1 and "<b>" not in text
    assert "Chosen on &lt;the&gt; test images." in text


def test_the_same_runs_give_the_same_page() -> None:
    results = [*runs("a", [90.0, 91.0]), *runs("b", [90.5, 92.0])]
    first, again = (render(leaderboard(results), add_anytime([])[1], []) for _ in range(2))
    assert first == again


def chromium(*arguments: str) -> str:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    common = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000"),
        *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--enable-logging=stderr"),
    ]
    done = subprocess.run([browser, *common, *arguments], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


CLICKS = """<script>
const heading = [...document.querySelectorAll("table.sortable th")].find(each => each.textContent == "test %");
heading.click();
</script>"""


def test_a_browser_renders_it_and_sorts_by_a_click(folder: Path, tmp_path: Path) -> None:
    address, picture = (folder / "page.html").as_uri(), tmp_path / "page.png"
    source = (folder / "page.html").read_text()
    (tmp_path / "clicked.html").write_text(source.replace("</body>", CLICKS + "</body>"))
    shown = chromium(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "clicked.html").as_uri())
    for tag in ("<svg", "<table", "<tr", "<section", "<h1", "<h2", "<h3"):
        assert shown.count(tag) == source.count(tag)
    first = shown.partition("<table")[2].partition("</table>")[0]
    assert 'aria-sort="ascending"' in first and first.count("<tr") == source.partition("</table>")[0].count("<tr")
    means = [float(text) for text in re.findall(r'<td class="number">(\d+\.\d+) ±', first)]
    before = [float(text) for text in re.findall(r'<td class="number">(\d+\.\d+) ±', source.partition("</table>")[0])]
    assert means == sorted(before) != before
    chromium(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,2400", f"--screenshot={picture}", address)
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape == (2400, 1280, 3)
    ink = (pixels < 200).any(axis=2)
    assert 0.02 < ink.mean() < 0.5
    assert all(part.any() for part in np.array_split(ink, 12))  # nowhere a blank stretch
    assert not ink[:, -8:].any()  # nothing runs over the right edge
    colourful = pixels.max(axis=2).astype(int) - pixels.min(axis=2) > 60
    assert colourful.any()


def test_every_column_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "leaderboard.md").read_text()
    documented = re.findall(
        r"`(\w+)`", "".join(line.split(" | ")[0] for line in text.splitlines() if line[:3] == "| `")
    )
    assert sorted(documented) == sorted(COLUMNS)
    assert f"schema version {SCHEMA_VERSION}\n" in text


def test_all_who_share_the_first_rank_are_named() -> None:
    equal, below = [93.0, 94.0, 93.5, 93.2, 93.8], [90.0, 90.4, 90.1, 90.3, 90.2]
    results = [run for name in ("a", "b", "c") for run in runs(name, equal)] + runs("d", below)
    results, anytime = add_anytime(results)
    shown = render(leaderboard(results), anytime, [])
    header = shown[shown.index("<header>") : shown.index("</header>")]
    assert re.findall(r"accuracy by <strong>(.*?)</strong>", header) == ["a", "b", "c"]

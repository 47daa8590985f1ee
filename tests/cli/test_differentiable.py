"""Differentiable search from the command line: what is the default, what a run leaves, what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from nasbench.cli.console import ConsoleReporter
from nasbench.core.run_directory import read_config
from nasbench.experiments.config import Settings, resolve_settings

SMALL = [
    *("--space", "nasbench201", "--evaluations", "2", "--seeds", "2", "--baseline-size", "2"),
    *("--set", "recipe.epochs=1", "--set", "recipe.channels=2", "--set", "recipe.cells=1"),
    *("--set", "recipe.warmup_epochs=0", "--set", "strategy.batch_size=240"),
]


def test_without_options_sharpdarts_searches_darts_cells_on_digits() -> None:
    config = resolve_settings(Settings())
    assert (config.strategy.name, config.space.name, config.dataset) == ("sharpdarts", "darts", "digits")
    assert (config.evaluator.name, config.evaluations) == ("shared", 24)
    chosen = {key: config.strategy.settings[key] for key in ("channels", "cells", "crop_padding", "flip", "cutout")}
    assert chosen == {"channels": 4, "cells": 3, "crop_padding": 0, "flip": False, "cutout": 0}
    assert (config.strategy.settings["coefficients"], config.strategy.settings["batch_size"]) == ("max-w", 48)


@pytest.mark.parametrize(
    ("settings", "strategy", "evaluator"),
    [
        ({"evaluator": "train"}, "evolution", "train"),
        ({"evaluator": "table"}, "evolution", "table"),
        ({"strategy": "random"}, "random", "train"),
        ({"strategy": "dhgs", "space": "hypercuboid"}, "dhgs", "shared"),
        ({"strategy": "darts", "evaluator": "train"}, "darts", "train"),
        ({"space": "tests.reports.results:Plain"}, "evolution", "train"),
    ],
    ids=str,
)
def test_what_is_not_named_fits_what_is(settings: dict[str, str], strategy: str, evaluator: str) -> None:
    config = resolve_settings(Settings(**settings))
    assert (config.strategy.name, config.evaluator.name) == (strategy, evaluator)


def test_the_supernet_is_no_larger_than_that_of_darts_and_the_user_decides() -> None:
    large = resolve_settings(Settings(recipe="darts")).strategy.settings
    assert (large["channels"], large["cells"], large["cutout"]) == (16, 8, 16)
    own = resolve_settings(Settings(recipe="darts", overrides=("strategy.channels=24", "strategy.cutout=0")))
    assert (own.strategy.settings["channels"], own.strategy.settings["cutout"]) == (24, 0)
    assert resolve_settings(Settings(recipe="darts", strategy="darts")).strategy.settings["cutout"] == 0


def test_every_kind_of_setting_can_be_given_as_text() -> None:
    texts = ("alpha_momentum=0.6, 0.99", "flip=false", "cutout=none", "schedule=cosine power, rescaled", "order=2")
    overrides = tuple(f"strategy.{text}" for text in texts)
    given = resolve_settings(Settings(strategy="fair-darts", overrides=overrides)).strategy.settings
    assert given["alpha_momentum"] == [0.6, 0.99]
    assert (given["flip"], given["cutout"], given["order"]) == (False, None, 2)
    assert given["schedule"] == "cosine power, rescaled"


def test_a_run_leaves_its_course_and_two_more_pictures(cli) -> None:
    said = cli("search", *SMALL, "--strategy", "sharpdarts", "--out", "run", "--json")
    assert said.code == 0, said.err
    result = said.json
    assert (result["strategy"], result["evaluator"], result["evaluations"]) == ("sharpdarts", "shared", 2)
    stored = json.loads(Path("run/result.json").read_text())
    assert stored["identity"]["method"] == "sharpdarts(batch_size=240)"
    assert stored["metrics"]["search_valid_accuracy"] is not None
    validations = stored["final"]["valid_accuracies"]
    assert result["metrics"]["valid_accuracy"] == pytest.approx(sum(validations) / len(validations))
    course = json.loads(Path("run/relaxation.json").read_text())
    assert len(course["weights"]["cell"]) == 2 and len(course["weights"]["cell"][0]) == 6
    for name in ("weights.svg", "regularity.svg", "architecture.svg", "report.html", "model.safetensors"):
        assert (Path("run") / name).stat().st_size > 0
    assert "weights of the operations" in Path("run/report.html").read_text()
    again = cli("search", *SMALL, "--strategy", "sharpdarts", "--out", "run", "--json")
    assert again.out == said.out
    plan = cli("search", *SMALL, "--strategy", "darts", "--dry-run", "--json").json
    assert plan["cost"]["search_seconds"] > 0


def test_candidates_of_a_differentiable_search_can_be_trained_instead(cli) -> None:
    said = cli("search", *SMALL, "--strategy", "darts", "--evaluator", "train", "--out", "run", "--json")
    assert said.code == 0, said.err
    ledger = [json.loads(line) for line in Path("run/evaluations.jsonl").read_text().splitlines()]
    assert [record.get("source") for record in ledger] == [None, "trained", None, "trained"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "random", "--evaluator", "shared"], "'random' trains none; strategies that do: darts, "),
        (["--strategy", "darts", "--space", "nasbench201", "--evaluator", "table"], "use --evaluator shared"),
        (["--strategy", "darts", "--space", "tests.reports.results:Plain"], "darts needs Relaxable; 'plain' lacks it"),
        (["--strategy", "darts-pt", "--space", "hypercuboid"], "decided by paths"),
        (["--strategy", "darts-minus", "--space", "hypercuboid"], "skip_connect"),
        (["--set", "strategy.power=0.5"], "greater than or equal to 1"),
        (["--set", "strategy.coefficients=maxw"], "'softmax', 'max-w'"),
        (["--set", "strategy.order=3"], "1 or 2"),
        (["--set", "strategy.alpha_momentum=0.5"], "strategy.alpha_momentum.1"),
        (["--set", "strategy.channels=3"], "multiple of 2"),
        (["--set", "strategy.learning_rate_end=1"], "learning_rate_end must not be above learning_rate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_is_refused_in_one_line(cli, arguments: list[str], message: str, table) -> None:
    said = cli("search", *arguments, "--out", "run")
    assert said.code == 2
    assert message in said.err and len(said.err.splitlines()) == 1
    assert not Path("run").exists()


def test_workers_are_not_used_where_weights_are_shared(cli) -> None:
    said = cli("search", *SMALL, "--strategy", "darts", "--workers", 2, "--out", "run")
    assert said.code == 0 and "in this process" in said.err
    assert read_config(Path("run"))["strategy"]["name"] == "darts"


def test_a_terminal_shows_the_weights_while_they_move(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter, screen = ConsoleReporter(), io.StringIO()
    reporter._console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr("nasbench.cli.console.SECONDS_BEFORE_A_BAR", 0.0)
    with reporter.phase("searching", 3) as step:
        step(1, "unit 1")
        reporter.show("0 -> 1   none 20   >skip 80")
    assert ">skip 80" in screen.getvalue()


def test_grid_search_leaves_a_drawing_of_the_weighted_grid(cli) -> None:
    small = [
        "--evaluations",
        "1",
        "--seeds",
        "1",
        "--baseline-size",
        "2",
        "--set",
        "recipe.epochs=1",
        "--set",
        "recipe.warmup_epochs=0",
    ]
    grid = ["--space", "hypercuboid", "--set", "layers=1", "--set", "widths=2,4", "--set", "strategy.batch_size=240"]
    said = cli("search", *grid, *small, "--strategy", "dhgs", "--out", "run", "--json")
    assert said.code == 0, said.err
    course = json.loads(Path("run/relaxation.json").read_text())
    assert list(course["weights"]) == ["layer0_stride1", "layer0_stride2"]
    assert "Weighted grid" in Path("run/grid.svg").read_text()
    assert Path("run/report.html").read_text().count("<figure>") >= 5

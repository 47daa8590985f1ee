"""``nasbench search`` from options to verdict, on a table and by training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nasbench
from nasbench.datasets.load import load_task
from tests.cli.conftest import TINY

TABLE = ["--space", "nasbench201", "--evaluator", "table"]
KEYS = [
    *("space", "strategy", "dataset", "evaluator", "seed", "evaluations", "architecture", "metrics", "baseline"),
    *("random_search", "relative_improvement", "verdict", "run", "seconds"),
]


def test_table_search_prints_one_object_with_every_key(cli, table) -> None:
    said = cli("search", *TABLE, "--dataset", "CIFAR100", "--evaluations", 500, "--seed", 0, "--json", "--out", "run")
    assert said.code == 0
    result = said.json
    assert list(result) == KEYS
    assert result["strategy"] == "evolution" and result["evaluations"] == 500
    assert result["baseline"] == {
        "mean": pytest.approx(61.4055048256),
        "std": pytest.approx(12.17162, abs=1e-4),
        "n": 15625,
    }
    assert result["random_search"]["mean"] == pytest.approx(72.10, abs=0.01)
    assert result["metrics"]["test_accuracy"] > 71
    assert result["relative_improvement"]["low"] is None
    assert result["verdict"].startswith("one run: no test; beats ")
    for name in ("config.json", "evaluations.jsonl", "result.json", "architecture.json", "report.html", "curve.svg"):
        assert (Path("run") / name).stat().st_size > 0
    assert len(Path("run/evaluations.jsonl").read_text().splitlines()) == 500


def test_the_same_command_prints_the_same_result_and_another_is_refused(cli, table) -> None:
    first = cli("search", *TABLE, "--evaluations", 30, "--json", "--out", "run")
    again = cli("search", *TABLE, "--evaluations", 30, "--json", "--out", "run")
    assert again.out == first.out and "finished" in again.err
    resumed = cli("search", "--resume", "--out", "run", "--json")
    assert resumed.out == first.out
    other = cli("search", *TABLE, "--evaluations", 31, "--json", "--out", "run")
    assert other.code == 2 and "evaluations is 30 there and 31 here" in other.err and not other.out


def test_without_out_the_same_configuration_has_the_same_folder(cli, table) -> None:
    first = cli("search", *TABLE, "--evaluations", 20, "--json").json
    assert cli("search", *TABLE, "--evaluations", 20, "--json").json == first
    assert cli("search", *TABLE, "--evaluations", 21, "--json").json["run"] != first["run"]


def test_latency_is_a_further_metric(cli, table) -> None:
    said = cli("search", *TABLE, "--evaluations", 5, "--set", "latency=raspi4,eyeriss", "--json")
    assert {"latency_ms@raspi4", "latency_ms@eyeriss"} <= said.json["metrics"].keys()


def test_the_ledger_does_not_depend_on_the_test_columns(cli, table, tmp_path: Path, monkeypatch) -> None:
    import pandas as pd

    whole = pd.read_csv(table / "nasbench201" / "accuracy.csv.gz")
    shuffled = whole.copy()
    for column in [c for c in whole.columns if "_test_" in c]:
        shuffled[column] = whole[column].sample(frac=1, random_state=0).to_numpy()
    (tmp_path / "other" / "nasbench201").mkdir(parents=True)
    shuffled.to_csv(tmp_path / "other" / "nasbench201" / "accuracy.csv.gz", index=False)
    one = cli("search", *TABLE, "--evaluations", 100, "--out", "a", "--json").json
    two = cli("search", *TABLE, "--evaluations", 100, "--out", "b", "--json", "--data-dir", tmp_path / "other").json
    assert Path("a/evaluations.jsonl").read_bytes() == Path("b/evaluations.jsonl").read_bytes()
    assert one["metrics"]["test_accuracy"] != two["metrics"]["test_accuracy"]


def test_training_search_ends_in_a_model_that_scores_as_reported(cli) -> None:
    said = cli("search", *TINY, "--json", "--out", "run")
    assert said.code == 0, said.err
    result = said.json
    assert list(result) == KEYS
    assert result["random_search"] == {"mean": None, "std": None}
    assert result["baseline"]["n"] == 2 and result["verdict"] == "2 runs: no test"
    stored = json.loads(Path("run/result.json").read_text())
    model = nasbench.load("run")
    assert not model.training
    task = load_task("digits", data_dir=None, validation=0.25)
    test = task.test
    with torch.inference_mode():
        for images in (test.images, test.images.float() / 255):
            correct = (model(images).argmax(dim=1) == test.labels).float().mean().item()
            assert 100 * correct == pytest.approx(stored["final"]["test_accuracies"][0], abs=1e-4)
    assert json.loads(Path("run/split.json").read_text())


def test_the_baseline_is_paid_for_once(cli) -> None:
    first = cli("search", *TINY, "--seed", 5, "--json", "--out", "a")
    second = cli("search", *TINY, "--seed", 6, "--json", "--out", "b")
    assert "trained before" in second.err
    assert first.json["baseline"] == second.json["baseline"]
    alone = cli("baseline", *TINY, "--json").json
    assert alone["baseline"]["mean"] == first.json["baseline"]["mean"]


def test_one_worker_and_two_give_the_same_ledger(cli) -> None:
    for workers in (0, 2):
        said = cli("search", *TINY, "--workers", workers, "--out", f"w{workers}", "--json")
        assert said.code == 0, said.err
    ledgers = [[json.loads(line) for line in Path(f"w{w}/evaluations.jsonl").read_text().splitlines()] for w in (0, 2)]
    for record in [*ledgers[0], *ledgers[1]]:
        record["seconds"] = 0
    assert ledgers[0] == ledgers[1]


def test_a_poisoned_test_set_is_not_touched_by_a_search(cli, monkeypatch) -> None:
    """Everything until the final evaluation works with a test part that raises when it is looked at."""
    from nasbench.core.problem import Task
    from nasbench.datasets import load

    class Poison:
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"the test data was read: {name}")

    real = load.load_task_with_split

    def poisoned(*arguments, **options):
        loaded = real(*arguments, **options)
        return type(loaded)(Task(loaded.task.search, Poison()), loaded.split)

    monkeypatch.setattr(load, "load_task_with_split", poisoned)
    with pytest.raises(AssertionError, match="the test data was read"):
        cli("search", *TINY, "--set", "recipe.split_seed=3", "--out", "run")
    records = [json.loads(line) for line in Path("run/evaluations.jsonl").read_text().splitlines()]
    assert len(records) == 3 and all("error" not in record for record in records)


def test_a_search_in_which_everything_fails_says_so_and_counts(cli) -> None:
    said = cli("search", *TINY, "--set", "recipe.learning_rate=1e30", "--out", "run")
    assert said.code == 1
    assert said.err.startswith("nasbench: no candidate succeeded out of 3; the first reason: the ")
    assert json.loads(Path("run/result.json").read_text())["failed"] == 3
    assert cli("search", "--resume", "--out", "run").code == 1


def test_dry_run_prints_configuration_and_cost_and_writes_nothing(cli) -> None:
    said = cli("search", *TINY, "--dry-run", "--json")
    assert said.code == 0
    assert said.json["config"]["recipe"]["epochs"] == 1
    assert said.json["cost"]["total_seconds"] > 0
    assert not list(Path().iterdir())
    shown = cli("search", *TINY, "--dry-run")
    assert "recipe.epochs" in shown.out and "total seconds" in shown.out


OWN = """
from torch import nn

from nasbench import Choice, DecisionSpace


class Plain(DecisionSpace):
    name = "plain"
    decisions = (
        *(Choice(f"width{i}", (4, 8)) for i in range(2)),
        Choice("kernel", (3, 5)),
        Choice("act", ("relu", "gelu")),
    )

    def build(self, a, task, size=None):
        pick, act = self.choices(a), {"relu": nn.ReLU, "gelu": nn.GELU}
        layers, c = [], task.input_shape[0]
        for i in range(2):
            w, k = pick[f"width{i}"], pick["kernel"]
            layers += [nn.Conv2d(c, w, k, stride=1 + i % 2, padding=k // 2), nn.BatchNorm2d(w), act[pick["act"]]()]
            c = w
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, task.classes))
"""


def test_a_users_own_space_in_twenty_lines(cli) -> None:
    Path("my_nets.py").write_text(OWN)
    options = ["--space", "my_nets:Plain", "--evaluations", 4, "--seeds", 2, "--baseline-size", 2, "--out", "run"]
    said = cli("search", *options, "--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0", "--json")
    assert said.code == 0, said.err
    assert said.json["architecture"].startswith("width0=")
    assert isinstance(nasbench.load("run"), torch.nn.Module)
    shown = cli("show", "run", "--out", "cell.png")
    assert shown.code == 0 and Path("cell.png").stat().st_size > 1000

"""``nasbench evaluate``: one architecture, scored as a search's final evaluation scores it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

import nasbench
from nasbench.datasets.load import load_task
from tests.cli.conftest import TINY

KEYS = ["architecture", "space", "dataset", "evaluator", "metrics", "seconds"]
SHORTCUTS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
TABLE = ["--space", "nasbench201", "--evaluator", "table"]


@pytest.mark.parametrize(
    ("dataset", "test", "valid", "parameters"), [("cifar10", 54.30, 33.94, 73_306), ("CIFAR100", 15.61, 10.32, 79_156)]
)
def test_a_cell_of_the_table(cli, table, dataset: str, test: float, valid: float, parameters: int) -> None:
    said = cli("evaluate", SHORTCUTS, *TABLE, "--dataset", dataset, "--set", "latency=raspi4", "--json")
    assert said.code == 0 and said.err == ""
    result = said.json
    assert list(result) == KEYS
    assert result["architecture"] == SHORTCUTS and result["space"] == "nasbench201"
    assert result["dataset"].lower() == dataset.lower() and result["evaluator"] == "table"
    assert result["seconds"] == 0.0
    metrics = result["metrics"]
    assert set(metrics) == {"valid_accuracy", "parameters", "latency_ms@raspi4", "test_accuracy"}
    assert metrics["test_accuracy"] == pytest.approx(test, abs=0.005)
    assert metrics["valid_accuracy"] == pytest.approx(valid, abs=0.005)
    assert metrics["parameters"] == parameters and metrics["latency_ms@raspi4"] > 0
    assert not list(Path().iterdir())


def test_training_an_architecture(cli) -> None:
    said = cli("evaluate", CELL, *TINY, "--json")
    assert said.code == 0, said.err
    result = said.json
    assert list(result) == KEYS
    assert result["architecture"] == CELL and result["dataset"] == "digits" and result["evaluator"] == "train"
    assert result["seconds"] > 0
    metrics = result["metrics"]
    assert set(metrics) == {"valid_accuracy", "parameters", "test_accuracy"}
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["parameters"] == int(metrics["parameters"]) > 0
    assert not list(Path().iterdir())
    again = cli("evaluate", CELL, *TINY, "--json").json
    assert again["metrics"] == metrics
    other = cli("evaluate", CELL, *TINY, "--seed", 1, "--json").json
    assert other["metrics"]["valid_accuracy"] != metrics["valid_accuracy"]


def test_with_a_folder_the_trained_network_is_kept(cli) -> None:
    result = cli("evaluate", CELL, *TINY, "--out", "kept", "--json").json
    trainings = [json.loads(file.read_text()) for file in sorted(Path("kept/final").glob("training-*.json"))]
    assert len(trainings) == 2
    mean = sum(training["test_accuracy"] for training in trainings) / 2
    assert result["metrics"]["test_accuracy"] == pytest.approx(mean)
    model, test = nasbench.load("kept"), load_task("digits", data_dir=None, validation=0.25).test
    with torch.inference_mode():
        correct = (model(test.images).argmax(dim=1) == test.labels).float().mean().item()
    assert 100 * correct == pytest.approx(trainings[0]["test_accuracy"], abs=1e-4)
    assert cli("evaluate", CELL, *TINY, "--out", "kept", "--json").json == result
    other = cli("evaluate", SHORTCUTS, *TINY, "--out", "kept", "--json")
    assert other.code == 2 and "holds another run: architecture is" in other.err and other.out == ""


def test_final_data_that_leaves_no_validation_gives_null(cli) -> None:
    result = cli("evaluate", CELL, *TINY, "--set", "recipe.final_data=train+validation", "--json").json
    assert result["metrics"]["valid_accuracy"] is None and result["metrics"]["test_accuracy"] > 0


def test_every_training_diverging_is_a_failure_not_bad_input(cli) -> None:
    said = cli("evaluate", CELL, *TINY, "--set", "recipe.learning_rate=1e30", "--json")
    assert said.code == 1 and said.out == ""
    assert said.err.startswith("nasbench: every final training of the found architecture failed: the ")


def test_people_read_a_table(cli, table) -> None:
    said = cli("evaluate", SHORTCUTS, *TABLE)
    assert said.code == 0 and "test_accuracy" in said.out and "54.3" in said.out and "73,306" not in said.err

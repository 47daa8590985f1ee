"""``nasbench search`` with strategies that set the number of epochs: from options to verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TINY = [
    *("--space", "nasbench201", "--seeds", "1", "--baseline-size", "2", "--set", "recipe.epochs=4"),
    *("--set", "recipe.channels=2", "--set", "recipe.cells=1", "--set", "eta=2"),
]


@pytest.mark.parametrize("strategy", ["hyperband", "successive-halving"])
def test_a_search_reaches_its_verdict(cli, strategy: str) -> None:
    said = cli("search", *TINY, "--strategy", strategy, "--evaluations", 7, "--out", "run", "--json")
    assert said.code == 0, said.err
    settings = json.loads(Path("run/config.json").read_text())["run"]["strategy"]["settings"]
    assert settings["maximum_epochs"] == 4  # those of the recipe
    records = [json.loads(line) for line in Path("run/evaluations.jsonl").read_text().splitlines()]
    assert [dict(record["fidelity"])["epochs"] for record in records] == [1, 1, 1, 1, 2, 2, 4]
    assert [record.get("parent") is not None for record in records] == [False] * 4 + [True] * 3
    assert not Path("run/weights").exists()
    result = json.loads(Path("run/result.json").read_text())
    assert result["architecture_spec"] == records[-1]["architecture"]
    assert result["metrics"]["search_valid_accuracy"] == records[-1]["metrics"]["valid_accuracy"]
    assert result["random_curve"] is None and result["identity"]["method"] == f"{strategy}(eta=2)"
    assert "one evaluation, fewer epochs" in Path("run/curve.svg").read_text()
    again = cli("search", *TINY, "--strategy", strategy, "--evaluations", 7, "--out", "run", "--json")
    assert again.json == said.json


def test_the_default_budget_and_the_estimate_count_epochs(cli) -> None:
    plan = cli("search", *TINY, "--strategy", "hyperband", "--dry-run", "--json").json
    evaluations, one = plan["config"]["evaluations"], plan["cost"]["final_seconds"]
    # 24 trainings of 4 epochs, 96 in all. A round of 14 candidates trains 8 + 8 + 12 epochs; 12 are left after three.
    assert evaluations == 3 * 14 + 7 + 2
    assert 6 * one < plan["cost"]["search_seconds"] < 80 * one

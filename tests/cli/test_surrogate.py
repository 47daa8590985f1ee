"""A benchmark without held-out scores: what was found, how sure that is, and no verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SURROGATE = ["--space", "ofa-mobilenetv3", "--evaluator", "table"]


@pytest.fixture
def files(data: Path) -> Path:
    if not (data / "ofa_mobilenetv3").is_dir():
        pytest.skip("ofa_mobilenetv3 is not in NASBENCH_DATA")
    return data


def test_a_search_ends_without_a_verdict(cli, files: Path) -> None:
    said = cli("search", *SURROGATE, "--strategy", "evolution", "--evaluations", 40, "--out", "run", "--json")
    assert said.code == 0, said.err
    result = said.json
    assert result["dataset"] == "imagenet" and result["verdict"] == "no held-out score"
    assert result["metrics"]["test_accuracy"] is None and 70 < result["metrics"]["valid_accuracy"] < 79
    assert set(result["baseline"].values()) == set(result["random_search"].values()) == {None}
    assert set(result["relative_improvement"].values()) == {None}
    stored = json.loads(Path("run/result.json").read_text())
    assert stored["final"]["test_accuracies"] == [] and stored["baseline"] is None
    assert "cannot be said" in stored["verdict_sentence"] and "is predicted" in stored["verdict_sentence"]
    report = Path("run/report.html").read_text()
    assert "mean absolute error" in report and "Among random architectures" not in report
    shown = cli("search", *SURROGATE, "--strategy", "evolution", "--evaluations", 40, "--out", "run")
    assert shown.code == 0 and "No held-out score" in shown.out and "Note: All others are predicted" in shown.out
    ranked = cli("leaderboard", "run")
    assert ranked.code == 2 and "it has no held-out score to be ranked by" in ranked.err


def test_one_network_has_a_null_test_accuracy_and_there_is_no_baseline(cli, files: Path) -> None:
    text = str({"ks": [3] * 20, "e": [3] * 20, "d": [2] * 5})
    metrics = cli("evaluate", text, *SURROGATE, "--json").json["metrics"]
    assert metrics["test_accuracy"] is None and metrics["parameters"] == 3_410_792 and metrics["extrapolated"] == 1.0
    said = cli("baseline", *SURROGATE)
    assert said.code == 2 and "no held-out score: there is nothing to judge by" in said.err


def test_its_files_are_listed_and_verified(cli, files: Path) -> None:
    rows = cli("data", "list", "--data-dir", files, "--json").json
    assert sum(name.startswith("ofa_mobilenetv3/") and row["path"] is not None for name, row in rows.items()) == 1
    facts = cli("data", "verify", "--data-dir", files, "--json").json["ofa-mobilenetv3 imagenet"]
    assert facts["measured"] == 1_357 and facts["error of predictions, mean absolute error"] < 0.05

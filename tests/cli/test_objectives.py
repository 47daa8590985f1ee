"""Several objectives and constraints, from the command line to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.core.pareto import hypervolume
from tests.cli.conftest import TINY

TABLE = ["--space", "nasbench201", "--evaluator", "table"]
TWO = ["--objective", "valid_accuracy", "--objective", "latency_ms@raspi4"]
NEW = {"objectives", "constraints", "front", "hypervolume", "reference_point"}


def measured(run: str) -> list[dict[str, float]]:
    records = [json.loads(line) for line in Path(run, "evaluations.jsonl").read_text().splitlines()]
    return [record["metrics"] for record in records]


def costs(metrics: list[dict[str, float]]) -> np.ndarray:
    return np.array([[-m["valid_accuracy"], m["latency_ms@raspi4"]] for m in metrics])


def test_two_objectives_and_a_constraint_give_a_front(cli, table) -> None:
    options = [*TABLE, *TWO, "--constraint", "parameters<=5e5", "--evaluations", 120, "--out", "run", "--json"]
    said = cli("search", *options)
    assert said.code == 0 and not said.err
    result: dict[str, Any] = said.json
    assert result["strategy"] == "nsga2"
    assert result["objectives"] == ["valid_accuracy:max", "latency_ms@raspi4:min"]
    assert result["constraints"] == ["parameters<=500000"]
    seen, front = measured("run"), [point["metrics"] for point in result["front"]]
    assert len(seen) == 120 and len(front) > 3
    assert all(metrics["parameters"] <= 5e5 for metrics in front)
    on_front, allowed = costs(front), costs([m for m in seen if m["parameters"] <= 5e5])
    assert (np.diff(on_front[:, 0]) > 0).all() and (np.diff(on_front[:, 1]) < 0).all()
    assert all(((on_front <= one).all(axis=1)).any() for one in allowed)
    worst = costs(seen).max(axis=0)
    assert result["reference_point"] == [-worst[0], worst[1]]
    assert result["hypervolume"] == pytest.approx(hypervolume(on_front, worst)) and result["hypervolume"] > 0
    assert result["architecture"] == result["front"][0]["architecture"]
    assert result["metrics"]["valid_accuracy"] == front[0]["valid_accuracy"] == -allowed[:, 0].min()
    stored = json.loads(Path("run/result.json").read_text())
    assert {key: stored[key] for key in NEW} == {key: result[key] for key in NEW}
    assert "not held to the constraints" in stored["verdict_sentence"]
    method = "nsga2 for valid_accuracy:max, latency_ms@raspi4:min with parameters<=500000"
    assert stored["identity"]["method"] == method
    assert cli("search", *options).json == result
    assert cli("search", "--resume", "--out", "run", "--json").json == result


def test_the_report_shows_the_front(cli, table) -> None:
    said = cli("search", *TABLE, *TWO, "--objective", "parameters", "--evaluations", 60, "--out", "run")
    assert said.code == 0, said.err
    assert "front" in said.out and "hypervolume" in said.out
    picture, page = Path("run/front.svg").read_text(), Path("run/report.html").read_text()
    for label in ("validation accuracy (%)", "latency on raspi4 (ms)", "parameters"):
        assert label in picture
    assert picture.count('id="axes_') == 3  # one panel for each pair
    assert "The front" in page and "hypervolume of the front" in page
    front = json.loads(Path("run/result.json").read_text())["front"]
    assert all(point["architecture"] in page for point in front)
    Path("run/front.svg").unlink()
    assert cli("show", "run").code == 0 and Path("run/front.svg").read_text() == picture


def test_a_strategy_of_one_objective_says_that_it_optimises_the_first(cli, table) -> None:
    options = ["--strategy", "evolution", "--evaluations", 60, "--json"]
    said = cli("search", *TABLE, *TWO, *options, "--out", "two")
    assert said.code == 0 and "evolution searches by valid_accuracy alone" in said.err
    alone = cli("search", *TABLE, *options, "--out", "one", "--set", "latency=raspi4").json
    assert measured("two") == measured("one")
    assert said.json["metrics"]["valid_accuracy"] == alone["metrics"]["valid_accuracy"]
    assert not NEW & alone.keys()


def test_one_objective_can_be_minimised_and_bounded(cli, table) -> None:
    bound = ["--constraint", "valid_accuracy>=60", "--strategy", "evolution"]
    said = cli("search", *TABLE, "--objective", "parameters", *bound, "--evaluations", 100, "--out", "run", "--json")
    result = said.json
    smallest = min(m["parameters"] for m in measured("run") if m["valid_accuracy"] >= 60)
    assert result["metrics"]["parameters"] == smallest and result["metrics"]["valid_accuracy"] >= 60
    assert result["objectives"] == ["parameters:min"] and "front" not in result and not Path("run/front.svg").exists()
    assert (
        "the search was for parameters:min first" in json.loads(Path("run/result.json").read_text())["verdict_sentence"]
    )


def test_naming_the_default_objective_changes_nothing(cli, table) -> None:
    plain = cli("search", *TABLE, "--evaluations", 20, "--json")
    named = cli("search", *TABLE, "--evaluations", 20, "--json", "--objective", "valid_accuracy:max")
    assert named.out == plain.out
    config = json.loads((Path(plain.json["run"]) / "config.json").read_text())["run"]
    assert not NEW & config.keys()


def test_where_nothing_keeps_the_constraints_the_search_has_failed(cli, table) -> None:
    said = cli("search", *TABLE, "--constraint", "parameters<=10", "--evaluations", 20, "--out", "run")
    assert said.code == 1
    assert "none of 20 measured candidates keeps parameters<=10" in said.err
    assert json.loads(Path("run/result.json").read_text())["constraints"] == ["parameters<=10"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--objective", "valid_acuracy"], "Did you mean 'valid_accuracy'?"),
        (["--objective", "test_accuracy"], "does not measure 'test_accuracy'"),
        (["--objective", "latency_ms@raspi5"], "unknown device 'raspi5'. Did you mean 'raspi4'?"),
        (["--objective", "latency_ms"], "must be written latency_ms@DEVICE"),
        (["--objective", "parameters", "--objective", "parameters"], "named twice"),
        (["--objective", "parameters:upwards"], "unknown direction 'upwards'"),
        (["--objective", "macs"], "does not measure 'macs'; it measures: parameters, valid_accuracy"),
        (["--constraint", "parameters<5"], "the sign must be <= or >="),
        (["--constraint", "params<=5"], "Did you mean 'parameters'?"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(cli, table, options: list[str], message: str) -> None:
    said = cli("search", *TABLE, *options, "--evaluations", 10, "--out", "run")
    assert said.code == 2 and message in said.err and len(said.err.splitlines()) == 1 and not said.out
    assert not Path("run").exists()


def test_shared_weights_measure_accuracy_alone(cli) -> None:
    said = cli("search", "--strategy", "darts", "--objective", "valid_accuracy", "--objective", "parameters")
    assert said.code == 2 and "does not measure 'parameters'. It measures: valid_accuracy." in said.err


def test_resuming_takes_no_objectives(cli, table) -> None:
    assert cli("search", *TABLE, *TWO, "--evaluations", 10, "--out", "run").code == 0
    said = cli("search", "--resume", "--out", "run", *TWO)
    assert said.code == 2 and "leave out --objective" in said.err


def test_training_measures_parameters_and_multiply_adds(cli) -> None:
    options = [option if option != "random" else "nsga2" for option in TINY]
    goals = ["--objective", "valid_accuracy", "--objective", "macs", "--constraint", "parameters<=1e6"]
    said = cli("search", *options, *goals, "--out", "run", "--json")
    assert said.code == 0, said.err
    assert all(0 < metrics["parameters"] < metrics["macs"] for metrics in measured("run"))
    assert said.json["reference_point"][1] == max(metrics["macs"] for metrics in measured("run"))
    plain = cli("search", *options, "--out", "plain", "--json")
    assert "macs" not in measured("plain")[0]
    assert "macs" not in json.loads(Path("plain/config.json").read_text())["run"]["evaluator"]["settings"]
    fidelity = [json.loads(Path(run, "result.json").read_text())["identity"]["fidelity"] for run in ("run", "plain")]
    assert fidelity[0] == fidelity[1] and plain.code == 0

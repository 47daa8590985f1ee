"""Objectives and constraints as text, and the front of what was measured."""

from __future__ import annotations

import math

import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.objectives import costs_of, measured_front, parse_constraints, parse_objectives
from nasbench.core.problem import Budget, Constraint, Objective, Problem
from nasbench.testing.strategies import SmallSpace

KNOWN = ("valid_accuracy", "parameters", "macs", "latency_ms@DEVICE")


def evaluation(number: int, spec: str = "a", **metrics: float) -> Evaluation:
    metrics = {name.replace("__", "@"): value for name, value in metrics.items()}
    return Evaluation(number, Proposal(Architecture("small", (spec,))), metrics, "table", 0)


FAILED = Evaluation(9, Proposal(Architecture("small", ("z",))), {}, "table", 0, "failed", "it diverged")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("valid_accuracy", Objective("valid_accuracy", True)),
        ("valid_accuracy:min", Objective("valid_accuracy", False)),
        ("latency_ms@raspi4", Objective("latency_ms@raspi4", False)),
        ("latency_ms@1080ti_1 : max", Objective("latency_ms@1080ti_1", True)),
        ("parameters", Objective("parameters", False)),
    ],
)
def test_an_objective_is_read_and_written(text: str, expected: Objective) -> None:
    assert parse_objectives([text], KNOWN) == (expected,)
    assert parse_objectives([str(expected)], KNOWN) == (expected,)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["valid_acuracy"], "does not measure 'valid_acuracy'. Did you mean 'valid_accuracy'?"),
        (["latency_ms"], "must be written latency_ms@DEVICE"),
        (["parameters@raspi4"], "must be written parameters"),
        (["parameters:mim"], "unknown direction 'mim'. Did you mean 'min'?"),
        (["parameters:"], "unknown direction ''"),
        ([""], "cannot read the objective ''"),
        (["valid accuracy"], "cannot read the objective 'valid accuracy'"),
        (["parameters", "parameters:max"], "'parameters' is named twice"),
    ],
)
def test_a_malformed_objective_is_refused_in_one_line(texts: list[str], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_objectives(texts, KNOWN)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_any_name_goes_where_nobody_says_what_is_measured() -> None:
    assert parse_objectives(["energy_wh"]) == (Objective("energy_wh", False),)


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        ("parameters<=1e6", Constraint("parameters", 1e6), "parameters<=1000000"),
        (" latency_ms@raspi4 >= 2.5", Constraint("latency_ms@raspi4", 2.5, False), "latency_ms@raspi4>=2.5"),
        ("parameters<=1e300", Constraint("parameters", 1e300), "parameters<=1e+300"),
    ],
)
def test_a_constraint_is_read_and_written(text: str, expected: Constraint, written: str) -> None:
    assert parse_constraints([text], KNOWN) == (expected,)
    assert str(expected) == written and parse_constraints([written], KNOWN) == (expected,)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["parameters<1e6"], "the sign must be <= or >=, not <"),
        (["parameters=1e6"], "the sign must be <= or >=, not ="),
        (["parameters"], "cannot read the constraint"),
        (["parameters<="], "cannot read the constraint"),
        (["parameters<=many"], "'many' is not a finite number"),
        (["parameters<=nan"], "'nan' is not a finite number"),
        (["params<=3"], "Did you mean 'parameters'?"),
        (["parameters<=3", "parameters<=4"], "'parameters' is bounded twice"),
        (["parameters<=3", "parameters>=4"], "nothing can satisfy both parameters>=4 and parameters<=3"),
    ],
)
def test_a_malformed_constraint_is_refused_in_one_line(texts: list[str], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_constraints(texts, KNOWN)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_violations_are_shares_of_the_bound() -> None:
    at_most, at_least = Constraint("parameters", 200.0), Constraint("parameters", 200.0, at_most=False)
    assert at_most.violation(evaluation(0, parameters=300.0)) == 0.5
    assert (
        at_most.violation(evaluation(0, parameters=200.0)) == at_least.violation(evaluation(0, parameters=200.0)) == 0
    )
    assert at_least.violation(evaluation(0, parameters=150.0)) == 0.25
    assert Constraint("loss", 0.0).violation(evaluation(0, loss=3.0)) == 3.0
    assert at_most.violation(FAILED) == at_most.violation(evaluation(0, parameters=math.nan)) == math.inf
    with pytest.raises(BadInput, match=r"does not measure 'parameters'; it measures: loss\."):
        at_most.violation(evaluation(0, loss=1.0))


def test_with_constraints_the_one_objective_of_a_problem_scores_what_violates_them_like_a_failure() -> None:
    constraints = (Constraint("parameters", 200.0),)
    problem = Problem(SmallSpace(), None, Budget(1), 0, constraints=constraints)
    assert problem.objective.score(evaluation(0, valid_accuracy=90.0, parameters=200.0)) == 90.0
    assert problem.objective.score(evaluation(0, valid_accuracy=90.0, parameters=201.0)) == -math.inf
    assert Problem(SmallSpace(), None, Budget(1), 0).objective == Objective()


def test_costs_are_to_be_made_small_and_violations_add_up() -> None:
    objectives = parse_objectives(["valid_accuracy", "parameters"])
    constraints = parse_constraints(["parameters<=100", "valid_accuracy>=80"])
    measured = [evaluation(0, valid_accuracy=60.0, parameters=150.0), FAILED]
    costs, violations = costs_of(objectives, constraints, measured)
    assert costs.tolist() == [[-60.0, 150.0], [math.inf, math.inf]]
    assert violations.tolist() == [0.75, math.inf]
    assert costs_of(objectives, constraints, [])[0].shape == (0, 2)


def test_the_front_keeps_the_constraints_and_counts_an_architecture_once() -> None:
    objectives = parse_objectives(["valid_accuracy", "parameters"])
    measured = [
        evaluation(0, "a", valid_accuracy=70.0, parameters=50.0),
        evaluation(1, "b", valid_accuracy=90.0, parameters=90.0),
        evaluation(2, "c", valid_accuracy=95.0, parameters=200.0),
        evaluation(3, "d", valid_accuracy=70.0, parameters=60.0),
        evaluation(4, "a", valid_accuracy=71.0, parameters=50.0),
        FAILED,
    ]
    assert [e.id for e in measured_front(objectives, parse_constraints(["parameters<=100"]), measured)] == [1, 4]
    assert [e.id for e in measured_front(objectives, (), measured)] == [2, 1, 4]
    assert [e.id for e in measured_front(objectives, (), measured[::-1])] == [2, 1, 4]
    assert measured_front(objectives, parse_constraints(["parameters<=1"]), measured) == []

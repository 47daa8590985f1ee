from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.problem import Objective
from nasbench.protocol.anytime import at_times, carried_on, course_of, log_area
from nasbench.protocol.comparisons import simple_regret_curve
from nasbench.strategies.best_seen import BestSeen


def record(number: int, spec: str, score: float | None, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    scored = {"metrics": {}, "status": "failed"} if score is None else {"metrics": {"valid_accuracy": score}}
    return {"id": number, "architecture": ["s", [spec]], "source": "trained", "seconds": seconds, **scored, **more}


def test_the_incumbent_is_the_best_by_validation_and_of_equals_the_one_that_sorts_first() -> None:
    scores = [("c", 50.0), ("b", 60.0), ("d", 60.0), ("a", 60.0), ("e", 55.0)]
    course = course_of([record(i, *pair) for i, pair in enumerate(scores)], chance=10)
    assert course is not None
    assert course.incumbents.tolist() == [0, 1, 1, 3, 3]
    assert course.best_validation.tolist() == [50, 60, 60, 60, 60]
    assert course.seconds is not None and course.seconds.tolist() == [1, 2, 3, 4, 5]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.sampled_from([1.0, 2.0, 3.0])), min_size=1))
def test_incumbents_are_what_strategies_recommend(scores: list[tuple[str, float | None]]) -> None:
    course, best = course_of([record(i, *pair) for i, pair in enumerate(scores)], chance=0), BestSeen(Objective())
    assert course is not None
    for i, (spec, score) in enumerate(scores):
        metrics = {} if score is None else {"valid_accuracy": score}
        status: Any = "failed" if score is None else "ok"
        best.add(Evaluation(i, Proposal(Architecture("s", (spec,))), metrics, "trained", 0, status))
        recommended = best.architectures(1)
        if recommended:
            assert course.specs[course.incumbents[i]] == recommended[0].spec
    assert (np.diff(course.best_validation) >= 0).all() or course.failed[0]


def test_failures_count_at_chance_and_learning_units_cost_time() -> None:
    units = [{"unit": 0, "part": "evaluator", "metrics": {}, "seconds": 5.0}]
    course = course_of([record(0, "a", None), *units, record(1, "b", 5.0)], chance=10)
    assert course is not None and course.seconds is not None
    assert course.best_validation.tolist() == [10, 5]  # a failure is never recommended once there is anything else
    assert course.failed.tolist() == [True, False]
    assert course.seconds.tolist() == [1, 7]


def test_looked_up_scores_have_no_time() -> None:
    course = course_of([record(0, "a", 5.0, source="table")], chance=10)
    assert course is not None and course.seconds is None


@pytest.mark.parametrize("more", [{"source": "shared"}, {"fidelity": [["epochs", 2.0]]}, {"metrics": {"loss": 1.0}}])
def test_scores_of_different_scales_make_no_course(more: dict[str, Any]) -> None:
    assert course_of([record(0, "a", 5.0, **more)], chance=10) is None
    assert course_of([], chance=10) is None


def test_what_is_no_ledger_is_bad_input() -> None:
    with pytest.raises(BadInput, match="not the records"):
        course_of([{"id": 0}], chance=10)


def test_a_search_that_stopped_keeps_what_it_had() -> None:
    assert carried_on([3, 2], 4).tolist() == [3, 2, 2, 2]
    assert carried_on([3, 2, 1], 2).tolist() == [3, 2]


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30))
def test_areas_are_means(curve: list[float]) -> None:
    assert min(curve) - 1e-9 <= log_area(curve) <= max(curve) + 1e-9
    assert log_area([7.0] * len(curve)) == pytest.approx(7)
    assert log_area(curve[:1]) == pytest.approx(curve[0])  # of one evaluation it is its regret


def test_the_logarithmic_area_by_hand() -> None:
    assert log_area([4, 2, 0]) == pytest.approx((4 * np.log(2) + 2 * np.log(1.5)) / np.log(4))


def test_validation_regret_never_rises() -> None:
    scores = np.random.default_rng(0).uniform(0, 90, 50)
    course = course_of([record(i, str(i), score) for i, score in enumerate(scores.tolist())], chance=10)
    assert course is not None
    curve = 95 - course.best_validation
    assert (np.diff(curve) <= 0).all()
    assert curve == pytest.approx(simple_regret_curve(scores, scores, 95))


def test_steps_are_not_interpolated() -> None:
    assert at_times([1, 3], [10, 20], [0.5, 1, 2.9, 3, 9]).tolist()[1:] == [10, 10, 20, 20]
    assert np.isnan(at_times([1, 3], [10, 20], [0.5])[0])

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from nasbench.core.errors import BadInput
from nasbench.protocol.across import cliques, common_scale, compare_over_data_sets, improvement_interval
from nasbench.protocol.comparisons import friedman, interquartile_mean, nemenyi_critical_distance

TRAINED = {"source": "trained", "mean": 90.0, "std": 2.0, "histogram": None}
EXACT = {
    "source": "table-exact",
    "mean": 80.0,
    "std": 10.0,
    "histogram": {"edges": [10.0, 50.0, 95.0], "counts": [1, 2]},
}


def made(methods: int, data_sets: int, runs: int = 6) -> dict[str, list[list[float]]]:
    rng = np.random.default_rng(1)
    return {f"m{i}": [(92 - i + rng.normal(0, 0.3, runs)).tolist() for _ in range(data_sets)] for i in range(methods)}


def compared(scores: dict[str, list[list[float]]], baseline: dict[str, Any] = TRAINED) -> Any:
    count = len(next(iter(scores.values())))
    return compare_over_data_sets(scores, list("abcdefgh"[:count]), [baseline] * count, np.random.default_rng(0))


def test_scores_are_normalised_from_random_to_the_optimum_on_tables() -> None:
    found = compared({"one": [[80.0, 95.0], [87.5, 87.5]], "two": [[80.0, 80.0], [80.0, 80.0]]}, EXACT)
    assert found.scale == "optimum"
    assert found.methods == ["one", "two"]
    assert [runs.tolist() for runs in found.normalised[0]] == [[0, 1], [0.5, 0.5]]
    assert found.iqm == [0.5, 0.0]


def test_one_trained_baseline_puts_all_on_the_scale_of_standard_deviations() -> None:
    assert common_scale([EXACT, EXACT]) == ("optimum", [(80.0, 15.0)] * 2)
    assert common_scale([EXACT, TRAINED]) == ("standard deviation", [(80.0, 10.0), (90.0, 2.0)])
    for lacking in ({}, TRAINED | {"std": None}, TRAINED | {"std": 0.0}):
        with pytest.raises(BadInput, match="no random baseline"):
            common_scale([TRAINED, lacking])


def test_ranks_interquartile_means_and_intervals() -> None:
    found = compared(made(3, 2))
    assert found.methods == ["m0", "m1", "m2"] and found.average_ranks == [1, 2, 3]
    for method, value, (low, high) in zip(found.normalised, found.iqm, found.iqm_intervals, strict=True):
        assert value == pytest.approx(stats.trim_mean(np.concatenate(method), 0.25))
        assert value == pytest.approx(float(interquartile_mean(np.concatenate(method))))
        assert low < value < high
    assert found.few_runs and not compared(made(2, 2, runs=10)).few_runs


def test_the_same_runs_give_the_same_intervals() -> None:
    assert compared(made(3, 2)).iqm_intervals == compared(made(3, 2)).iqm_intervals


def test_few_data_sets_are_not_tested_and_say_so() -> None:
    found = compared(made(3, 4))
    assert found.ranking is None
    assert found.no_ranking == (
        "Ranks over 4 data sets are not tested and no critical difference is drawn: that needs at least 5."
    )
    assert "three methods or more" in compared(made(2, 6)).no_ranking


def test_five_data_sets_are_tested_by_friedman_and_nemenyi() -> None:
    scores = made(4, 5)
    found = compared(scores)
    assert found.no_ranking is None
    means = [[np.mean(runs) for runs in scores[method]] for method in found.methods]
    assert (found.ranking.statistic, found.ranking.p_value) == friedman(means)
    assert found.ranking.p_value == pytest.approx(stats.friedmanchisquare(*means).pvalue)
    assert found.ranking.differs
    assert found.ranking.distance == nemenyi_critical_distance(4, 5)
    assert found.ranking.cliques == [[0, 1, 2], [1, 2, 3]]  # the distance is 2.10, ranks are 1 to 4
    same = {f"m{i}": [[90.0, 91.0]] * 5 for i in range(3)}
    assert not compared(same).ranking.differs


def test_cliques_are_the_largest_groups_within_the_distance() -> None:
    assert cliques([1.0, 1.5, 3.0, 3.2], 1.0) == [[0, 1], [2, 3]]
    assert cliques([1.0, 2.0, 3.0], 5.0) == [[0, 1, 2]]
    assert cliques([1.0, 3.0], 1.0) == []


def test_probability_of_improvement_is_complementary_and_has_an_interval() -> None:
    found = compared({"a": [[91.0, 92.0, 93.0]] * 2, "b": [[91.0, 91.5, 92.5]] * 2})
    assert found.wins[0][1] == pytest.approx((0.5 + 2 + 3) / 9)  # 91 ties, 92 beats two, 93 all
    assert found.wins[1][0] == pytest.approx(1 - found.wins[0][1])
    low, high = found.win_intervals[0][1]
    assert 0 <= low < found.wins[0][1] < high <= 1
    assert found.win_intervals[1][0] == pytest.approx((1 - high, 1 - low))
    assert found.wins[0][0] is found.win_intervals[0][0] is None


def test_the_interval_of_improvement_is_that_of_drawing_runs_anew() -> None:
    rng = np.random.default_rng(3)
    y, x = rng.normal(0.5, 1, 12), rng.normal(0, 1, 9)
    drawn = [(rng.choice(y, y.size)[:, None] > rng.choice(x, x.size)).mean() for _ in range(4000)]
    assert improvement_interval([y], [x], rng, 4000) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.03
    )


def test_the_profile_falls_from_one_to_zero() -> None:
    profile = compared(made(3, 3)).profile
    assert (np.diff(profile, axis=1) <= 0).all()
    assert (profile[:, 0] == 1).all() and (profile[:, -1] == 0).all()


def test_one_method_or_one_data_set_is_no_comparison() -> None:
    for scores in (made(1, 3), made(3, 1)):
        with pytest.raises(BadInput, match="two methods and two data sets"):
            compared(scores)

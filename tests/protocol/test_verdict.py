from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.protocol.power import runs_needed, runs_needed_by_rank
from nasbench.protocol.random_search import RandomSearch
from nasbench.protocol.statistics import one_sample_t, relative_improvement, relative_improvement_exact, welch
from nasbench.protocol.verdict import verdict_on_table, verdict_on_training
from tests.protocol.fixtures.yang2020 import DARTS_CIFAR10, RANDOM_DARTS_CIFAR10

FINAL = np.arange(1001) / 10  # 0.0 to 100.0; the proxy ranks the cells as the final score does
MEAN, STD = float(FINAL.mean()), float(FINAL.std())
SEARCH = RandomSearch(FINAL, FINAL, 10)

scores = st.lists(st.floats(50, 100), min_size=1, max_size=9)


def at(*percentiles: float) -> list[float]:
    """Scores at the given percentiles (0 to 1) of random search."""
    return [SEARCH.quantile(q) for q in percentiles]


def test_better_than_random_search_on_a_table() -> None:
    runs = at(0.9, 0.95, 0.8, 0.9, 0.99)
    verdict = verdict_on_table(runs, MEAN, STD, SEARCH)
    assert verdict.words == "better than random"
    assert verdict.against == "random search"
    assert verdict.runs_needed is None
    assert verdict.random_search_percentile == pytest.approx(90.8, abs=0.5)
    assert verdict.p_random_search is not None and verdict.p_random_search < 0.05
    assert verdict.relative_improvement == relative_improvement_exact(runs, MEAN)
    assert verdict.p_value == one_sample_t(runs, MEAN)
    assert verdict.gain_over_random_search == pytest.approx(np.mean(runs) - SEARCH.mean)


def test_far_above_the_average_architecture_and_yet_worse_than_random_search() -> None:
    """The two answers are not mixed: any search beats the average, this one still loses to random search."""
    verdict = verdict_on_table(at(0.05, 0.1, 0.02, 0.15, 0.1), MEAN, STD, SEARCH)
    assert verdict.words == "worse than random"
    assert verdict.relative_improvement.low is not None and verdict.relative_improvement.low > 30
    assert verdict.p_value is not None and verdict.p_value < 0.001


def test_cannot_be_told_from_random_search_on_a_table() -> None:
    verdict = verdict_on_table(at(0.3, 0.8, 0.6, 0.7, 0.5), MEAN, STD, SEARCH)
    assert verdict.words == "cannot be told from random"
    assert verdict.random_search_percentile is not None
    needed = runs_needed_by_rank(verdict.random_search_percentile / 100)
    assert verdict.runs_needed == needed and needed is not None and needed > 5
    assert f"about {needed} runs" in verdict.sentence


def test_an_effect_of_zero_cannot_be_told_by_any_number_of_runs() -> None:
    constant = RandomSearch(np.arange(10.0), np.ones(10), 3)
    verdict = verdict_on_table([1.0] * 5, 1.0, 0.0, constant)
    assert verdict.words == "cannot be told from random"
    assert verdict.runs_needed is None
    assert "no number of runs" in verdict.sentence


def test_one_run_on_a_table_is_placed_but_not_tested() -> None:
    verdict = verdict_on_table(at(0.68), MEAN, STD, SEARCH)
    assert verdict.words == "one run: no test"
    assert verdict.against is None and verdict.p_value is None and verdict.p_random_search is None
    assert verdict.relative_improvement.low is None
    assert verdict.random_search_percentile == pytest.approx(68, abs=1)
    assert f"beats {verdict.random_search_percentile:.3g} % of random searches" in verdict.sentence
    assert f"{verdict.relative_improvement.value:+.2f} %" in verdict.sentence
    assert "p =" not in verdict.sentence and "p <" not in verdict.sentence and "interval" not in verdict.sentence


@pytest.mark.parametrize("runs", [2, 3, 4])
def test_below_five_runs_there_is_an_interval_and_no_p(runs: int) -> None:
    on_table = verdict_on_table(at(0.99, 0.98, 0.97, 0.96)[:runs], MEAN, STD, SEARCH)
    on_training = verdict_on_training(DARTS_CIFAR10[:runs], RANDOM_DARTS_CIFAR10, RANDOM_DARTS_CIFAR10)
    for verdict in (on_table, on_training):
        assert verdict.words == f"{runs} runs: no test"
        assert verdict.against is None and verdict.p_value is None and verdict.p_random_search is None
        assert verdict.relative_improvement.low is not None
        assert "95 % interval" in verdict.sentence and "p =" not in verdict.sentence and "p <" not in verdict.sentence


def test_published_runs_of_darts_beat_the_average_architecture_and_say_no_more() -> None:
    verdict = verdict_on_training(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10)
    assert verdict.words == "better than the average random architecture"
    assert verdict.against == "average random architecture"
    assert verdict.relative_improvement == relative_improvement(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10)
    assert verdict.p_value == welch(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10)
    assert verdict.random_search_percentile is None and verdict.p_random_search is None
    assert verdict.gain_over_random_search is None
    assert "+0.32 %" in verdict.sentence and "+0.11 to +0.53" in verdict.sentence and "p = 0.006" in verdict.sentence
    assert "Random search of the same cost was not run" in verdict.sentence
    reverse = verdict_on_training(RANDOM_DARTS_CIFAR10, DARTS_CIFAR10)
    assert reverse.words == "worse than the average random architecture"


def test_the_words_follow_random_search_where_it_was_run() -> None:
    near = [97.2, 97.3, 97.1, 97.4, 97.25]
    verdict = verdict_on_training(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10, near)
    assert verdict.words == "cannot be told from random"
    assert verdict.against == "random search"
    assert verdict.p_value == welch(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10)  # the first answer stands beside it
    assert verdict.p_random_search == welch(DARTS_CIFAR10, near)
    gain = np.mean(DARTS_CIFAR10) - np.mean(near)
    assert verdict.gain_over_random_search == pytest.approx(gain)
    assert verdict.runs_needed == runs_needed(gain, np.std(DARTS_CIFAR10, ddof=1), np.std(near, ddof=1))
    assert f"about {verdict.runs_needed:,} runs" in verdict.sentence

    below = [s - 1 for s in near]
    assert verdict_on_training(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10, below).words == "better than random"
    above = [s + 1 for s in near]
    assert verdict_on_training(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10, above).words == "worse than random"


def test_too_few_runs_of_random_search_do_not_carry_the_words() -> None:
    verdict = verdict_on_training(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10, [96.0, 96.1])
    assert verdict.words == "better than the average random architecture"
    assert verdict.p_random_search is None
    assert verdict.random_search_percentile == 100
    assert "random search of the same cost (2 runs)" in verdict.sentence


def test_too_small_a_baseline_is_not_tested() -> None:
    verdict = verdict_on_training(DARTS_CIFAR10, RANDOM_DARTS_CIFAR10[:3])
    assert verdict.words == "3 random architectures: no test"
    assert verdict.p_value is None and verdict.against is None


def test_the_interval_objects_where_the_test_alone_would_not() -> None:
    """A wide baseline: the interval of the ratio is wider than that of the difference."""
    final, baseline = [19.0, 20.0, 21.0, 20.0, 20.0], [2.0, 5.0, 8.0, 12.0, 18.0]
    verdict = verdict_on_training(final, baseline)
    assert verdict.p_value is not None and verdict.p_value < 0.05
    assert not verdict.relative_improvement.excludes_zero()
    assert verdict.words == "cannot be told from the average random architecture"
    assert verdict.runs_needed is not None and verdict.runs_needed > 5


@given(scores, scores, st.none() | scores)
def test_a_difference_is_never_claimed_where_its_interval_contains_zero(
    final: list[float], baseline: list[float], random_search: list[float] | None
) -> None:
    verdict = verdict_on_training(final, baseline, random_search)
    if verdict.against is None:
        assert verdict.words.endswith("no test") and min(len(final), len(baseline)) < 5
        return
    opponent = random_search if verdict.against == "random search" else baseline
    assert opponent is not None and len(opponent) >= 5 and len(final) >= 5
    interval = relative_improvement(final, opponent)
    assert interval.low is not None and interval.high is not None
    if interval.low <= 0 <= interval.high:
        assert verdict.words.startswith("cannot be told from")
    if verdict.words.startswith("better"):
        assert np.mean(final) > np.mean(opponent) and verdict.runs_needed is None


def test_random_search_as_a_method_is_told_from_itself_in_5_percent_of_verdicts() -> None:
    rng = np.random.default_rng(0)
    trials = 1000
    runs = FINAL[rng.choice(FINAL.size, size=(trials, 6), p=SEARCH.weights)]
    told = sum(verdict_on_table(row, MEAN, STD, SEARCH).words != "cannot be told from random" for row in runs)
    assert 0.03 <= told / trials <= 0.07


def test_a_verdict_is_plain_data() -> None:
    verdict = verdict_on_table(at(0.3, 0.8, 0.6, 0.7, 0.5), MEAN, STD, SEARCH)
    assert json.loads(json.dumps(asdict(verdict))) == asdict(verdict)


def test_failed_runs_cannot_be_passed_as_nan() -> None:
    with pytest.raises(BadInput, match="chance"):
        verdict_on_table([94.0, float("nan")], MEAN, STD, SEARCH)
    with pytest.raises(BadInput, match="chance"):
        verdict_on_training([94.0], [90.0, float("nan")])

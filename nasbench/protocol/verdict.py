"""The verdict: what a set of runs allows one to say.

Two answers that are never mixed. Against the *average random architecture*: does the method find better than average
architectures? That is the relative improvement of Yang et al., "NAS evaluation is frustratingly hard", ICLR 2020.
Against *random search* of the same cost: does the method's way of searching help? Any search that keeps the best of
what it tried passes the first; the words of a verdict rest on the second wherever it could be asked.

With fewer than five runs there is no p-value, with one no interval either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nasbench.protocol.power import LEVEL, MAX_RUNS, runs_needed, runs_needed_by_rank
from nasbench.protocol.random_search import RandomSearch, rank_test
from nasbench.protocol.statistics import (
    RelativeImprovement,
    as_scores,
    one_sample_t,
    probability_of_improvement,
    relative_improvement,
    relative_improvement_exact,
    welch,
)

MIN_RUNS = 5
"""Fewest runs (and fewest scores of a baseline) that get a p-value."""

Baseline = Literal["random search", "average random architecture"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said about a method on one space, data set and recipe.

    Attributes:
        words: the verdict in a few words, e.g. "better than random" or "3 runs: no test".
        sentence: the same in plain English with the numbers of both comparisons.
        against: the baseline that the words refer to; None where nothing was tested.
        runs_needed: where the two cannot be told apart, runs that would tell (80 % power) if the effect is as seen;
            None otherwise, and where no affordable number would.
        relative_improvement: over the average random architecture, in percent.
        p_value: of that comparison (t-test); None below five runs.
        random_search_percentile: percent of random searches of the same cost that a run beats on average; None where
            random search was not run.
        p_random_search: of the comparison with random search; None below five runs.
        gain_over_random_search: mean score minus that of random search, in the unit of the score.
    """

    words: str
    sentence: str
    against: Baseline | None
    runs_needed: int | None
    relative_improvement: RelativeImprovement
    p_value: float | None
    random_search_percentile: float | None
    p_random_search: float | None
    gain_over_random_search: float | None


def verdict_on_table(
    test_scores: Sequence[float], baseline_mean: float, baseline_std: float, random_search: RandomSearch
) -> Verdict:
    """Judge runs on a space that was evaluated as a whole, where both baselines are known exactly.

    The words follow the rank test of the runs in the exact distribution of random search with as many evaluations.

    Args:
        test_scores: final test score of the recommended architecture, one per run.
        baseline_mean: mean test score over the space.
        baseline_std: standard deviation of the test score over the space.
        random_search: random search on the same table with as many evaluations as each run had.
    """
    scores = as_scores(test_scores, "test scores")
    tested = scores.size >= MIN_RUNS
    improvement = relative_improvement_exact(scores, baseline_mean)
    percentile, p = rank_test(random_search.percentiles(scores))
    p_value, p_random_search = (one_sample_t(scores, baseline_mean), p) if tested else (None, None)
    gain = float(scores.mean()) - random_search.mean

    needed, closing = None, ""
    if not tested:
        words, closing = _no_test(scores.size), f"A test needs at least {MIN_RUNS} runs."
    elif p < LEVEL:
        words = "better than random" if percentile > 0.5 else "worse than random"
    else:
        words, needed = "cannot be told from random", runs_needed_by_rank(percentile)
        closing = _closing(needed, "runs")

    search_sentence = (
        f"{_opening(words, scores.size)} {'beats' if scores.size == 1 else 'on average beat'} {100 * percentile:.3g} % "
        f"of random searches of the same cost ({random_search.k} evaluations each{_p(p_random_search)}); "
        f"the mean score of {scores.mean():.4g} is {_difference(gain)} that of random search, {random_search.mean:.4g}."
    )
    average_sentence = (
        f"{_over_average(improvement, p_value)} ({baseline_mean:.4g}, standard deviation {baseline_std:.2g})."
    )
    return Verdict(
        words=words,
        sentence=_join(search_sentence, average_sentence, closing),
        against="random search" if tested else None,
        runs_needed=needed,
        relative_improvement=improvement,
        p_value=p_value,
        random_search_percentile=100 * percentile,
        p_random_search=p_random_search,
        gain_over_random_search=gain,
    )


def verdict_on_training(
    final_scores: Sequence[float],
    baseline_scores: Sequence[float],
    random_search_scores: Sequence[float] | None = None,
    *,
    unit: str = "run",
) -> Verdict:
    """Judge runs on a space where architectures have to be trained, so that the baselines are samples too.

    The words follow Welch's test against random search where that was run often enough; otherwise against the average
    random architecture, and then they name it. They never claim a difference whose 95 % interval contains zero.

    Args:
        final_scores: final test score of the recommended architecture, one per run.
        baseline_scores: final test scores of random architectures, trained with the same recipe.
        random_search_scores: final test scores of random search with as many evaluations, the same proxy and the same
            recipe, one per run; None where it was not run.
        unit: what the sentence calls one final score: a "run" of the method, or a "training" of one architecture.
    """
    scores = as_scores(final_scores, "final scores")
    random_architectures = as_scores(baseline_scores, "baseline scores")
    average = _Comparison.of(scores, random_architectures)
    search = None if random_search_scores is None else _Comparison.of(scores, as_scores(random_search_scores))

    against: Baseline | None = None
    needed, closing = None, ""
    if scores.size < MIN_RUNS:
        words, closing = _no_test(scores.size), f"A test needs at least {MIN_RUNS} {unit}s."
    elif search is not None and search.p is not None:
        against = "random search"
        words, needed = search.words("random"), search.needed()
        closing = search.closing(needed, "runs of the method and of random search each")
    elif average.p is not None:
        against = "average random architecture"
        words, needed = average.words("the average random architecture"), average.needed()
        closing = average.closing(needed, f"{unit}s and as many random architectures")
    else:
        words = f"{_count(random_architectures.size, 'random architecture')}: no test"
        closing = f"A test needs at least {MIN_RUNS} random architectures."

    average_sentence = (
        f"{_over_average(average.improvement, average.p)} ({average.baseline_mean:.4g}, "
        f"{_count(random_architectures.size, 'architecture')} trained)."
    )
    if search is None:
        search_sentence = "Random search of the same cost was not run, so whether the way of searching helps is open."
    else:
        search_sentence = (
            f"Against random search of the same cost ({_count(search.baseline.size, 'run')}{_p(search.p)}) "
            f"the mean score is {_difference(search.gain)} its {search.baseline_mean:.4g}; "
            f"on average a run beats {100 * search.wins:.3g} % of its runs."
        )
    verb = "reaches" if scores.size == 1 else "reach"
    reach = f"{_opening(words, scores.size, unit)} {verb} a mean score of {scores.mean():.4g}."
    return Verdict(
        words=words,
        sentence=_join(reach, average_sentence, search_sentence, closing),
        against=against,
        runs_needed=needed,
        relative_improvement=average.improvement,
        p_value=average.p,
        random_search_percentile=None if search is None else 100 * search.wins,
        p_random_search=None if search is None else search.p,
        gain_over_random_search=None if search is None else search.gain,
    )


@dataclass(frozen=True)
class _Comparison:
    """Runs of a method against a sampled baseline; ``p`` (Welch) is None where either has fewer than `MIN_RUNS`."""

    scores: NDArray[np.float64]
    baseline: NDArray[np.float64]
    improvement: RelativeImprovement
    p: float | None

    @classmethod
    def of(cls, scores: NDArray[np.float64], baseline: NDArray[np.float64]) -> Self:
        tested = min(scores.size, baseline.size) >= MIN_RUNS
        return cls(
            scores, baseline, relative_improvement(scores, baseline), welch(scores, baseline) if tested else None
        )

    @property
    def baseline_mean(self) -> float:
        return float(self.baseline.mean())

    @property
    def gain(self) -> float:
        return float(self.scores.mean()) - self.baseline_mean

    @property
    def wins(self) -> float:
        """Share of the pairs of a run and a member of the baseline that the run wins."""
        return probability_of_improvement(self.scores, self.baseline)

    @property
    def told_apart(self) -> bool:
        """Whether test and interval agree that there is a difference (they are not quite the same statistic)."""
        return self.p is not None and self.p < LEVEL and self.improvement.excludes_zero()

    def words(self, baseline: str) -> str:
        if not self.told_apart:
            return f"cannot be told from {baseline}"
        return f"{'better' if self.improvement.value > 0 else 'worse'} than {baseline}"

    def needed(self) -> int | None:
        if self.told_apart:
            return None
        needed = runs_needed(self.gain, float(self.scores.std(ddof=1)), float(self.baseline.std(ddof=1)))
        # Where only the interval objects, the plan for the test may ask for no more runs than there already are.
        return None if needed is None else max(needed, min(self.scores.size, self.baseline.size) + 1)

    def closing(self, needed: int | None, unit: str) -> str:
        return "" if self.told_apart else _closing(needed, unit)


def _no_test(runs: int) -> str:
    return f"{'one run' if runs == 1 else f'{runs} runs'}: no test"


def _opening(words: str, runs: int, unit: str = "run") -> str:
    return f"{words[0].upper()}{words[1:]}. The {unit if runs == 1 else f'{runs} {unit}s'}"


def _join(*sentences: str) -> str:
    return " ".join(part for part in sentences if part)


def _count(count: int, noun: str) -> str:
    return f"one {noun}" if count == 1 else f"{count} {noun}s"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return ", p < 0.001" if p < 0.001 else f", p = {p:.3f}"


def _difference(gain: float) -> str:
    return "equal to" if gain == 0 else f"{abs(gain):.2g} {'above' if gain > 0 else 'below'}"


def _over_average(improvement: RelativeImprovement, p: float | None) -> str:
    interval = ""
    if improvement.low is not None and improvement.high is not None:
        interval = f" (95 % interval {improvement.low:+.2f} to {improvement.high:+.2f}{_p(p)})"
    return f"The relative improvement is {improvement.value:+.2f} %{interval} over the average random architecture"


def _closing(needed: int | None, unit: str) -> str:
    if needed is None:
        return f"At the effect seen, no number of {unit} up to {MAX_RUNS:,} would tell them apart."
    return f"At the effect seen, about {needed:,} {unit} would tell them apart."

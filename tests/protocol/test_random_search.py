from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.protocol.random_search import RandomSearch, proxy_curve, rank_test, resampled_curve

if TYPE_CHECKING:
    import pandas as pd

cells = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=7)


def enumerate_searches(proxy: Sequence[float], final: Sequence[float], k: int) -> dict[float, float]:
    """Probability of every final score, by going through all draws; a tie of the proxy is broken by a fair coin."""
    chance: dict[float, float] = {}
    draws = list(combinations(range(len(proxy)), k))
    for draw in draws:
        best = max(proxy[i] for i in draw)
        tied = [i for i in draw if proxy[i] == best]
        for i in tied:
            chance[final[i]] = chance.get(final[i], 0.0) + 1 / len(tied) / len(draws)
    return chance


def skewed_table(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Proxy and final scores with the long lower tail and the imperfect agreement of a real space."""
    rng = np.random.default_rng(seed)
    final = np.round(94.4 - rng.gamma(1.5, 2.5, size), 2)
    return np.round(final - 10 + rng.normal(0, 1.5, size), 1), final


@given(cells, st.data())
def test_the_distribution_equals_the_enumeration_of_all_searches(
    table: list[tuple[float, float]], data: st.DataObject
) -> None:
    proxy, final = [c[0] for c in table], [c[1] for c in table]
    k = data.draw(st.integers(1, len(table)))
    search, chance = RandomSearch(proxy, final, k), enumerate_searches(proxy, final, k)
    mean = sum(score * p for score, p in chance.items())
    assert search.mean == pytest.approx(mean)
    assert search.std == pytest.approx(math.sqrt(sum((s - mean) ** 2 * p for s, p in chance.items())), abs=1e-7)
    for score in (-1.0, 0.0, 2.5, 3.0, 5.0, 9.0):
        less = sum(p for s, p in chance.items() if s < score)
        assert search.percentile(score) == pytest.approx(less + chance.get(score, 0.0) / 2)
    for q in (0.0, 0.25, 0.5, 1.0):
        reached = [s for s in chance if sum(p for t, p in chance.items() if t <= s) >= q - 1e-9]
        assert search.quantile(q) == min(reached)


@given(cells, st.data())
def test_the_proxy_curve_equals_the_enumeration(table: list[tuple[float, float]], data: st.DataObject) -> None:
    proxy = [c[0] for c in table]
    k = data.draw(st.integers(1, len(table)))
    chance = enumerate_searches(proxy, proxy, k)
    mean, low, high = proxy_curve(proxy, [k])
    assert mean[0] == pytest.approx(sum(s * p for s, p in chance.items()))
    for q, value in ((0.25, low[0]), (0.75, high[0])):
        assert value == min(s for s in chance if sum(p for t, p in chance.items() if t <= s) >= q - 1e-9)


def test_weights_are_those_of_the_closed_form() -> None:
    size, k = 400, 37
    rng = np.random.default_rng(0)
    proxy = rng.permutation(size).astype(float)
    search = RandomSearch(proxy, proxy, k)
    rank = size - proxy.astype(int)  # 1 = best
    expected = [math.comb(size - i, k - 1) / math.comb(size, k) for i in rank]
    np.testing.assert_allclose(search.weights, expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("k", [1, 2, 10, 500, 15_624, 15_625])
def test_weights_sum_to_one(k: int) -> None:
    proxy, final = skewed_table(15_625)
    weights = RandomSearch(proxy, final, k).weights
    assert abs(weights.sum() - 1) < 1e-9
    assert (weights >= 0).all()


def test_one_evaluation_is_random_sampling_and_all_of_them_pick_the_best_proxy() -> None:
    _, final = skewed_table(1000)
    proxy = np.random.default_rng(3).permutation(1000)
    one = RandomSearch(proxy, final, 1)
    assert one.mean == pytest.approx(final.mean(), abs=1e-9)
    assert one.std == pytest.approx(final.std(), abs=1e-9)
    for k in (1000, 5000):
        everything = RandomSearch(proxy, final, k)
        assert everything.mean == pytest.approx(final[proxy.argmax()], abs=1e-9)
        assert everything.std == pytest.approx(0, abs=1e-6)
        assert everything.quantile(0) == everything.quantile(1) == final[proxy.argmax()]


def test_the_expected_proxy_rises_with_every_evaluation() -> None:
    proxy, final = skewed_table(2000)
    search = RandomSearch(proxy, final, 10)
    ks = [1, 2, 3, 5, 10, 100, 1999, 2000]
    expected = [search.expected_best_proxy(k) for k in ks]
    assert (np.diff(expected) > 0).all()
    assert expected[-1] == pytest.approx(proxy.max())
    mean, low, high = proxy_curve(proxy, ks)
    np.testing.assert_allclose(mean, expected)
    assert (np.diff(low) >= 0).all() and (np.diff(high) >= 0).all() and (low <= high).all()


def test_20000_simulated_searches_agree() -> None:
    proxy, final = skewed_table(1500)
    search = RandomSearch(proxy, final, 20)
    rng = np.random.default_rng(5)
    draws = rng.random((20_000, 1500), dtype=np.float32).argpartition(20, axis=1)[:, :20]  # without replacement
    draws = rng.permuted(draws, axis=1)  # argmax takes the first of equals, so their order must be random
    picked = final[draws[np.arange(20_000), proxy[draws].argmax(axis=1)]]
    assert abs(picked.mean() - search.mean) < 3 * search.std / math.sqrt(20_000)
    assert picked.std() == pytest.approx(search.std, rel=0.05)
    for q in (0.1, 0.5, 0.9):
        assert (picked <= search.quantile(q)).mean() >= q - 3 * math.sqrt(q * (1 - q) / 20_000)
        assert (picked < search.quantile(q)).mean() <= q + 3 * math.sqrt(q * (1 - q) / 20_000)


def test_a_proxy_that_says_nothing_makes_random_search_random_sampling() -> None:
    proxy, final = skewed_table(800)
    assert RandomSearch(np.ones(800), final, 50).mean == pytest.approx(final.mean(), abs=1e-9)
    rng = np.random.default_rng(2)
    shuffled = np.array([RandomSearch(rng.permutation(proxy), final, 50).mean for _ in range(300)])
    assert abs(shuffled.mean() - final.mean()) < 3 * shuffled.std(ddof=1) / math.sqrt(300)


def test_scores_that_differ_by_rounding_are_equal() -> None:
    search = RandomSearch([1, 2, 3], [0.3, 0.3, 0.3], 2)
    assert 0.1 + 0.2 != 0.3
    assert search.percentile(0.1 + 0.2) == 0.5


def test_random_search_as_a_method_fails_the_rank_test_in_5_percent_of_trials() -> None:
    proxy, final = skewed_table(1000)
    search = RandomSearch(proxy, final, 50)
    rng = np.random.default_rng(4)
    u = search.percentiles(final[rng.choice(1000, size=2000 * 10, p=search.weights)]).reshape(2000, 10)
    significant = np.mean([rank_test(row)[1] < 0.05 for row in u])
    assert 0.035 <= significant <= 0.065


def test_rank_test_by_hand() -> None:
    mean, p = rank_test([0.6, 0.8, 0.7])
    assert mean == pytest.approx(0.7)
    assert p == pytest.approx(math.erfc(0.2 * math.sqrt(36) / math.sqrt(2)))  # z = 1.2
    assert rank_test([0.2, 0.8]) == (0.5, 1.0)
    with pytest.raises(BadInput):
        rank_test([50.0, 60.0])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 3))
def test_resampled_curve_equals_the_enumeration(scores: list[int], k: int) -> None:
    draws = np.stack(np.meshgrid(*[scores] * k, indexing="ij"), axis=-1).reshape(-1, k).max(axis=1)
    mean, low, high = resampled_curve(scores, [k])
    assert mean[0] == pytest.approx(draws.mean())
    assert low[0] == np.quantile(draws, 0.25, method="inverted_cdf")
    assert high[0] == np.quantile(draws, 0.75, method="inverted_cdf")


def test_resampled_curve_saturates_at_the_best_score() -> None:
    mean, _, _ = resampled_curve([90.0, 94.0, 92.0], [1, 2, 10, 1000])
    assert mean[0] == pytest.approx(92)
    assert (np.diff(mean) > 0).all()
    assert mean[-1] == pytest.approx(94)


@pytest.mark.parametrize(
    ("proxy", "final", "k"),
    [([1, 2], [1], 1), ([], [], 1), ([1, math.nan], [1, 2], 1), ([1, 2], [1, math.inf], 1), ([1, 2], [1, 2], 0)],
)
def test_bad_tables_are_refused(proxy: list[float], final: list[float], k: int) -> None:
    with pytest.raises(BadInput):
        RandomSearch(proxy, final, k)


def test_a_quantile_outside_0_to_1_is_refused() -> None:
    with pytest.raises(BadInput):
        RandomSearch([1, 2], [1, 2], 1).quantile(50)


@pytest.fixture(scope="module")
def nasbench201() -> pd.DataFrame:
    folder = os.environ.get("NASBENCH_DATA")
    if folder is None:
        pytest.skip("NASBENCH_DATA is not set")
    path = Path(folder) / "nasbench201" / "accuracy.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    import pandas

    return pandas.read_csv(path)


# Mean and standard deviation of the test accuracy after 200 epochs, picked by validation accuracy after 12.
NASBENCH201_RANDOM_SEARCH = [
    ("cifar10", {10: (92.58, 1.05), 20: (92.98, 0.81), 50: (93.47, 0.56)}),
    ("cifar10", {100: (93.73, 0.36), 200: (93.88, 0.25), 500: (94.00, 0.23)}),
    ("cifar100", {10: (68.93, 1.82), 20: (69.64, 1.58), 50: (70.60, 1.26)}),
    ("cifar100", {100: (71.19, 1.02), 200: (71.63, 0.91), 500: (72.10, 0.76)}),
]


@pytest.mark.parametrize(("data_set", "rows"), NASBENCH201_RANDOM_SEARCH)
def test_random_search_on_nasbench201(
    nasbench201: pd.DataFrame, data_set: str, rows: dict[int, tuple[float, float]]
) -> None:
    for k, (mean, std) in rows.items():
        search = RandomSearch(nasbench201[f"{data_set}_valid_12"], nasbench201[f"{data_set}_test_200"], k)
        assert search.mean == pytest.approx(mean, abs=0.005)
        assert search.std == pytest.approx(std, abs=0.005)


def test_random_search_on_nasbench201_cifar10_with_100_evaluations(nasbench201: pd.DataFrame) -> None:
    proxy, final = nasbench201["cifar10_valid_12"].to_numpy(), nasbench201["cifar10_test_200"].to_numpy()
    search = RandomSearch(proxy, final, 100)
    assert search.mean == pytest.approx(93.731, abs=5e-4)
    assert search.std == pytest.approx(0.361, abs=5e-4)
    # With replacement: P(best rank is i) = ((N - i + 1) / N)^k - ((N - i) / N)^k.
    left = np.arange(len(proxy), -1, -1) / len(proxy)
    assert -np.diff(left**100) @ final[np.argsort(-proxy, kind="stable")] == pytest.approx(93.730, abs=1e-3)

    rng = np.random.default_rng(9)
    picked = np.empty(20_000)
    for i in range(20_000):
        draw = rng.choice(len(proxy), 100, replace=False)
        picked[i] = final[draw[proxy[draw].argmax()]]
    assert abs(picked.mean() - search.mean) < 3 * search.std / math.sqrt(20_000)

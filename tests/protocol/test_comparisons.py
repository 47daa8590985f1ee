from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nasbench.core.errors import BadInput
from nasbench.protocol.comparisons import (
    average_probability_of_improvement,
    benjamini_hochberg,
    duplicate_columns,
    friedman,
    holm,
    interquartile_mean,
    nemenyi_critical_distance,
    normalised_scores,
    performance_profile,
    ranks,
    regret_area,
    simple_regret_curve,
    stratified_bootstrap,
)
from nasbench.protocol.statistics import relative_improvement
from tests.protocol.fixtures.yang2020 import DATA_SETS, RELATIVE_IMPROVEMENT, WELCH_P

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_published_p_values_under_correction() -> None:
    """Printed with one to three digits they still give the published counts; adjusted values are not reproducible."""
    p = np.array(list(WELCH_P.values())).ravel()
    assert p.size == 40
    assert (p < 0.05).sum() == 12
    assert (holm(p) < 0.05).sum() == 4
    assert (benjamini_hochberg(p) < 0.05).sum() == 9
    survivors = {
        (method, DATA_SETS[column])
        for method, row in zip(WELCH_P, (holm(p) < 0.05).reshape(8, 5), strict=True)
        for column in np.flatnonzero(row)
    }
    assert survivors == {
        ("MANAS", "MIT67"),
        ("ENAS", "CIFAR-100"),
        ("StacNAS", "CIFAR-100"),
        ("P-DARTS", "CIFAR-100"),
    }


def test_published_improvements_rank_the_methods_without_separating_them() -> None:
    """Two rounded digits decide every rank, so ranks and Friedman's test are reproduced in full."""
    table = np.array(list(RELATIVE_IMPROVEMENT.values()))
    mean_ranks = dict(zip(RELATIVE_IMPROVEMENT, ranks(table).mean(axis=1).tolist(), strict=True))
    assert mean_ranks == pytest.approx(
        {
            "P-DARTS": 2.6,
            "NSGA-Net": 3.2,
            "MANAS": 4.2,
            "StacNAS": 4.4,
            "ENAS": 4.6,
            "DARTS": 5.0,
            "CNAS": 6.0,
            "NAO": 6.0,
        }
    )
    statistic, p = friedman(table)
    assert statistic == pytest.approx(8.4667, abs=5e-5)
    assert p == pytest.approx(0.2932, abs=5e-5)
    distance = nemenyi_critical_distance(methods=8, data_sets=5)
    assert distance == pytest.approx(4.695, abs=5e-4)
    assert max(mean_ranks.values()) - min(mean_ranks.values()) < distance


def test_nemenyi_quantiles_of_demsar() -> None:
    """Demšar 2006, table 5a: q at 0.05 for 2 to 10 methods."""
    for methods, q in zip(range(2, 11), (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164), strict=True):
        unit = np.sqrt(methods * (methods + 1) / 60)
        assert nemenyi_critical_distance(methods, 10) / unit == pytest.approx(q, abs=1.1e-3)


def test_corrections_by_hand() -> None:
    p = [0.04, 0.01, 0.03]
    np.testing.assert_allclose(holm(p), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.04, 0.03, 0.04])
    assert holm([]).size == 0


@given(probabilities)
def test_corrections_agree_with_their_definitions(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), rtol=1e-12)
    adjusted, values = holm(p), np.array(p)
    assert (adjusted >= values).all() and (adjusted <= 1).all()
    assert (benjamini_hochberg(p) <= adjusted + 1e-12).all()
    # Holm's procedure itself: go up the sorted p-values, stop at the first above alpha / (those left).
    rejected = 0
    for step, value in enumerate(sorted(p)):
        if value * (len(p) - step) > 0.05:
            break
        rejected += 1
    assert (adjusted <= 0.05).sum() == rejected


@given(arrays(float, st.tuples(st.integers(3, 6), st.integers(2, 6)), elements=st.integers(0, 4).map(float)))
def test_friedman_agrees_with_scipy(table: np.ndarray) -> None:
    statistic, p = friedman(table)
    if (table == table[0]).all():
        assert (statistic, p) == (0.0, 1.0)
    else:
        expected = stats.friedmanchisquare(*table)
        assert statistic == pytest.approx(expected.statistic, abs=1e-9)
        assert p == pytest.approx(expected.pvalue, abs=1e-9)


def test_ranks_give_1_to_the_highest_and_share_ties() -> None:
    assert ranks([[3.0], [5.0], [3.0], [1.0]])[:, 0].tolist() == [2.5, 1, 2.5, 4]


def test_interquartile_mean_drops_a_quarter_on_each_side() -> None:
    assert interquartile_mean([-1e9, -1e9, 1, 2, 3, 4, 1e9, 1e9]) == 2.5
    scores = np.random.default_rng(0).normal(size=(3, 11))
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None))
    np.testing.assert_allclose(interquartile_mean(scores, axis=1), stats.trim_mean(scores, 0.25, axis=1))


def test_stratified_bootstrap_of_one_data_set_is_the_plain_bootstrap() -> None:
    scores = np.random.default_rng(0).normal(size=12)
    interval = stratified_bootstrap([scores], lambda s: interquartile_mean(s, axis=1), np.random.default_rng(7), 500)
    rng = np.random.default_rng(7)
    plain = [float(interquartile_mean(scores[row])) for row in rng.integers(0, 12, size=(500, 12))]
    assert interval == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])))


def test_stratified_bootstrap_keeps_every_data_set_at_its_size() -> None:
    """Two data sets without spread: resampling inside them changes nothing, however far apart they are."""
    scores = [[0.0] * 5, [1.0] * 15]
    assert stratified_bootstrap(scores, lambda s: s.mean(axis=1), np.random.default_rng(0)) == (0.75, 0.75)


def test_stratified_bootstrap_covers_the_mean() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        low, high = stratified_bootstrap(
            [rng.normal(0, 1, 20), rng.normal(1, 2, 20)], lambda s: s.mean(axis=1), rng, repetitions=400
        )
        covered += low <= 0.5 <= high
    assert 0.89 <= covered / 300 <= 0.98


def test_performance_profile_and_probability_of_improvement() -> None:
    profile = performance_profile([[0.1, 0.5], [0.5, 0.9, 0.9, 0.9]], [0.0, 0.5, 0.8, 1.0])
    assert profile.tolist() == [1, (0 + 0.75) / 2, (0 + 0.75) / 2, 0]
    assert average_probability_of_improvement([[1, 2], [5]], [[0, 1], [5]]) == pytest.approx((3.5 / 4 + 0.5) / 2)
    with pytest.raises(BadInput):
        average_probability_of_improvement([[1, 2]], [])


def test_normalised_scores() -> None:
    assert normalised_scores([87.0, 94.0, 80.0], random_mean=87.0, scale=7.0).tolist() == [0, 1, -1]
    with pytest.raises(BadInput):
        normalised_scores([1.0], 1.0, 0.0)


def test_regret_curve_is_a_step_function_of_the_incumbent() -> None:
    proxy, final = [1.0, 3.0, 2.0, 3.0, 5.0], [70.0, 90.0, 99.0, 98.0, 85.0]
    curve = simple_regret_curve(proxy, final, best=100.0)
    assert curve.tolist() == [30, 10, 10, 10, 15]  # the equal fourth does not replace; the better fifth is worse
    assert regret_area(curve) == 15


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_proxy_regret_never_rises(proxy: list[float]) -> None:
    best = max(proxy)
    curve = simple_regret_curve(proxy, proxy, best)
    assert (np.diff(curve) <= 0).all()
    assert curve[-1] == 0
    assert regret_area(simple_regret_curve(proxy[:1], proxy[:1], best)) == curve[0]


# A table with the order and the faults of the published one for Flowers102 (P-DARTS first, the random architectures of
# ENAS a copy of those of DARTS); two runs each, placed symmetrically around the published means.
FLOWERS102 = """Random P-DARTS,P-DARTS,Random DARTS,DARTS,Random ENAS,ENAS
94.35,94.69,95.61,95.90,95.61,96.26
95.35,95.49,96.61,96.70,96.61,96.86
"""


def test_columns_are_read_by_their_header() -> None:
    frame = pd.read_csv(io.StringIO(FLOWERS102))
    assert round(relative_improvement(frame["DARTS"], frame["Random DARTS"]).value, 2) == 0.20
    assert round(relative_improvement(frame["P-DARTS"], frame["Random P-DARTS"]).value, 2) == 0.25


def test_copied_columns_are_found() -> None:
    frame = pd.read_csv(io.StringIO(FLOWERS102))
    assert duplicate_columns(frame) == [("Random DARTS", "Random ENAS")]
    frame["Random ENAS"] = frame["Random ENAS"].to_numpy()[::-1]
    assert duplicate_columns(frame) == [("Random DARTS", "Random ENAS")]
    frame.loc[0, "Random ENAS"] += 0.01
    assert duplicate_columns(frame) == []


def test_bad_tables_are_refused() -> None:
    with pytest.raises(BadInput):
        holm([0.1, 1.2])
    with pytest.raises(BadInput):
        friedman([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(BadInput):
        ranks([[1.0, np.nan]])
    with pytest.raises(BadInput):
        simple_regret_curve([1.0], [1.0, 2.0], 3.0)
    with pytest.raises(BadInput):
        stratified_bootstrap([], lambda s: s.mean(axis=1), np.random.default_rng(0))

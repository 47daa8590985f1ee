"""The Gaussian process of surrogate benchmarks: the textbook's formulas, and errors that are those of refitting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from nasbench.tables.gaussian_process import GaussianProcess

RNG = np.random.default_rng(0)
POINTS = RNG.normal(3, 2, (60, 5))
TARGETS = 70 + np.sin(POINTS[:, 0]) + 0.3 * POINTS[:, 1] + RNG.normal(0, 0.05, 60)
SETTINGS = {"squared_length": 4.0, "noise": 0.01}


def fitted(points: np.ndarray = POINTS, targets: np.ndarray = TARGETS) -> GaussianProcess:
    return GaussianProcess(points, targets, **SETTINGS)


def test_it_predicts_what_scikit_learn_does() -> None:
    standard = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0)
    new = RNG.normal(3, 3, (20, 5))
    variance = fitted()._variance
    other = GaussianProcessRegressor(
        ConstantKernel(variance, "fixed") * RBF(2.0, "fixed"), alpha=variance * SETTINGS["noise"], optimizer=None
    ).fit(standard, TARGETS - TARGETS.mean())
    means, deviations = other.predict((new - POINTS.mean(axis=0)) / POINTS.std(axis=0), return_std=True)
    for point, mean, deviation in zip(new, means, deviations, strict=True):
        assert fitted().predict(point) == pytest.approx((mean + TARGETS.mean(), deviation), rel=1e-6, abs=1e-6)


def test_the_variance_is_the_likeliest() -> None:
    standard = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0)
    centred = TARGETS - TARGETS.mean()

    def likelihood(variance: float) -> float:
        kernel = ConstantKernel(variance, "fixed") * RBF(2.0, "fixed")
        model = GaussianProcessRegressor(kernel, alpha=variance * SETTINGS["noise"], optimizer=None)
        return float(model.fit(standard, centred).log_marginal_likelihood_value_)

    best = fitted()._variance
    assert likelihood(best) > max(likelihood(0.9 * best), likelihood(1.1 * best))


def test_residuals_are_those_of_fits_without_the_group() -> None:
    """With mean and variance of the whole: they are settings, and one group does not change them."""
    process, groups = fitted(), [np.arange(0, 12), np.arange(12, 13), np.arange(30, 60)]
    residuals = process.held_out_residuals(groups)
    assert np.isnan(residuals[13:30]).all()
    standard = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0)
    for group in groups:
        rest = np.setdiff1d(np.arange(60), group)
        other = GaussianProcessRegressor(RBF(2.0, "fixed"), alpha=SETTINGS["noise"], optimizer=None)
        other.fit(standard[rest], TARGETS[rest] - TARGETS.mean())
        expected = TARGETS[group] - TARGETS.mean() - other.predict(standard[group])
        assert residuals[group] == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_deviations_left_out_are_those_of_fits_without_the_point() -> None:
    process = fitted()
    standard = (POINTS - POINTS.mean(axis=0)) / POINTS.std(axis=0)
    for left_out in (0, 17, 59):
        rest = np.setdiff1d(np.arange(60), [left_out])
        other = GaussianProcessRegressor(RBF(2.0, "fixed"), alpha=SETTINGS["noise"], optimizer=None)
        other.fit(standard[rest], TARGETS[rest])
        _, deviation = other.predict(standard[[left_out]], return_std=True)
        expected = np.sqrt(process._variance * (deviation[0] ** 2 + SETTINGS["noise"]))
        assert process.left_out_deviations()[left_out] == pytest.approx(expected, rel=1e-6)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    constant = np.column_stack([POINTS, np.ones(60)])
    mean, deviation = fitted(constant).predict(np.append(POINTS[3] + 0.1, 1.0))
    assert (mean, deviation) == pytest.approx(fitted().predict(POINTS[3] + 0.1))


def test_far_away_it_knows_nothing() -> None:
    mean, deviation = fitted().predict(np.full(5, 1e3))
    assert mean == pytest.approx(TARGETS.mean()) and deviation == pytest.approx(np.sqrt(fitted()._variance))

"""Every predictor keeps the contract; closed forms agree with scikit-learn, gradients with differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import Ridge as PlainRidge

from nasbench.catalog import PREDICTORS, SPACES, resolve
from nasbench.core.errors import BadInput
from nasbench.core.predictor import Predictor
from nasbench.core.seeding import generator
from nasbench.predictors.ensemble import Ensemble
from nasbench.predictors.gaussian_process import GaussianProcess, KernelPredictor
from nasbench.predictors.ridge import Ridge
from nasbench.predictors.skill import rank_correlations, skill
from nasbench.predictors.targets import rank_normal
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.tables.nasbench201 import load
from nasbench.testing import check_predictor
from nasbench.testing.strategies import SmallSpace

SPACE = SmallSpace()
TRAINING = SPACE.sample_many(generator(0, "training"), 100)
OTHERS = SPACE.sample_many(generator(0, "others"), 200)


def truth(architectures) -> np.ndarray:
    """Additive but for one interaction."""
    worth = {"a": 0.0, "b": 1.0, "c": 2.5, "d": 3.0}
    return np.array([sum(map(worth.get, a.spec)) + 2.0 * (a.spec[0] == a.spec[1] == "d") for a in architectures])


def fresh(name: str, seed: int = 0) -> Predictor:
    return resolve("predictor", name, PREDICTORS)(SPACE, generator(seed, "predictor"))


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictor_learns_and_says_how_sure_it_is(name: str) -> None:
    prediction = fresh(name).fit(TRAINING, truth(TRAINING)).predict(OTHERS)
    assert prediction.mean.shape == prediction.std.shape == (200,)
    assert prediction.mean.dtype == prediction.std.dtype == np.float64
    assert (prediction.std >= 0).all() and prediction.std.max() > 0
    assert rank_correlations(prediction.mean, truth(OTHERS))[0] > 0.65
    assert np.abs(prediction.mean - truth(OTHERS)).mean() < truth(OTHERS).std() / 2


@pytest.mark.parametrize("space", ["nasbench201", "nasbench-macro", "darts"])
@pytest.mark.parametrize("name", PREDICTORS)
def test_every_predictor_keeps_the_contract(name: str, space: str) -> None:
    check_predictor(
        resolve("predictor", name, PREDICTORS), resolve("space", space, SPACES)(), isomorphs=True, architectures=25
    )


@pytest.mark.parametrize("name", PREDICTORS)
def test_the_unit_of_the_targets_does_not_matter(name: str) -> None:
    plain = fresh(name).fit(TRAINING, truth(TRAINING)).predict(OTHERS)
    scaled = fresh(name).fit(TRAINING, 8 * truth(TRAINING) + 64).predict(OTHERS)
    assert np.allclose(scaled.mean, 8 * plain.mean + 64, rtol=1e-3)
    assert np.allclose(scaled.std, 8 * plain.std, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize("count", [1, 5])
def test_equal_targets_are_predicted_to_stay(name: str, count: int) -> None:
    prediction = fresh(name).fit(TRAINING[:count], np.full(count, 7.0)).predict(OTHERS)
    assert np.abs(prediction.mean - 7.0).max() < 3.0
    assert np.isfinite(prediction.std).all()


@pytest.mark.parametrize("name", PREDICTORS)
def test_bad_input_is_refused(name: str) -> None:
    predictor = fresh(name)
    with pytest.raises(BadInput, match="fit it first"):
        predictor.predict(OTHERS)
    for architectures, targets in (([], []), (TRAINING[:3], [1.0, 2.0])):
        with pytest.raises(BadInput, match="one number an architecture"):
            predictor.fit(architectures, np.array(targets))
    with pytest.raises(BadInput, match="finite numbers"):
        predictor.fit(TRAINING[:2], np.array([1.0, np.nan]))


# -- Gaussian processes ----------------------------------------------------------------------------------------------
@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = generator(0, "features")
    inputs = rng.standard_normal((40, 5)).astype(np.float32)
    targets = np.sin(inputs[:, 0]) + 0.1 * rng.standard_normal(40)
    return inputs, targets, rng.standard_normal((15, 5)).astype(np.float32)


def only(monkeypatch: pytest.MonkeyPatch, noise: float) -> None:
    monkeypatch.setattr("nasbench.predictors.gaussian_process.NOISES", np.array([noise]))
    monkeypatch.setattr(GaussianProcess, "lengths", (2.0,))


def test_the_posterior_is_that_of_scikit_learn(features, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets, others = features
    only(monkeypatch, 0.1)
    ours = GaussianProcess(SPACE, generator(0, "x"))
    ours.fit_features(inputs, targets)
    theirs = GaussianProcessRegressor(RBF(np.sqrt(2.0 * ours._unit)), alpha=0.1, optimizer=None).fit(inputs, targets)
    mean, std = theirs.predict(others, return_std=True)
    prediction = ours.predict_features(others)
    assert np.allclose(prediction.mean, mean, atol=1e-6)
    assert np.allclose(prediction.std / np.sqrt(ours._posterior.variance), std, atol=1e-6)


def test_the_mean_of_ridge_is_that_of_scikit_learn(features, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets, others = features
    only(monkeypatch, 0.3)
    ours = Ridge(SPACE, generator(0, "x"))
    ours.fit_features(inputs, targets)
    theirs = PlainRidge(alpha=0.3 * ours._unit, fit_intercept=False).fit(inputs, targets)
    assert np.allclose(ours.predict_features(others).mean, theirs.predict(others), atol=1e-6)


@pytest.mark.parametrize("kind", [GaussianProcess, Ridge])
def test_what_is_chosen_has_the_largest_marginal_likelihood(kind: type[KernelPredictor], features) -> None:
    inputs, targets, _ = features
    model = kind(SPACE, generator(0, "x"))
    model.fit_features(inputs, targets)
    inputs = inputs.astype(np.float64)

    def log_likelihood(length: float, noise: float, variance: float) -> float:
        covariance = variance * (model.kernel(inputs, inputs, length) + noise * np.eye(len(inputs)))
        _, logdet = np.linalg.slogdet(covariance)
        return float(-(targets @ np.linalg.solve(covariance, targets) + logdet) / 2)

    length, noise, variance = model._most_likely(inputs, targets)
    chosen = log_likelihood(length, noise, variance)
    for other in model.lengths:
        for factor in (0.5, 1.0, 2.0):
            for level in (1e-3, 1e-1, 1.0, 10.0):
                assert log_likelihood(other, level, variance * factor) <= chosen + 1e-6


def test_a_gaussian_process_is_sure_of_what_it_saw() -> None:
    model = GaussianProcess(SPACE, generator(0, "x")).fit(TRAINING, truth(TRAINING))
    unseen = [a for a in OTHERS if a not in TRAINING]
    assert model.predict(TRAINING).std.mean() < model.predict(unseen).std.mean() / 2


def test_a_large_training_set_is_thinned_only_for_the_choice() -> None:
    many = list(dict.fromkeys(SPACE.sample_many(generator(1, "many"), 1500)))
    model = GaussianProcess(SPACE, generator(0, "x")).fit(many, truth(many))
    assert np.abs(model.predict(many).mean - truth(many)).max() < 0.3


# -- the ensemble ----------------------------------------------------------------------------------------------------
def test_gradients_of_all_members_agree_with_differences() -> None:
    model = Ensemble(SPACE, generator(0, "x"), members=3, hidden=4, steps=1)
    rng = generator(1, "x")
    inputs, targets = rng.standard_normal((6, 5)), rng.standard_normal(6)
    model.fit_features(inputs.astype(np.float32), targets)
    for layer in model._layers:
        layer.weights, layer.biases = layer.weights.astype(np.float64), layer.biases.astype(np.float64)

    def losses() -> np.ndarray:
        return ((model._activations(inputs)[-1][..., 0] - targets) ** 2).mean(axis=1)

    parameters = [part for layer in model._layers for part in (layer.weights, layer.biases)]
    for part, gradient in zip(parameters, model._gradients(inputs, targets), strict=True):
        assert gradient.shape == part.shape
        for index in map(tuple, rng.integers(part.shape, size=(8, 3))):
            steps = []
            for sign in (1, -1):
                part[index] += sign * 1e-6
                steps.append(losses())
                part[index] -= sign * 1e-6
            change = (steps[0] - steps[1]) / 2e-6
            assert change[index[0]] == pytest.approx(gradient[index], abs=1e-5)
            assert np.delete(change, index[0]) == pytest.approx(0)


def test_members_agree_where_they_learned_and_not_elsewhere() -> None:
    narrow = [a for a in TRAINING if a.spec[0] == "a"]
    far = [a for a in OTHERS if a.spec[0] != "a"]
    model = Ensemble(SPACE, generator(0, "x")).fit(narrow, truth(narrow))
    assert model.predict(narrow).std.mean() < model.predict(far).std.mean() / 2


# -- targets and skill -----------------------------------------------------------------------------------------------
def test_rank_normal_targets() -> None:
    scores = np.array([10.0, 91.0, -np.inf, 92.0, 91.0])
    targets = rank_normal(scores)
    assert targets[1] == targets[4]
    assert all(a < b for a, b in pairwise(targets[[2, 0, 1, 3]]))
    assert targets[0] == pytest.approx(-0.524400513)  # the normal quantile of 0.3
    assert rank_normal(100 * scores[[0, 1, 3]] - 5) == pytest.approx(rank_normal(scores[[0, 1, 3]]))
    assert rank_normal(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("folds", [5, None])
def test_skill_of_a_good_and_of_no_predictor(folds: int | None) -> None:
    few = list(dict.fromkeys(TRAINING))[:40]
    good = skill(fresh("ridge"), few, truth(few), generator(0, "x"), folds)
    assert good.kendall > 0.6 and good.spearman > 0.75
    assert good[:2] == rank_correlations(good.predicted, truth(few))
    noise = generator(1, "noise").standard_normal(40)
    assert abs(skill(fresh("ridge"), few, noise, generator(0, "x"), folds).kendall) < 0.4
    assert skill(fresh("ridge"), few, np.ones(40), generator(0, "x"), folds)[:2] == (0.0, 0.0)


def test_skill_never_predicts_a_cell_from_its_twin() -> None:
    space = NasBench201()
    classes: dict = {}
    for cell in space.all():
        classes.setdefault(space.canonical(cell), []).append(cell)
    twins = [cell for cells in classes.values() if len(cells) > 1 for cell in cells[:2]][:40]

    class Remembering(Ridge):
        def fit(self, architectures, targets):
            self.known = {space.canonical(a) for a in architectures}
            return super().fit(architectures, targets)

        def predict(self, architectures):
            assert not self.known & {space.canonical(a) for a in architectures}
            return super().predict(architectures)

    skill(Remembering(space, generator(0, "x")), twins, np.arange(40.0), generator(0, "x"))


@pytest.mark.parametrize("folds", [1, 41])
def test_skill_needs_a_possible_number_of_folds(folds: int) -> None:
    few = list(dict.fromkeys(TRAINING))[:40]
    with pytest.raises(BadInput, match=f"into {folds} folds; use 2 to 40"):
        skill(fresh("ridge"), few, truth(few), generator(0, "x"), folds)
    with pytest.raises(BadInput, match="one target an architecture"):
        skill(fresh("ridge"), few, np.ones(3), generator(0, "x"))


@pytest.mark.parametrize("name", PREDICTORS)
def test_on_real_cells(name: str, table) -> None:
    """100 labels of CIFAR-10 validation accuracy; all predictors reach a tau of more than 0.5 on other cells."""
    space, scores = NasBench201(), load("cifar10", table)
    cells = space.sample_many(generator(5, "cells"), 900)
    accuracies = np.array([scores.valid_accuracy[scores.row[cell.spec]] for cell in cells])
    predictor = resolve("predictor", name, PREDICTORS)(space, generator(0, "x"))
    predictor.fit(cells[:100], rank_normal(accuracies[:100]))
    assert rank_correlations(predictor.predict(cells[100:]).mean, accuracies[100:])[0] > 0.5


@pytest.mark.parametrize("name", ["gaussian-process", "ridge"])
def test_leaving_one_out_in_closed_form_is_close_to_doing_it(name: str) -> None:
    space = NasBench201()
    cells = space.sample_many(generator(8, "test"), 40)
    targets = np.array([sum("conv" in operation for operation in cell.spec) for cell in cells], dtype=np.float64)
    targets += generator(9, "test").standard_normal(40)
    predictor = resolve("predictor", name, PREDICTORS)(space, generator(0, "test"))
    short, long = predictor.leave_one_out(cells, targets), Predictor.leave_one_out(predictor, cells, targets)
    assert np.corrcoef(short, long)[0, 1] > 0.95
    assert np.corrcoef(short, targets)[0, 1] > 0.3
    assert np.abs(short - targets).mean() > 0.1  # no score is predicted from itself

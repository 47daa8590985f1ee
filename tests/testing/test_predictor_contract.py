"""The contract check of predictors: what keeps it passes, each deliberately broken one is caught, its fault named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pytest

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.predictor import Prediction, Predictor
from nasbench.core.search_space import SearchSpace
from nasbench.search_spaces.nasbench_macro import NasBenchMacro
from nasbench.testing import ContractBroken, check_predictor


class Neighbours(Predictor):
    """The mean of the three architectures that agree in most decisions, with a little noise in the targets."""

    _known: tuple[list[Architecture], np.ndarray] | None = None

    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        targets = np.asarray(targets, dtype=np.float64)
        if not architectures or targets.shape != (len(architectures),) or not np.isfinite(targets).all():
            raise BadInput("give one finite target an architecture.")
        noise = 0.01 * self.rng.standard_normal(len(targets))
        self._known = self.seen(architectures), targets + noise
        return self

    def seen(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        return [self.space.canonical(architecture) for architecture in architectures]

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        if self._known is None:
            raise BadInput("fit first.")
        near = [self._near(architecture) for architecture in self.seen(architectures)]
        mean, std = (np.array([f(values) for values in near], dtype=np.float64) for f in (np.mean, np.std))
        return Prediction(mean, std)

    def _near(self, architecture: Architecture) -> np.ndarray:
        assert self._known is not None
        agree = [sum(a == b for a, b in zip(architecture.spec, one.spec, strict=True)) for one in self._known[0]]
        return self._known[1][np.argsort(agree, kind="stable")[-3:]]


def test_what_keeps_the_contract_passes_with_and_without_a_deviation() -> None:
    class Sure(Neighbours):
        def predict(self, architectures: Sequence[Architecture]) -> Prediction:
            return Prediction(super().predict(architectures).mean)

    check_predictor(Neighbours)
    check_predictor(Neighbours, NasBenchMacro(), isomorphs=True)
    check_predictor(Sure)


class GlobalRandomness(Neighbours):
    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        np.random.rand()  # noqa: NPY002
        return super().fit(architectures, targets)


class OwnGenerator(Neighbours):
    def __init__(self, space: SearchSpace, rng: np.random.Generator) -> None:
        super().__init__(space, np.random.default_rng())


class Remembering(Neighbours):
    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        before = self._known
        super().fit(architectures, targets)
        assert self._known is not None
        if before is not None:
            self._known = before[0] + self._known[0], np.concatenate([before[1], self._known[1]])
        return self


class ReturnsNothing(Neighbours):
    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        super().fit(architectures, targets)
        return None  # type: ignore[return-value]


class ChangesTargets(Neighbours):
    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        super().fit(architectures, targets)
        targets -= targets.mean()
        return self


class TakesAnything(Neighbours):
    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        return super().fit(architectures, np.nan_to_num(targets))


class OtherError(Neighbours):
    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        if self._known is None:
            raise RuntimeError("not fitted")
        return super().predict(architectures)


class Changed(Neighbours):
    """Changes what `Neighbours` predicts."""

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        return self.changed(super().predict(architectures))

    def changed(self, prediction: Prediction) -> Any:
        raise NotImplementedError


class OnlyMeans(Changed):
    def changed(self, prediction: Prediction) -> Any:
        return prediction.mean


class Columns(Changed):
    def changed(self, prediction: Prediction) -> Any:
        return Prediction(prediction.mean[:, None], prediction.std)


class SinglePrecision(Changed):
    def changed(self, prediction: Prediction) -> Any:
        assert prediction.std is not None
        return prediction._replace(std=prediction.std.astype(np.float32))


class NotANumber(Changed):
    def changed(self, prediction: Prediction) -> Any:
        return prediction._replace(mean=np.full(len(prediction.mean), np.nan))


class Negative(Changed):
    def changed(self, prediction: Prediction) -> Any:
        assert prediction.std is not None
        return prediction._replace(std=prediction.std - 10)


class RanksWithinTheBatch(Changed):
    def changed(self, prediction: Prediction) -> Any:
        return prediction._replace(mean=prediction.mean - prediction.mean.mean())


class KnowsThePlace(Changed):
    def changed(self, prediction: Prediction) -> Any:
        return prediction._replace(mean=prediction.mean + np.arange(len(prediction.mean)))


class DrawsInPredict(Changed):
    def changed(self, prediction: Prediction) -> Any:
        self.rng.random()
        return prediction


class NoisyPrediction(Changed):
    def changed(self, prediction: Prediction) -> Any:
        return prediction._replace(mean=prediction.mean + self.rng.random())


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (GlobalRandomness, "a global random generator was used"),
        (OwnGenerator, "the same seed, architectures and targets gave other predictions"),
        (Remembering, "a second fit remembers the first one"),
        (ReturnsNothing, "fit must return the predictor itself"),
        (ChangesTargets, "fit changed the targets"),
        (TakesAnything, "fit with a target that is not finite was accepted"),
        (OtherError, "predict before the first fit raised RuntimeError"),
        (OnlyMeans, "predict returned a ndarray, not a Prediction"),
        (Columns, r"mean of 40 architectures is \(\(40, 1\), 'float64'\)"),
        (SinglePrecision, r"std of 40 architectures is \(\(40,\), 'float32'\)"),
        (NotANumber, "mean must be finite"),
        (Negative, "std must not be negative"),
        (RanksWithinTheBatch, "depends on what is predicted beside it"),
        (KnowsThePlace, "depends on the order of the architectures"),
        (DrawsInPredict, "predict drew from the generator"),
        (NoisyPrediction, "predicting twice gave two predictions"),
    ],
)
def test_a_broken_predictor_is_caught(broken: type[Predictor], fault: str) -> None:
    with pytest.raises(ContractBroken, match=fault):
        check_predictor(broken)


def test_what_is_no_predictor_and_what_tells_isomorphs_apart_is_caught() -> None:
    class AsWritten(Neighbours):
        def seen(self, architectures: Sequence[Architecture]) -> list[Architecture]:
            return list(architectures)

    check_predictor(AsWritten, NasBenchMacro())
    with pytest.raises(ContractBroken, match="the same canonical form got different predictions"):
        check_predictor(AsWritten, NasBenchMacro(), isomorphs=True)

    class Alike:
        def __init__(self, space: SearchSpace, rng: np.random.Generator) -> None:
            self.model = Neighbours(space, rng)

        fit = property(lambda self: self.model.fit)
        predict = property(lambda self: self.model.predict)

    with pytest.raises(ContractBroken, match="it is a Alike, not a Predictor"):
        check_predictor(Alike)  # type: ignore[arg-type]

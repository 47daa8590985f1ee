"""What predictors on a matrix of features have in common: encode, check, fit, predict."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.predictor import Prediction, Predictor
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng
from nasbench.predictors.encodings import Encoding, graph_counts


class FeaturePredictor(Predictor):
    """A predictor that sees an architecture as a row of numbers; without ``encoding`` by `GraphCounts`.

    A subclass writes `fit_features` and `predict_features`. It sees features float32 [n, width], from which the mean of
    those it was fitted on is taken away, and targets of mean 0 and deviation 1 (or all 0, if they do not differ).
    """

    def __init__(self, space: SearchSpace, rng: Rng, encoding: Encoding | None = None) -> None:
        super().__init__(space, rng)
        self.encoding = encoding or graph_counts(space)
        self._centre: np.ndarray | None = None
        self._mean, self._scale = 0.0, 1.0

    @abstractmethod
    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Learn from centred features [n, width] and standardised targets [n]."""

    @abstractmethod
    def predict_features(self, features: np.ndarray) -> Prediction:
        """Predict standardised targets from centred features [n, width]."""

    def fit(self, architectures: Sequence[Architecture], targets: np.ndarray) -> Self:
        targets = np.asarray(targets, dtype=np.float64)
        if targets.shape != (len(architectures),) or not len(architectures):
            raise BadInput(
                f"a predictor learns from one number an architecture: {len(architectures)} architectures, "
                f"targets of shape {targets.shape}."
            )
        if not np.isfinite(targets).all():
            raise BadInput("a predictor learns from finite numbers; leave failed architectures out.")
        features = self.encoding(architectures)
        self._centre = features.mean(axis=0)
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        self.fit_features(features - self._centre, (targets - self._mean) / self._scale)
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        if self._centre is None:
            raise BadInput("this predictor has learned nothing yet; fit it first.")
        if not architectures:
            return Prediction(np.zeros(0), None)
        mean, std = self.predict_features(self.encoding(architectures) - self._centre)
        return Prediction(mean * self._scale + self._mean, None if std is None else std * self._scale)

"""Forests and boosted trees (scikit-learn): strong on tabular encodings of cells."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from nasbench.core.predictor import Prediction
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng
from nasbench.predictors.encodings import Encoding
from nasbench.predictors.features import FeaturePredictor


class Forest(FeaturePredictor):
    """A random forest (Breiman, 2001); ``std`` is the deviation of its trees."""

    def __init__(
        self,
        space: SearchSpace,
        rng: Rng,
        encoding: Encoding | None = None,
        *,
        trees: int = 60,
        share_of_features: float = 0.3,
    ) -> None:
        from sklearn.ensemble import RandomForestRegressor  # here, because importing it draws from a global generator

        super().__init__(space, rng, encoding)
        self._model = partial(RandomForestRegressor, trees, max_features=share_of_features)
        self._fitted: list[Any] = []

    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        forest = self._model(random_state=_seed(self.rng)).fit(features, targets)
        self._fitted = [tree.tree_ for tree in forest.estimators_]

    def predict_features(self, features: np.ndarray) -> Prediction:
        features = np.ascontiguousarray(features, dtype=np.float32)
        each = np.stack([tree.predict(features)[:, 0] for tree in self._fitted])
        return Prediction(each.mean(axis=0), each.std(axis=0))


class Boosting(FeaturePredictor):
    """Stochastic gradient boosting (Friedman, 2002), several times with other random parts; ``std`` is over them."""

    def __init__(
        self,
        space: SearchSpace,
        rng: Rng,
        encoding: Encoding | None = None,
        *,
        members: int = 4,
        trees: int = 60,
        depth: int = 4,
        learning_rate: float = 0.1,
        subsample: float = 0.6,
        share_of_features: float = 0.5,
    ) -> None:
        from sklearn.ensemble import GradientBoostingRegressor  # here, as in Forest

        super().__init__(space, rng, encoding)
        self._model = partial(
            GradientBoostingRegressor,
            n_estimators=trees,
            max_depth=depth,
            learning_rate=learning_rate,
            max_features=share_of_features,
        )
        self._members, self._subsample = members, subsample
        self._fitted: list[Any] = []

    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        subsample = max(self._subsample, min(1.0, 2 / len(targets)))  # no tree from nothing
        models = [self._model(subsample=subsample, random_state=_seed(self.rng)) for _ in range(self._members)]
        self._fitted = [model.fit(features, targets) for model in models]

    def predict_features(self, features: np.ndarray) -> Prediction:
        each = np.stack([model.predict(features) for model in self._fitted])
        return Prediction(each.mean(axis=0), each.std(axis=0))


def _seed(rng: Rng) -> int:
    return int(rng.integers(2**31))

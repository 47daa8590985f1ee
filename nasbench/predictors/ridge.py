"""Ridge regression, the simplest predictor worth comparing with."""

from __future__ import annotations

import numpy as np

from nasbench.predictors.gaussian_process import KernelPredictor


class Ridge(KernelPredictor):
    """Bayesian linear regression: the Gaussian process whose kernel is the inner product.

    The penalty is chosen by marginal likelihood (MacKay, Bayesian Interpolation, Neural Computation 1992).
    """

    _unit = 1.0

    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        self._unit = float((features**2).sum(axis=1).mean()) or 1.0
        super().fit_features(features, targets)

    def kernel(self, a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
        covariance: np.ndarray = a @ b.T / self._unit
        return covariance

    def prior(self, features: np.ndarray) -> np.ndarray:
        covariance: np.ndarray = (features * features).sum(axis=1) / self._unit
        return covariance

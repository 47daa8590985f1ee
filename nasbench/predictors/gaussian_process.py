"""Gaussian processes in closed form: the linear kernel (ridge regression) and the radial one.

Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.predictor import Prediction
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng
from nasbench.predictors.encodings import Encoding
from nasbench.predictors.features import FeaturePredictor

NOISES = np.logspace(-3.0, 1.0, 9)
"""Variances of the noise to choose from, as shares of the variance of the function."""
POINTS_FOR_A_CHOICE = 100


@dataclass(frozen=True)
class _Posterior:
    """What a fit leaves: the ``inverse`` of kernel matrix plus noise, and ``weights`` = inverse @ targets."""

    features: np.ndarray
    inverse: np.ndarray
    weights: np.ndarray
    variance: float
    length: float


class KernelPredictor(FeaturePredictor):
    """A Gaussian process with noise. Noise, length scale and variance have the largest marginal likelihood on a grid.

    Above 100 points the grid is searched on an even selection of them, so that a fit costs one inversion. ``std`` is
    that of the function, without the noise of a measurement.
    """

    lengths: tuple[float, ...] = (1.0,)

    def __init__(self, space: SearchSpace, rng: Rng, encoding: Encoding | None = None) -> None:
        super().__init__(space, rng, encoding)
        self._posterior: _Posterior | None = None

    @abstractmethod
    def kernel(self, a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
        """Return the covariances [n, m] of the function at features a [n, width] and b [m, width]."""

    @abstractmethod
    def prior(self, features: np.ndarray) -> np.ndarray:
        """Return the diagonal of ``kernel(features, features)``: [n]."""

    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        features = features.astype(np.float64)
        some = slice(None, None, -(-len(targets) // POINTS_FOR_A_CHOICE))
        length, noise, variance = self._most_likely(features[some], targets[some])
        covariance = self.kernel(features, features, length)
        covariance[np.diag_indices(len(targets))] += noise
        inverse = np.linalg.inv(covariance)
        self._posterior = _Posterior(features, inverse, inverse @ targets, variance, length)

    def predict_features(self, features: np.ndarray) -> Prediction:
        known = self._posterior
        assert known is not None
        features = features.astype(np.float64)
        cross = self.kernel(features, known.features, known.length)
        explained = np.einsum("ij,ij->i", cross @ known.inverse, cross)
        variance = known.variance * np.maximum(self.prior(features) - explained, 0.0)
        return Prediction(cross @ known.weights, np.sqrt(variance))

    def leave_one_out(self, architectures: Sequence[Architecture], targets: np.ndarray) -> np.ndarray:
        """Return what to expect of each architecture [n] from all the others, in closed form (ibid., equation 5.12).

        Centring, noise, length scale and variance are those of all of them together.
        """
        targets = np.asarray(targets, dtype=np.float64)
        self.fit(architectures, targets)
        known = self._posterior
        assert known is not None
        return targets - self._scale * known.weights / np.diag(known.inverse)

    def _most_likely(self, features: np.ndarray, targets: np.ndarray) -> tuple[float, float, float]:
        """Return length scale, noise and variance; the best variance for given other two is known in closed form."""
        best = (np.inf, 1.0, 1.0, 1.0)
        for length in self.lengths:
            values, vectors = np.linalg.eigh(self.kernel(features, features, length))
            spectrum = np.maximum(values, 0.0) + NOISES[:, None]  # [noises, n]
            variances = ((vectors.T @ targets) ** 2 / spectrum).mean(axis=1)
            deviance = len(targets) * np.log(np.maximum(variances, 1e-12)) + np.log(spectrum).sum(axis=1)
            i = int(deviance.argmin())
            best = min(best, (float(deviance[i]), length, float(NOISES[i]), float(variances[i])))
        return best[1:]


class GaussianProcess(KernelPredictor):
    """A radial kernel whose length scale is chosen around the median distance of the architectures it learns from."""

    lengths = (0.5, 1.0, 2.0, 4.0)
    _unit = 1.0

    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        some = features[:: -(-len(features) // POINTS_FOR_A_CHOICE)].astype(np.float64)
        distances = _squared_distances(some, some)[np.triu_indices(len(some), 1)]
        self._unit = float(np.median(distances)) if distances.any() else 1.0
        super().fit_features(features, targets)

    def kernel(self, a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
        covariance: np.ndarray = np.exp(_squared_distances(a, b) / (-2 * self._unit * length))
        return covariance

    def prior(self, features: np.ndarray) -> np.ndarray:
        return np.ones(len(features))


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distances: np.ndarray = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    np.maximum(distances, 0.0, out=distances)  # rounding can leave a little less than zero
    return distances

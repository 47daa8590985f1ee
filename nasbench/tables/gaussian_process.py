"""A regressor that says how sure it is and knows its own cross-validated error: a Gaussian process, fitted exactly.

Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.2 and 5.4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import linalg


class GaussianProcess:
    """A regression with a squared-exponential kernel on standardised features and white noise.

    Args:
        features: [n, features]; each is shifted and scaled to mean 0 and standard deviation 1.
        targets: [n].
        squared_length: the square of the kernel's length scale, in units of standardised features.
        noise: variance of the noise as a share of the kernel's variance.

    The mean of the targets is the prior mean, the variance of the kernel maximises the likelihood.
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, *, squared_length: float, noise: float) -> None:
        spread = features.std(axis=0)
        self._shift, self._scale = features.mean(axis=0), np.where(spread > 0, spread, 1.0)
        self._points = (features - self._shift) / self._scale
        self._squared_length = squared_length
        self._mean = float(targets.mean())
        kernel = self._kernel(self._points)
        kernel[np.diag_indices_from(kernel)] += noise
        self._factor = linalg.cholesky(kernel, lower=True, overwrite_a=True, check_finite=False)
        self._weights = np.asarray(linalg.cho_solve((self._factor, True), targets - self._mean))
        self._variance = float((targets - self._mean) @ self._weights) / len(targets)

    def predict(self, features: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation, without the noise, for one point [features]."""
        near = self._kernel(((features - self._shift) / self._scale)[None])[0]
        explained = linalg.solve_triangular(self._factor, near, lower=True, check_finite=False)
        unexplained = max(0.0, 1.0 - float(explained @ explained))
        return self._mean + float(near @ self._weights), (self._variance * unexplained) ** 0.5

    def held_out_residuals(self, groups: Sequence[np.ndarray]) -> np.ndarray:
        """Return target minus prediction [n], each predicted by a fit without its group; NaN for what is in none.

        ``groups`` are arrays of positions. Standardisation and kernel are those of the whole fit.
        """
        residuals = np.full(len(self._weights), np.nan)
        for group in groups:
            residuals[group] = linalg.solve(self._inverse[np.ix_(group, group)], self._weights[group], assume_a="pos")
        return residuals

    def left_out_deviations(self) -> np.ndarray:
        """Return the standard deviation [n] of each point's prediction by a fit without it, noise included."""
        return np.asarray(np.sqrt(self._variance / np.diag(self._inverse)))

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.asarray(linalg.cho_solve((self._factor, True), np.eye(len(self._weights))))

    def _kernel(self, points: np.ndarray) -> np.ndarray:
        """Return the kernel [points, fitted points]."""
        squares = (points**2).sum(axis=1)[:, None] + (self._points**2).sum(axis=1) - 2 * points @ self._points.T
        return np.asarray(np.exp(-np.maximum(squares, 0.0) / (2 * self._squared_length)))

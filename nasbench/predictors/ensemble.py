"""An ensemble of small networks, all trained at once: the predictor of BANANAS (White et al., AAAI 2021, section 3).

In numpy, because networks of this size are fitted before torch is imported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.core.predictor import Prediction
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng
from nasbench.predictors.encodings import Encoding
from nasbench.predictors.features import FeaturePredictor

DECAYS = (0.9, 0.99)  # of Adam's averages of gradients and of their squares


@dataclass
class _Layer:
    """One layer of all members: weights [members, inputs, outputs], biases [members, 1, outputs]."""

    weights: np.ndarray
    biases: np.ndarray


class Ensemble(FeaturePredictor):
    """Networks with two hidden layers of rectified units, which differ in where they start; ``std`` is over them.

    Every member sees the same batches, so that each step is one matrix product for all. Squared error, Adam (Kingma &
    Ba, ICLR 2015) with decoupled weight decay, a learning rate that falls along a cosine.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: Rng,
        encoding: Encoding | None = None,
        *,
        members: int = 5,
        hidden: int = 32,
        steps: int = 150,
        batch_size: int = 64,
        learning_rate: float = 0.02,
        weight_decay: float = 1e-3,
    ) -> None:
        super().__init__(space, rng, encoding)
        self._members, self._hidden, self._steps, self._batch_size = members, hidden, steps, batch_size
        self._learning_rate, self._weight_decay = learning_rate, weight_decay
        self._layers: list[_Layer] = []
        self._feature_scale = 1.0

    def fit_features(self, features: np.ndarray, targets: np.ndarray) -> None:
        width = features.shape[1]
        # Rows of mean square length `width`, as if every feature had variance one, however many are constant.
        length = float((features**2).sum(axis=1).mean())
        self._feature_scale = float(np.sqrt(width / length)) if length else 1.0
        inputs, targets = features * self._feature_scale, targets.astype(np.float32)
        self._layers = [self._drawn(width), self._drawn(self._hidden), self._drawn(self._hidden, 1, gain=1.0)]
        parameters = [part for layer in self._layers for part in (layer.weights, layer.biases)]
        averages = [(np.zeros_like(part), np.zeros_like(part)) for part in parameters]
        for step in range(1, self._steps + 1):
            batch_inputs, batch_targets = inputs, targets
            if len(targets) > self._batch_size:
                batch = self.rng.integers(len(targets), size=self._batch_size)
                batch_inputs, batch_targets = inputs[batch], targets[batch]
            gradients = self._gradients(batch_inputs, batch_targets)
            rate = np.float32(self._learning_rate * (1 + np.cos(np.pi * (step - 1) / self._steps)) / 2)
            for part, gradient, (first, second) in zip(parameters, gradients, averages, strict=True):
                first += np.float32(1 - DECAYS[0]) * (gradient - first)
                second += np.float32(1 - DECAYS[1]) * (gradient * gradient - second)
                root = np.sqrt(second / np.float32(1 - DECAYS[1] ** step)) + np.float32(1e-8)
                part -= rate / np.float32(1 - DECAYS[0] ** step) * first / root
            for layer in self._layers:
                layer.weights *= 1 - rate * np.float32(self._weight_decay)

    def predict_features(self, features: np.ndarray) -> Prediction:
        each = self._activations(features * self._feature_scale)[-1][..., 0].astype(np.float64)
        return Prediction(each.mean(axis=0), each.std(axis=0))

    def _drawn(self, inputs: int, outputs: int | None = None, gain: float = 2.0) -> _Layer:
        """Draw a layer's weights from a normal distribution of variance gain/inputs (He et al., ICCV 2015)."""
        shape = (self._members, inputs, outputs or self._hidden)
        weights = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(gain / inputs))
        return _Layer(weights, np.zeros((self._members, 1, shape[2]), dtype=np.float32))

    def _activations(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Return the inputs [n, width] and what leaves each layer, [members, n, outputs]."""
        activations = [inputs]
        for layer in self._layers:
            values = activations[-1] @ layer.weights + layer.biases
            activations.append(values if layer is self._layers[-1] else np.maximum(values, 0, out=values))
        return activations

    def _gradients(self, inputs: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        """Return the gradient of every member's mean squared error, in the order of the parameters."""
        activations = self._activations(inputs)
        gradients: list[np.ndarray] = []
        error = (activations[-1] - targets[:, None]) * np.float32(2 / len(targets))
        for number in (2, 1, 0):
            below = activations[number]
            gradients[:0] = [np.swapaxes(below, -1, -2) @ error, error.sum(axis=1, keepdims=True)]
            if number:
                error = (error @ self._layers[number].weights.transpose(0, 2, 1)) * (below > 0)
        return gradients

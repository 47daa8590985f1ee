"""How the logits alpha of an edge become the factors of its operations: one small class for each published rule.

All take and return tensors [edges, operations]. Random rules draw from the generator given, on its own device, so that
one generator gives the same numbers whatever device alpha lies on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Coefficients(Protocol):
    """A rule from logits to the factors with which a supernet mixes its operations."""

    def coefficients(self, alpha: Tensor, *, progress: float, generator: torch.Generator, training: bool) -> Tensor:
        """Return the factors [edges, operations], differentiable in ``alpha``.

        ``progress`` is the share of the search done, 0 to 1. ``training`` says that the factors are for a step of the
        network weights, and not for a step of alpha or a validation.
        """
        ...

    def decode_weights(self, alpha: Tensor) -> Tensor:
        """Return the strengths [edges, operations] by which an architecture is read off."""
        ...


@dataclass(frozen=True)
class Softmax:
    """A softmax over the operations of each edge (Liu et al., DARTS, ICLR 2019, section 2.2)."""

    def coefficients(self, alpha: Tensor, *, progress: float, generator: torch.Generator, training: bool) -> Tensor:
        return alpha.softmax(dim=-1)

    def decode_weights(self, alpha: Tensor) -> Tensor:
        return alpha.softmax(dim=-1)


@dataclass(frozen=True)
class MaxW(Softmax):
    """Max-W: 1 - max w + w, with w the softmax (Hundt, Jain, Hager, sharpDARTS, arXiv 1903.09900, 2019).

    The strongest operation has always the factor 1, and with equal weights all have it. The gradient passes through the
    maximum, as in the authors' program, unless ``detach_max``. Tied maxima share its gradient equally.
    """

    detach_max: bool = False

    def coefficients(self, alpha: Tensor, *, progress: float, generator: torch.Generator, training: bool) -> Tensor:
        weights = alpha.softmax(dim=-1)
        largest = weights.amax(dim=-1, keepdim=True)
        return 1 - (largest.detach() if self.detach_max else largest) + weights


@dataclass(frozen=True)
class Sigmoid:
    """A sigmoid of each logit, so that operations do not compete (Chu et al., Fair DARTS, ECCV 2020)."""

    def coefficients(self, alpha: Tensor, *, progress: float, generator: torch.Generator, training: bool) -> Tensor:
        return alpha.sigmoid()

    def decode_weights(self, alpha: Tensor) -> Tensor:
        return alpha.sigmoid()


@dataclass(frozen=True)
class Perturbed(Softmax):
    """SDARTS-RS: steps of the network weights see the softmax with random smoothing (Chen & Hsieh, ICML 2020).

    Uniform noise from [-epsilon, epsilon], clipped to [0, 1] and scaled to the sum 1; epsilon grows linearly from
    ``first`` to ``last``. Where all weights of an edge are clipped to 0, the largest before clipping becomes 1.
    """

    first: float = 0.03
    last: float = 0.3

    def coefficients(self, alpha: Tensor, *, progress: float, generator: torch.Generator, training: bool) -> Tensor:
        weights = alpha.softmax(dim=-1)
        if not training:
            return weights
        epsilon = self.first + (self.last - self.first) * progress
        noisy = weights + epsilon * (2 * _uniform(alpha, generator) - 1)
        clipped = noisy.clamp(0, 1)
        total = clipped.sum(dim=-1, keepdim=True)
        # Chosen without a branch: reading a value back would make a GPU wait.
        normal = clipped / torch.where(total > 0, total, 1)
        return torch.where(total > 0, normal, _one_hot(noisy))


@dataclass(frozen=True)
class GumbelHard(Softmax):
    """GDAS: one operation sampled for each edge, with the gradient of the relaxed sample (Dong & Yang, CVPR 2019).

    The sample is the largest of log softmax(alpha) plus Gumbel noise; its relaxation is the softmax of the same sum
    over a temperature that falls linearly from ``hot`` to ``cold``. Steps of weights and of alpha both sample.
    """

    hot: float = 10.0
    cold: float = 0.1

    def coefficients(self, alpha: Tensor, *, progress: float, generator: torch.Generator, training: bool) -> Tensor:
        temperature = self.hot + (self.cold - self.hot) * progress
        # With u in [0, 1), 1 - u is never 0; the clamp keeps a draw of 0 from becoming infinite noise.
        exponential = (-torch.log1p(-_uniform(alpha, generator))).clamp_min(torch.finfo(alpha.dtype).tiny)
        scores = alpha.log_softmax(dim=-1) - exponential.log()
        soft = (scores / temperature).softmax(dim=-1)
        # The difference is exactly 0, so the values are exactly 0 and 1.
        return _one_hot(scores) + (soft - soft.detach())


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(like.shape, generator=generator, device=generator.device, dtype=like.dtype)
    return drawn.to(like.device)


def _one_hot(scores: Tensor) -> Tensor:
    return torch.zeros_like(scores).scatter(-1, scores.argmax(dim=-1, keepdim=True), 1)

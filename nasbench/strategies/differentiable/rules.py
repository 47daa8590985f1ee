"""From the words of a configuration to the objects of the pieces."""

from __future__ import annotations

from nasbench.strategies.differentiable.coefficients import Coefficients, GumbelHard, MaxW, Perturbed, Sigmoid, Softmax
from nasbench.strategies.differentiable.config import FASTEST_ALPHA, SEARCH_EPOCHS, SEARCH_STEPS, DifferentiableConfig
from nasbench.strategies.differentiable.schedule import cosine_power, cosine_power_reference

RULES: dict[str, Coefficients] = {
    "softmax": Softmax(),
    "max-w": MaxW(),
    "max-w-detached": MaxW(detach_max=True),
    "sigmoid": Sigmoid(),
    "perturbed": Perturbed(),
    "gumbel": GumbelHard(),
}
DARTS_ALPHA_RATE = 3e-4
WARMUP_SHARE = 5 / 120


def number_of_epochs(config: DifferentiableConfig, evaluations: int | None) -> int:
    """Return how many epochs a search has: as configured, else one an evaluation, else those of DARTS."""
    return config.epochs or evaluations or SEARCH_EPOCHS


def learning_rates(config: DifferentiableConfig, epochs: int) -> list[float]:
    """Return the rate of the weights in every epoch."""
    high, low = config.learning_rate, config.learning_rate_end
    if config.schedule == "cosine power, rescaled":
        warmup = config.warmup_epochs
        if warmup is None:
            warmup = min(round(WARMUP_SHARE * epochs), epochs - 1)
        return cosine_power_reference(epochs, high, low, config.power, warmup)
    power = 1.0 if config.schedule == "cosine" else config.power
    return [cosine_power(epoch, epochs, high, low, power) for epoch in range(epochs)]


def alpha_learning_rate(config: DifferentiableConfig, steps: int) -> float:
    """Return the rate of alpha in a search of so many ``steps``; see `DifferentiableConfig.alpha_learning_rate`."""
    if config.alpha_learning_rate is not None:
        return config.alpha_learning_rate
    return min(max(DARTS_ALPHA_RATE * SEARCH_STEPS / steps, DARTS_ALPHA_RATE), FASTEST_ALPHA)

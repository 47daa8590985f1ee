"""The architecture gradient: fixed points of a toy problem, and automatic differentiation through the weight step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nasbench.core.errors import BadInput
from nasbench.strategies.differentiable.bilevel import (
    PERTURBATION,
    WeightStep,
    architecture_gradient,
    first_order_gradient,
    second_order_gradient,
)

Tensors = Mapping[str, Tensor]
LEARNING_RATE = 0.025


# -- the toy problem of Liu et al., figure 2 -------------------------------------------------------------------------
def toy_validation(weights: Tensors, alpha: Tensors) -> Tensor:
    return alpha["a"] * weights["w"] - 2 * alpha["a"] + 1


def toy_training(weights: Tensors, alpha: Tensors) -> Tensor:
    return weights["w"] ** 2 - 2 * alpha["a"] * weights["w"] + alpha["a"] ** 2


@pytest.mark.parametrize(
    ("order", "xi", "fixed_point"), [(1, 0, 2), (2, 0, 2), (2, 0.25, 4 / 3), (2, 0.5, 1), (2, 1, 2 / 3)]
)
def test_toy_problem_ends_at_its_fixed_point(order: int, xi: float, fixed_point: float) -> None:
    alpha = {"a": torch.tensor(2.0, dtype=torch.float64)}
    weights = {"w": torch.tensor(-2.0, dtype=torch.float64)}
    step = WeightStep(xi, momentum=0, weight_decay=0)
    for _ in range(800):
        gradient = architecture_gradient(toy_training, toy_validation, weights, alpha, order=order, step=step)
        alpha = {"a": alpha["a"] - 0.05 * gradient["a"]}
        weights = {"w": weights["w"] - 0.05 * (2 * weights["w"] - 2 * alpha["a"])}
    assert float(alpha["a"]) == pytest.approx(fixed_point, rel=0, abs=1e-9)
    assert float(weights["w"]) == pytest.approx(fixed_point, rel=0, abs=1e-9)


# -- a network with two operations -----------------------------------------------------------------------------------
class TwoOperations(nn.Module):
    """An edge that mixes two layers, then a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(5, 7), nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        factors = alpha.softmax(dim=-1)[0]
        return self.head(factors[0] * self.first(x).tanh() + factors[1] * self.second(x).sin())


@pytest.fixture
def network() -> TwoOperations:
    network = TwoOperations().double()
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return network


def losses(network: nn.Module) -> tuple[Callable[[Tensors, Tensors], Tensor], ...]:
    """Return the training and the validation loss."""
    generator = torch.Generator().manual_seed(1)

    def loss_on_a_batch() -> Callable[[Tensors, Tensors], Tensor]:
        x = torch.randn(16, 5, generator=generator, dtype=torch.float64)
        y = torch.randint(3, (16,), generator=generator)
        return lambda weights, alpha: nn.functional.cross_entropy(
            functional_call(network, dict(weights), (x, alpha["edge"])), y
        )

    return loss_on_a_batch(), loss_on_a_batch()


def problem(network: TwoOperations) -> tuple[Tensors, Tensors, WeightStep]:
    generator = torch.Generator().manual_seed(2)
    weights = dict(network.named_parameters())
    buffers = {name: torch.randn(w.shape, generator=generator, dtype=torch.float64) for name, w in weights.items()}
    alpha = {"edge": torch.tensor([[0.3, -0.2]], dtype=torch.float64)}
    return weights, alpha, WeightStep(LEARNING_RATE, buffers=buffers)


def unrolled_gradient(network: TwoOperations, momentum: bool = True) -> Tensor:
    """Return the gradient by automatic differentiation through the step of the weights, nothing detached."""
    training, validation = losses(network)
    weights, alpha, step = problem(network)
    leaf = alpha["edge"].clone().requires_grad_()
    gradients = torch.autograd.grad(training(weights, {"edge": leaf}), list(weights.values()), create_graph=True)
    ahead = {
        name: w - LEARNING_RATE * (0.9 * momentum * step.buffers[name] + g + 3e-4 * w)
        for (name, w), g in zip(weights.items(), gradients, strict=True)
    }
    return torch.autograd.grad(validation(ahead, {"edge": leaf}), leaf)[0]


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def test_second_order_equals_differentiation_through_the_step(network: TwoOperations) -> None:
    weights, alpha, step = problem(network)
    gradient = second_order_gradient(*losses(network), weights, alpha, step)["edge"]
    assert relative_error(gradient, unrolled_gradient(network)) < 1e-6


def test_the_tolerance_tells_wrong_formulas(network: TwoOperations) -> None:
    training, validation = losses(network)
    weights, alpha, step = problem(network)
    expected = unrolled_gradient(network)
    right = second_order_gradient(training, validation, weights, alpha, step)["edge"]

    # (p - n) / 2 * epsilon instead of (p - n) / (2 * epsilon): the second term all but vanishes.
    here = {name: w.detach().requires_grad_() for name, w in weights.items()}
    gradients = dict(zip(here, torch.autograd.grad(training(here, alpha), list(here.values())), strict=True))
    ahead = {name: w.detach().requires_grad_() for name, w in step.after(here, gradients).items()}
    v = torch.autograd.grad(validation(ahead, alpha), list(ahead.values()))
    epsilon = PERTURBATION / torch.cat([part.flatten() for part in v]).norm()
    direct = first_order_gradient(validation, ahead, alpha)["edge"]
    buggy = direct + (right - direct) * epsilon**2
    assert relative_error(buggy, expected) > 1e-4

    without_momentum = WeightStep(LEARNING_RATE)
    forgetful = second_order_gradient(training, validation, weights, alpha, without_momentum)["edge"]
    assert relative_error(forgetful, expected) > 1e-4
    assert relative_error(forgetful, unrolled_gradient(network, momentum=False)) < 1e-6
    assert relative_error(first_order_gradient(validation, weights, alpha)["edge"], expected) > 1e-4


def test_nothing_given_is_changed(network: TwoOperations) -> None:
    training, validation = losses(network)
    weights, alpha, step = problem(network)
    alpha["edge"].requires_grad_()
    before = {name: w.detach().clone() for name, w in {**weights, **alpha, **step.buffers}.items()}
    for order in (1, 2):
        gradient = architecture_gradient(training, validation, weights, alpha, order=order, step=step)
        assert gradient["edge"].shape == (1, 2)
        assert not gradient["edge"].requires_grad
    assert all(torch.equal(w, before[name]) for name, w in {**weights, **alpha, **step.buffers}.items())
    assert all(w.grad is None and w.requires_grad for w in (*weights.values(), alpha["edge"]))


def test_without_a_learning_rate_both_orders_agree(network: TwoOperations) -> None:
    training, validation = losses(network)
    weights, alpha, _ = problem(network)
    first, second = (
        architecture_gradient(training, validation, weights, alpha, order=order, step=WeightStep(0.0))["edge"]
        for order in (1, 2)
    )
    torch.testing.assert_close(first, second)


def test_alpha_that_the_network_does_not_use_has_the_gradient_zero(network: TwoOperations) -> None:
    training, validation = losses(network)
    weights, alpha, step = problem(network)
    alpha = {**alpha, "reduce": torch.ones(2, 3, dtype=torch.float64)}
    for order in (1, 2):
        gradient = architecture_gradient(training, validation, weights, alpha, order=order, step=step)
        assert gradient["reduce"].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_validation_loss_that_ignores_the_weights_has_no_second_term() -> None:
    alpha = {"a": torch.tensor(3.0)}
    gradient = second_order_gradient(
        toy_training, lambda weights, alpha: alpha["a"] ** 2, {"w": torch.tensor(1.0)}, alpha, WeightStep(0.1)
    )
    assert float(gradient["a"]) == 6


def test_the_step_is_the_one_that_the_optimiser_takes(network: TwoOperations) -> None:
    training, _ = losses(network)
    weights, alpha, _ = problem(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=3e-3)
    for _ in range(3):
        optimiser.zero_grad()
        training(weights, alpha).backward()
        gradients = {name: w.grad.clone() for name, w in weights.items() if w.grad is not None}
        predicted = WeightStep.of(optimiser, weights).after(weights, gradients)
        optimiser.step()
        for name, weight in weights.items():
            torch.testing.assert_close(predicted[name], weight, rtol=1e-12, atol=1e-12)


def test_bad_input_is_refused(network: TwoOperations) -> None:
    weights, alpha, step = problem(network)
    with pytest.raises(BadInput, match="order 1 or 2, not 3"):
        architecture_gradient(*losses(network), weights, alpha, order=3, step=step)  # type: ignore[arg-type]
    for options in ({"nesterov": True}, {"dampening": 0.1}):
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, **options)
        with pytest.raises(BadInput, match="second order needs SGD"):
            WeightStep.of(optimiser, weights)

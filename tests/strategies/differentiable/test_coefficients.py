"""The rules from logits to factors: worked numbers, gradients, and the random ones' distributions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nasbench.strategies.differentiable.coefficients import (
    Coefficients,
    GumbelHard,
    MaxW,
    Perturbed,
    Sigmoid,
    Softmax,
)

RULES: list[Coefficients] = [Softmax(), MaxW(), MaxW(detach_max=True), Sigmoid(), Perturbed(), GumbelHard()]
WORKED = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
"""Logits whose softmax is (.5, .3, .2); with operations that give 1, 2 and 3."""


def factors(
    rule: Coefficients, alpha: Tensor, *, seed: int = 0, progress: float = 0.5, training: bool = True
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return rule.coefficients(alpha, progress=progress, generator=generator, training=training)


def loss_and_gradient(rule: Coefficients, alpha: Tensor) -> tuple[float, list[float]]:
    """Return the sum of factors times 1, 2, 3, ... and its gradient for alpha."""
    alpha = alpha.clone().requires_grad_()
    outputs = torch.arange(1, alpha.shape[1] + 1, dtype=alpha.dtype)
    loss = (factors(rule, alpha) * outputs).sum()
    (gradient,) = torch.autograd.grad(loss, alpha)
    return loss.item(), gradient[0].tolist()


def test_worked_numbers_of_softmax_and_max_w() -> None:
    assert factors(MaxW(), WORKED)[0].tolist() == pytest.approx([1, 0.8, 0.7])
    for rule, loss, gradient in [
        (Softmax(), 1.7, [-0.35, 0.09, 0.26]),
        (MaxW(), 4.7, [-1.85, 0.99, 0.86]),
        (MaxW(detach_max=True), 4.7, [-0.35, 0.09, 0.26]),
    ]:
        got_loss, got_gradient = loss_and_gradient(rule, WORKED)
        assert got_loss == pytest.approx(loss, abs=1e-12)
        assert got_gradient == pytest.approx(gradient, abs=1e-12)


@pytest.mark.parametrize("detach_max", [False, True])
def test_max_w_of_equal_logits_gives_every_operation_the_factor_one(detach_max: bool) -> None:
    rule = MaxW(detach_max=detach_max)
    equal = torch.full((1, 4), 0.7, dtype=torch.float64)
    assert factors(rule, equal).tolist() == [[1, 1, 1, 1]]
    assert loss_and_gradient(rule, equal)[1] == pytest.approx([-0.375, -0.125, 0.125, 0.375], abs=1e-12)


def test_max_w_of_a_decided_edge_is_the_softmax() -> None:
    decided = torch.tensor([[0.0, 200.0, 0.0]])
    assert factors(MaxW(), decided).tolist() == factors(Softmax(), decided).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("rule", [Softmax(), MaxW(), MaxW(detach_max=True), Perturbed(), GumbelHard()])
def test_shifting_the_logits_of_an_edge_changes_nothing(rule: Coefficients) -> None:
    alpha = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    values = factors(rule, alpha)
    (gradient,) = torch.autograd.grad((values * torch.arange(30.0).view(6, 5)).sum(), alpha)
    torch.testing.assert_close(gradient.sum(dim=1), torch.zeros(6, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(factors(rule, alpha + torch.arange(6.0).view(6, 1)), values)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_rule_is_repeatable_leaves_alpha_alone_and_has_a_gradient(rule: Coefficients) -> None:
    alpha = torch.randn(14, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    before, global_state = alpha.detach().clone(), torch.get_rng_state()
    values = factors(rule, alpha, seed=3)
    assert values.shape == (14, 8)
    assert torch.equal(values, factors(rule, alpha, seed=3))
    (gradient,) = torch.autograd.grad((values * torch.arange(8.0)).sum(), alpha)
    assert gradient.isfinite().all()
    assert (gradient.abs().sum(dim=1) > 0).all()
    assert torch.equal(alpha, before)
    assert torch.equal(torch.get_rng_state(), global_state)
    decode = alpha.sigmoid() if isinstance(rule, Sigmoid) else alpha.softmax(dim=-1)
    assert torch.equal(rule.decode_weights(alpha), decode)


def test_sigmoid_takes_each_logit_alone() -> None:
    value = factors(Sigmoid(), torch.tensor([[0.0, 2.0, -2.0]]))
    assert value[0].tolist() == pytest.approx([0.5, 0.880797, 0.119203], abs=1e-6)


@pytest.mark.parametrize(("progress", "epsilon"), [(0.0, 0.03), (0.5, 0.165), (1.0, 0.3)])
def test_perturbation_grows_with_the_search_and_keeps_a_distribution(progress: float, epsilon: float) -> None:
    alpha = torch.zeros(20_000, 2, dtype=torch.float64)
    values = factors(Perturbed(), alpha, progress=progress)
    torch.testing.assert_close(values.sum(dim=1), torch.ones(len(alpha), dtype=torch.float64))
    # Of weights 1/2 nothing is clipped; (1/2 + a) / (1 + a + b) is largest for a = epsilon, b = -epsilon.
    assert 0.97 * epsilon < float((values - 0.5).abs().max()) <= epsilon
    assert float(values[:, 0].mean()) == pytest.approx(0.5, abs=0.01)


def test_perturbation_only_in_steps_of_the_weights() -> None:
    assert torch.equal(factors(Perturbed(), WORKED, training=False), WORKED.softmax(dim=-1))
    assert not torch.equal(factors(Perturbed(), WORKED, training=True), WORKED.softmax(dim=-1))


def test_perturbation_that_clips_a_whole_edge_leaves_its_largest_operation() -> None:
    values = factors(Perturbed(first=50.0, last=50.0), torch.zeros(2000, 3))
    assert values.isfinite().all()
    torch.testing.assert_close(values.sum(dim=1), torch.ones(2000))
    # Each of three weights is negative in about half of the draws, all three in one of eight; clamped to 0 or to 1.
    ones = (values == 1).any(dim=1).double().mean()
    assert float(ones) == pytest.approx(1 / 8 + 3 / 8, abs=0.05)


def test_perturbed_gradient_is_finite_where_all_is_clipped() -> None:
    alpha = torch.zeros(200, 3).requires_grad_()
    (gradient,) = torch.autograd.grad((factors(Perturbed(50.0, 50.0), alpha) * torch.arange(3.0)).sum(), alpha)
    assert gradient.isfinite().all()


def test_gumbel_samples_operations_by_their_softmax() -> None:
    alpha = WORKED.float().expand(40_000, 3)
    for training in (True, False):
        values = factors(GumbelHard(), alpha, training=training)
        assert set(values.unique().tolist()) == {0.0, 1.0}  # exactly, no rounding left of the relaxation
        assert values.sum(dim=1).eq(1).all()
        assert values.mean(dim=0).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.01)


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 10.0), (0.5, 5.05), (1.0, 0.1)])
def test_gumbel_gradient_is_that_of_the_relaxed_sample(progress: float, temperature: float) -> None:
    alpha = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).requires_grad_()
    weights = torch.arange(20, dtype=torch.float64).view(4, 5)
    values = factors(GumbelHard(), alpha, progress=progress)
    (gradient,) = torch.autograd.grad((values * weights).sum(), alpha)
    uniform = torch.rand(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores = alpha - (-(1 - uniform).log()).log()
    (expected,) = torch.autograd.grad(((scores / temperature).softmax(dim=-1) * weights).sum(), alpha)
    torch.testing.assert_close(gradient, expected)
    assert torch.equal(values.argmax(dim=1), scores.argmax(dim=1))


def test_gumbel_survives_a_draw_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **options: torch.zeros(shape, dtype=options["dtype"]))
    alpha = torch.zeros(2, 3).requires_grad_()
    values = factors(GumbelHard(), alpha, progress=1.0)
    (gradient,) = torch.autograd.grad(values[:, 0].sum(), alpha)
    assert values.isfinite().all()
    assert gradient.isfinite().all()

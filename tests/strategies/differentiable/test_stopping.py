"""The dominant eigenvalue against the dense Hessian, and the two rules that end a search."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian

from nasbench.core.errors import Diverged
from nasbench.strategies.differentiable.stopping import EigenvalueStop, dominant_eigenvalue, too_many_skips

from .small_problem import TASK, parts


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- the eigenvalue --------------------------------------------------------------------------------------------------
def cell_loss(alpha: Tensor) -> Tensor:
    """Cross-entropy of a small cell with six edges (node <- source) of five operations; alpha is [6, 5]."""
    draw = generator(7)
    x, y = torch.randn(32, 8, generator=draw, dtype=torch.float64), torch.randint(4, (32,), generator=draw)
    states, factors = {0: x}, alpha.softmax(dim=-1)
    for edge, (node, source) in enumerate([(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]):
        a, b = (torch.randn(8, 8, generator=draw, dtype=torch.float64) / 2 for _ in range(2))
        s = states[source]
        outputs = torch.stack([0 * s, s, (s @ a).tanh(), (s @ b).relu(), s.mean(dim=1, keepdim=True).expand_as(s)])
        mixed = torch.einsum("o,onc->nc", factors[edge], outputs)
        states[node] = states[node] + mixed if node in states else mixed
    return nn.functional.cross_entropy(2 * states[3][:, :4], y)


@pytest.mark.parametrize("scale", [0.001, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_eigenvalue_equals_that_of_the_dense_hessian(scale: float, seed: int) -> None:
    alpha = scale * torch.randn(6, 5, generator=generator(seed), dtype=torch.float64)
    dense = torch.linalg.eigvalsh(hessian(cell_loss, alpha).reshape(30, 30))
    assert float(dense[-1]) > 0
    got = dominant_eigenvalue(lambda tensors: cell_loss(tensors["cell"]), {"cell": alpha}, generator())
    assert got == pytest.approx(float(dense[-1]), rel=1e-3)


def test_largest_eigenvalue_where_a_negative_one_has_the_larger_magnitude() -> None:
    diagonal = torch.tensor([-5.0, 2.0, 0.5, -1.0], dtype=torch.float64)
    loss = lambda tensors: (diagonal * torch.cat([tensors["a"], tensors["b"]]) ** 2).sum() / 2  # noqa: E731
    alpha = {"a": torch.ones(1, dtype=torch.float64), "b": torch.ones(3, dtype=torch.float64)}
    assert dominant_eigenvalue(loss, alpha, generator()) == pytest.approx(2, rel=1e-3)
    only_negative = lambda tensors: -(tensors["a"] ** 2).sum() - 2 * (tensors["b"] ** 2).sum()  # noqa: E731
    assert dominant_eigenvalue(only_negative, alpha, generator()) == pytest.approx(-2, rel=1e-3)


def test_flat_losses_have_the_eigenvalue_zero() -> None:
    alpha = {"a": torch.ones(3), "unused": torch.ones(2)}
    assert dominant_eigenvalue(lambda tensors: tensors["a"].sum(), alpha, generator()) == 0
    assert dominant_eigenvalue(lambda tensors: (0 * tensors["a"] ** 2).sum(), alpha, generator()) == 0


def test_the_eigenvalue_of_near_opposite_ends_takes_few_products() -> None:
    # A power iteration would need hundreds of products to tell -1.001 from 1.
    diagonal = torch.linspace(-1.001, 1, 200, dtype=torch.float64)
    diagonal[1:-1] /= 2
    calls: list[Tensor] = []

    class Square(torch.autograd.Function):
        """Half of sum d x^2, whose gradient counts how often it is differentiated."""

        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return (diagonal * x**2).sum() / 2

        @staticmethod
        def backward(ctx, upstream: Tensor) -> Tensor:
            return upstream * Gradient.apply(*ctx.saved_tensors)

    class Gradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return diagonal * x

        @staticmethod
        def backward(ctx, upstream: Tensor) -> Tensor:
            calls.append(upstream)
            return diagonal * upstream

    alpha = {"a": torch.ones(200, dtype=torch.float64)}
    assert dominant_eigenvalue(lambda t: Square.apply(t["a"]), alpha, generator()) == pytest.approx(1, rel=1e-6)
    assert len(calls) < 30


def test_a_diverged_loss_is_named() -> None:
    with pytest.raises(Diverged, match="not finite"):
        dominant_eigenvalue(lambda tensors: (tensors["a"] ** 2 / 0).sum(), {"a": torch.zeros(3)}, generator())


def test_eigenvalue_leaves_alpha_alone_and_is_repeatable() -> None:
    alpha = torch.randn(6, 5, generator=generator(), dtype=torch.float64).requires_grad_()
    loss = lambda tensors: cell_loss(tensors["cell"])  # noqa: E731
    first, second = (dominant_eigenvalue(loss, {"cell": alpha}, generator(5)) for _ in range(2))
    assert first == second
    assert alpha.grad is None


# -- the rules -------------------------------------------------------------------------------------------------------
def first_stop(eigenvalues: list[float], epochs: range | None = None) -> tuple[int, int] | None:
    """Return (epoch at which the rule stops, epoch to go back to)."""
    rule = EigenvalueStop()
    for epoch, eigenvalue in zip(epochs or range(len(eigenvalues)), eigenvalues, strict=True):
        back = rule.update(epoch, eigenvalue)
        if back is not None:
            return epoch, back
    return None


def test_steady_eigenvalues_never_stop() -> None:
    assert first_stop([1.0] * 100) is None
    assert first_stop([0.98**epoch for epoch in range(100)]) is None
    assert first_stop([1.05**epoch for epoch in range(100)]) is None  # 1.05^4 = 1.216
    assert first_stop([0.0] * 50) is None
    assert first_stop([-2.0] * 30 + [-1.0] * 30) is None  # a ratio says nothing of negative ones


def test_growth_stops_as_soon_as_the_rule_may() -> None:
    # 1.08^4 = 1.36. The window ending at epoch 16 stands for 14, the one four before for 10, the first allowed.
    assert first_stop([1.08**epoch for epoch in range(100)]) == (16, 10)


def test_a_jump_stops_once_it_lifts_the_mean_enough() -> None:
    # From epoch 30 at 2: of the window ending at 31 two of five, mean 1.4; at 30 it was 1.2. It goes back to 31 - 6.
    assert first_stop([1.0] * 30 + [2.0] * 20) == (31, 25)
    assert first_stop([0.0] * 30 + [0.1] * 20) == (30, 24)
    # One high value in a window of five must be more than 2.5 to lift the mean above 1.3.
    assert first_stop([1.0] * 30 + [2.4] + [1.0] * 20) is None
    assert first_stop([1.0] * 30 + [2.6] + [1.0] * 20) == (30, 24)


def test_epochs_between_evaluations_are_counted() -> None:
    epochs = range(0, 100, 2)
    # Evaluations at even epochs: the first earlier window that stands for epoch 10 is reached at epoch 22.
    assert first_stop([1.2**i for i in range(50)], epochs) == (22, 10)


def test_early_windows_hold_the_few_values_there_are() -> None:
    # Evaluations 10 epochs apart: the earlier window of the sixth evaluation would stand for epoch -10 and is not used;
    # that of the eighth holds the first four values, mean 1, and stands for epoch 10. Mean of the last five: 1.8.
    values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 5.0]
    assert first_stop(values, range(0, 80, 10)) == (70, 10)


def test_a_rule_continues_from_its_state() -> None:
    rule = EigenvalueStop()
    for epoch in range(30):
        assert rule.update(epoch, 1.0) is None
    resumed = EigenvalueStop()
    resumed.load_state_dict(json.loads(json.dumps(rule.state_dict())))
    assert resumed == rule
    assert rule.update(30, 3.0) == resumed.update(30, 3.0) == 24
    assert len(resumed.epochs) == 31


def test_two_skips_are_too_many() -> None:
    assert not too_many_skips(["skip_connect", "sep_conv_3x3", "none"])
    assert too_many_skips(["skip_connect", "sep_conv_3x3", "skip_connect"])
    assert not too_many_skips(["skip_connect", "skip_connect"], limit=3)


# -- a real supernet -------------------------------------------------------------------------------------------------
def test_eigenvalue_of_a_supernet_equals_that_of_its_dense_hessian() -> None:
    """All 30 x 30 second derivatives of a NAS-Bench-201 supernet on images, one Hessian-vector product a column."""
    supernet = parts("darts")[3].module.double().requires_grad_(False)
    images = TASK.train.images[:8].double() / 255
    labels = TASK.train.labels[:8]
    start = {"cell": 0.5 * torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))}

    def loss(alpha: Mapping[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(supernet(images, {"cell": alpha["cell"].softmax(dim=-1)}), labels)

    logits = start["cell"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss({"cell": logits}), logits, create_graph=True)
    rows = [torch.autograd.grad(gradient.flatten()[i], logits, retain_graph=True)[0].flatten() for i in range(30)]
    hessian = torch.stack(rows)
    torch.testing.assert_close(hessian, hessian.T, rtol=0, atol=1e-9)
    expected = float(torch.linalg.eigvalsh(hessian)[-1])
    found = dominant_eigenvalue(loss, start, torch.Generator().manual_seed(1))
    assert found == pytest.approx(expected, rel=1e-3)

"""The auxiliary skip of DARTS- and the zero-one loss of Fair DARTS."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.networks.operations import darts_operation
from nasbench.strategies.differentiable.regularisers import DECAYS, auxiliary_skip, with_auxiliary_skip, zero_one_loss


@pytest.mark.parametrize(("decay", "at_a_quarter"), [("linear", 0.75), ("cosine", 0.8535533906)])
def test_auxiliary_skip_falls_from_one_to_zero(decay: str, at_a_quarter: float) -> None:
    values = [auxiliary_skip(progress, decay) for progress in (0, 0.25, 0.5, 1)]  # type: ignore[arg-type]
    assert values == pytest.approx([1, at_a_quarter, 0.5, 0], abs=1e-10)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(DECAYS))
def test_auxiliary_skip_never_rises(a: float, b: float, decay: str) -> None:
    early, late = sorted((a, b))
    assert auxiliary_skip(early, decay) >= auxiliary_skip(late, decay)  # type: ignore[arg-type]


def test_unknown_decay() -> None:
    with pytest.raises(BadInput, match="Did you mean 'cosine'"):
        auxiliary_skip(0.5, "cosin")  # type: ignore[arg-type]


def test_a_raised_skip_coefficient_adds_beta_times_the_input() -> None:
    names = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3")
    operations = [darts_operation(name, 4, 1, affine=False).double() for name in names]
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def mixed(factors: torch.Tensor) -> torch.Tensor:
        return sum(factor * operation(x) for factor, operation in zip(factors, operations, strict=True))

    coefficients = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64).requires_grad_()
    raised = with_auxiliary_skip(coefficients, names.index("skip_connect"), 0.7)
    torch.testing.assert_close(mixed(raised[0]), mixed(coefficients[0]) + 0.7 * x)
    assert coefficients.tolist() == [[0.1, 0.2, 0.3, 0.4]]
    assert torch.equal(torch.autograd.grad(raised.sum(), coefficients)[0], torch.ones(1, 4, dtype=torch.float64))


def test_zero_one_loss_is_least_for_decided_sigmoids() -> None:
    undecided, decided = torch.zeros(3, 4), torch.full((3, 4), 50.0)
    assert float(zero_one_loss([undecided])) == 0
    assert float(zero_one_loss([decided, -decided])) == pytest.approx(-10 / 4)
    # The mean is over all entries together: 12 of 0 and 24 of 1/4, times the weight.
    assert float(zero_one_loss([undecided, torch.cat([decided, -decided])], weight=3)) == pytest.approx(
        -3 * 24 / 36 / 4
    )


def test_zero_one_loss_drives_each_sigmoid_away_from_one_half() -> None:
    alpha = torch.tensor([[0.1, -0.1, 1.0]]).requires_grad_()
    (gradient,) = torch.autograd.grad(zero_one_loss([alpha]), alpha)
    assert (-gradient).sign().tolist() == [[1, -1, 1]]

"""Batch norm against `torch.nn.BatchNorm2d`."""

import copy

import pytest
import torch
from torch import nn

from nasbench.networks.batch_norm import moments, normalise, normalise_together


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 + 1


def maps(*shape: int) -> torch.Tensor:
    return noise(*shape).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(4, 3, 5, 7), (8, 16, 4, 4), (2, 600, 1, 1)])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_output_gradients_and_statistics_are_those_of_torch(
    shape: tuple[int, ...], affine: bool, training: bool
) -> None:
    reference = nn.BatchNorm2d(shape[1], affine=affine).double().train(training)
    for value in (*reference.parameters(), reference.running_mean):
        nn.init.normal_(value)
    norm = copy.deepcopy(reference)
    x = maps(*shape).requires_grad_()
    found, expected = normalise(x, norm), reference(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradient = torch.randn_like(found)
    for a, b in zip(
        torch.autograd.grad(found, (x, *norm.parameters()), gradient),
        torch.autograd.grad(expected, (x, *reference.parameters()), gradient),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
def test_a_coefficient_multiplies_the_output(dtype: torch.dtype, training: bool) -> None:
    norm = nn.BatchNorm2d(8, affine=False).to(dtype).train(training)
    x, coefficient = maps(4, 8, 6, 6).to(dtype).requires_grad_(), torch.tensor(0.3, dtype=dtype, requires_grad=True)
    found, expected = normalise(x, norm, coefficient), coefficient * copy.deepcopy(norm)(x)
    gradient = torch.randn_like(found)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-11, "atol": 1e-11}
    for a, b in zip(
        (found, *torch.autograd.grad(found, (x, coefficient), gradient)),
        (expected, *torch.autograd.grad(expected, (x, coefficient), gradient)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, **tolerance)


def test_statistics_of_many_pixels_keep_the_precision_of_float32() -> None:
    """A plain sum of 65,536 numbers, one after another, would be wrong in the fifth digit."""
    x = torch.rand(64, 16, 32, 32, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    mean, variance = moments(x)
    exact = x.double()
    torch.testing.assert_close(mean.double(), exact.mean(dim=(0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(variance.double(), exact.var(dim=(0, 2, 3), correction=0), rtol=1e-6, atol=0)


def test_it_can_be_differentiated_twice() -> None:
    norm = nn.BatchNorm2d(2, affine=False).double()
    x = maps(2, 2, 2, 3).requires_grad_()
    coefficient = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda a, b: normalise(a, norm, b), (x, coefficient))


@pytest.mark.parametrize("training", [True, False])
def test_norms_taken_together_are_those_of_torch(training: bool) -> None:
    references = nn.ModuleList(nn.BatchNorm2d(3, affine=False).double() for _ in range(2)).train(training)
    for reference in references:
        nn.init.normal_(reference.running_mean)
    norms = copy.deepcopy(references)
    x = noise(2, 3, 4, 5, 6).requires_grad_()
    coefficients = torch.tensor([0.3, -0.5], dtype=torch.float64, requires_grad=True)
    plain = torch.stack([norm(y.transpose(0, 1)).transpose(0, 1) for y, norm in zip(x, references, strict=True)])
    gradient = torch.randn_like(plain)
    found = normalise_together(x, list(norms), coefficients)
    expected = plain * coefficients.view(-1, 1, 1, 1, 1)
    for a, b in zip(
        (found, *torch.autograd.grad(found, (x, coefficients), gradient)),
        (expected, *torch.autograd.grad(expected, (x, coefficients), gradient)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    for name, value in references.state_dict().items():
        torch.testing.assert_close(norms.state_dict()[name], value, rtol=1e-12, atol=1e-12)


def test_norms_taken_together_can_be_differentiated_twice() -> None:
    norms = [nn.BatchNorm2d(2, affine=False).double() for _ in range(2)]
    x = noise(2, 2, 2, 2, 2).requires_grad_()
    coefficients = torch.tensor([0.7, 0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda a, b: normalise_together(a, norms, b), (x, coefficients))

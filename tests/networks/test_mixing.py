"""Parts of mixed cells against the plain expressions they stand for."""

import pytest
import torch
from torch import nn

from nasbench.networks.mixing import add_product, average_pool, concatenate, halve, run
from nasbench.networks.operations import FactorizedReduce, ReluConvNorm


def maps(*shape: int) -> torch.Tensor:
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x.to(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("count_padding", [False, True])
def test_average_pool(size: tuple[int, int], stride: int, count_padding: bool) -> None:
    x = maps(2, 3, *size)
    found = average_pool(x, stride, count_padding=count_padding)
    expected = nn.AvgPool2d(3, stride, padding=1, count_include_pad=count_padding)(x)
    torch.testing.assert_close(found, expected)
    gradient = torch.randn_like(found)
    torch.testing.assert_close(torch.autograd.grad(found, x, gradient), torch.autograd.grad(expected, x, gradient))


def test_products_are_added_with_all_gradients() -> None:
    x, start, coefficient = maps(2, 3, 4, 4), maps(2, 3, 4, 4), torch.tensor(0.3, dtype=torch.float64).requires_grad_()
    expected = start * 2 + coefficient * x + coefficient * x
    found = add_product(add_product(start * 2, coefficient, x), coefficient, x)
    alone = add_product(None, coefficient, x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(alone, coefficient * x)
    gradient = torch.randn_like(found)
    inputs = (start, coefficient, x)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, gradient), torch.autograd.grad(expected, inputs, gradient)
    )
    assert torch.autograd.gradgradcheck(lambda *a: add_product(a[0] * 2, a[1], a[2]), (start, coefficient, x))


def test_gradients_of_concatenated_maps_are_dense_slices() -> None:
    a = maps(2, 3, 4, 4)
    b = 2 * a
    seen = []
    b.register_hook(seen.append)
    joined = concatenate([a, b])
    torch.testing.assert_close(joined, torch.cat([a, b], dim=1))
    gradient = torch.randn_like(joined)
    joined.backward(gradient)
    torch.testing.assert_close(a.grad, gradient[:, :3] + 2 * gradient[:, 3:])
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
def test_modules_run_as_they_would_themselves(size: tuple[int, int]) -> None:
    x = maps(4, 6, *size)
    for module in (FactorizedReduce(6, 4), nn.Sequential(ReluConvNorm(6, 4, 3), nn.ReLU()), nn.Identity()):
        module = module.double()
        torch.testing.assert_close(run(module, x), module(x))
    even, below = halve(x)
    torch.testing.assert_close(even, x[:, :, ::2, ::2])
    torch.testing.assert_close(below[:, :, : size[0] // 2, : size[1] // 2], x[:, :, 1::2, 1::2])
    assert below.shape == even.shape

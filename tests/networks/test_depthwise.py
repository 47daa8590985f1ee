"""Depthwise convolutions against torch's own, whose gradients take another way."""

import pytest
import torch
from torch.nn import functional

from nasbench.networks.depthwise import depthwise

SIZES = [(8, 8), (7, 9), (3, 2), (16, 12)]


def inputs(kernel: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(kernel * height * width)
    x = torch.randn(3, 4, height, width, dtype=torch.float64, generator=generator)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, generator=generator)
    return x.to(memory_format=torch.channels_last).requires_grad_(), weight.requires_grad_()


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_output_and_gradients_are_those_of_a_grouped_convolution(
    kernel: int, stride: int, dilation: int, height: int, width: int
) -> None:
    x, weight = inputs(kernel, height, width)
    padding = dilation * (kernel - 1) // 2
    expected = functional.conv2d(x, weight, None, stride, padding, dilation, groups=4)
    found = depthwise(x, weight, stride, dilation)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradient = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(found, (x, weight), gradient),
        torch.autograd.grad(expected, (x, weight), gradient),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_dilation_with_stride_two_is_a_plain_convolution_of_every_second_row_and_column(
    kernel: int, size: tuple[int, int]
) -> None:
    x, weight = inputs(kernel, *size)
    expected = functional.conv2d(x, weight, None, 2, kernel - 1, 2, groups=4)
    torch.testing.assert_close(depthwise(x[:, :, ::2, ::2], weight), expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_frozen_weights_is_left_out() -> None:
    x, weight = inputs(5, 8, 8)
    output = depthwise(x, weight.detach(), 1, 2)
    assert output.grad_fn is not None
    assert output.grad_fn.saved_tensors[0] is None  # type: ignore[attr-defined]
    output.sum().backward()
    assert x.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 2), (5, 1, 1), (3, 2, 1)])
def test_it_can_be_differentiated_twice(kernel: int, stride: int, dilation: int) -> None:
    x, weight = inputs(kernel, 4, 5)
    x, weight = x[:1, :2].detach().requires_grad_(), weight[:2].detach().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda a, b: depthwise(a, b, stride, dilation), (x, weight))

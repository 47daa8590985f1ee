"""Operations on small maps, taken together, against the modules that they stand for."""

import copy

import pytest
import torch
from torch import Tensor, nn

from nasbench.networks.operations import DilatedConv, FactorizedReduce, ReluConvNorm, SharpSepConv
from nasbench.networks.small_maps import (
    SeparableConvs,
    average_pool_small,
    is_small,
    preprocess_small,
    reduce_together,
)

CHANNELS = 4


def maps(*shape: int) -> Tensor:
    """Return positive maps, as if they had passed a ReLU."""
    return (0.1 + torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).requires_grad_()


def double(*modules: nn.Module) -> list[nn.Module]:
    return [module.double() for module in modules]


def images(x: Tensor) -> Tensor:
    """From the order [C, N, H, W] to [N, C, H, W] or back."""
    return x.transpose(0, 1)


def assert_same(found: Tensor, expected: Tensor, inputs: list[Tensor], expected_inputs: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    gradient = torch.randn_like(expected)
    gradients = torch.autograd.grad(found, inputs, gradient), torch.autograd.grad(expected, expected_inputs, gradient)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def assert_same_state(found: nn.Module, expected: nn.Module) -> None:
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[key], value, rtol=1e-10, atol=1e-10, msg=key)


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (2, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("units", [1, 2])
def test_separable_convolutions(size: tuple[int, int], stride: int, training: bool, units: int) -> None:
    """Of two kernels and dilations, on two edges from each of two nodes."""

    def operation(kernel: int, dilation: int) -> nn.Module:
        if units == 1:
            return DilatedConv(CHANNELS, CHANNELS, kernel, stride, dilation, affine=False)
        return SharpSepConv(CHANNELS, CHANNELS, kernel, stride, dilation, middle=6, affine=False)

    modules = nn.ModuleList(double(*(operation(*form) for form in ((3, 2), (5, 1)) for _ in range(4)))).train(training)
    own = copy.deepcopy(modules)
    x = maps(2, CHANNELS, 3, *size)
    coefficients = torch.linspace(0.1, 0.8, 8, dtype=torch.float64).requires_grad_()
    together = SeparableConvs([list(own[:4]), list(own[4:])])
    expected = [
        coefficients[i] * images(module(images(x[i % 4 // 2])))  # type: ignore[operator]
        for i, module in enumerate(modules)
    ]
    assert_same(
        together(x, coefficients),
        torch.stack(expected),
        [x, coefficients, *own.parameters()],
        [x, coefficients, *modules.parameters()],
    )
    assert_same_state(own, modules)


@pytest.mark.parametrize("size", [(8, 8), (5, 7)])
def test_factorized_reductions(size: tuple[int, int]) -> None:
    modules = nn.ModuleList(double(*(FactorizedReduce(CHANNELS, 6, affine=False) for _ in range(4))))
    own = copy.deepcopy(modules)
    x, coefficients = maps(2, CHANNELS, 3, *size), torch.linspace(0.1, 0.4, 4, dtype=torch.float64).requires_grad_()
    expected = [coefficients[i] * images(module(images(x[i // 2]))) for i, module in enumerate(modules)]
    assert_same(
        reduce_together(list(own), x, coefficients),  # type: ignore[arg-type]
        torch.stack(expected),
        [x, coefficients, *own.parameters()],
        [x, coefficients, *modules.parameters()],
    )
    assert_same_state(own, modules)


@pytest.mark.parametrize("form", [ReluConvNorm, FactorizedReduce])
def test_inputs_of_a_cell(form: type[nn.Module]) -> None:
    (module,) = double(form(CHANNELS, 6, affine=False))
    own, x = copy.deepcopy(module), maps(3, CHANNELS, 5, 6)
    inputs = [x, *own.parameters()], [x, *module.parameters()]
    assert_same(preprocess_small(own, x - 0.5), images(module(x - 0.5)), *inputs)
    assert_same_state(own, module)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("count_padding", [False, True])
def test_average_pool(size: tuple[int, int], stride: int, count_padding: bool) -> None:
    x = maps(2, 3, *size)
    expected = nn.AvgPool2d(3, stride, padding=1, count_include_pad=count_padding)(x)
    assert_same(average_pool_small(x, stride, count_padding=count_padding), expected, [x], [x])


def test_what_was_made_without_gradients_serves_with_them() -> None:
    """The matrices of a size are made once, perhaps while an accuracy is measured."""
    x = maps(2, 3, 6, 4)
    with torch.inference_mode():
        first = average_pool_small(x, 1, count_padding=False)
    second = average_pool_small(x, 1, count_padding=False)
    second.sum().backward()
    torch.testing.assert_close(first.clone(), second)
    assert x.grad is not None


def test_small_is_what_takes_few_multiplications() -> None:
    digits, photos = torch.empty(48, 16, 8, 8), torch.empty(64, 64, 32, 32)
    assert is_small(digits, 4, 1)
    assert is_small(digits, 32, 2)
    assert not is_small(digits, 32, 1)
    assert not is_small(photos, 16, 1)
    assert not is_small(torch.empty(48, 16, 8, 8, device="meta"), 4, 1)

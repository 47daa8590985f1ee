"""Shapes, parameter counts and meaning of the operations on feature maps."""

import pytest
import torch
from torch import nn

from nasbench.core.errors import BadInput
from nasbench.networks.heads import AuxiliaryHead
from nasbench.networks.operations import (
    DilatedConv,
    FactorizedReduce,
    ReluConvNorm,
    SeparableConv,
    SharpSepConv,
    darts_operation,
    drop_path,
)
from nasbench.search_spaces.darts import OPERATIONS


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


EVERY_OPERATION = sorted({(name, kind != "darts") for kind, names in OPERATIONS.items() for name in names})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("name", "sharp"), EVERY_OPERATION)
def test_every_operation_divides_the_size_by_its_stride_rounding_up(name: str, sharp: bool, stride: int) -> None:
    operation = darts_operation(name, 4, stride, sharp=sharp)
    for height, width in [(8, 8), (9, 6), (1, 1)]:
        output = operation(torch.randn(2, 4, height, width))
        assert output.shape == (2, 4, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("sep_conv_3x3", 800),
        ("dil_conv_3x3", 800),
        ("sep_conv_5x5", 1312),
        ("dil_conv_5x5", 1312),
        ("sep_conv_7x7", 2080),
        ("flood_conv_3x3", 2768),
        ("dil_flood_conv_3x3", 2768),
        ("flood_conv_5x5", 4048),
        ("choke_conv_3x3", 1456),
        ("dil_choke_conv_3x3", 1456),
    ],
)
def test_parameters_of_sharp_convolutions_16_to_16(name: str, count: int) -> None:
    assert parameters(darts_operation(name, 16, 1, sharp=True, affine=False)) == count


def test_parameters_of_darts_convolutions_16_to_16() -> None:
    assert parameters(SeparableConv(16, 16, 3, affine=False)) == 2 * (16 * 9 + 16 * 16)
    assert parameters(DilatedConv(16, 16, 5, affine=False)) == 16 * 25 + 16 * 16
    assert parameters(ReluConvNorm(16, 8)) == 16 * 8 + 2 * 8
    assert parameters(FactorizedReduce(16, 8)) == 16 * 8 + 2 * 8


def test_convolutions_change_the_number_of_channels() -> None:
    x = torch.randn(2, 6, 8, 8)
    for operation in (SharpSepConv(6, 10, 3, 2, 2, middle=4), SeparableConv(6, 10, 5, 2), DilatedConv(6, 10, 3, 2)):
        assert operation(x).shape == (2, 10, 4, 4)


def test_a_dilated_convolution_sees_only_every_second_pixel() -> None:
    operation = DilatedConv(1, 1, 3).eval()
    x = torch.full((1, 1, 9, 9), 1.0, requires_grad=True)
    operation(x)[0, 0, 4, 4].backward()
    seen = {tuple(position) for position in x.grad[0, 0].nonzero().tolist()}
    assert seen == {(row, column) for row in (2, 4, 6) for column in (2, 4, 6)}


@pytest.mark.parametrize("size", [6, 7])
def test_factorized_reduce_sees_the_pixels_of_both_diagonals(size: int) -> None:
    operation = FactorizedReduce(1, 2).eval()
    nn.init.ones_(operation.conv.weight)
    nn.init.ones_(operation.shifted_conv.weight)
    x = torch.rand(1, 1, size, size)
    output = operation(x)
    scale = (1 + operation.norm.eps) ** 0.5
    torch.testing.assert_close(output[:, :1] * scale, x[:, :, ::2, ::2])
    shifted = x[:, :, 1::2, 1::2]
    inside = shifted.shape[-1]
    torch.testing.assert_close(output[:, 1:, :inside, :inside] * scale, shifted)
    assert not output[:, 1:, inside:].any()
    assert not output[:, 1:, :, inside:].any()


def test_average_pooling_counts_the_padding_in_sharp_cells_only() -> None:
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(darts_operation("avg_pool_3x3", 1, 1)(ones), ones)
    assert darts_operation("avg_pool_3x3", 1, 1, sharp=True)(ones)[0, 0, 0, 0].item() == pytest.approx(4 / 9)


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropped = drop_path(torch.ones(4000, 2, 3, 3), 0.25)
    per_sample = dropped.flatten(1)
    assert torch.equal(per_sample, per_sample[:, :1].expand_as(per_sample))
    assert sorted(set(per_sample[:, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("stride", "fitting"), [(3, {8, 9, 10}), (2, {7, 8})])
def test_auxiliary_head_takes_the_maps_that_pool_to_two_by_two(stride: int, fitting: set[int]) -> None:
    for size in range(1, 14):
        if size in fitting:
            head = AuxiliaryHead(6, 5, (size, size), stride=stride)
            assert head(torch.randn(2, 6, size, size)).shape == (2, 5)
        else:
            with pytest.raises(BadInput, match=f"here it is {size}x{size}"):
                AuxiliaryHead(6, 5, (size, size), stride=stride)

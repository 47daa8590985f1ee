"""The networks of the HyperCuboid: the chain of a path, and the network of all paths at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.networks.operations import SharpSepConv
from nasbench.search_spaces.hypercuboid import HyperCuboid
from nasbench.search_spaces.hypercuboid_graph import (
    path_steps,
)
from nasbench.search_spaces.hypercuboid_network import HyperCuboidNetwork, ResizablePool
from nasbench.search_spaces.hypercuboid_supernet import HyperCuboidSupernet
from tests.search_spaces.hypercuboids import ALL_OPERATIONS, SMALL_SIZE, SPACE, TINY, P, S, parameters, task


# -- the stand-alone network -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("MULTI_CHANNEL_MAX_W", 1_033_802),
        ("MULTI_CHANNEL_SCALAR", 862_890),
        ("MULTI_CHANNEL_HANDMADE", 1_035_882),
    ],
)
def test_chains_of_known_paths_have_8_operations(name: str, count: int) -> None:
    architecture = SPACE.parse(name)
    network = SPACE.build(architecture, task(3, 32, 32))
    assert parameters(network) == count
    kinds = {S: SharpSepConv, P: ResizablePool}
    assert [type(operation) for operation in network.operations] == [kinds[op] for op in architecture.spec[1::2]]
    x = network.stem(torch.zeros(2, 3, 32, 32))
    heights = []
    for operation, channels in zip(network.operations, architecture.spec[2::2], strict=True):
        x = operation(x)
        assert x.shape[1] == channels
        heights.append(x.shape[2])
    assert heights == [32, 16, 16, 8, 8, 4, 4, 2]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 9)])
@pytest.mark.parametrize("space", [TINY, ALL_OPERATIONS], ids=lambda space: space.name)
def test_chains_run_forward_and_backward(space: HyperCuboid, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        network = space.build(space.sample(rng), task(*shape), SMALL_SIZE)
        logits = network(torch.randn(4, *shape))
        assert logits.shape == (4, 10)
        logits.sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_pools() -> None:
    x = torch.full((1, 2, 4, 4), 3.0)
    assert torch.equal(ResizablePool(2, 2)(x), x)
    assert ResizablePool(2, 2, average=True)(x)[0, 0, 0, 0] == pytest.approx(3.0 * 4 / 9)  # the padding counts
    assert ResizablePool(2, 5, 2)(x).shape == (1, 5, 2, 2)
    assert parameters(ResizablePool(2, 2)) == 0
    assert parameters(ResizablePool(2, 5)) == 2 * 5 + 2 * 5


def test_tasks_without_images_are_refused() -> None:
    for make in (lambda: TINY.build(TINY.sample(np.random.default_rng(0)), task(64)), lambda: TINY.relax(task(64))):
        with pytest.raises(BadInput, match=r"images \(channels, height, width\)"):
            make()


# -- the relaxed network ---------------------------------------------------------------------------------------------
def test_the_supernet_of_the_default_axes() -> None:
    with torch.device("meta"):
        supernet = SPACE.relax(task(3, 32, 32))
        assert parameters(supernet) == 8_930_122
        kinds = [f"layer{layer}_stride{stride}" for layer in range(4) for stride in (1, 2)]
        assert supernet.architecture_shape() == dict.fromkeys(kinds, (16, 2))
        assert supernet.operations == (S, P)
        labels = ["32 -> 32", "32 -> 64", "32 -> 128", "32 -> 256", "64 -> 32"]
        assert [names[:5] for names in supernet.edge_labels().values()] == [labels] * 8
        assert supernet.edges[:5] == ((32, 32), (32, 64), (32, 128), (32, 256), (64, 32))
        assert supernet.softmax_over_block is True
        # Tensors on this device hold no numbers: a forward that read one would raise.
        coefficients = {kind: torch.ones(shape) for kind, shape in supernet.architecture_shape().items()}
        assert supernet(torch.ones(2, 3, 32, 32), coefficients).shape == (2, 10)


def soft_coefficients(supernet: HyperCuboidSupernet, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        kind: torch.randn(shape, generator=generator, dtype=dtype).flatten().softmax(0).view(shape).requires_grad_()
        for kind, shape in supernet.architecture_shape().items()
    }


def plain_forward(supernet: HyperCuboidSupernet, images: Tensor, coefficients: dict[str, Tensor]) -> Tensor:
    """The definition: every operation on its own, all outputs times their coefficients summed at each node."""
    maps = [stem(images) for stem in supernet.stems]
    nodes = range(len(maps))
    for kind, block in zip(supernet.kinds, supernet.blocks, strict=True):
        maps = [
            sum(
                coefficients[kind][i * len(maps) + j, o] * operation(maps[i])
                for i in nodes
                for o, operation in enumerate(block.edges[i * len(maps) + j])
            )
            for j in nodes
        ]
    total = sum(tail(x) for tail, x in zip(supernet.tails, maps, strict=True))
    return supernet.classifier(total.mean(dim=(2, 3)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("space", [TINY, ALL_OPERATIONS], ids=lambda space: space.name)
def test_shared_beginnings_change_no_number(space: HyperCuboid, training: bool) -> None:
    torch.manual_seed(0)
    supernet = space.relax(task(3, 9, 8), SMALL_SIZE).double()
    supernet.train(training)
    images = torch.randn(4, 3, 9, 8, dtype=torch.float64)
    results = []
    for forward in (supernet, lambda *arguments: plain_forward(supernet, *arguments)):
        weights = {name: w.detach().clone().requires_grad_() for name, w in supernet.named_parameters()}
        buffers = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
        coefficients = soft_coefficients(supernet, 1, torch.float64)
        if forward is supernet:
            logits = functional_call(supernet, (weights, buffers), (images, coefficients))
        else:
            logits = functional_call(Plain(supernet), _prefixed(weights, buffers), (images, coefficients))
        leaves = [*coefficients.values(), *weights.values()]
        results.append([logits, *torch.autograd.grad(logits.square().sum(), leaves), *buffers.values()])
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-11, atol=1e-12)


class Plain(nn.Module):
    """`plain_forward` as a module."""

    def __init__(self, supernet: HyperCuboidSupernet) -> None:
        super().__init__()
        self.supernet = supernet

    def forward(self, images: Tensor, coefficients: dict[str, Tensor]) -> Tensor:
        return plain_forward(self.supernet, images, coefficients)


def _prefixed(*groups: dict[str, Tensor]) -> tuple[dict[str, Tensor], ...]:
    return tuple({f"supernet.{name}": tensor for name, tensor in group.items()} for group in groups)


def test_every_weight_and_coefficient_gets_a_gradient() -> None:
    supernet = TINY.relax(task(1, 8, 8), SMALL_SIZE)
    coefficients = soft_coefficients(supernet, 0, torch.float32)
    supernet(torch.randn(4, 1, 8, 8), coefficients).square().sum().backward()
    assert all(parameter.grad is not None for parameter in supernet.parameters())
    for value in coefficients.values():
        assert value.grad is not None
        assert (value.grad != 0).all()


def one_hot(space: HyperCuboid, architecture: Architecture) -> dict[str, Tensor]:
    return {kind: torch.from_numpy(table) for kind, table in space.one_hot(architecture).items()}


def train_norms(supernet: HyperCuboidSupernet, coefficients: dict[str, Tensor]) -> None:
    """Give all batch norms scales and shifts that are not trivial, and the statistics of these coefficients."""
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            module.momentum = 1.0
    supernet.train()
    supernet(torch.randn(16, 3, 16, 16), coefficients)
    supernet.eval()


def chain_of(space: HyperCuboid, supernet: HyperCuboidSupernet, architecture: Architecture) -> HyperCuboidNetwork:
    """The stand-alone network of a path with the supernet's weights."""
    axes = space.axes
    network = space.build(architecture, task(3, 16, 16), SMALL_SIZE).eval()
    network.stem.load_state_dict(supernet.stems[axes.widths.index(architecture.spec[0])].state_dict())
    for step, block, operation in zip(
        path_steps(axes, architecture.spec), supernet.blocks, network.operations, strict=True
    ):
        shared = block.edges[axes.edges.index((step.inputs, step.outputs))][axes.operations.index(step.operation)]
        operation.load_state_dict(shared.state_dict())
    network.tail.load_state_dict(supernet.tails[axes.widths.index(architecture.spec[-1])].state_dict())
    network.classifier.load_state_dict(supernet.classifier.state_dict())
    return network


def test_one_path_at_1_and_all_else_at_0_is_the_stand_alone_network() -> None:
    torch.manual_seed(0)
    space = HyperCuboid(widths=(4, 6, 8), operations=(S, P, "resizable_avg_pool_3x3"))
    supernet = space.relax(task(3, 16, 16), SMALL_SIZE)
    images = torch.randn(4, 3, 16, 16)
    rng = np.random.default_rng(0)
    for _ in range(8):
        architecture = space.sample(rng)
        coefficients = one_hot(space, architecture)
        train_norms(supernet, coefficients)
        expected = chain_of(space, supernet, architecture)(images)
        assert expected.std(dim=0).min() > 1e-3  # the logits depend on the image
        torch.testing.assert_close(supernet(images, coefficients), expected, rtol=1e-5, atol=1e-5)
        # Without leaving out what nothing leads to, the other tails would add their shifts.
        assert not torch.allclose(plain_forward(supernet, images, coefficients), expected, atol=1e-3)


def test_operations_behind_a_sum_that_nothing_leads_to_are_left_out() -> None:
    torch.manual_seed(0)
    supernet = TINY.relax(task(3, 16, 16), SMALL_SIZE)
    images = torch.randn(4, 3, 16, 16)
    architecture = TINY.parse("4: S->4, P->4 | S->4, P->4")
    coefficients = one_hot(TINY, architecture)
    train_norms(supernet, coefficients)
    expected = supernet(images, coefficients)
    # Width 6 after the first block is reached by nothing, so an operation from there to the path adds nothing.
    coefficients["layer0_stride2"][TINY.axes.edges.index((6, 4)), 0] = 1
    assert torch.equal(supernet(images, coefficients), expected)
    coefficients["layer0_stride1"][TINY.axes.edges.index((4, 6)), 0] = 1
    assert not torch.allclose(supernet(images, coefficients), expected)


def test_coefficients_of_a_wrong_shape_are_refused() -> None:
    supernet = TINY.relax(task(1, 8, 8), SMALL_SIZE)
    coefficients = soft_coefficients(supernet, 0, torch.float32)
    with pytest.raises(BadInput, match=r"coefficients 'layer1_stride1' of shape \(4, 2\)"):
        supernet(torch.randn(2, 1, 8, 8), {**coefficients, "layer1_stride1": torch.ones(2, 4)})
    del coefficients["layer0_stride2"]
    with pytest.raises(BadInput, match="'layer0_stride2'"):
        supernet(torch.randn(2, 1, 8, 8), coefficients)


def test_the_supernet_runs_in_bfloat16_autocast() -> None:
    torch.manual_seed(0)
    supernet = TINY.relax(task(3, 8, 8), SMALL_SIZE)
    coefficients, images = soft_coefficients(supernet, 0, torch.float32), torch.randn(8, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = supernet(images, coefficients)
    logits.float().square().sum().backward()
    assert all(value.grad is not None and value.grad.dtype == torch.float32 for value in coefficients.values())
    torch.testing.assert_close(logits.float(), supernet(images, coefficients), rtol=0.1, atol=0.1)

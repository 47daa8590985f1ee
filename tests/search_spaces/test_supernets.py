"""The supernets against their textbook forms, which have a module for each operation on each edge."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.textbook_supernet import Textbook, TextbookDarts, TextbookNasBench201, from_textbook, to_textbook
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.networks import small_maps
from nasbench.search_spaces.darts import OPERATIONS, Darts, DartsSize
from nasbench.search_spaces.nasbench201 import OPERATIONS as BENCHMARK_OPERATIONS
from nasbench.search_spaces.nasbench201 import NasBench201, NasBench201Size

SPACES: dict[str, Darts | NasBench201] = {name: Darts(name) for name in OPERATIONS} | {"nasbench201": NasBench201()}
BATCH = 8


class Pair(NamedTuple):
    """The same supernet twice."""

    fast: Any
    textbook: Any

    def states(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return to_textbook(self.textbook, self.fast), self.textbook.state_dict()

    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        fast = dict(self.fast.named_parameters())
        return [(fast[self.textbook.fast_name(n)].grad, p.grad) for n, p in self.textbook.named_parameters()]


def task(*shape: int) -> SearchTask:
    return SearchTask("pictures", "images", shape, 10, None, None, "pictures")


def pair(name: str, shape: tuple[int, ...], dtype: torch.dtype, *, seed: int = 0, cells: int = 2) -> Pair:
    torch.manual_seed(seed)
    space = SPACES[name]
    textbook: Textbook
    if isinstance(space, Darts):
        size = DartsSize(channels=4, cells=cells)
        fast: nn.Module = space.relax(task(*shape), size)
        textbook = TextbookDarts(space, shape, 10, size)
    else:
        fast = space.relax(task(*shape), NasBench201Size(channels=4, cells=1))
        textbook = TextbookNasBench201(shape[0], 10, NasBench201Size(channels=4, cells=1))
    textbook.load_state_dict(to_textbook(textbook, fast))
    return Pair(fast.to(dtype).to(memory_format=torch.channels_last), textbook.to(dtype))


def logits_of_alpha(fast: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    return {kind: torch.randn(shape, dtype=dtype).requires_grad_() for kind, shape in fast.architecture_shape().items()}


def softmax(alpha: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {kind: value.softmax(dim=-1) for kind, value in alpha.items()}


def images(shape: tuple[int, ...], dtype: torch.dtype, n: int = BATCH) -> Tensor:
    return torch.randn(n, *shape, dtype=dtype)


def alpha_gradients(network: nn.Module, alpha: Mapping[str, Tensor], x: Tensor) -> list[Tensor]:
    loss = functional.cross_entropy(network(x, softmax(alpha)), torch.arange(len(x)) % 10)
    return list(torch.autograd.grad(loss, list(alpha.values())))


def distance(a: Tensor, b: Tensor) -> float:
    """Return the largest difference, in units of the largest value of ``b``."""
    return float(((a - b).abs().max() / b.abs().max()).detach())


class Search:
    """First-order search as published (Liu et al., ICLR 2019): alpha by Adam, then the weights by SGD.

    ``one_gradient`` freezes the weights in the pass of alpha and detaches alpha in that of the weights.
    """

    def __init__(self, network: nn.Module, alpha: Mapping[str, Tensor], *, one_gradient: bool) -> None:
        self.network, self.one_gradient = network.train(), one_gradient
        self.alpha = {kind: value.detach().clone().requires_grad_() for kind, value in alpha.items()}
        self.alpha_optimizer = torch.optim.Adam(self.alpha.values(), 0.05, (0.5, 0.999), weight_decay=1e-3)
        self.optimizer = torch.optim.SGD(network.parameters(), 0.025, 0.9, weight_decay=3e-4)

    def step(self, validation: Tensor, training: Tensor) -> None:
        labels = torch.arange(len(training)) % 10
        self.network.requires_grad_(not self.one_gradient)
        self.alpha_optimizer.zero_grad()
        functional.cross_entropy(self.network(validation, softmax(self.alpha)), labels).backward()
        self.alpha_optimizer.step()
        self.network.requires_grad_(True)
        self.optimizer.zero_grad()
        coefficients = softmax(self.alpha)
        if self.one_gradient:
            coefficients = {kind: value.detach() for kind, value in coefficients.items()}
        functional.cross_entropy(self.network(training, coefficients), labels).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()


# -- equal to the textbook -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "shape"),
    [*((name, (3, 8, 8)) for name in SPACES), *((name, (1, 7, 9)) for name in ("darts", "sharpdarts", "nasbench201"))],
)
def test_logits_and_gradients_in_float64(name: str, shape: tuple[int, ...]) -> None:
    both = pair(name, shape, torch.float64, cells=3)
    alpha, x = logits_of_alpha(both.fast, torch.float64), images(shape, torch.float64)
    found, expected = (network(x, softmax(alpha)) for network in both)
    assert distance(found, expected) < 1e-12
    gradient = torch.randn_like(found)
    alpha_gradients = []
    for logits in (found, expected):
        logits.backward(gradient)
        alpha_gradients.append([value.grad.clone() for value in alpha.values()])
        for value in alpha.values():
            value.grad = None
    for a, b in zip(*alpha_gradients, strict=True):
        assert distance(a, b) < 1e-11
    for a, b in both.gradients():
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    for network in both:
        network.eval()
    with torch.no_grad():
        assert distance(*(network(x, softmax(alpha)) for network in both)) < 1e-12


@pytest.mark.parametrize("name", ["darts", "sharper"])
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 7, 9)])
def test_maps_that_are_not_small(name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """All other maps here are so small that the cells of DARTS take their other way."""
    monkeypatch.setattr(small_maps, "LARGEST", 0)
    test_logits_and_gradients_in_float64(name, shape)


def test_three_steps_with_maps_that_are_not_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_maps, "LARGEST", 0)
    test_weights_and_running_statistics_after_three_steps("darts")


def test_a_cell_with_small_maps_after_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_maps, "LARGEST", 4 * (BATCH + 32) * 64**2 - 1)
    test_logits_and_gradients_in_float64("darts", (3, 8, 8))


@pytest.mark.parametrize("name", ["darts", "sharpdarts", "nasbench201"])
def test_logits_and_alpha_gradients_in_float32(name: str) -> None:
    """Gradients jump where rounding moves a value across the kink of a ReLU, so one draw of three may be off.

    The textbook network jumps as well against its own float64 form.
    """
    logits, gradients = [], []
    for seed in range(3):
        both = pair(name, (3, 8, 8), torch.float32, seed=seed)
        alpha, x = logits_of_alpha(both.fast, torch.float32), images((3, 8, 8), torch.float32)
        logits.append(distance(*(network(x, softmax(alpha)).detach() for network in both)))
        found, expected = (torch.cat(alpha_gradients(network, alpha, x)) for network in both)
        gradients.append(distance(found, expected))
        for network in both:
            network.eval()
        with torch.no_grad():
            logits.append(distance(*(network(x, softmax(alpha)) for network in both)))
    assert max(logits) < 1e-5
    assert sorted(gradients)[1] < 1e-4


@pytest.mark.parametrize("name", ["darts", "sharpdarts", "nasbench201"])
def test_weights_and_running_statistics_after_three_steps(name: str) -> None:
    both = pair(name, (3, 8, 8), torch.float64)
    alpha = logits_of_alpha(both.fast, torch.float64)
    searches = [Search(both.fast, alpha, one_gradient=True), Search(both.textbook, alpha, one_gradient=False)]
    for _ in range(3):
        validation, training = images((3, 8, 8), torch.float64), images((3, 8, 8), torch.float64)
        for search in searches:
            search.step(validation, training)
    found, expected = both.states()
    counts = {int(value) for key, value in found.items() if key.endswith("num_batches_tracked")}
    assert counts == {6}
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-11, msg=key)
    for a, b in zip(searches[0].alpha.values(), searches[1].alpha.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_the_same_architecture_is_found_after_twenty_steps(name: str) -> None:
    both = pair(name, (3, 4, 4), torch.float64)
    alpha = {kind: 1e-3 * value.detach() for kind, value in logits_of_alpha(both.fast, torch.float64).items()}
    searches = [Search(both.fast, alpha, one_gradient=True), Search(both.textbook, alpha, one_gradient=False)]
    batches = images((3, 4, 4), torch.float64, 4 * BATCH).split(BATCH)
    for step in range(20):
        for search in searches:
            search.step(batches[step % 2], batches[2 + step % 2])
    found, expected, start = (
        SPACES[name].discretize({kind: value.detach().softmax(dim=-1).numpy() for kind, value in logits.items()})
        for logits in (searches[0].alpha, searches[1].alpha, alpha)
    )
    assert found == expected
    assert found != start


# -- states, sizes, second derivatives -------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SPACES)
def test_states_go_there_and_back(name: str) -> None:
    both = pair(name, (3, 8, 8), torch.float32)
    for value in both.fast.state_dict().values():
        value.copy_(torch.rand(value.shape) * 100)
    before = {key: value.clone() for key, value in both.fast.state_dict().items()}
    both.textbook.load_state_dict(to_textbook(both.textbook, both.fast))
    for value in both.fast.state_dict().values():
        value.zero_()
    both.fast.load_state_dict(from_textbook(both.textbook))
    for key, value in both.fast.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert sum(p.numel() for p in both.fast.parameters()) == sum(p.numel() for p in both.textbook.parameters())


@pytest.mark.parametrize("size", [NasBench201Size(), NasBench201Size(channels=8, cells=2)])
def test_parameters_of_the_nasbench201_supernet(size: NasBench201Size) -> None:
    """Those of the network with both convolutions on all edges, less scales and shifts within cells."""
    space = NasBench201()
    found = sum(p.numel() for p in space.relax(task(3, 32, 32), size).parameters())
    count = {name: space.parameters(Architecture(space.name, (name,) * 6), size=size) for name in BENCHMARK_OPERATIONS}
    both = count["nor_conv_1x1"] + count["nor_conv_3x3"] - count["none"]
    affine = size.cells * 6 * 2 * 2 * (1 + 2 + 4) * size.channels
    assert found == both - affine


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_the_hessian_of_alpha_is_the_derivative_of_its_gradient(name: str) -> None:
    fast = pair(name, (3, 8, 8), torch.float64).fast.requires_grad_(False)
    alpha, x = logits_of_alpha(fast, torch.float64), images((3, 8, 8), torch.float64)
    labels, values = torch.arange(BATCH), list(alpha.values())
    loss = functional.cross_entropy(fast(x, softmax(alpha)), labels)
    gradients = torch.autograd.grad(loss, values, create_graph=True)
    directions = [torch.randn_like(value) for value in values]
    products = torch.autograd.grad(gradients, values, directions)
    step = 1e-6
    ahead, behind = (
        alpha_gradients(
            fast,
            {
                kind: (value.detach() + sign * step * direction).requires_grad_()
                for (kind, value), direction in zip(alpha.items(), directions, strict=True)
            },
            x,
        )
        for sign in (1, -1)
    )
    for product, a, b in zip(products, ahead, behind, strict=True):
        torch.testing.assert_close(product, (a - b) / (2 * step), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", SPACES)
def test_frozen_weights_get_no_gradient_and_alpha_the_same(name: str) -> None:
    fast = pair(name, (3, 8, 8), torch.float64).fast
    alpha, x = logits_of_alpha(fast, torch.float64), images((3, 8, 8), torch.float64)
    gradients = alpha_gradients(fast, alpha, x)
    frozen = alpha_gradients(fast.requires_grad_(False), alpha, x)
    for a, b in zip(gradients, frozen, strict=True):
        assert torch.equal(a, b)
    assert all(parameter.grad is None for parameter in fast.parameters())


# -- NAS-Bench-201: one-hot coefficients, decoding, bad input --------------------------------------------------------
def test_one_hot_coefficients_compute_the_stand_alone_network() -> None:
    torch.manual_seed(0)
    space, size = NasBench201(), NasBench201Size(channels=4, cells=2)
    cell = space.sample(np.random.default_rng(3))
    network, supernet = space.build(cell, task(3, 8, 8), size), space.relax(task(3, 8, 8), size)
    state = supernet.state_dict()
    for key, value in network.state_dict().items():
        match key.split("."):
            case ["body", position, "edges", edge, *rest]:
                column = BENCHMARK_OPERATIONS.index(str(cell.spec[int(edge)]))
                key = ".".join(["body", position, "edges", edge, "operations", str(column), *rest])
        if key in state:  # scales and shifts, 1 and 0 so far, are not
            state[key].copy_(value)
    coefficients = {kind: torch.from_numpy(table) for kind, table in space.one_hot(cell).items()}
    x = images((3, 8, 8), torch.float32)
    torch.testing.assert_close(supernet(x, coefficients), network(x), rtol=1e-4, atol=1e-5)
    for module in (supernet, network):  # the running statistics of that batch are the same, too
        module.eval()
    torch.testing.assert_close(supernet(x, coefficients), network(x), rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_one_hot_weights_of_nasbench201_decode_to_their_cell(seed: int) -> None:
    space = NasBench201()
    cell = space.sample(np.random.default_rng(seed))
    weights = space.one_hot(cell)
    assert space.discretize(weights) == cell
    assert weights["cell"].shape == (6, 5)
    assert weights["cell"].dtype == np.float32
    assert weights["cell"].sum(axis=1).tolist() == [1] * 6


def test_nasbench201_keeps_the_strongest_operation_of_an_edge_and_none_counts() -> None:
    weights = np.full((6, 5), 0.1)
    weights[[0, 1, 2, 3, 4], [0, 4, 3, 1, 2]] = 0.6
    found = NasBench201().discretize({"cell": weights})
    assert found.spec == ("none", "avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none")
    for wrong in (np.zeros((5, 6)), np.full((6, 5), np.nan)):
        with pytest.raises(BadInput, match=r"'cell' must be finite numbers of shape \(6, 5\)"):
            NasBench201().discretize({"cell": wrong})


def test_wrong_input_of_the_nasbench201_supernet_is_refused() -> None:
    supernet = NasBench201().relax(task(1, 8, 8), NasBench201Size(channels=4, cells=1))
    assert supernet.architecture_shape() == {"cell": (6, 5)}
    assert supernet.operations == BENCHMARK_OPERATIONS
    assert supernet.edge_labels() == {"cell": ["0 -> 1", "0 -> 2", "1 -> 2", "0 -> 3", "1 -> 3", "2 -> 3"]}
    with pytest.raises(BadInput, match=r"coefficients 'cell' of shape \(6, 5\)"):
        supernet(torch.randn(2, 1, 8, 8), {"cell": torch.ones(5, 6)})
    with pytest.raises(BadInput, match="images"):
        NasBench201().relax(task(64))

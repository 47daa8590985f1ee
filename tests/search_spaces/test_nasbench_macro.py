"""The space of NAS-Bench-Macro: its networks, counted and built, and which encodings are the same network."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.search_spaces.nasbench_macro import BLOCKS, NasBenchMacro, NasBenchMacroSize

SPACE = NasBenchMacro()
CIFAR = SearchTask("images", "image", (3, 32, 32), 10, None, None, "")
SMALL = SearchTask("images", "image", (1, 11, 9), 4, None, None, "")
TINY = NasBenchMacroSize(width=4, features=12)
TEXTS = ["00000000", "11111111", "22222222", "02012100", "12020121", "20010022", "00120012"]
digits = st.text("012", min_size=BLOCKS, max_size=BLOCKS)


def counted(text: str, task: SearchTask, size: NasBenchMacroSize | None = None) -> tuple[int, int]:
    """Parameters and multiply-adds of the network that is built, by running it on one image."""
    network = SPACE.build(SPACE.parse(text), task, size).eval()
    macs = 0

    def add(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal macs
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        macs += weight.numel() * (output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1)

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    with torch.inference_mode():
        logits = network(torch.zeros(2, *task.input_shape))
    assert logits.shape == (2, task.classes) and bool(torch.isfinite(logits).all())
    return sum(weight.numel() for weight in network.parameters()), macs


# -- counting ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", TEXTS)
def test_the_network_built_has_the_counted_parameters_and_multiply_adds(text: str) -> None:
    architecture = SPACE.parse(text)
    assert counted(text, CIFAR) == (SPACE.parameters(architecture), SPACE.macs(architecture))


@pytest.mark.parametrize("text", TEXTS)
def test_so_it_is_at_another_size_on_odd_images_of_other_classes(text: str) -> None:
    architecture = SPACE.parse(text)
    parameters = SPACE.parameters(architecture, 4, TINY, input_channels=1)
    assert counted(text, SMALL, TINY) == (parameters, SPACE.macs(architecture, 4, TINY, input_shape=(1, 11, 9)))


@pytest.mark.parametrize(
    ("text", "parameters", "macs"),
    [("00000000", 387_882, 7_713_280), ("02012100", 890_666, 47_327_744), ("22222222", 2_932_586, 105_660_928)],
)
def test_the_counts_of_the_published_file(text: str, parameters: int, macs: int) -> None:
    architecture = SPACE.parse(text)
    assert (SPACE.parameters(architecture), SPACE.macs(architecture)) == (parameters, macs)


# -- sameness ----------------------------------------------------------------------------------------------------------
def test_there_are_6561_encodings_of_3969_networks() -> None:
    everything = SPACE.all()
    assert len(set(everything)) == SPACE.size == 6_561
    representatives = [SPACE.canonical(architecture) for architecture in everything]
    classes = Counter(representatives)
    assert len(classes) == 3_969 == 9 * 21 * 21 and set(classes.values()) == {1, 2, 4}
    first: dict[Architecture, Architecture] = {}
    for architecture, representative in zip(everything, representatives, strict=True):
        assert first.setdefault(representative, architecture) == representative


@given(digits)
def test_same_networks_have_the_same_chain_and_the_same_counts(text: str) -> None:
    one = SPACE.parse(text)
    other = SPACE.canonical(one)
    assert SPACE.parameters(one) == SPACE.parameters(other) and SPACE.macs(one) == SPACE.macs(other)
    assert list(SPACE.graph(one).nodes(data="op")) == list(SPACE.graph(other).nodes(data="op"))


def test_same_networks_compute_the_same() -> None:
    one, other = SPACE.parse("12120201"), SPACE.parse("12102201")
    assert SPACE.canonical(one) == SPACE.canonical(other) == other
    networks = [SPACE.build(architecture, SMALL, TINY).eval() for architecture in (one, other)]
    for weight, copied in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        copied.data = weight.data
    images = torch.rand(3, 1, 11, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(networks[0](images), networks[1](images))


def test_different_networks_have_different_chains() -> None:
    chains = {tuple(op for _, op in SPACE.graph(architecture).nodes(data="op")) for architecture in SPACE.all()[::5]}
    assert len(chains) == len({SPACE.canonical(architecture) for architecture in SPACE.all()[::5]})


def test_the_graph_is_a_chain_without_what_vanishes() -> None:
    graph = SPACE.graph(SPACE.parse("10020100"))
    assert nx.is_directed_acyclic_graph(graph) and nx.dag_longest_path_length(graph) == len(graph) - 1
    labels = [op for _, op in sorted(graph.nodes(data="op"))]
    assert labels == [
        *("input", "mb3_k3 32->64 /2", "identity 64->128 /2", "mb6_k5 128->128 /1"),
        *("mb3_k3 128->256 /2", "output"),
    ]


# -- notation ----------------------------------------------------------------------------------------------------------
@given(digits)
def test_the_digits_are_read_and_written(text: str) -> None:
    assert SPACE.format(SPACE.parse(f" {text}\n")) == text


@pytest.mark.parametrize("text", ["", "0201210", "020121000", "02012103", "0201210x", "mb3_k3"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"expected 8 digits, one a block: 0 identity, 1 mb3_k3, 2 mb6_k5\."):
        SPACE.parse(text)


def test_only_images_have_networks() -> None:
    with pytest.raises(BadInput, match="networks for images"):
        SPACE.build(SPACE.parse("00000000"), SearchTask("graph", "graph", (7,), 2, None, None, ""))
    with pytest.raises(BadInput, match="belongs to space 'other'"):
        SPACE.canonical(Architecture("other", SPACE.parse("00000000").spec))


# -- the network -------------------------------------------------------------------------------------------------------
def test_the_input_is_added_only_where_the_shape_stays() -> None:
    network = SPACE.build(SPACE.parse("12112000"), SMALL, TINY)
    assert [getattr(block, "has_shortcut", None) for block in network.body] == [
        *(False, True, False, True, True),
        *(None, None, None),
    ]

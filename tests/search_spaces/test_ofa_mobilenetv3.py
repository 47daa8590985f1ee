"""The sub-networks of the Once-for-All MobileNetV3: counted, built, and the decisions that decide nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.networks.macs import count_macs
from nasbench.search_spaces.ofa_mobilenetv3 import BLOCKS, OfaMobileNetV3, OfaMobileNetV3Size, divisible

SPACE = OfaMobileNetV3()
IMAGENET = SearchTask("images", "image", (3, 224, 224), 1000, None, None, "")
SMALL = SearchTask("images", "image", (1, 37, 29), 4, None, None, "")
NARROW = OfaMobileNetV3Size(width=0.2)
SMALLEST = Architecture(SPACE.name, (3,) * 20 + (3,) * 20 + (2,) * 5)
LARGEST = Architecture(SPACE.name, (7,) * 20 + (6,) * 20 + (4,) * 5)
FIRST = (
    "{'wid': None, 'ks': [5, 7, 5, 5, 3, 3, 3, 7, 5, 5, 3, 7, 7, 3, 3, 3, 5, 5, 5, 5], "
    "'e': [4, 3, 4, 4, 4, 6, 3, 4, 4, 3, 4, 3, 3, 6, 6, 6, 4, 3, 4, 4], 'd': [2, 3, 2, 4, 3], 'r': [224]}"
)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int) -> Architecture:
    return SPACE.sample(np.random.default_rng(seed))


# -- counting ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("architecture", "macs", "parameters"),
    [
        (SMALLEST, 121_278_672, 3_410_792),
        (LARGEST, 566_170_656, 7_664_760),
        (SPACE.parse(FIRST), 255_502_624, 5_029_656),
    ],
)
def test_the_counts_are_those_of_the_published_sub_networks(
    architecture: Architecture, macs: int, parameters: int
) -> None:
    assert (SPACE.macs(architecture), SPACE.parameters(architecture)) == (macs, parameters)


@pytest.mark.parametrize("architecture", [SMALLEST, SPACE.parse(FIRST)])
def test_the_network_built_has_them(architecture: Architecture) -> None:
    network = SPACE.build(architecture, IMAGENET)
    assert sum(weight.numel() for weight in network.parameters()) == SPACE.parameters(architecture)
    assert count_macs(network, IMAGENET.input_shape) == SPACE.macs(architecture)


@pytest.mark.parametrize("architecture", [SMALLEST, LARGEST, *map(drawn, range(4))])
def test_so_it_is_at_another_width_on_odd_images_of_other_classes(architecture: Architecture) -> None:
    network = SPACE.build(architecture, SMALL, NARROW).eval()
    counted = SPACE.parameters(architecture, 4, NARROW, input_channels=1)
    assert sum(weight.numel() for weight in network.parameters()) == counted
    assert count_macs(network, SMALL.input_shape) == SPACE.macs(architecture, 4, NARROW, input_shape=(1, 37, 29))
    with torch.inference_mode():
        logits = network(torch.rand(2, *SMALL.input_shape))
    assert logits.shape == (2, 4) and bool(torch.isfinite(logits).all())


def test_channels_are_multiples_of_eight_near_what_was_asked() -> None:
    for asked in range(1, 2000):
        channels = divisible(asked)
        assert channels % 8 == 0 and channels >= max(8, 0.9 * asked) and (channels < asked + 8 or channels == 8)


# -- decisions that decide nothing -------------------------------------------------------------------------------------
def test_there_are_3_to_the_45_encodings_of_7371_to_the_5_networks() -> None:
    assert SPACE.size == 3**45
    blocks = [math.prod([9] * depth) for depth in (2, 3, 4)]
    assert sum(blocks) ** 5 == 7371**5 == 21_758_655_492_572_485_851


@given(seeds, st.integers(0, BLOCKS - 1), st.booleans())
def test_a_block_beyond_the_depth_of_its_stage_changes_nothing(seed: int, block: int, kernel: bool) -> None:
    architecture = drawn(seed)
    there = block % 4 < int(str(architecture.spec[2 * BLOCKS + block // 4]))
    other = SPACE.change(architecture, block + (0 if kernel else BLOCKS), np.random.default_rng(seed))
    same = SPACE.canonical(architecture) == SPACE.canonical(other)
    assert same == (not there) == (SPACE.blocks(architecture) == SPACE.blocks(other))
    if same:
        assert np.array_equal(SPACE.encode(architecture), SPACE.encode(other))


@given(seeds)
def test_the_canonical_network_is_the_same_network(seed: int) -> None:
    architecture = drawn(seed)
    assert SPACE.blocks(SPACE.canonical(architecture)) == SPACE.blocks(architecture)


# -- notation ----------------------------------------------------------------------------------------------------------
@given(seeds)
def test_the_authors_dictionary_is_read_and_written(seed: int) -> None:
    architecture = drawn(seed)
    assert SPACE.parse(SPACE.format(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("[1, 2]", "cannot read"),
        ("{'ks': [], 'e': []}", "cannot read"),
        ("__import__('os')", "cannot read"),
        ("(" * 500, "cannot read"),
        (FIRST.replace("'wid': None", "'wid': 1.2"), "cannot have"),
        (FIRST.replace("'wid'", "'depth'"), "cannot have"),
        (FIRST.replace("[224]", "[192]"), "resolution of a sub-network is 224"),
        (FIRST.replace("'d': [2, ", "'d': ["), "'d' has 4 numbers; it needs 5"),
        (FIRST.replace("'ks': [5", "'ks': [4"), r"decision 'stage1.block1.kernel' cannot be '4'"),
        (FIRST.replace("'ks': [5", "'ks': [5.0"), "whole numbers"),
        (FIRST.replace("'ks': [5", "'ks': [[5]"), "whole numbers"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        SPACE.parse(text)


# -- the network -------------------------------------------------------------------------------------------------------
def test_the_stages_are_those_of_mobilenet_v3() -> None:
    network = SPACE.build(SMALLEST, SMALL)
    assert [block.outputs for block in SPACE.blocks(SMALLEST)] == [24, 24, 40, 40, 80, 80, 112, 112, 160, 160]
    assert [block.stride for block in SPACE.blocks(SMALLEST)] == [2, 1, 2, 1, 2, 1, 1, 1, 2, 1]
    shortcuts = [block.has_shortcut for block in network.body]
    assert shortcuts == [False, True] * 5

    def has(kind: type[nn.Module]) -> list[bool]:
        return [any(isinstance(module, kind) for module in block.modules()) for block in network.body]

    assert has(nn.Hardsigmoid) == [False, False, True, True, False, False, True, True, True, True]
    assert has(nn.Hardswish) == [False] * 4 + [True] * 6


def test_only_images_have_networks() -> None:
    with pytest.raises(BadInput, match="networks for images"):
        SPACE.build(SMALLEST, SearchTask("graph", "graph", (7,), 2, None, None, ""))

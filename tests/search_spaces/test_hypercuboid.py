"""The HyperCuboid: paths, the weighted grid, the chain of a path and the network of all of them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.search_spaces.hypercuboid import HyperCuboid
from nasbench.search_spaces.hypercuboid_graph import (
    KNOWN_PATHS,
    best_paths,
    count_paths,
    grid_graph,
    longest_path,
    path_of_nodes,
    path_steps,
)
from nasbench.testing import check_space
from tests.search_spaces.hypercuboids import ALL_OPERATIONS, SMALL_SIZE, SPACE, TINY, P, S, task


def random_weights(space: HyperCuboid, seed: int) -> dict[str, np.ndarray]:
    """Softmaxed weights, each block's over all its entries."""
    rng = np.random.default_rng(seed)
    shape = (len(space.axes.edges), len(space.axes.operations))
    exponentials = {block.kind: np.exp(rng.normal(size=shape)) for block in space.axes.blocks}
    return {kind: table / table.sum() for kind, table in exponentials.items()}


def path_sum(space: HyperCuboid, weights: dict[str, np.ndarray], spec: tuple[Any, ...]) -> float:
    """Sum the weights on a path, looked up entry by entry."""
    total = 0.0
    for step in path_steps(space.axes, spec):
        row = space.axes.edges.index((step.inputs, step.outputs))
        total += weights[step.block.kind][row, space.axes.operations.index(step.operation)]
    return total


# -- the space -------------------------------------------------------------------------------------------------------
def test_it_keeps_the_contract_of_a_space() -> None:
    check_space(TINY, size=SMALL_SIZE)
    check_space(ALL_OPERATIONS, size=SMALL_SIZE)
    check_space(HyperCuboid(widths=(4, 8)), task=task(1, 8, 8), builds=1)


def test_the_default_axes_have_67_million_paths() -> None:
    assert SPACE.size == 67_108_864
    assert [choice.name for choice in SPACE.decisions][:5] == [
        "stem",
        "layer0.stride1.operation",
        "layer0.stride1.width",
        "layer0.stride2.operation",
        "layer0.stride2.width",
    ]
    assert Counter(choice.group for choice in SPACE.decisions) == {
        "stem": 1,
        **{f"layer{layer}": 4 for layer in range(4)},
    }


def test_axes_other_than_the_default_have_another_name() -> None:
    assert SPACE.name == "hypercuboid"
    others = [TINY, ALL_OPERATIONS, HyperCuboid(layers=3), HyperCuboid(widths=(8,)), HyperCuboid(operations=(P, S))]
    assert len({space.name for space in others} | {SPACE.name}) == len(others) + 1
    with pytest.raises(BadInput, match="belongs to space"):
        SPACE.check(TINY.sample(np.random.default_rng(0)))


def test_axes_can_be_given_as_the_command_line_does() -> None:
    config = HyperCuboid.Config.model_validate({"layers": "2", "widths": "8, 16", "operations": f"{P},{S}"})
    space = HyperCuboid(**config.model_dump(mode="json"))
    assert (space.axes.layers, space.axes.widths, space.axes.operations) == (2, (8, 16), (P, S))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": 0}, "layers: .*greater than or equal to 1"),
        ({"widths": ()}, "widths: needs at least one value"),
        ({"widths": (8, 8)}, "widths: needs at least one value, and none twice"),
        ({"widths": (8, 0)}, "widths.1"),
        ({"widths": "8,wide"}, "widths.1"),
        ({"operations": ("resizable_pool",)}, "unknown operation 'resizable_pool'. Did you mean 'resizable_pool_3x3'"),
        ({"operations": (S, S)}, "none twice"),
    ],
)
def test_wrong_axes_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        HyperCuboid(**wrong)
    assert "\n" not in str(caught.value)


def test_a_search_of_the_space_needs_no_torch() -> None:
    program = (
        "import sys, numpy; from nasbench.search_spaces.hypercuboid import HyperCuboid; s = HyperCuboid();"
        "s.format(s.sample(numpy.random.default_rng(0)));"
        "assert not {'torch', 'networkx', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# -- notation --------------------------------------------------------------------------------------------------------
def test_paths_are_written_with_names_and_read_again() -> None:
    text = "32: S->32, P->64 | S->64, P->128 | S->128, P->256 | S->256, P->256"
    architecture = SPACE.parse("MULTI_CHANNEL_HANDMADE")
    assert architecture.spec == (32, S, 32, P, 64, S, 64, P, 128, S, 128, P, 256, S, 256, P, 256)
    assert SPACE.format(architecture) == text
    assert SPACE.parse(text) == SPACE.parse(f"  {text.replace(' ', '   ')}\n") == architecture
    assert SPACE.parse(text.replace(" ", "")) == architecture


@given(st.integers(0, 2**32 - 1))
def test_format_and_parse_undo_each_other(seed: int) -> None:
    for space in (SPACE, ALL_OPERATIONS):
        architecture = space.sample(np.random.default_rng(seed))
        assert space.parse(space.format(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no ':'"),
        ("4: S->4, P->6", "1 layers"),
        ("4: S->4, P->6 | S->6", "layer 1 has 1 operations"),
        ("4: S->4, P->6 | S->6, P->6 | S->6, P->6", "3 layers"),
        ("4: S->4, P->6 | S->6, P->6, P->6", "layer 1 has 3 operations"),
        ("5: S->4, P->6 | S->6, P->6", "the stem: the width cannot be '5'. Allowed: 4, 6"),
        (": S->4, P->6 | S->6, P->6", "the stem: the width cannot be ''"),
        ("4: S->4, P->6 | S->7, P->6", "layer 1, stride 1: the width cannot be '7'"),
        ("4: S->04, P->6 | S->6, P->6", "the width cannot be '04'"),
        ("4: S->4->4, P->6 | S->6, P->6", "the width cannot be '4->4'"),
        ("4: S4, P->6 | S->6, P->6", "layer 0, stride 1: expected 'operation->width'"),
        ("4: s->4, P->6 | S->6, P->6", "unknown operation 's'. Did you mean 'S'"),
        ("4: 0->4, P->6 | S->6, P->6", "unknown operation '0'"),
        ("4: S->4, P->6 | S->6, P->6;", "the width cannot be '6;'"),
        ("MULTI_CHANNEL_MAXW", "Did you mean 'MULTI_CHANNEL_MAX_W'"),
        ("MULTI_CHANNEL_MAX_W", "expected 2 layers"),
        ("4: " + "S->4, P->6 | " * 400, "at most 1000 characters"),
        ("x" * 900, "unknown path"),
    ],
)
def test_other_texts_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        TINY.parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_graph_of_an_architecture_is_its_chain() -> None:
    graph = SPACE.graph(SPACE.parse("MULTI_CHANNEL_MAX_W"))
    labels = [op for _, op in graph.nodes(data="op")]
    assert list(graph.edges) == list(itertools.pairwise(range(12)))
    assert labels[1:4] == ["conv_3x3 256", f"{P} 256→128", f"{P} 128→256 /2"]
    assert [label.endswith("/2") for label in labels[2:10]] == [False, True] * 4


# -- the weighted grid -----------------------------------------------------------------------------------------------
def test_the_grid_has_304_nodes_530_edges_and_67_million_paths() -> None:
    graph = grid_graph(SPACE.axes)
    assert (len(graph), graph.number_of_edges(), count_paths(graph)) == (304, 530, 67_108_864)
    assert all("op" in data for _, data in graph.nodes(data=True))
    # Weights lie on the edges from an operation to the sum behind it, 32 a block, and nowhere else.
    weighted = [(source, target) for source, target, data in graph.edges(data=True) if "weight" in data]
    assert len(weighted) == 8 * 32
    assert all("step" in graph.nodes[source] and graph.nodes[target]["op"] == "sum" for source, target in weighted)


@pytest.mark.parametrize("space", [TINY, ALL_OPERATIONS, HyperCuboid(3, (4, 5, 6))], ids=lambda space: space.name)
def test_the_grid_has_as_many_paths_as_the_space_has_architectures(space: HyperCuboid) -> None:
    assert count_paths(grid_graph(space.axes)) == space.size


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_longest_path_is_the_best_of_all_paths(seed: int) -> None:
    weights = random_weights(TINY, seed)
    choices = [choice.values for choice in TINY.decisions]
    sums = {spec: path_sum(TINY, weights, spec) for spec in itertools.product(*choices)}
    ranking = sorted(sums, key=sums.__getitem__, reverse=True)
    assert len(ranking) == 512
    assert TINY.discretize(weights) == Architecture(TINY.name, ranking[0])
    assert [path for path, _ in best_paths(TINY.axes, weights, 5)] == ranking[:5]
    margin = TINY.margin(weights)
    assert (margin.best, margin.second) == pytest.approx((sums[ranking[0]], sums[ranking[1]]))
    assert margin.mean == pytest.approx(np.mean(list(sums.values())))
    assert 0 < margin.relative < 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_longest_path_is_that_of_dynamic_programming(seed: int) -> None:
    weights = random_weights(SPACE, seed)
    graph = grid_graph(SPACE.axes, weights)
    nodes = longest_path(graph)
    assert (nodes[0], nodes[-1], len(nodes)) == ("Source", "Linear", 3 + 2 * 8 + 4)
    [(best, total)] = best_paths(SPACE.axes, weights, 1)
    assert path_of_nodes(graph, nodes) == best
    assert total == pytest.approx(path_sum(SPACE, weights, best))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_a_whole_block_gains_or_loses_does_not_change_the_path(seed: int) -> None:
    weights = random_weights(SPACE, seed)
    found = SPACE.discretize(weights)
    assert SPACE.discretize({kind: 1 - table.max() + table for kind, table in weights.items()}) == found
    constants = np.random.default_rng(seed).uniform(-50, 50, 8)
    shifted = {kind: table + constant for (kind, table), constant in zip(weights.items(), constants, strict=True)}
    assert SPACE.discretize(shifted) == found
    # Negative weights everywhere, where a path of no edges would be the longest.
    assert SPACE.discretize({kind: table - 1 for kind, table in weights.items()}) == found
    margin, moved = SPACE.margin(weights), SPACE.margin(shifted)
    assert moved.best - moved.second == pytest.approx(margin.best - margin.second, abs=1e-9)
    assert moved.relative == pytest.approx(margin.relative, abs=1e-6)


def test_a_path_planted_in_the_weights_is_found_whatever_the_order_of_operations() -> None:
    for operations in ((S, P), (P, S)):
        space = HyperCuboid(operations=operations)
        for text in KNOWN_PATHS.values():
            planted = space.parse(text)
            weights = random_weights(space, 3)
            for step in path_steps(space.axes, planted.spec):
                row = space.axes.edges.index((step.inputs, step.outputs))
                weights[step.block.kind][row, operations.index(step.operation)] += 1.0
            assert space.format(space.discretize(weights)) == text
            assert space.margin(weights).relative > 0.05


@pytest.mark.parametrize("space", [SPACE, TINY, ALL_OPERATIONS], ids=lambda space: space.name)
def test_one_hot_weights_decode_to_their_path(space: HyperCuboid) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture = space.sample(rng)
        weights = space.one_hot(architecture)
        assert space.discretize(weights) == architecture
        assert path_sum(space, weights, architecture.spec) == len(weights) == 2 * space.axes.layers
        for table in weights.values():
            assert table.shape == (len(space.axes.edges), len(space.axes.operations))
            assert table.dtype == np.float32
            assert sorted(table.flat)[-2:] == [0, 1]


def test_equal_weights_give_the_first_path_and_no_margin() -> None:
    weights = {block.kind: np.full((16, 2), 1 / 32) for block in SPACE.axes.blocks}
    assert SPACE.format(SPACE.discretize(weights)) == "32: " + " | ".join(["S->32, S->32"] * 4)
    margin = SPACE.margin(weights)
    assert margin.best == margin.second == margin.mean == 0.25
    assert margin.relative == 0
    single = HyperCuboid(1, (4,), (S,))
    assert single.margin({"layer0_stride1": np.ones((1, 1)), "layer0_stride2": np.ones((1, 1))}).second == -np.inf


def test_wrong_weights_are_refused() -> None:
    weights = random_weights(TINY, 0)
    for wrong in (np.ones((4, 3)), np.ones(8), np.full((4, 2), np.nan)):
        with pytest.raises(BadInput, match=r"'layer1_stride1' must be finite numbers of shape \(4, 2\)"):
            TINY.discretize({**weights, "layer1_stride1": wrong})
    del weights["layer1_stride2"]
    with pytest.raises(BadInput, match="'layer1_stride2' are missing"):
        TINY.margin(weights)

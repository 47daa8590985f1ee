"""The NAS-Bench-201 space, most of it checked over all 15,625 cells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from nasbench.core.abilities import Crossing, Local
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask
from nasbench.search_spaces.nasbench201 import OPERATIONS, NasBench201, NasBench201Size

SPACE = NasBench201()
CELLS = NasBench201.all()
NONE, SKIP, CONV1, CONV3, POOL = OPERATIONS
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"

cells = st.sampled_from(CELLS)


def cell(*operations: str) -> Architecture:
    return Architecture("nasbench201", operations)


def images(channels: int = 3, size: int = 8, classes: int = 10) -> SearchTask:
    return SearchTask("squares", "images", (channels, size, size), classes, None, None, "none")


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# -- the set of cells ------------------------------------------------------------------------------------------------
def test_all_lists_every_cell_once_in_product_order() -> None:
    assert len(CELLS) == len(set(CELLS)) == SPACE.size == 15_625
    assert CELLS[0] == cell(*[NONE] * 6)
    assert CELLS[1] == cell(NONE, NONE, NONE, NONE, NONE, SKIP)
    assert CELLS[-1] == cell(*[POOL] * 6)
    for architecture in CELLS[::997]:
        SPACE.check(architecture)


def test_decisions_follow_the_string_of_the_benchmark() -> None:
    assert [c.name for c in SPACE.decisions] == ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]
    assert [c.group for c in SPACE.decisions] == ["node1", "node2", "node2", "node3", "node3", "node3"]
    assert isinstance(SPACE, Crossing)
    assert isinstance(SPACE, Local)


@given(cells, st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_mutations_are_among_the_24_neighbors(architecture: Architecture, seed: int) -> None:
    neighbors = SPACE.neighbors(architecture)
    assert len(set(neighbors)) == len(neighbors) == 24
    rng = np.random.default_rng(seed)
    assert SPACE.mutate(architecture, rng) in neighbors
    assert SPACE.mutate_as_benchmark(architecture, rng) in neighbors


def test_benchmark_mutation_picks_a_node_then_an_edge_then_an_operation() -> None:
    rng, parent, trials = np.random.default_rng(0), CELLS[7_000], 18_000
    edges: Counter[int] = Counter()
    operations: Counter[str] = Counter()
    for _ in range(trials):
        spec = SPACE.mutate_as_benchmark(parent, rng).spec
        (edge,) = [i for i in range(6) if spec[i] != parent.spec[i]]
        edges[edge] += 1
        if edge == 0:
            operations[str(spec[0])] += 1
    expected = np.array([6, 3, 3, 2, 2, 2]) / 18
    observed = np.array([edges[i] for i in range(6)]) / trials
    assert np.all(np.abs(observed - expected) < 5 * np.sqrt(expected / trials))
    assert set(operations) == set(OPERATIONS) - {parent.spec[0]}
    assert min(operations.values()) > 0.9 * max(operations.values())


# -- sameness --------------------------------------------------------------------------------------------------------
def test_the_benchmark_counts_6466_classes() -> None:
    canonical = [SPACE.canonical(architecture) for architecture in CELLS]
    assert len(set(canonical)) == 6_466
    position = {architecture: i for i, architecture in enumerate(CELLS)}
    for architecture, representative in zip(CELLS, canonical, strict=True):
        assert position[representative] <= position[architecture]
        assert SPACE.canonical(representative) == representative
        assert SPACE.is_connected(representative) == SPACE.is_connected(architecture)


def test_canonical_splices_skips_and_reorders_sums() -> None:
    by_skip = cell(SKIP, CONV3, NONE, POOL, NONE, SKIP)
    direct = cell(SKIP, NONE, CONV3, NONE, POOL, SKIP)
    assert SPACE.canonical(by_skip) == SPACE.canonical(direct)
    assert SPACE.canonical(cell(SKIP, CONV1, NONE, POOL, NONE, SKIP)) != SPACE.canonical(direct)


def test_canonical_keeps_a_dead_sum_apart_from_no_input() -> None:
    """A convolution of a sum of zeros is not recognised as zero by the benchmark's string, but is by `graph_hash`."""
    dead_branch = cell(NONE, NONE, NONE, SKIP, NONE, CONV3)
    nothing = cell(NONE, NONE, NONE, SKIP, NONE, NONE)
    assert SPACE.canonical(dead_branch) != SPACE.canonical(nothing)
    assert SPACE.graph_hash(dead_branch) == SPACE.graph_hash(nothing)


def test_canonical_of_a_foreign_architecture_is_bad_input() -> None:
    for foreign in (
        Architecture("other", ("x",)),
        cell("none"),
        cell(*["max_pool_3x3"] * 6),
        Architecture("nasbench201", (["none"],)),  # type: ignore[arg-type]
    ):
        with pytest.raises(BadInput):
            SPACE.canonical(foreign)


@pytest.mark.parametrize(("flatten_add", "classes"), [(True, 4_930), (False, 5_819)])
def test_number_of_graph_hashes(flatten_add: bool, classes: int) -> None:
    assert len({SPACE.graph_hash(architecture, flatten_add=flatten_add) for architecture in CELLS}) == classes


def test_graph_hash_is_coarser_than_the_benchmark_classes_and_flattening_coarser_still() -> None:
    """The three notions are nested: isomorphic cells hash alike, and equal unflattened hashes stay equal flattened."""
    flat_of_nested: dict[str, str] = {}
    for architecture in CELLS:
        nested = SPACE.graph_hash(architecture, flatten_add=False)
        flat = SPACE.graph_hash(architecture, flatten_add=True)
        assert flat_of_nested.setdefault(nested, flat) == flat
        assert SPACE.graph_hash(SPACE.canonical(architecture), flatten_add=True) == flat


def test_flatten_add_merges_a_sum_carried_into_another() -> None:
    nested = cell(CONV1, POOL, SKIP, CONV3, NONE, SKIP)  # (pool(x) + conv1(x)) + conv3(x)
    level = cell(CONV1, NONE, NONE, POOL, SKIP, NONE)
    level_of_three = cell(CONV3, CONV1, NONE, POOL, SKIP, SKIP)  # pool(x) + conv3(x) + conv1(x)
    assert SPACE.graph_hash(nested, flatten_add=True) == SPACE.graph_hash(level_of_three, flatten_add=True)
    assert SPACE.graph_hash(nested, flatten_add=False) != SPACE.graph_hash(level_of_three, flatten_add=False)
    assert SPACE.graph_hash(nested, flatten_add=True) != SPACE.graph_hash(level, flatten_add=True)


# -- the graph -------------------------------------------------------------------------------------------------------
def test_341_cells_are_not_connected() -> None:
    assert sum(not SPACE.is_connected(architecture) for architecture in CELLS) == 341


@given(cells)
@settings(max_examples=200, deadline=None)
def test_graph_shows_every_operation_and_the_connection(architecture: Architecture) -> None:
    import networkx as nx

    graph = SPACE.graph(architecture)
    operations = Counter(op for _, op in graph.nodes(data="op"))
    expected = Counter(op for op in architecture.spec if op != NONE)
    assert operations == expected + Counter({"input": 1, "sum": 3, "output": 1})
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.has_path(graph, "input", "output") == SPACE.is_connected(architecture)


def test_graph_names_edges_as_their_decisions() -> None:
    graph = SPACE.graph(cell(CONV3, NONE, SKIP, NONE, NONE, POOL))
    assert set(graph.edges) == {
        ("input", "1<-0"),
        ("1<-0", "node1"),
        ("node1", "2<-1"),
        ("2<-1", "node2"),
        ("node2", "3<-2"),
        ("3<-2", "node3"),
        ("node3", "output"),
    }
    assert graph.nodes["1<-0"]["op"] == CONV3


# -- notation --------------------------------------------------------------------------------------------------------
def test_every_cell_round_trips_through_its_string() -> None:
    texts = [SPACE.format(architecture) for architecture in CELLS]
    assert len(set(texts)) == 15_625
    assert [SPACE.parse(text) for text in texts] == CELLS


def test_format_is_the_benchmarks_notation() -> None:
    assert SPACE.format(cell(CONV3, NONE, SKIP, POOL, CONV1, SKIP)) == CELL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1 nodes"),
        (CELL + "\n", "node 3"),
        (" " + CELL, "node 1"),
        (CELL.replace("none", "nor_conv_3x4"), "edge 2<-0.*Did you mean 'nor_conv_3x3'"),
        (CELL.replace("skip_connect~1", "skip_conect~1"), "edge 2<-1.*Did you mean 'skip_connect'"),
        (CELL.replace("none", "None"), "unknown operation 'None'.*Did you mean 'none'"),
        (CELL.replace("none~0", "none~1"), "edge 2<-0 must end in '~0'"),
        (CELL.replace("~2", "~²"), "edge 3<-2 must end in '~2'"),
        (CELL.replace("none~0|", ""), "node 2"),
        (CELL.replace("|+|", "|", 1), "2 nodes"),
        (CELL + "+|none~0|", "4 nodes"),
        (CELL.removesuffix("|"), "node 3"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        SPACE.parse(text)


def assert_parses_or_explains(text: str) -> None:
    try:
        architecture = SPACE.parse(text)
    except BadInput as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 1_000
    else:
        assert SPACE.format(architecture) == text


@given(st.text(max_size=200) | st.text("|+~012 \nnoeskipav_", max_size=120))
@settings(max_examples=300, deadline=None)
def test_garbage_gets_one_clear_line(text: str) -> None:
    assert_parses_or_explains(text)


@given(cells, st.integers(0, 200), st.integers(0, 3), st.text(max_size=3))
@settings(max_examples=500, deadline=None)
def test_typos_get_one_clear_line(architecture: Architecture, start: int, length: int, typed: str) -> None:
    text = SPACE.format(architecture)
    assert_parses_or_explains(text[:start] + typed + text[start + length :])


# -- networks --------------------------------------------------------------------------------------------------------
def test_parameters_match_the_published_sizes() -> None:
    """In millions .073306 + .24304 for each 3x3 and .028 for each 1x1 convolution, with 10 classes."""
    for architecture in CELLS[::97]:
        threes, ones = architecture.spec.count(CONV3), architecture.spec.count(CONV1)
        assert SPACE.parameters(architecture) == 73_306 + 243_040 * threes + 28_000 * ones
        assert SPACE.parameters(architecture, classes=100) == SPACE.parameters(architecture) + 65 * 90


@pytest.mark.parametrize(
    ("index", "classes", "size", "channels"),
    [
        (0, 10, NasBench201Size(), 3),
        (11_111, 10, NasBench201Size(), 3),
        (15_000, 100, NasBench201Size(), 3),
        (9_371, 10, NasBench201Size(channels=4, cells=1), 1),
        (12_345, 7, NasBench201Size(channels=3, cells=2), 2),
    ],
)
def test_parameters_are_those_of_the_network(index: int, classes: int, size: NasBench201Size, channels: int) -> None:
    network = SPACE.build(CELLS[index], images(channels, classes=classes), size)
    assert weights(network) == SPACE.parameters(CELLS[index], classes, size, input_channels=channels)


@pytest.mark.parametrize("operations", [[NONE] * 6, [CONV3, NONE, SKIP, CONV1, POOL, NONE]])
def test_default_network_learns_forward_and_backward(operations: list[str]) -> None:
    torch.manual_seed(0)
    network = SPACE.build(cell(*operations), images(size=8))
    logits = network(torch.randn(2, 3, 8, 8))
    assert logits.shape == (2, 10)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(gradients) == len(list(network.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert gradients[-1].abs().max() > 0


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 16), (3, 7), (1, 28)])
def test_network_takes_grey_small_and_odd_images(channels: int, size: int) -> None:
    network = SPACE.build(
        cell(CONV3, POOL, SKIP, CONV1, NONE, SKIP), images(channels, size, 3), NasBench201Size(cells=1)
    )
    assert network(torch.randn(2, channels, size, size)).shape == (2, 3)


def test_network_has_three_stages_that_halve_the_map() -> None:
    network = SPACE.build(cell(*[SKIP] * 6), images(), NasBench201Size(channels=4, cells=2))
    x, shapes = network.stem(torch.randn(2, 3, 8, 8)), []
    for block in network.body:
        x = block(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 8, 8)] * 2 + [(8, 4, 4)] * 3 + [(16, 2, 2)] * 3


def test_cell_computes_the_sums_of_its_edges() -> None:
    """A cell of skips gives 4x: nodes x, x, 2x, and the output their sum. A pool excludes the padding, a none is 0."""
    task, size, x = images(), NasBench201Size(channels=4, cells=1), torch.randn(2, 4, 8, 8)
    skips = SPACE.build(cell(*[SKIP] * 6), task, size)
    torch.testing.assert_close(skips.body[0](x), 4 * x)
    constant = torch.ones(1, 4, 8, 8)
    pool = SPACE.build(cell(NONE, NONE, NONE, POOL, NONE, NONE), task, size)
    torch.testing.assert_close(pool.body[0](constant), constant)
    dead = SPACE.build(cell(*[NONE] * 6), task, size)
    assert torch.count_nonzero(dead.body[0](x)) == 0


def test_cell_rectifies_before_the_convolution() -> None:
    """ReLU, convolution, batch norm: a negative map gives the batch norm's shift, zero at the start."""
    network = SPACE.build(cell(NONE, NONE, NONE, CONV1, NONE, NONE), images(), NasBench201Size(channels=4, cells=1))
    assert torch.count_nonzero(network.body[0](-torch.ones(2, 4, 8, 8))) == 0
    outputs = network.body[0](torch.randn(4, 4, 8, 8))
    torch.testing.assert_close(outputs.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-2, rtol=0)


def test_isomorphic_cells_with_the_same_weights_compute_the_same() -> None:
    """Two isomorphic cells, the same weights in the place of each convolution: the same function."""
    a = cell(SKIP, CONV3, NONE, POOL, NONE, SKIP)
    b = cell(SKIP, NONE, CONV3, NONE, POOL, SKIP)
    assert SPACE.canonical(a) == SPACE.canonical(b)
    size = NasBench201Size(channels=4, cells=1)
    first, second = SPACE.build(a, images(), size).eval(), SPACE.build(b, images(), size).eval()
    second.load_state_dict(dict(zip(second.state_dict(), first.state_dict().values(), strict=True)))
    x = torch.randn(3, 3, 8, 8)
    torch.testing.assert_close(first(x), second(x))


def test_build_is_drawn_from_torchs_current_generator() -> None:
    def initial_weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        network = SPACE.build(CELLS[12_000], images(), NasBench201Size(cells=1))
        return nn.utils.parameters_to_vector(network.parameters())

    assert torch.equal(initial_weights(3), initial_weights(3))
    assert not torch.equal(initial_weights(3), initial_weights(4))


def test_build_refuses_foreign_cells_other_tasks_and_unknown_sizes() -> None:
    with pytest.raises(BadInput, match="nor_conv_3x3"):
        SPACE.build(cell(*["nor_conv_3x2"] * 6), images())
    with pytest.raises(BadInput, match="images"):
        SPACE.build(CELLS[0], SearchTask("graph", "graphs", (16,), 2, None, None, "none"))
    with pytest.raises(ValidationError):
        NasBench201Size(width=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        NasBench201Size(channels=0)


def test_importing_and_searching_the_space_loads_no_heavy_library() -> None:
    code = (
        "import sys, numpy as np; from nasbench.search_spaces.nasbench201 import NasBench201 as S; s = S();"
        "a = s.mutate(s.sample(np.random.default_rng(0)), np.random.default_rng(1)); s.canonical(a);"
        "print(sorted({'torch', 'pandas', 'networkx', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# -- the benchmark's own table ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    folder = os.environ.get("NASBENCH_DATA")
    path = Path(folder or "") / "nasbench201" / "accuracy.csv.gz"
    if folder is None or not path.is_file():
        pytest.skip(
            "the table of NAS-Bench-201 is not here: set NASBENCH_DATA to a folder with nasbench201/accuracy.csv.gz"
        )
    return pd.read_csv(path, usecols=["arch", "cifar10_test_200"])


def test_all_strings_of_the_table_are_the_cells(table: pd.DataFrame) -> None:
    architectures = [SPACE.parse(text) for text in table["arch"]]
    assert set(architectures) == set(CELLS)
    assert len(architectures) == 15_625
    assert [SPACE.format(a) for a in architectures] == table["arch"].tolist()


def test_the_cells_that_stay_at_chance_are_the_unconnected_ones(table: pd.DataFrame) -> None:
    connected = [SPACE.is_connected(SPACE.parse(text)) for text in table["arch"]]
    assert ((table["cifar10_test_200"] != 10.0).to_numpy() == np.array(connected)).all()


def test_isomorphic_cells_score_alike_in_the_table(table: pd.DataFrame) -> None:
    """Members of a class differ by the noise of training alone; classes of unrelated cells would differ by far more."""
    classes = table["arch"].map(lambda text: SPACE.format(SPACE.canonical(SPACE.parse(text))))
    assert classes.nunique() == 6_466

    def spread(scores: pd.Series[float]) -> float:
        return float(np.sqrt(scores.groupby(classes).var().mean()))

    scores = table["cifar10_test_200"]
    assert spread(scores) < 1.0
    assert spread(scores.sample(frac=1.0, random_state=0).set_axis(scores.index)) > 5.0

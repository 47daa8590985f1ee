"""The space of NAS-Bench-Graph: which encodings are one network, how it is drawn from, what is built."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.predictors.encodings import OneHot
from nasbench.search_spaces.nasbench_graph import (
    PUBLISHED,
    NasBenchGraph,
    NasBenchGraphProteins,
    NasBenchGraphSize,
)
from nasbench.search_spaces.nasbench_graph_classes import LINKS, OPERATIONS, keys

SPACE, PROTEINS = NasBenchGraph(), NasBenchGraphProteins()
SKIPS = ("skip",) * 4
TASK = SearchTask("small", "node", (5,), 3, None, None, "")
WIDE = NasBenchGraphSize(width=4)
EVERYWHERE = NasBenchGraphSize(width=4, before=1, after=1)
RING = (
    torch.rand(6, 5, generator=torch.Generator().manual_seed(0)),
    torch.tensor([[0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 0, 1, 2, 3, 4, 5]]),
)


def key(links: str, operations: str) -> int:
    return SPACE.key(Architecture(SPACE.name, (*map(int, links[1:]), *operations.split())))


# -- sameness ----------------------------------------------------------------------------------------------------------
def test_the_encodings_and_their_networks_number_as_published() -> None:
    everything = keys()
    assert everything.size == 157_464 and np.count_nonzero(everything == 88888) == 24
    found = Counter(SPACE.all_keys().tolist())
    assert len(SPACE.all_specs()) == SPACE.size == found.total() == 157_440 and len(found) == 26_206
    trees = Counter(number // 10_000 for number in found)
    assert [trees[tree] for tree in range(9)] == [330, 2304, 2880, 2080, 4096, 1440, 5120, 3276, 4680]
    counts = np.array(list(found.values()))
    assert (counts.min(), np.median(counts), counts.max()) == (1, 4, 164)


def test_so_they_do_on_proteins() -> None:
    found = set(PROTEINS.all_keys().tolist())
    assert PROTEINS.size == len(PROTEINS.all_specs()) == 24 * 5**4 - 24 and len(found) == 2_021
    trees = Counter(number // 10_000 for number in found)
    assert [trees[tree] for tree in range(9)] == [35, 160, 240, 136, 256, 160, 384, 310, 340]
    assert found < set(SPACE.all_keys().tolist())


@pytest.mark.parametrize("space", [SPACE, PROTEINS], ids=lambda space: space.name)
def test_the_digits_of_every_key_stand_for_its_network(space: NasBenchGraph) -> None:
    for number in set(space.all_keys().tolist()):
        architecture = space.parse(f"{number:05d}")
        assert space.key(architecture) == number
        assert space.canonical(architecture) == architecture and space.format(architecture) == f"{number:05d}"


def test_keys_are_those_of_the_authors_package() -> None:
    """Every 13th encoding, which is prime to the numbers of links and of operations."""
    package = pytest.importorskip("nas_bench_graph")
    for spec, number in list(zip(SPACE.all_specs(), SPACE.all_keys().tolist(), strict=True))[::13]:
        assert package.Arch([0, *spec[:3]], list(spec[3:])).valid_hash() == number


def test_rows_are_places_among_all_encodings() -> None:
    for space in (SPACE, PROTEINS):
        specs, numbers = space.all_specs(), space.all_keys()
        for row in range(0, len(specs), 997):
            assert space.row(specs[row]) == row and space.key(Architecture(space.name, specs[row])) == numbers[row]
        for foreign in ((0, 0, 0, *SKIPS), (0, 0, 9, "gcn", *SKIPS[:3]), ("gcn",), ()):
            with pytest.raises(KeyError):
                space.row(foreign)


@pytest.mark.parametrize(
    ("links", "operations", "number"),
    [
        ("0123", "skip skip gcn gcn", 88811),
        ("0123", "gcn skip gcn skip", 88811),  # skips that change nothing stand first
        ("0121", "gcn gin fc cheb", 61237),
        ("0112", "gcn gin cheb fc", 61237),  # the same network, listed in another order
        ("0112", "gcn cheb gin fc", 61327),  # another one: the last node follows the second
        ("0000", "skip gcn gcn skip", 78811),  # skips from the input to the output are left out beside others
        ("0111", "gcn skip skip fc", 51788),  # behind a node they stay
        ("0021", "gin gcn cheb fc", 31237),  # of two chains the one that comes first in the order of operations
        ("0012", "gcn gcn fc cheb", 31137),
        ("0000", "skip skip skip skip", 88888),
    ],
)
def test_known_pairs(links: str, operations: str, number: int) -> None:
    assert key(links, operations) == number


def test_a_class_has_one_row_of_features() -> None:
    twins = [SPACE.parse("0121 gcn gin fc cheb"), SPACE.parse("61237"), SPACE.parse("61327")]
    features = OneHot(SPACE)(twins)
    assert features.shape == (3, 9 + 4 * 9)
    assert np.array_equal(features[0], features[1]) and not np.array_equal(features[1], features[2])


# -- drawing: nothing but skips never comes --------------------------------------------------------------------------
class Twice:
    """A generator whose first numbers are given."""

    def __init__(self, *first: np.ndarray | float) -> None:
        self.first, self.rest = list(first), generator(0, "rest")

    def random(self, size: object = None) -> object:
        return self.first.pop(0) if self.first else self.rest.random(size)


LAST = np.full(7, 1 - 1e-9)


def test_a_draw_of_nothing_but_skips_is_drawn_again() -> None:
    assert SPACE.sample(Twice(LAST, LAST)).spec[3:] != SKIPS
    drawn = SPACE.sample_many(Twice(np.stack([LAST, 0 * LAST, LAST])), 3)
    assert len(drawn) == 3 and all(a.spec[3:] != SKIPS for a in drawn)
    one_by_one, at_once = generator(5, "x"), generator(5, "x")
    assert PROTEINS.sample_many(at_once, 4_000) == [PROTEINS.sample(one_by_one) for _ in range(4_000)]


def test_no_relative_is_nothing_but_skips() -> None:
    lonely = SPACE.parse("88887")
    assert len(SPACE.neighbors(lonely)) == 6 + 4 * 8 - 1 == len(set(SPACE.neighbors(lonely)))
    assert SPACE.change(lonely, 6, Twice(1 - 1e-9, 1 - 1e-9)).spec[3:] != SKIPS
    other = SPACE.parse("0123 fc skip skip skip")
    assert SPACE.crossover(lonely, other, Twice(np.array([1, 1, 1, 1, 1, 1, 0]) * 0.9)).spec[3:] != SKIPS
    drawn = [PROTEINS.mutate(PROTEINS.parse("88887"), generator(seed, "m")) for seed in range(300)]
    assert all(a.spec[3:] != SKIPS for a in drawn)


def test_draws_are_uniform_over_encodings() -> None:
    drawn = [PROTEINS.key(a) for a in PROTEINS.sample_many(generator(0, "uniform"), 20_000)]
    expected = Counter(PROTEINS.all_keys().tolist())
    for number, count in expected.most_common(20):
        share, seen = count / PROTEINS.size, drawn.count(number)
        assert abs(seen - 20_000 * share) < 5 * (20_000 * share) ** 0.5


def test_nothing_but_skips_is_refused_and_still_has_a_class() -> None:
    nothing = Architecture(SPACE.name, (0, 0, 0, *SKIPS))
    with pytest.raises(BadInput, match="four skips compute nothing"):
        SPACE.check(nothing)
    with pytest.raises(BadInput, match="four skips compute nothing"):
        SPACE.parse("88888")
    assert SPACE.canonical(nothing) == Architecture(SPACE.name, (1, 2, 3, *SKIPS))


# -- notation ----------------------------------------------------------------------------------------------------------
def test_text_is_the_key_or_the_key_and_the_encoding() -> None:
    raw = SPACE.parse("0121, gcn, gin, fc, cheb")
    assert SPACE.format(raw) == "61237 (0121 gcn gin fc cheb)" and SPACE.format(SPACE.canonical(raw)) == "61237"
    for architecture in SPACE.sample_many(generator(0, "text"), 200):
        assert SPACE.parse(SPACE.format(architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the network"),
        ("6123", "cannot read the network"),
        ("61239", "cannot read the network"),
        ("0121 gcn gin fc", "cannot read the network"),
        ("1121 gcn gin fc cheb", "cannot read the network"),
        ("81818", r"'81818' is not the key of this network, which is 88811\."),
        ("61327 (0121 gcn gin fc cheb)", "which is 61237"),
        ("0121 gcn gin fc chep", "Did you mean 'cheb'"),
        ("0221 gcn gin fc cheb", "'link2' cannot be '2'"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        SPACE.parse(text)


def test_proteins_has_five_operations() -> None:
    with pytest.raises(BadInput, match="'op3' cannot be 'gat'"):
        PROTEINS.parse("88800")
    with pytest.raises(BadInput, match="'op3' cannot be 'cheb'"):
        PROTEINS.parse("0123 gcn gcn cheb gcn")
    assert PROTEINS.parse("74578").spec[3:] == ("sage", "arma", "fc", "skip")
    with pytest.raises(BadInput, match="belongs to space"):
        PROTEINS.canonical(SPACE.parse("61237"))


# -- networks ----------------------------------------------------------------------------------------------------------
def test_the_graph_is_the_network_of_the_key() -> None:
    graph = SPACE.graph(SPACE.parse("0000 skip gcn gcn skip"))
    assert [graph.nodes[node]["op"] for node in range(6)] == ["input", "skip", "skip", "gcn", "gcn", "output"]
    assert set(graph.edges) == {(0, 1), (1, 2), (2, 3), (2, 4), (3, 5), (4, 5)}


@pytest.mark.parametrize("size", [WIDE, EVERYWHERE], ids=["bare", "layers around"])
@pytest.mark.parametrize("text", ["00177", "51788", "88885", "34562", "78836", "0121 gcn gin fc cheb"])
def test_the_network_has_the_counted_parameters_and_gives_logits(text: str, size: NasBenchGraphSize) -> None:
    architecture = SPACE.parse(text)
    network = SPACE.build(architecture, TASK, size).train()
    assert sum(w.numel() for w in network.parameters()) == SPACE.count_parameters(architecture, 5, 3, size)
    logits = network(*RING)
    assert logits.shape == (6, 3) and bool(torch.isfinite(logits).all())
    logits.square().sum().backward()
    assert network.join.weight.grad is not None


def test_networks_of_one_key_are_one_network() -> None:
    torch.manual_seed(0)
    one = SPACE.build(SPACE.parse("0121 gcn gin fc cheb"), TASK, WIDE).eval()
    torch.manual_seed(0)
    other = SPACE.build(SPACE.parse("61237"), TASK, WIDE).eval()
    assert torch.equal(one(*RING), other(*RING))


def test_what_a_node_computes() -> None:
    """Node 3 of 88877 sees the raw input; node 4 its batch norm, ReLU and then its own layer."""
    network = SPACE.build(SPACE.parse("88877"), TASK, WIDE).eval()
    norm, third, fourth = network.norms[3], network.nodes[2], network.nodes[3]
    norm.weight.data.uniform_(0.5, 2)
    expected = network.join(torch.relu(fourth(torch.relu(norm(third(RING[0]))))))
    assert torch.allclose(network(*RING), expected)


def test_only_nodes_with_neighbours_see_them() -> None:
    alone = (RING[0], torch.zeros(2, 0, dtype=torch.long))
    for operation in OPERATIONS[:-1]:
        network = SPACE.build(SPACE.parse(f"0123 skip skip skip {operation}"), TASK, WIDE).eval()
        assert torch.allclose(network(*RING), network(*alone)) == (operation == "fc")


def test_what_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = SPACE.parse("61237")
    with pytest.raises(
        BadInput, match="networks for the nodes of a graph, with a row of features each; 'digits' is of kind 'image'"
    ):
        SPACE.build(architecture, SearchTask("digits", "image", (1, 8, 8), 10, None, None, ""))
    with pytest.raises(BadInput, match="3 attention heads cannot share a width of 4"):
        SPACE.build(architecture, TASK, NasBenchGraphSize(width=4, heads=3))
    monkeypatch.setitem(__import__("sys").modules, "nasbench.search_spaces.nasbench_graph_network", None)
    with pytest.raises(MissingData, match=r"pip install 'nasbench\[graph\]'"):
        SPACE.build(architecture, TASK)


def test_without_a_size_it_is_that_of_the_data_set() -> None:
    cora = PUBLISHED["cora"]
    with torch.device("meta"):
        network = SPACE.build(SPACE.parse("88811"), SearchTask("Cora", "node", (1433,), 7, None, None, ""))
    assert sum(w.numel() for w in network.parameters()) == 502_535
    assert SPACE.count_parameters(SPACE.parse("88811"), cora.features, cora.outputs, cora.size) == 502_535
    assert len(LINKS) == 24

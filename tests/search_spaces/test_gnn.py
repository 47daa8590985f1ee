"""The spaces of Auto-GNN and GraphNAS: how many networks there are, how they are written, what a layer becomes."""

from __future__ import annotations

import math
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.problem import SearchTask
from nasbench.core.seeding import generator
from nasbench.networks.graph_layer_choices import GraphLayerChoices
from nasbench.search_spaces.gnn import HIDDEN, Gnn

SPACE, GRAPHNAS, SKIP = Gnn(), Gnn(variant="graphnas"), Gnn(skip=True)
SPACES = [SPACE, GRAPHNAS, SKIP, Gnn(layers=1), Gnn(layers=3, variant="graphnas", linear_reads="both")]
NODES = SearchTask("small", "node", (5,), 3, None, None, "")


def distinct(space: Gnn) -> int:
    """Return the number of architectures that `canonical` keeps apart."""
    first = Architecture(space.name, tuple(choice.values[0] for choice in space.decisions))
    active = space.active(space.choices(first))
    return math.prod(len(choice.values) for choice, on in zip(space.decisions, active, strict=True) if on)


# -- sizes -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "of_a_layer", "of_two", "distinct_of_two"),
    [
        ({}, 11_760, 138_297_600, 19_756_800),
        ({"variant": "graphnas"}, 9_408, 88_510_464, 12_644_352),
        ({"skip": True}, 17_640, 311_169_600, 44_452_800),
    ],
    ids=["auto-gnn", "graphnas", "skip"],
)
def test_the_networks_number(settings: dict, of_a_layer: int, of_two: int, distinct_of_two: int) -> None:
    assert Gnn(layers=1, **settings).size == of_a_layer
    assert Gnn(**settings).size == of_two == of_a_layer**2
    assert distinct(Gnn(**settings)) == distinct_of_two == of_two // len(HIDDEN)


def test_every_setting_has_a_name_of_its_own() -> None:
    names = [space.name for space in SPACES]
    assert names == ["gnn", "gnn-graphnas", "gnn-skip", "gnn-1-layers", "gnn-graphnas-3-layers-linear-both"]


def test_classes_are_groups_of_decisions() -> None:
    names = [choice.name for choice in SPACE.decisions]
    assert names[:7] == ["attention1", "aggregation1", "combine1", "activation1", "heads1", "hidden1", "attention2"]
    assert all(choice.name == f"{choice.group}{1 + number // 6}" for number, choice in enumerate(SPACE.decisions))
    assert GRAPHNAS.classes == ("attention", "aggregation", "activation", "heads", "hidden")


def test_the_width_of_the_last_layer_decides_nothing() -> None:
    a, b = SPACE.parse("gat mean mlp elu 4x8 | cos max identity relu6 2x256"), SPACE.named("gat")
    assert SPACE.canonical(a).spec == (*a.spec[:-1], 4) and SPACE.canonical(b) == b
    assert all(neighbor.spec[-1] == 256 for neighbor in SPACE.neighbors(a))
    assert SPACE.encode(a)[-len(HIDDEN) :].sum() == 0


# -- settings ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0}, "space 'gnn'.layers"),
        ({"layers": 9}, "less than or equal to 8"),
        ({"variant": "autognn"}, "'auto-gnn' or 'graphnas', got 'autognn'"),
        ({"variant": "graphnas", "skip": True}, "skip is a value of the decision combine, which"),
        ({"linear_reads": "target"}, "'source' or 'both'"),
    ],
)
def test_other_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        Gnn(**settings)


def test_settings_can_be_given_as_text() -> None:
    assert Gnn(layers="3", skip="true").name == "gnn-3-layers-skip"


# -- notation ----------------------------------------------------------------------------------------------------------
@given(st.sampled_from(SPACES), st.integers(0, 10_000))
def test_what_is_written_can_be_read(space: Gnn, seed: int) -> None:
    drawn = space.sample(generator(seed, "text"))
    for architecture in (drawn, space.canonical(drawn)):
        assert space.parse(space.format(architecture)) == architecture
        decisions = ", ".join(f"{name}={value}" for name, value in space.choices(architecture).items())
        assert space.parse(decisions) == architecture


@given(st.text(alphabet="gcnsumidetyrl1x6| =,", max_size=60))
def test_other_texts_raise_bad_input(text: str) -> None:
    for space in (SPACE, GRAPHNAS):
        try:
            space.check(space.parse(text))
        except BadInput:
            continue


def test_known_networks() -> None:
    assert SPACE.format(SPACE.named("gcn")) == "gcn sum identity relu 1x16 | gcn sum identity linear 1"
    assert SPACE.format(SPACE.parse(" GAT ")) == "gat sum identity elu 8x8 | gat sum identity linear 1"
    assert GRAPHNAS.format(GRAPHNAS.named("gcn")) == "gcn sum relu 1x16 | gcn sum linear 1"
    assert Gnn(layers=3).format(Gnn(layers=3).named("gcn")).count("gcn sum identity relu 1x16") == 2
    for space in SPACES:
        for name in ("gcn", "gat"):
            space.check(space.named(name))
    with pytest.raises(BadInput, match=r"no network named 'sage'; it has: gcn, gat\."):
        SPACE.named("sage")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sage", "expected a name (gcn, gat) or, in 2 parts between '|', attention, aggregation, combine, activation"),
        ("gcn sum identity relu 1x16", "cannot read the network 'gcn sum identity relu 1x16'"),
        ("gcn sum relu 1x16 | gcn sum relu 1", "cannot read the network"),
        ("gcn sum identity relu 1 | gcn sum identity linear 1", "cannot read the network"),
        ("gcn sum identity relu 1x16 | gcn sum identity linear 1 | ", "cannot read the network"),
        ("gcn sum identity relu 1x17 | gcn sum identity linear 1", "'hidden1' cannot be '17'"),
        ("gcn sum identity relu 6x16 | gcn sum identity linear 1", "'heads1' cannot be '6'"),
        ("gcn sum skip relu 1x16 | gcn sum identity linear 1", "'combine1' cannot be 'skip'"),
        ("gcn mlp identity relu 1x16 | gcn sum identity linear 1", "'aggregation1' cannot be 'mlp'"),
        ("gcn sum identity relu 1x16 | gatt sum identity linear 1", "Did you mean 'gat'"),
        ("attention1=gcn", "decision 'aggregation1' is missing"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        SPACE.parse(text)


def test_a_graph_shows_what_matters() -> None:
    graph = SPACE.graph(SPACE.named("gat"))
    operations = [graph.nodes[node]["op"] for node in range(len(graph))]
    assert operations[1] == "attention1=gat" and operations[-2] == "heads2=1" and len(operations) == 13


# -- layers ------------------------------------------------------------------------------------------------------------
def test_widths_follow_from_heads_features_and_outputs() -> None:
    first, last = SPACE.layer_choices(SPACE.named("gat"), 1433, 7)
    assert first == GraphLayerChoices("gat", "sum", "identity", "elu", 8, 8, inputs=1433, average=False)
    assert last == GraphLayerChoices("gat", "sum", "identity", "linear", 1, 7, inputs=64, average=True)
    assert (first.outputs, last.outputs) == (64, 7)
    widest = SPACE.parse("gcn sum identity relu 16x256 | gcn sum identity linear 16")
    assert [layer.outputs for layer in SPACE.layer_choices(widest, 5, 3)] == [4096, 3]
    assert GRAPHNAS.layer_choices(GRAPHNAS.named("gcn"), 5, 3)[0].combine == "identity"
    with pytest.raises(BadInput, match="belongs to space 'gnn-graphnas'"):
        SPACE.layer_choices(GRAPHNAS.named("gcn"), 5, 3)


def test_what_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="for nodes or graphs, with a row of features for each node; 'digits'"):
        SPACE.build(SPACE.named("gcn"), SearchTask("digits", "image", (1, 8, 8), 10, None, None, ""))
    monkeypatch.setitem(sys.modules, "nasbench.search_spaces.gnn_network", None)
    with pytest.raises(MissingData, match=r"pip install 'nasbench\[graph\]'"):
        SPACE.build(SPACE.named("gcn"), NODES)

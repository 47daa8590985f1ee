"""The DARTS space: decisions, text format, isomorphism classes, graph and decoding."""

import itertools
import json
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.search_spaces.darts import OPERATIONS, Darts, DartsConfig
from nasbench.search_spaces.darts_genotype import KNOWN_CELLS, canonical_cell, cell_edges
from nasbench.search_spaces.darts_network import Cell, CellPlan

SPACES = {name: Darts(name) for name in OPERATIONS}
architectures = st.builds(
    lambda name, seed: (SPACES[name], SPACES[name].sample(np.random.default_rng(seed))),
    st.sampled_from(sorted(SPACES)),
    st.integers(0, 2**32),
)


# -- the space -------------------------------------------------------------------------------------------------------
def test_a_cell_of_the_default_space_has_1037664180_encodings() -> None:
    assert SPACES["darts"].size == 1_037_664_180**2 == (180 * 49**4) ** 2
    assert len(SPACES["darts"].decisions) == 24


def test_names_and_operations() -> None:
    names = [space.name for space in SPACES.values()]
    assert names == ["darts", "darts-sharpsepconv-darts", "darts-sharpdarts", "darts-sharper"]
    assert [len(space.operations) for space in SPACES.values()] == [7, 7, 8, 11]
    assert Darts(**DartsConfig().model_dump()).name == "darts"
    with pytest.raises(BadInput, match=r"unknown set of operations 'sharpdart'.*Did you mean 'sharpdarts'"):
        Darts("sharpdart")


@given(architectures)
@settings(max_examples=50, deadline=None)
def test_samples_and_their_variants_belong_to_the_space(pair: tuple[Darts, Architecture]) -> None:
    space, architecture = pair
    rng = np.random.default_rng(0)
    for variant in (architecture, space.mutate(architecture, rng), space.canonical(architecture)):
        space.check(variant)
        assert Architecture.from_json(json.loads(json.dumps(variant.to_json()))) == variant


# -- the text format -------------------------------------------------------------------------------------------------
@given(architectures)
@settings(max_examples=100, deadline=None)
def test_format_and_parse_are_inverse(pair: tuple[Darts, Architecture]) -> None:
    space, architecture = pair
    assert space.parse(space.format(architecture)) == architecture


@given(architectures, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_parse_takes_every_way_of_writing(pair: tuple[Darts, Architecture], random: Any) -> None:
    space, architecture = pair
    fields = []
    for kind in ("normal", "reduce"):
        pairs = [(operation, source) for source, _, operation in space.cell_edges(architecture, kind)]
        nodes = [random.sample(pairs[i : i + 2], 2) for i in range(0, 8, 2)]
        nested = random.random() < 0.5
        fields.append(f"{kind}={nodes if nested else [pair for node in nodes for pair in node]}")
        fields.append(f"{kind}_concat={random.choice(['range(2, 6)', '[2,3,4,5]', '(2, 3, 4, 5)'])}")
    if random.random() < 0.5:
        fields.append("layout='cell'")
    text = f"Genotype({','.join(fields)})".replace("'", random.choice("'\""))
    text = random.choice(["", "FOUND = ", "FOUND="]) + text
    text = text.replace(",", random.choice([",", " ,\n\t ", ", "]))
    assert space.parse(f" \n{text}\n") == architecture


def test_format_of_a_known_cell() -> None:
    space = SPACES["darts"]
    text = space.format(space.parse("DARTS_V2"))
    assert text == (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=range(2, 6), "
        "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], "
        "reduce_concat=range(2, 6))"
    )
    assert space.parse(text) == space.parse(KNOWN_CELLS["DARTS_V2"])


V2 = KNOWN_CELLS["DARTS_V2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (V2.replace("dil_conv_3x3", "dil_conv_3x4"), "unknown operation 'dil_conv_3x4'. Did you mean 'dil_conv_3x3'?"),
        (V2.replace("dil_conv_3x3", "none"), "node 3 of 'normal': 'none' takes no part"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "node 3 of 'normal' can read inputs 0 to 4, not 5"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', -1)"), "can read inputs 0 to 4, not -1"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"), "node 3 of 'normal' reads input 0 twice"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 2.0)"), "expected a pair"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', True)"), "expected a pair"),
        (V2.replace("('dil_conv_3x3', 2)", "(2, 'dil_conv_3x3')"), "expected a pair"),
        (V2.replace("('dil_conv_3x3', 2)", "dil_conv_3x3"), "must be made of lists"),
        (V2.replace(", ('dil_conv_3x3', 2)", ""), "'normal' needs 8 (operation, input) pairs, two for each"),
        (V2.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[2, 3, 4]"), "normal_concat must be range(2, 6)"),
        (V2.replace("reduce_concat=[2, 3, 4, 5]", "reduce_concat=range(3, 6)"), "reduce_concat must be range(2, 6)"),
        (V2.replace("reduce_concat", "reduce_concatenation"), "Did you mean 'reduce_concat'?"),
        (V2.replace("reduce=", "normal="), "the genotype gives 'normal' twice"),
        (V2.replace(", reduce_concat=[2, 3, 4, 5]", ""), "the genotype lacks 'reduce_concat'"),
        (V2.replace("reduce_concat=[2, 3, 4, 5]", "reduce_concat=[2, 3, 4, 5], layout='raw'"), "layout must be 'cell'"),
        (V2.removesuffix(")"), "cannot read the genotype"),
        (V2.replace("Genotype", "Cell"), "this is not a genotype"),
        (V2 + "; x = 1", "expected one expression"),
        ("DARTS_V3", "unknown genotype 'DARTS_V3'. Did you mean 'DARTS_V"),
        ("SHARP_DARTS", "unknown operation 'choke_conv_3x3'"),
        ("", "expected one expression"),
        ("Genotype(normal=__import__('os').getcwd(), normal_concat=range(2, 6), reduce=[], reduce_concat=range(2, 6))",
         "must be made of lists"),
        ("-" * 2000 + "1", "genotype"),
        ("(" * 5000, "at most 3000 characters"),
        ("Genotype(normal=" + "0x" + "f" * 2500, "genotype"),
    ],
)  # fmt: skip
def test_every_typo_gets_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        SPACES["darts"].parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def mangle(start: int, length: int, middle: str) -> str:
    return V2[:start] + middle + V2[start + length :]


@given(
    st.one_of(
        st.text(),
        st.text("Genotype()[]',=01236 _abc\n"),
        st.builds(mangle, st.integers(0, len(V2)), st.integers(0, 40), st.text("'\"()[], 0123_-=x", max_size=8)),
    )
)
@settings(max_examples=300, deadline=None)
def test_garbage_raises_bad_input_only(text: str) -> None:
    space = SPACES["darts"]
    try:
        architecture = space.parse(text)
    except BadInput as error:
        assert len(str(error).splitlines()) == 1
    else:
        space.check(architecture)


# -- isomorphism -----------------------------------------------------------------------------------------------------
def renumberings(cell: tuple[Any, ...]) -> dict[tuple[Any, ...], dict[int, int]]:
    """All valid cells that one gets by renumbering the nodes, with the numbering, one permutation after the other."""
    found = {}
    for order in itertools.permutations(range(2, 6)):
        number = {0: 0, 1: 1, **dict(zip(order, range(2, 6), strict=True))}
        edges = [(number[source], number[target], operation) for source, target, operation in cell_edges(cell)]
        if all(source < target for source, target, _ in edges):
            spec: list[Any] = []
            for node in range(2, 6):
                (a, first), (b, second) = sorted((s, operation) for s, target, operation in edges if target == node)
                spec += [(a, b), first, second]
            found[tuple(spec)] = number
    return found


@given(architectures)
@settings(max_examples=200, deadline=None)
def test_canonical_is_the_smallest_renumbering(pair: tuple[Darts, Architecture]) -> None:
    space, architecture = pair
    for cell in (architecture.spec[:12], architecture.spec[12:]):
        same = renumberings(cell)
        assert canonical_cell(cell) == min(same)
        assert {canonical_cell(other) for other in same} == {canonical_cell(cell)}
    canonical = space.canonical(architecture)
    assert space.canonical(canonical) == canonical
    assert canonical.spec == canonical_cell(architecture.spec[:12]) + canonical_cell(architecture.spec[12:])


def test_cells_with_equal_nodes_are_compared_over_all_ties() -> None:
    skip = "skip_connect"
    twins = ((0, 1), skip, skip) * 2
    a = (*twins, (0, 2), skip, skip, (0, 3), "max_pool_3x3", skip)
    b = (*twins, (0, 2), "max_pool_3x3", skip, (0, 3), skip, skip)
    assert canonical_cell(a) == canonical_cell(b) == min(renumberings(a))


def test_isomorphic_cells_have_isomorphic_graphs_and_other_cells_do_not() -> None:
    space, rng = SPACES["darts"], np.random.default_rng(1)
    a = space.sample(rng)
    b = Architecture(space.name, max(renumberings(a.spec[:12])) + max(renumberings(a.spec[12:])))
    assert a != b
    same = nx.algorithms.isomorphism.categorical_node_match(["op", "cell"], ["", ""])
    assert nx.is_isomorphic(space.graph(a), space.graph(b), node_match=same)
    other = space.mutate(a, rng)
    assert space.canonical(other) != space.canonical(a)
    assert not nx.is_isomorphic(space.graph(a), space.graph(other), node_match=same)


def test_renumbering_nodes_only_permutes_the_channels_of_a_cell() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    plan = CellPlan(reduction=False, channels=4, before_previous=4, previous=4, previous_reduced=False)
    for seed in range(3):
        old = SPACES["darts"].sample(np.random.default_rng(seed)).spec[:12]
        cell = Cell(cell_edges(old), plan, sharp=False)
        expected = dict(enumerate(cell(*inputs).chunk(4, dim=1), start=2))
        place = {edge[:2]: i for i, edge in enumerate(cell_edges(old))}
        for new, number in renumberings(old).items():
            original = {number[node]: node for node in number}
            renumbered = Cell(cell_edges(new), plan, sharp=False)
            renumbered.preprocess = cell.preprocess
            renumbered.operations = nn.ModuleList(
                cell.operations[place[original[source], original[target]]] for source, target, _ in cell_edges(new)
            )
            output = torch.cat([expected[original[node]] for node in range(2, 6)], dim=1)
            torch.testing.assert_close(renumbered(*inputs), output)


# -- drawing ---------------------------------------------------------------------------------------------------------
def test_graph_holds_both_cells() -> None:
    space = SPACES["darts"]
    architecture = space.parse("DARTS_V2")
    graph = space.graph(architecture)
    assert nx.is_directed_acyclic_graph(graph)
    assert len(graph) == 2 * (2 + 8 + 4 + 1)
    assert graph.number_of_edges() == 2 * (8 + 8 + 4)
    for kind in ("normal", "reduce"):
        ops = sorted(data["op"] for _, data in graph.nodes(data=True) if data["cell"] == kind)
        chosen = [operation for _, _, operation in space.cell_edges(architecture, kind)]
        assert ops == sorted([*chosen, "c_{k-2}", "c_{k-1}", *["sum"] * 4, "concat"])
    assert (2, 5, "dil_conv_3x3") in space.cell_edges(architecture, "normal")
    with pytest.raises(BadInput, match="unknown kind of cell 'reduction'"):
        space.cell_edges(architecture, "reduction")


# -- decoding --------------------------------------------------------------------------------------------------------
def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_discretize_ranks_edges_by_the_softmaxed_weight() -> None:
    space = SPACES["darts"]
    logits = np.zeros((14, 8))
    logits[2:5] = [[1, 1, 1, 1, 5, 1, 1, 1], [10, 10, 10, 11, 10, 10, 10, 10], [10, 15, 10, 10, 10, 10, 10, 10]]
    weights = softmax(logits)
    assert weights[2:5].max(axis=1) == pytest.approx([0.886, 0.280, 0.955], abs=1e-3)
    found = space.discretize({"normal": weights, "reduce": softmax(np.zeros((14, 8)))})
    space.check(found)
    choices = space.choices(found)
    picked = [choices[f"normal1.{decision}"] for decision in ("inputs", "first", "second")]
    assert picked == [(0, 2), "sep_conv_3x3", "max_pool_3x3"]
    assert [choices[f"reduce{i}.inputs"] for i in range(4)] == [(0, 1)] * 4


@given(st.integers(0, 2**32), st.integers(0, 13), st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_discretize_ignores_shifts_and_never_changes_an_operation_because_of_none(
    seed: int, edge: int, shift: float
) -> None:
    space = SPACES["darts"]
    logits = np.random.default_rng(seed).normal(size=(14, 8))
    found = space.discretize({"normal": softmax(logits), "reduce": softmax(logits)})
    shifted, with_none = logits.copy(), logits.copy()
    shifted[edge] += shift
    with_none[edge, 0] += abs(shift)
    assert space.discretize({"normal": softmax(shifted), "reduce": softmax(logits)}) == found
    other = space.discretize({"normal": softmax(with_none), "reduce": softmax(logits)})
    before, after = ({e[:2]: e[2] for e in space.cell_edges(a, "normal")} for a in (found, other))
    assert all(before[key] == after[key] for key in before.keys() & after.keys())


@given(architectures)
@settings(max_examples=200, deadline=None)
def test_one_hot_weights_decode_to_their_architecture(pair: tuple[Darts, Architecture]) -> None:
    space, architecture = pair
    weights = space.one_hot(architecture)
    assert space.discretize(weights) == architecture
    for table in weights.values():
        assert table.shape == (14, len(space.operations) + 1)
        assert table.dtype == np.float32
        assert (table[:, 0] == 0).all()
        # Two edges into each node, one operation each.
        assert [table[rows].sum() for rows in (slice(0, 2), slice(2, 5), slice(5, 9), slice(9, 14))] == [2] * 4
        assert sorted(table.sum(axis=1)) == [0] * 6 + [1] * 8


def test_one_hot_of_a_foreign_architecture_is_refused() -> None:
    with pytest.raises(BadInput, match="darts-sharper"):
        SPACES["darts"].one_hot(SPACES["sharper"].sample(np.random.default_rng(0)))


def test_discretize_refuses_weights_of_another_shape_or_not_finite() -> None:
    space = SPACES["darts"]
    for wrong in (np.zeros((14, 7)), np.full((14, 8), np.nan)):
        with pytest.raises(BadInput, match="weights of 'normal'"):
            space.discretize({"normal": wrong, "reduce": np.zeros((14, 8))})

"""A space of categorical decisions: uniform, closed under its moves, and clear about what is wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.errors import BadInput
from nasbench.core.seeding import generator
from nasbench.testing.strategies import SmallSpace


class Conditional(DecisionSpace):
    name = "conditional"
    decisions = (
        Choice("layers", (1, 2)),
        Choice("width1", (8, 16, 32)),
        Choice("width2", (8, 16, 32), active=lambda settings: settings["layers"] == 2),
        Choice("pads", ((0, 0), (1, 1))),
        Choice("fixed", ("only",)),
    )

    def build(self, architecture, task, size=None): ...


SPACE = Conditional()


def test_size_sampling_and_chi_square() -> None:
    assert SPACE.size == 36
    rng, draws = generator(0, "test"), 7200
    counts = Counter(SPACE.sample(rng).spec for _ in range(draws))
    assert len(counts) == 36
    chi_square = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_square < 66.6  # 0.1 % quantile of 35 degrees of freedom


@given(st.integers(0, 10_000))
def test_moves_stay_inside_and_change_one_active_decision(seed: int) -> None:
    rng = generator(seed, "test")
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    mutant = SPACE.mutate(a, rng)
    changed = [i for i, (x, y) in enumerate(zip(a.spec, mutant.spec, strict=True)) if x != y]
    assert len(changed) == 1 and SPACE.active(SPACE.choices(a))[changed[0]]
    assert mutant in SPACE.neighbors(a)
    child = SPACE.crossover(a, b, rng)
    assert all(value in pair for value, *pair in zip(child.spec, a.spec, b.spec, strict=True))
    for architecture in (a, b, mutant, child):
        SPACE.check(architecture)
        assert SPACE.parse(SPACE.format(architecture)) == architecture


def test_neighbors_are_all_other_values_of_active_decisions() -> None:
    two = Architecture("conditional", (2, 8, 8, (0, 0), "only"))
    one = Architecture("conditional", (1, 8, 8, (0, 0), "only"))
    assert len(SPACE.neighbors(two)) == 1 + 2 + 2 + 1
    assert len(SPACE.neighbors(one)) == 1 + 2 + 1


def test_inert_decisions_are_canonical_and_not_encoded() -> None:
    a = Architecture("conditional", (1, 16, 8, (0, 0), "only"))
    b = Architecture("conditional", (1, 16, 32, (0, 0), "only"))
    assert SPACE.canonical(a) == SPACE.canonical(b) == a
    assert np.array_equal(SPACE.encode(a), SPACE.encode(b))
    assert SPACE.encode(a).tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1]
    assert [data["op"] for _, data in SPACE.graph(a).nodes(data=True)][1:3] == ["layers=1", "width1=16"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers=2", "'width1' is missing"),
        ("layers=3, width1=8, width2=8, pads=(0, 0), fixed=only", "'layers' cannot be '3'"),
        ("layer=2, width1=8, width2=8, pads=(0, 0), fixed=only", "no decision 'layer'. Did you mean 'layers'"),
        ("layers=2, layers=2", "once for each decision"),
        ("layers", "expected 'decision=value'"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        SPACE.parse(text)
    assert message in str(error.value)


@given(st.text())
def test_parse_of_garbage_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        SPACE.parse(text)


def test_foreign_architectures_and_wrong_lengths_are_refused() -> None:
    with pytest.raises(BadInput, match="belongs to space 'small'"):
        SPACE.check(SmallSpace().sample(generator(0, "x")))
    with pytest.raises(BadInput, match="has 5 decisions, got 1"):
        SPACE.check(Architecture("conditional", (1,)))


def test_a_space_with_a_repeated_name_or_value_is_refused() -> None:
    class Repeated(SmallSpace):
        decisions = (Choice("a", (1, 2)), Choice("a", (1, 2)))

    class Doubled(SmallSpace):
        decisions = (Choice("a", (1, 1)),)

    for space, message in ((Repeated(), "same name"), (Doubled(), "distinct values")):
        with pytest.raises(BadInput, match=message):
            space.sample(generator(0, "x"))


def test_a_space_where_nothing_can_change_says_so() -> None:
    class Fixed(SmallSpace):
        decisions = (Choice("a", (1,)),)

    with pytest.raises(BadInput, match="no decision that could be changed"):
        Fixed().mutate(Fixed().sample(generator(0, "x")), generator(0, "x"))

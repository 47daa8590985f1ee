"""Decisions are taken in an order in which every condition can be answered."""

from __future__ import annotations

import pytest

from nasbench.core.decision_space import Choice
from nasbench.core.errors import MissingAbility
from nasbench.core.seeding import generator
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.deciding import decide, decision_space, picks_of
from nasbench.testing.strategies import SmallSpace
from tests.strategies.conditional import ConditionalSpace

SPACE = ConditionalSpace()


def test_only_what_is_active_is_asked_and_the_rest_takes_its_first_value() -> None:
    rng = generator(0, "test")
    for _ in range(200):
        draw = SPACE.sample(rng)
        asked = []

        def choose(position: int, spec=draw.spec, asked=asked) -> int:
            asked.append(position)
            return SPACE.decisions[position].values.index(spec[position])

        architecture, picks = decide(SPACE, choose)
        assert architecture == SPACE.canonical(architecture)
        assert architecture == SPACE.canonical(draw)
        assert list(picks) == asked
        on = SPACE.active(SPACE.choices(architecture))
        assert sorted(picks) == [position for position, active in enumerate(on) if active]
        assert picks_of(SPACE, architecture) == picks == picks_of(SPACE, draw)


def test_a_condition_waits_for_the_decision_it_reads() -> None:
    _, picks = decide(SPACE, lambda position: 1)
    assert list(picks) == [1, 3, 0, 2]


def test_conditions_that_wait_for_each_other_end() -> None:
    class Circular(SmallSpace):
        name = "circular"
        decisions = (
            Choice("first", ("a", "b"), active=lambda settings: settings["second"] == "b"),
            Choice("second", ("a", "b"), active=lambda settings: settings["first"] == "b"),
        )

    assert decide(Circular(), lambda position: 1)[1] == {0: 1, 1: 1}
    assert decide(Circular(), lambda position: 0)[1] == {0: 0}


def test_without_conditions_everything_is_asked_in_order() -> None:
    space = NasBench201()
    architecture = space.sample(generator(1, "test"))
    again, picks = decide(space, lambda position: space.decisions[position].values.index(architecture.spec[position]))
    assert again == architecture
    assert list(picks) == list(range(6))


def test_a_space_without_decisions_is_refused() -> None:
    class Other:
        name = "other"

    with pytest.raises(MissingAbility, match="strategy 'reinforce' needs a space of decisions; 'other' is none"):
        decision_space("reinforce", Other())  # type: ignore[arg-type]

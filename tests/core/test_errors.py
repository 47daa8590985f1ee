"""What a user reads when something is wrong, and which exit code it stands for."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.core.errors import (
    BadInput,
    Diverged,
    MissingAbility,
    MissingData,
    NasbenchError,
    RunLocked,
    SearchFailed,
    nearest,
    unknown,
)


@pytest.mark.parametrize(
    ("name", "allowed", "expected"),
    [
        ("dart", ["nasbench201", "darts"], " Did you mean 'darts'?"),
        ("DARTS", ["nasbench201", "darts"], " Did you mean 'darts'?"),
        ("imagenet16-120", ["cifar10", "ImageNet16-120"], " Did you mean 'ImageNet16-120'?"),
        ("evolutoin", ["evolution", "local-search", "random"], " Did you mean 'evolution'?"),
        ("raspi3", ["raspi4", "pixel3"], " Did you mean 'raspi4'?"),
        ("xyz", ["nasbench201", "darts"], ""),
        ("", ["nasbench201", "darts"], ""),
        ("anything", [], ""),
    ],
)
def test_the_nearest_name_if_there_is_a_near_one(name: str, allowed: list[str], expected: str) -> None:
    assert nearest(name, allowed) == expected
    assert nearest(name, iter(allowed)) == expected


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=5))
def test_only_allowed_names_are_proposed(name: str, allowed: list[str]) -> None:
    hint = nearest(name, allowed)
    assert hint == "" or hint in {f" Did you mean '{other}'?" for other in allowed}
    if name and name in allowed:
        assert hint != ""


def test_an_unknown_name_is_answered_with_all_that_are_allowed() -> None:
    error = unknown("space", "dart", {"nasbench201": 1, "darts": 2})
    assert isinstance(error, BadInput)
    assert str(error) == "unknown space 'dart'. Did you mean 'darts'? Allowed: darts, nasbench201."
    assert str(unknown("device", "xyz", ["b", "a"])) == "unknown device 'xyz'. Allowed: a, b."
    assert str(unknown("device", "xyz", [])) == "unknown device 'xyz'. Allowed: none."


@pytest.mark.parametrize("kind", [BadInput, MissingData, MissingAbility, RunLocked])
def test_what_the_user_gave_is_bad_input_and_a_value_error(kind: type[NasbenchError]) -> None:
    assert issubclass(kind, BadInput) and issubclass(kind, ValueError) and issubclass(kind, NasbenchError)


@pytest.mark.parametrize("kind", [Diverged, SearchFailed])
def test_work_that_failed_is_not_bad_input(kind: type[NasbenchError]) -> None:
    assert issubclass(kind, NasbenchError) and not issubclass(kind, (BadInput, ValueError))


@pytest.mark.parametrize("kind", [BadInput, MissingData, MissingAbility, RunLocked, Diverged, SearchFailed])
def test_an_error_travels_between_processes(kind: type[NasbenchError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what was wrong")))
    assert type(error) is kind and str(error) == "what was wrong"


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadInput("wrong name"), 2), (MissingData("no table"), 2), (RunLocked("in use"), 2), (SearchFailed("none"), 1)],
)
def test_an_error_ends_the_command_in_one_line_with_its_code(
    error: NasbenchError, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nasbench.cli.main import run

    def fail(config: object) -> None:
        raise type(error)(f"{error}\nover\n  lines")

    monkeypatch.setattr("nasbench.experiments.folders.default_out", fail)
    assert run(["search"]) == code
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"nasbench: {error} over lines\n"

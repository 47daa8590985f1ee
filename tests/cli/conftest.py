"""Run the command line in this process and look at what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nasbench.cli.main import run

# The smallest training there is: one epoch of a two-channel network on digits.
TINY = [
    *("--space", "nasbench201", "--strategy", "random", "--evaluations", "3", "--seeds", "2", "--baseline-size", "2"),
    *("--set", "recipe.epochs=1", "--set", "recipe.channels=2", "--set", "recipe.cells=1"),
    *("--set", "recipe.warmup_epochs=0"),
]


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


def one_line(said: Said, code: int, message: str) -> None:
    """Assert that a command failed with this code and says why in one line, the last."""
    assert said.code == code, said.err
    last = said.err.splitlines()[-1]
    assert last.startswith("nasbench: ") and message in last and "Traceback" not in said.err


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Return a function that runs ``nasbench`` with some arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    return call

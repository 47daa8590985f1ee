"""Every command and example of the README does what it says, trainings at a smaller size."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import nasbench
from nasbench.cli.main import run
from nasbench.testing import check_space, check_strategy

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
FILES = {
    re.match(r"# (\w+\.py)\n", text)[1]: text for kind, text in BLOCKS if kind == "python" and text.startswith("# ")
}
COMMANDS = [text.strip() for kind, text in BLOCKS if kind == "sh"]
SMALLER = [
    *("--evaluations", "3", "--seeds", "2", "--baseline-size", "2"),
    *("--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_first_two_commands_install_and_run_everything() -> None:
    install = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
    assert COMMANDS[0] == f"{install} . && .venv/bin/nasbench search"
    assert COMMANDS[1] == f"{install} -e '.[dev]' && .venv/bin/pytest"


def test_every_command_runs(folder: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    commands = [shlex.split(command)[1:] for command in COMMANDS[2:]]
    searches = [command for command in commands if command[0] == "search"]
    sweeps = [command for command in commands if command[0] == "sweep"]
    others = [command for command in commands if command[0] not in ("search", "sweep")]
    assert len(searches) == 5 and len(sweeps) == 1 and len(others) == 1
    for command in searches:
        if "table" in command:
            request.getfixturevalue("table")
            assert run(command) == 0, capfd.readouterr().err
        else:
            assert run([*command, *SMALLER]) == 0, capfd.readouterr().err
    for command in others:
        assert run(command) == 0, capfd.readouterr().err
    for command in sweeps:
        request.getfixturevalue("table")
        assert run([*command, "--seeds", "0:1", "--evaluations", "5"]) == 0, capfd.readouterr().err
    trained = next(folder.glob("runs/plain*/model.safetensors"), None) or next(folder.glob("runs/*/model.safetensors"))
    assert nasbench.load(trained.parent) is not None
    assert len(nasbench_csv(folder)) == 1 + len(searches)


def nasbench_csv(folder: Path) -> list[str]:
    return (folder / "leaderboard.csv").read_text().splitlines()


def test_the_examples_keep_the_contracts(folder: Path) -> None:
    import my_nets
    import my_search

    check_space(my_nets.Plain())
    check_strategy(my_search.Climb)


def test_every_linked_file_exists() -> None:
    root = Path(__file__).parents[1]
    for document in (
        "README.md",
        "docs/architecture.md",
        "docs/results.md",
        "docs/sweeps.md",
        "docs/scaling.md",
        "docs/graph-data.md",
    ):
        text = (root / document).read_text()
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert ((root / document).parent / target).exists(), f"{document} links to {target}"

"""The rules of the house, read off the syntax trees: imports point one way, test data is read in one room."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nasbench

PACKAGE = Path(nasbench.__file__).parent
# From the left to the right; a room imports itself and rooms to the right of its group.
ROOMS = [
    {"cli"},
    {"experiments"},
    {"distributed"},
    {"reports"},
    {"protocol"},
    {"strategies", "evaluators"},
    {"predictors", "tables", "datasets"},
    {"search_spaces"},
    {"networks"},
    {"core"},
]
LEVEL = {room: level for level, group in enumerate(ROOMS) for room in group}
FREE = {"testing", "catalog", "__init__"}  # contract tests and the table of names stand beside the house
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else file.stem


def imports(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name for name in names if name.startswith("nasbench.")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    room = room_of(file)
    if room in FREE:
        return
    for name in imports(file):
        target = name.split(".")[1]
        if target in LEVEL and target != room:
            assert LEVEL[target] > LEVEL[room], f"{file} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_the_protocol_touches_test_data(file: Path) -> None:
    if room_of(file) == "protocol":
        return
    reads = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "test" and isinstance(node.ctx, ast.Load)
    ]
    assert not reads, f"{file}, line {reads[0].lineno}: reads an attribute 'test'"
    if room_of(file) != "tables":
        assert not any("held_out" in name for name in imports(file)), f"{file} opens the held-out scores"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_can_be_read_in_one_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 420


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["search", "--help"], ["leaderboard", "--help"]])
def test_light_commands_never_import_torch(arguments: list[str]) -> None:
    program = (
        "import sys; from nasbench.cli.main import run; code = run(sys.argv[1:]);"
        "heavy = {'torch', 'pandas', 'ray', 'torch_geometric'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, nasbench; assert not {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_public_names_exist() -> None:
    for name in nasbench._LAZY:
        assert getattr(nasbench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nasbench.nothing

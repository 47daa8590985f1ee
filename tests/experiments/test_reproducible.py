"""The same seed gives the same search to the last byte, in another process and whatever Python's hash seed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from nasbench.tables.nasbench201_file import ACCURACY_FILE

# The arguments of several searches, one after the other in one fresh process: starting takes longer than searching.
PROGRAM = "import json, sys; from nasbench.cli.main import run; sys.exit(max(map(run, json.loads(sys.argv[1]))))"
STRATEGIES = ("random", "evolution", "local-search")
TABLE = ["--space", "nasbench201", "--evaluator", "table", "--dataset", "cifar100", "--evaluations", "300"]
SMALL = [
    *("--baseline-size", "2", "--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0"),
    *("--set", "recipe.channels=2", "--set", "recipe.cells=1"),
]
TRAINING = [
    *("--space", "nasbench201", "--strategy", "evolution", "--evaluations", "4", "--seeds", "2"),
    *SMALL,
    *("--set", "population=2", "--set", "tournament=2"),
]
SUPERNET = [
    *("--space", "nasbench201", "--strategy", "sharpdarts", "--evaluations", "2", "--set", "strategy.batch_size=240"),
    *("--seeds", "1"),
    *SMALL,
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders with the same searches, each of a fresh process with another hash seed and a cache of its own."""
    searches = {"training": TRAINING, "supernet": SUPERNET}
    if Path(os.environ.get("NASBENCH_DATA", ""), ACCURACY_FILE).exists():
        searches |= {name: [*TABLE, "--strategy", name] for name in STRATEGIES}
    commands = [["search", *arguments, "--seed", "4", "--out", name] for name, arguments in searches.items()]
    # Processes of pytest-xdist share what the first of them has run.
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folders = shared / "reproducible-one", shared / "reproducible-two"
    with FileLock(shared / "reproducible.lock"):
        if not folders[1].exists():
            search_twice(commands, folders)
    return folders


def search_twice(commands: list[list[str]], folders: tuple[Path, Path]) -> None:
    processes = []
    for hash_seed, folder in enumerate(folders, start=1):
        folder.mkdir()
        own = {"PYTHONHASHSEED": str(hash_seed), "NASBENCH_CACHE": str(folder / "cache")}
        command = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
        with (folder / "errors.txt").open("w") as errors:
            processes.append(
                subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=errors)
            )
    for process, folder in zip(processes, folders, strict=True):
        assert process.wait() == 0, (folder / "errors.txt").read_text()


def timeless_ledger(run: Path) -> bytes:
    """Return the ledger's bytes with all seconds set to zero."""
    data, count = re.subn(rb'"seconds":[^,}]+', b'"seconds":0', (run / "evaluations.jsonl").read_bytes())
    assert count == len(data.splitlines())
    return data


def timeless_result(run: Path) -> dict:
    """Return what was found and what was concluded, without what depends on the clock or the folder."""
    result = json.loads((run / "result.json").read_text())
    for place in (result, result["final"], result["baseline"]):
        place.pop("seconds")
    result.pop("costs")
    return result


@pytest.mark.parametrize("name", [*STRATEGIES, "training", "supernet"])
def test_the_same_seed_gives_the_same_ledger_and_result(
    name: str, runs: tuple[Path, Path], request: pytest.FixtureRequest
) -> None:
    if name in STRATEGIES:
        request.getfixturevalue("table")
    one, two = (folder / name for folder in runs)
    assert timeless_ledger(one) == timeless_ledger(two)
    assert len(timeless_ledger(one).splitlines()) == (4 if name in ("training", "supernet") else 300)
    assert timeless_result(one) == timeless_result(two)


def test_training_gives_the_same_split_and_weights(runs: tuple[Path, Path]) -> None:
    one, two = (folder / "training" for folder in runs)
    for name in ("model.safetensors", "split.json", "architecture.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_strategies_search_in_ways_of_their_own(table: Path, runs: tuple[Path, Path]) -> None:
    """What is compared above is not one ledger three times."""
    assert len({timeless_ledger(runs[0] / name) for name in STRATEGIES}) == len(STRATEGIES)

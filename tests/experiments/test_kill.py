"""A search killed by the operating system at random instants, and started again each time, ends as if undisturbed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import time
from pathlib import Path

import pytest

KILLS = {"table": 8, "training": 5, "rungs": 3, "supernet": 3}
# Loading these takes longer than the searches: the server that the processes are forked from loads them once.
PRELOADED = [
    *(
        "torch",
        "sklearn.datasets",
        "networkx",
        "scipy.optimize",
        "matplotlib.figure",
        "matplotlib.backends.backend_svg",
    ),
    *("nasbench.cli.search", "nasbench.cli.console", "nasbench.experiments.search", "nasbench.experiments.model"),
    *("nasbench.protocol.table_judge", "nasbench.protocol.training_judge", "nasbench.evaluators.train"),
    *("nasbench.datasets.splits", "nasbench.datasets.digits", "nasbench.search_spaces.nasbench201_network"),
    *(
        "nasbench.strategies.evolution",
        "nasbench.strategies.hyperband",
        "nasbench.evaluators.table",
        "nasbench.reports.run_report",
    ),
    *("nasbench.strategies.differentiable.training", "nasbench.evaluators.shared", "torch.func"),
]
TABLE = ["--space", "nasbench201", "--evaluator", "table", "--dataset", "cifar100", "--evaluations", "4000"]
TRAINING = [
    *("--space", "nasbench201", "--strategy", "evolution", "--evaluations", "8", "--seeds", "2"),
    *("--baseline-size", "2", "--set", "population=3", "--set", "tournament=2"),
    *("--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0", "--set", "recipe.channels=2"),
    *("--set", "recipe.cells=1"),
]
RUNGS = [
    *("--space", "nasbench201", "--strategy", "hyperband", "--evaluations", "11", "--seeds", "1"),
    *("--baseline-size", "2", "--set", "recipe.epochs=4", "--set", "eta=2", "--set", "recipe.channels=2"),
    *("--set", "recipe.cells=1"),
]
SUPERNET = [
    *("--space", "nasbench201", "--strategy", "sharpdarts", "--evaluations", "4", "--set", "strategy.batch_size=128"),
    *("--seeds", "1", "--baseline-size", "2", "--set", "recipe.epochs=1", "--set", "recipe.warmup_epochs=0"),
    *("--set", "recipe.channels=2", "--set", "recipe.cells=1"),
]
ARGUMENTS = {"table": TABLE, "training": TRAINING, "rungs": RUNGS, "supernet": SUPERNET}


def work(folder: str, cache: str, arguments: list[str]) -> None:
    """Run one search in a process of its own."""
    import torch

    from nasbench.cli.main import run

    torch.set_num_threads(1)
    os.environ["NASBENCH_CACHE"] = cache
    os.chdir(folder)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os._exit(run(["search", *arguments, "--out", "run"]))


def start_the_server() -> None:
    """Let the server load what all searches need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=os.getpid)
    process.start()
    process.join()


def start(folder: Path, arguments: list[str]) -> multiprocessing.process.BaseProcess:
    """Start a search in a process forked from one that has the libraries loaded, so that a start takes no time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    folder.mkdir(exist_ok=True)
    process = context.Process(target=work, args=(str(folder), str(folder / "cache"), arguments))
    process.start()
    return process


def finish(folder: Path, arguments: list[str]) -> float:
    """Let a search end by itself; return its seconds."""
    started = time.monotonic()
    process = start(folder, arguments)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - started


def timeless(folder: Path) -> tuple[bytes, dict, bytes, bytes]:
    """Return ledger, result, weights and the course of a relaxation, without what depends on the clock."""
    ledger = re.sub(rb'"seconds":[^,}]+', b"", (folder / "run" / "evaluations.jsonl").read_bytes())
    result = json.loads((folder / "run" / "result.json").read_text())
    for place in (result, result["final"], result["baseline"]):
        place.pop("seconds")
    result.pop("costs")
    files = (folder / "run" / name for name in ("model.safetensors", "relaxation.json"))
    weights, relaxation = (file.read_bytes() if file.exists() else b"" for file in files)
    return ledger, result, weights, relaxation


@pytest.mark.parametrize("kind", KILLS)
def test_killed_many_times_and_resumed_equals_undisturbed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "table":
        request.getfixturevalue("table")
    arguments = ARGUMENTS[kind]
    start_the_server()  # which takes longer than a search, whose seconds are measured
    seconds = finish(tmp_path / "whole", arguments)
    expected = timeless(tmp_path / "whole")
    rng, kills, attempt = random.Random(0), 0, 0
    while kills < KILLS[kind]:
        attempt += 1
        folder = tmp_path / f"killed{attempt}"
        while kills < KILLS[kind]:
            process = start(folder, arguments)
            process.join(rng.uniform(0.02, 0.6) * seconds)
            if process.exitcode is not None:
                assert process.exitcode == 0
                break
            process.kill()
            process.join()
            kills += 1
        if process.exitcode != 0:
            finish(folder, arguments)
        assert timeless(folder) == expected
        assert not list((folder / "run").rglob("*.part"))
        assert not (folder / "run" / "weights").exists()

"""Sweeps on Ray: the same runs as in one process, whatever dies meanwhile."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from benchmarks.sweep_chaos import disturb, outcome, start
from nasbench.cli.main import run

TINY = [
    *("sweep", "--spaces", "nasbench201", "--strategies", "random", "--evaluator", "train", "--final-seeds", "1"),
    *("--baseline-size", "2", "--set", "recipe.epochs=1", "--set", "recipe.channels=2", "--set", "recipe.cells=1"),
    *("--set", "recipe.warmup_epochs=0", "--retries", "10"),
]
# Searches that take a good part of a second each without any training.
LONG = ["sweep", "--strategies", "random", "--evaluator", "table", "--seeds", "0:10", "--evaluations", "6000"]
TABLE = ["sweep", "--strategies", "random,evolution", "--evaluator", "table", "--datasets", "cifar10,cifar100"]
# An evaluator that hangs where nothing but the end of its process helps.
OWN = """
import signal
import time

from nasbench.core.evaluation import Evaluation


class Own:
    source, version, fingerprint = "trained", 0, "own"

    def __init__(self, space, task, recipe, config=None):
        self.space = space

    def evaluate(self, proposal, *, id, seed):
        if id == 2:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # deaf, as native code is
            time.sleep(300)
        return Evaluation(id, proposal, {"valid_accuracy": float(id)}, self.source, seed)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed sweep in one process."""
    folder = tmp_path_factory.mktemp("whole")
    assert run([*LONG, "--out", str(folder / "out"), "--workers", "0"]) == 0
    return folder


def test_packed_searches_give_the_same_runs_on_two_workers_as_in_this_process(tmp_path: Path, nodes, table) -> None:
    for workers in ("0", "2"):
        out = str(tmp_path / workers / "out")
        assert run([*TABLE, "--seeds", "0:20", "--evaluations", "30", "--workers", workers, "--out", out]) == 0
    assert outcome(tmp_path / "0") == outcome(tmp_path / "2")


def test_results_behind_a_url_that_all_workers_reach(tmp_path: Path, nodes, table, capfd) -> None:
    arguments = [*TABLE, "--seeds", "0:3", "--evaluations", "9", "--out", f"local://{tmp_path}/out"]
    assert run([*arguments, "--workers", "2", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["done"] == 12
    assert len(list(tmp_path.rglob("out/**/result.json"))) == 12
    assert run([*arguments, "--workers", "2", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["finished_before"] == 12


def test_a_candidate_that_hangs_in_native_code_fails_and_its_search_goes_on(
    tmp_path: Path, nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    arguments = [*TINY, "--evaluator", "own:Own", "--seeds", "0", "--evaluations", "4", "--out", "out"]
    assert run([*arguments, "--workers", "2", "--timeout-per-evaluation", "1"]) == 0
    [ledger] = Path("out").rglob("evaluations.jsonl")
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [record["id"] for record in records] == list(range(4))
    assert {record["id"]: record["error"] for record in records if "error" in record} == {
        2: "longer than 1 s, and had to be ended with its process",
    }


def test_a_sweep_survives_the_loss_of_a_node(tmp_path: Path, nodes, table, whole: Path) -> None:
    node = nodes.add_node(num_cpus=2)
    driver = start(tmp_path, [*LONG, "--address", nodes.address, "--workers", "4"])
    given_up = time.monotonic() + 120
    while not list(tmp_path.rglob("evaluations.jsonl")) and driver.poll() is None and time.monotonic() < given_up:
        time.sleep(0.02)
    nodes.remove_node(node, allow_graceful=False)
    assert driver.wait(120) == 0, (tmp_path / "said").read_text()
    assert outcome(tmp_path) == outcome(whole)


def test_killed_worker_raylet_and_driver_make_no_difference(tmp_path: Path, table, whole: Path) -> None:
    pytest.importorskip("ray")
    arguments = [*LONG, "--workers", "2", "--retries", "10"]
    killed = disturb(tmp_path, arguments, ["worker", "raylet", "driver"], random.Random(0), 0.2)
    assert killed.total() == 3
    assert outcome(tmp_path) == outcome(whole)
    assert not list((tmp_path / "out").rglob("*.part"))

"""Whatever is wrong is answered in one line on standard error, with exit code 2, and nothing is left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock

from nasbench.catalog import SPACES, STRATEGIES
from tests.cli.conftest import TINY, one_line

TABLE = ["--space", "nasbench201", "--evaluator", "table", "--evaluations", "10"]
CELL = "[" + ", ".join(["('skip_connect', 0), ('sep_conv_3', 1)"] * 4) + "]"
GENOTYPE = f"Genotype(normal={CELL}, normal_concat=range(2, 6), reduce={CELL}, reduce_concat=range(2, 6))"

EVOLUTION = ["search", "--strategy", "evolution"]
WRONG = [
    (["search", "--space", "dart"], "unknown space 'dart'. Did you mean 'darts'?"),
    (["search", "--strategy", "evolutoin"], "Did you mean 'evolution'?"),
    (["search", "--dataset", "digit"], "unknown data set 'digit'. Did you mean 'digits'?"),
    (["search", "--evaluator", "tabel"], "Did you mean 'table'?"),
    (["search", "--recipe", "dart"], "Did you mean 'darts'?"),
    (
        ["search", "--strategy", "evolution", "--set", "populaton=3"],
        "unknown key 'populaton'. Did you mean 'strategy.population'?",
    ),
    ([*EVOLUTION, "--set", "strategy.populaton=3"], "Did you mean 'strategy.population'?"),
    (["search", "--set", "population"], "--set takes key=value"),
    ([*EVOLUTION, "--set", "population=many"], "strategy.population"),
    ([*EVOLUTION, "--set", "population=3", "--set", "population=4"], "set twice"),
    (["search", "--set", "epochs=3"], "is a key of strategy and recipe"),
    ([*EVOLUTION, "--set", "tournament=30"], "cannot exceed population"),
    (["search", "--set", "operations=shrap"], "Did you mean"),
    (["search", "--evaluations", "0"], "greater than or equal to 1"),
    (["search", "--time", "-3"], "greater than 0"),
    (["search", "--seeds", "many"], "Invalid value for '--seeds'"),
    (["search", "--evalutions", "3"], "No such option"),
    (["serach"], "No such command 'serach'"),
    (["search", "--resume"], "--resume needs the run's folder"),
    (["search", "--resume", "--out", "nowhere"], "holds no run"),
    (["search", "--data-dir", "nowhere", *TABLE], "nowhere does not exist"),
    (["search", "--space", "darts", "--evaluator", "table"], "none for 'darts'"),
    (["search", "--evaluator", "table", "--recipe", "small"], "trains nothing"),
    (["search", *TABLE, "--strategy", "hyperband"], "at one fidelity (12 epochs); use --evaluator train"),
    (["search", *TABLE, "--strategy", "successive-halving"], "at one fidelity (12 epochs); use --evaluator train"),
    (["search", "--strategy", "hyperband", "--evaluator", "shared"], "evaluators that have it: train"),
    (["search", "--strategy", "hyperband", "--set", "evaluator.epochs=2"], "leave out evaluator.epochs"),
    (["search", "--strategy", "hyperband", "--set", "minimum_epochs=9"], "exceeds maximum_epochs (8)"),
    (["search", "--space", "nothing:Space"], "no module 'nothing'"),
    (["search", "--space", "nasbench.core.errors:BadInput"], "not a search space"),
    (["search", "--strategy", "nasbench.core.errors:BadInput"], "not a strategy"),
    (["evaluate", GENOTYPE], "Did you mean 'sep_conv_3x3'"),
    (["evaluate", "|nor_conv_3x3~0|+", "--space", "nasbench201"], ""),
    (["show", "nonsense"], ""),
    (["leaderboard", "."], "no finished run"),
    (["leaderboard", "nowhere"], "not a folder"),
    (["data", "import", "cifar11"], "Did you mean 'cifar10'?"),
    (["data", "import", "./nowhere"], "does not exist"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), WRONG, ids=lambda value: value[:50] if isinstance(value, str) else ""
)
def test_one_line_and_nothing_left_behind(cli, arguments: list[str], message: str) -> None:
    said = cli(*arguments)
    assert said.code == 2
    assert message in said.err
    assert said.err.startswith("nasbench: ") and said.err.count("\n") == 1 and said.out == ""
    assert not list(Path().iterdir())


def test_an_unknown_device_names_the_sixteen(cli, table) -> None:
    said = cli("search", *TABLE, "--set", "latency=raspi5")
    one_line(said, 2, "Did you mean 'raspi4'?")


def test_a_missing_table_says_what_it_is_and_how_to_get_it(cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    said = cli("search", *TABLE)
    one_line(said, 2, "nasbench data import")
    assert "NATS-Bench" in said.err


@pytest.mark.parametrize("cut", [100, 5000])
def test_a_truncated_table_is_damaged(cli, table, tmp_path: Path, cut: int) -> None:
    whole = (table / "nasbench201" / "accuracy.csv.gz").read_bytes()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accuracy.csv.gz").write_bytes(whole[:-cut])
    one_line(cli("search", *TABLE, "--data-dir", tmp_path / "d"), 2, "damaged")


def test_a_table_of_twelve_epochs_is_refused(cli, table, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(table / "nasbench201" / "accuracy.csv.gz")
    frame["cifar10_test_200"] = frame["cifar10_test_12"]
    (tmp_path / "d").mkdir()
    frame.to_csv(tmp_path / "d" / "accuracy.csv.gz", index=False)
    one_line(cli("search", *TABLE, "--data-dir", tmp_path / "d"), 2, "this is the 12-epoch table")


def test_a_damaged_data_set_is_refused_before_work_begins(cli, tmp_path: Path) -> None:
    (tmp_path / "photos.tar.xz").write_bytes(b"this is no archive")
    one_line(cli("search", "--dataset", tmp_path / "photos.tar.xz", "--out", "run"), 2, "photos.tar.xz")
    assert not Path("run").exists()


def test_a_tampered_checkpoint_is_refused(cli, table) -> None:
    assert cli("search", *TABLE, "--out", "run").code == 0
    Path("run/result.json").unlink()
    Path("run/checkpoint").mkdir()
    Path("run/checkpoint/000000005.json").write_text(
        '{"format": 1, "state": {"step": 5}, "tensors": null, "sha256": "0"}'
    )
    one_line(cli("search", *TABLE, "--out", "run"), 2, "damaged or was changed")


def test_a_tampered_ledger_is_refused(cli, table) -> None:
    assert cli("search", *TABLE, "--out", "run").code == 0
    Path("run/result.json").unlink()
    lines = Path("run/evaluations.jsonl").read_text().splitlines()
    Path("run/evaluations.jsonl").write_text("\n".join([lines[0], lines[0], *lines[2:]]) + "\n")
    one_line(cli("search", *TABLE, "--out", "run"), 2, "line 2")


def test_two_processes_on_one_run(cli, table) -> None:
    assert cli("search", *TABLE, "--out", "run").code == 0
    with FileLock("run/.lock"):
        assert cli("search", *TABLE, "--out", "run").code == 0  # a finished run can be read by anyone
        Path("run/result.json").unlink()
        one_line(cli("search", *TABLE, "--out", "run"), 2, "in use by another process")


@pytest.mark.skipif(os.name != "posix", reason="needs a device file that cannot hold a folder")
def test_an_unwritable_folder(cli, table) -> None:
    one_line(cli("search", *TABLE, "--out", "/proc/run"), 2, "cannot write to /proc/run")


@pytest.mark.skipif(os.name != "posix", reason="needs a device file that cannot hold a folder")
def test_an_unwritable_cache_is_refused_before_the_search(cli, monkeypatch) -> None:
    monkeypatch.setenv("NASBENCH_CACHE", "/proc/cache")
    one_line(cli("search", *TINY, "--out", "run"), 2, "cannot write to /proc/cache")
    assert not Path("run").exists()


def test_a_disk_that_fills_up_while_working(cli, table, monkeypatch) -> None:
    """The operating system's answer to a write on a full disk, at the tenth line of the ledger."""
    real, lines = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal lines
        lines += data.startswith(b'{"id"')
        if lines == 10:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        one_line(cli("search", *TABLE, "--out", "run"), 1, "No space left on device")
    assert len(Path("run/evaluations.jsonl").read_text().splitlines()) == 9
    assert cli("search", *TABLE, "--out", "run").code == 0


def test_a_user_module_that_fails_to_import_is_one_line(cli) -> None:
    Path("broken_space.py").write_text("raise RuntimeError('not today')")
    one_line(cli("search", "--space", "broken_space:Space"), 2, "importing it failed: RuntimeError('not today')")


def test_an_interrupt_saves_and_says_so(cli, table, monkeypatch) -> None:
    from nasbench.strategies.evolution import Evolution

    real, told = Evolution.tell, 0

    def tell(self, evaluations) -> None:
        nonlocal told
        told += 1
        if told == 5:
            raise KeyboardInterrupt
        real(self, evaluations)

    monkeypatch.setattr(Evolution, "tell", tell)
    one_line(cli("search", *TABLE[:-1], 40, "--out", "run"), 130, "goes on where it stopped")
    monkeypatch.setattr(Evolution, "tell", real)
    assert cli("search", *TABLE[:-1], 40, "--out", "run", "--json").json["evaluations"] == 40


def test_training_options_that_the_space_lacks(cli) -> None:
    Path("small_nets.py").write_text(
        "from nasbench import Choice, DecisionSpace\n"
        "class Small(DecisionSpace):\n"
        "    name = 'small'\n"
        "    decisions = (Choice('a', (1, 2)),)\n"
        "    def build(self, a, task, size=None): ...\n"
    )
    one_line(cli("search", "--space", "small_nets:Small", "--set", "evaluator.channels=3"), 2, "channels")


def test_a_data_function_that_is_wrong_is_one_line(cli) -> None:
    Path("my_odd_data.py").write_text("def task(root, seed):\n    return 3\n")
    one_line(cli("search", *TINY, "--dataset", "my_odd_data:task"), 2, "my_odd_data")


def test_list_and_data_list_as_json(cli) -> None:
    listed = cli("list", "--json").json
    assert listed["spaces"].keys() == SPACES.keys() and listed["strategies"].keys() == STRATEGIES.keys()
    assert "population=20" in listed["strategies"]["evolution"]
    assert "digits" in cli("data", "list", "--json").json
    assert json.dumps(listed)

"""A sweep in this process: what its cells are, what is refused, what is never done twice, what failed and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasbench.cli.main import run
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Evaluation, Proposal
from nasbench.core.seeding import generator
from nasbench.distributed.attempts import MOST_CRASHES, Attempts, Crash
from nasbench.experiments.sweep import run_sweep
from nasbench.experiments.sweep_config import parse_seeds, read_sweep
from nasbench.experiments.sweep_plan import make_plan
from nasbench.reports.leaderboard import collect
from nasbench.testing.strategies import SmallSpace

SWEEP = """
spaces: [nasbench201, darts]
datasets: [cifar10, cifar100]
strategies:
  - random
  - {name: evolution, label: small, set: {population: 4, tournament: 2}}
evaluator: table
seeds: 0:3
evaluations: 12
out: out
overrides:
  - {where: {strategy: small, dataset: cifar10}, evaluations: 20, seeds: 7}
"""
# A strategy that breaks for the seeds in a file, and an evaluator that scores nothing for others.
OWN = """
from pathlib import Path
from nasbench.strategies.random import RandomSearch


class Breaks(RandomSearch):
    def ask(self):
        if str(self.problem.seed) in Path("broken").read_text().split():
            raise RuntimeError(f"seed {self.problem.seed} is broken")
        return super().ask()


class Full(RandomSearch):
    def ask(self):
        raise OSError(28, "No space left on device", "evaluations.jsonl")


class Nothing(RandomSearch):
    def recommend(self, k=1):
        return [] if self.problem.seed == 1 else super().recommend(k)
"""


@pytest.fixture
def here(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(*arguments: object) -> int:
    return run(["sweep", *map(str, arguments)])


def runs(out: str = "out") -> dict[str, int]:
    """Return the finished runs by folder, and when their results were written."""
    return {str(file.parent.relative_to(out)): file.stat().st_mtime_ns for file in Path(out).rglob("result.json")}


def records(name: str = "out/failures.jsonl") -> list[dict]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0:3", (0, 1, 2)), (4, (4,)), ("1,5, 7", (1, 5, 7)), ([2, 0], (2, 0)), ("0:2,1:4", (0, 1, 2, 3))],
)
def test_seeds(text: object, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0-3", "a", "3:3", "-1"])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"seeds: "):
        read_sweep(None, {"seeds": text or " "})


def test_a_sweep_makes_ordinary_runs_skips_what_does_not_fit_and_goes_on_when_changed(here: Path, capfd) -> None:
    Path("sweep.yaml").write_text(SWEEP)
    assert sweep("sweep.yaml", "--json") == 0
    said = capfd.readouterr()
    outcome = json.loads(said.out)
    assert (outcome["cells"], outcome["done"], outcome["failed"]) == (10, 10, 0)
    assert {(pair["space"], pair["dataset"]) for pair in outcome["skipped"]} == {
        ("darts", "cifar10"),
        ("darts", "cifar100"),
    }
    assert said.err.count("skipped: ") == 4 and "there are tables for the spaces" in said.err
    first = runs()
    assert len(first) == 10
    results = collect([Path("out")])
    methods = {(r["dataset"], r["identity"]["method"], r["evaluations"]) for r in results}
    assert methods == {
        ("cifar10", "random", 12),
        ("cifar10", "evolution(population=4, tournament=2)", 20),
        ("cifar100", "random", 12),
        ("cifar100", "evolution(population=4, tournament=2)", 12),
    }
    cell = next(Path("out/nasbench201/cifar100").glob("small-*/seed-2"))
    names = {path.name for path in cell.iterdir()}
    assert names == {".lock", "config.json", "evaluations.jsonl", "result.json", "architecture.json"}
    assert run(["search", "--resume", "--out", str(cell)]) == 0 and (cell / "report.html").exists()
    assert sweep("sweep.yaml", "--seeds", "1:5", "--spaces", "nasbench201") == 0
    second = runs()
    assert len(second) == 10 + 2 * 3 and second.items() >= first.items()  # nothing was made twice


def test_a_search_of_a_sweep_is_the_search_of_the_same_seed(here: Path) -> None:
    options = ["--evaluator", "table", "--evaluations", "40", "--set", "population=5", "--set", "tournament=2"]
    assert sweep("--strategies", "random,evolution", "--seeds", "3", *options, "--out", "out") == 0
    assert run(["search", "--strategy", "evolution", "--seed", "3", *options, "--out", "alone"]) == 0
    cell = next(Path("out/nasbench201/cifar10").glob("evolution-*/seed-3"))
    assert (cell / "evaluations.jsonl").read_bytes() == Path("alone/evaluations.jsonl").read_bytes()
    stored = [json.loads((folder / "config.json").read_text())["run"] for folder in (cell, Path("alone"))]
    assert stored[0] == stored[1]


def test_what_failed_is_listed_with_its_reason_and_done_again(here: Path, capfd) -> None:
    Path("own.py").write_text(OWN)
    Path("broken").write_text("1 3")
    arguments = ["--strategies", "own:Breaks", "--evaluator", "table", "--seeds", "0:4", "--evaluations", "5"]
    arguments += ["--out", "out"]
    assert sweep(*arguments) == 1
    said = capfd.readouterr()
    assert "RuntimeError: seed 1 is broken" in said.err and "RuntimeError: seed 3 is broken" in said.err
    assert "2 of 4 searches are in out, 2 failed" in said.out
    assert [record["reason"] for record in records()] == [f"RuntimeError: seed {n} is broken" for n in (1, 3)]
    assert all("in ask" in record["traceback"] for record in records())
    before = runs()
    Path("broken").write_text("3")
    assert sweep(*arguments) == 1
    assert len(records()) == 1 and len(runs()) == 3 and runs().items() >= before.items()


def test_a_search_that_found_nothing_stays_failed_and_is_not_done_again(here: Path) -> None:
    Path("own.py").write_text(OWN)
    arguments = ["--strategies", "own:Nothing", "--evaluator", "table", "--seeds", "0:3", "--evaluations", "5"]
    for _ in range(2):
        assert sweep(*arguments, "--out", "out") == 1
        [record] = records()
        assert record["cell"].endswith("seed-1") and "recommends nothing" in record["reason"]
        before = runs()
    assert len(before) == 3 and runs() == before


def test_on_a_full_disk_a_sweep_stops_and_says_so(here: Path, capfd) -> None:
    Path("own.py").write_text(OWN)
    arguments = ["--strategies", "own:Full", "--evaluator", "table", "--seeds", "0:9", "--evaluations", "5"]
    assert sweep(*arguments, "--out", "out") == 1
    said = capfd.readouterr().err
    assert "stopped with 8 cells left: No space left on device" in said and "the same command goes on" in said
    assert len(records()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategies", "randm", "--out", "out"], "Did you mean 'random'?"),
        (["--spaces", "darts", "--out", "out"], "no pair of this sweep fits"),
        (["--set", "populaton=3", "--out", "out"], "has the key of 'populaton=3'"),
        (["--seeds", "0-3", "--out", "out"], "seeds are written 0:10"),
        (["missing.yaml", "--out", "out"], "cannot read missing.yaml"),
        (["own.yaml"], "own.yaml has no key 'space'. Did you mean 'spaces'?"),
        ([], "a sweep needs a folder for its runs: --out DIR."),
        (["--out", "file"], "file: File exists."),
        (["--out", "nonsense://x"], "cannot write to nonsense://x"),
    ],
)
def test_bad_input(here: Path, arguments: list[str], words: str, capfd) -> None:
    Path("own.yaml").write_text("space: nasbench201\n")
    Path("file").touch()
    assert sweep(*arguments, "--evaluator", "table", "--evaluations", "5") == 2
    assert words in capfd.readouterr().err


def test_what_can_be_skipped_is_skipped(here: Path) -> None:
    Path("sweep.yaml").write_text(SWEEP + "  - {where: {strategy: random}, skip: true}\n")
    plan = make_plan(read_sweep(Path("sweep.yaml"), {}))
    assert {group.folder.split("/")[2].split("-")[0] for group in plan.groups} == {"small"}
    assert not plan.skipped or all(pair.space == "darts" for pair in plan.skipped)


def test_results_behind_a_url(here: Path, capfd) -> None:
    import fsspec

    arguments = ["--strategies", "random", "--evaluator", "table", "--evaluations", "5", "--out", "memory://sweep/a"]
    assert sweep(*arguments, "--seeds", "0:2") == 0
    system = fsspec.filesystem("memory")
    assert len(system.glob("/sweep/a/nasbench201/cifar10/random-*/seed-*/result.json")) == 2
    written = system.modified(system.glob("/sweep/a/nasbench201/cifar10/random-*/seed-0/result.json")[0])
    assert sweep(*arguments, "--seeds", "0:3", "--json") == 0
    outcome = json.loads(capfd.readouterr().out.split("memory://sweep/a\n", 1)[-1])
    assert (outcome["finished_before"], outcome["done"]) == (2, 1)
    assert system.modified(system.glob("/sweep/a/nasbench201/cifar10/random-*/seed-0/result.json")[0]) == written
    assert run(["leaderboard", "memory://sweep/a", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["rows"][0]["n_runs"] == 3


def test_a_second_process_is_refused_while_one_works(here: Path, capfd) -> None:
    from filelock import FileLock

    Path("out").mkdir()
    with FileLock("out/.sweep.lock"):
        assert sweep("--evaluator", "table", "--strategies", "random", "--out", "out") == 2
    assert "in use by another sweep" in capfd.readouterr().err


def test_the_baseline_of_trained_cells_is_trained_first_and_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASBENCH_CACHE", str(here / "cache"))
    tiny = ["recipe.epochs=1", "recipe.channels=2", "recipe.cells=1", "recipe.warmup_epochs=0"]
    options = {"spaces": "nasbench201", "strategies": "random", "seeds": "0:2", "evaluations": 2, "final_seeds": 1}
    config = read_sweep(None, {**options, "baseline_size": 2, "set": tiny, "evaluator": "train", "out": "out"})
    tally = run_sweep(make_plan(config), config)
    assert (tally.done, tally.failed) == (2, 0)
    first, second = collect([Path("out")])
    assert first["baseline"] == second["baseline"] and first["baseline"]["n"] == 2
    trained = max(file.stat().st_mtime_ns for file in Path("cache").rglob("architecture-*.json"))
    assert trained < min(file.stat().st_mtime_ns for file in Path("out").rglob("evaluations.jsonl"))


class TestAttempts:
    """A candidate at which workers die again and again becomes a failed evaluation, however it kills them."""

    class Scores:
        source, version, fingerprint = "trained", 0, "scores"

        def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
            return Evaluation(id, proposal, {"valid_accuracy": 1.0}, "trained", seed)

    def score(self, folder: Path, crash: Crash | None, timeout: float | None = None) -> Evaluation:
        asked = [Proposal(SmallSpace().sample(generator(0, "attempts")))]
        scoring = Attempts(folder, crash, timeout, True).scoring(self.Scores())
        return next(iter(scoring(asked, [5], [0])))

    def test_three_crashes_at_one_candidate(self, tmp_path: Path) -> None:
        crash = None
        for _ in range(MOST_CRASHES):
            assert self.score(tmp_path, crash).status == "ok"  # it would have died here
            crash = Crash(json.loads((tmp_path / "attempt.json").read_text())["began"] + 0.1, "the worker died")
        failed = self.score(tmp_path, crash)
        assert (failed.status, failed.error) == ("failed", "the worker died, 3 times")

    def test_a_crash_after_its_time_was_over(self, tmp_path: Path) -> None:
        assert self.score(tmp_path, None, 10.0).status == "ok"
        began = json.loads((tmp_path / "attempt.json").read_text())["began"]
        assert self.score(tmp_path, Crash(began + 9.0, "died"), 10.0).status == "ok"
        began = json.loads((tmp_path / "attempt.json").read_text())["began"]
        failed = self.score(tmp_path, Crash(began + 15.0, "died"), 10.0)
        assert failed.status == "failed" and failed.error.startswith("longer than 10 s")
        assert failed.seconds == pytest.approx(15.0)

    def test_a_driver_that_was_killed_is_no_fault_of_the_candidate(self, tmp_path: Path) -> None:
        for _ in range(MOST_CRASHES + 2):
            assert self.score(tmp_path, None).status == "ok"

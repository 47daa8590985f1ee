"""``nasbench search --plan``: the power of an experiment and its cost, and that nothing is run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from nasbench.core.errors import BadInput
from nasbench.experiments import plan as planning
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import Settings, resolve_settings
from nasbench.experiments.plan import Pilot, in_words, plan
from nasbench.tables.table import Score, Surrogate
from tests.cli.conftest import TINY, one_line

ON_TABLE = ["--space", "nasbench201", "--evaluator", "table"]


def parts(table: Path, **settings: object) -> Parts:
    return Parts(resolve_settings(Settings(space="nasbench201", evaluator="table", **settings)), table)


@pytest.mark.parametrize("exact", [False, True])
def test_the_figures_are_those_of_the_power_analysis(table: Path, monkeypatch: pytest.MonkeyPatch, exact: bool) -> None:
    """Deviation 0.23, that of random architectures of the DARTS space; twice as good with an exact baseline."""
    monkeypatch.setattr(planning, "pilot_of", lambda parts: Pilot(0.23, "measured.", exact))
    found = plan(parts(table, evaluations=100))
    smallest = {row["seeds"]: row["gain"] for row in found["smallest_gain"]}
    published = {3: 0.81, 5: 0.48, 8: 0.35, 10: 0.31, 15: 0.24, 20: 0.21, 30: 0.17, 50: 0.13}
    assert smallest.keys() == published.keys()
    for seeds, gain in published.items():
        assert smallest[seeds] < gain if exact else smallest[seeds] == pytest.approx(gain, abs=0.005)
    assert found["unit"] == "points" and bool(found["seeds_needed_by_rank"]) == exact
    for row in found["seeds_needed"]:
        assert row["seconds"] == pytest.approx(row["seeds"] * found["seconds_per_seed"])


def test_on_a_table_the_deviation_is_that_of_random_search(table: Path) -> None:
    made = parts(table, evaluations=100)
    found, search = plan(made), made.table_judge.random_search(100)
    assert found["std"] == search.std == pytest.approx(0.361, abs=5e-4)
    assert found["baseline_known_exactly"] and found["gain_over"] == "random search of the same cost"
    unknown = plan(parts(table, time=10.0))
    assert unknown["std"] is None and unknown["unit"] == "standard deviations"


def test_a_benchmark_without_held_out_scores_is_refused(tmp_path: Path) -> None:
    made = Parts(resolve_settings(Settings(space="ofa-mobilenetv3", evaluator="table")), tmp_path)
    made.table = Surrogate(
        space="ofa-mobilenetv3",
        dataset="imagenet",
        classes=1000,
        fidelity="shared weights",
        file=tmp_path,
        fingerprint="none",
        measured={},
        canonical=made.space.canonical,
        predict=lambda architecture: Score(50.0, "predicted"),
        error={},
    )
    with pytest.raises(BadInput, match="no held-out score"):
        plan(made)


def test_the_command_line(cli, table: Path) -> None:
    said = cli("search", *ON_TABLE, "--data-dir", table, "--evaluations", 100, "--plan")
    assert said.code == 0 and "10 seeds" in said.out and "93.73 ± 0.36" in said.out
    assert cli("search", *ON_TABLE, "--data-dir", table, "--plan", "--json").json["power"] == 0.8
    one_line(cli("search", "--plan", "--dry-run"), 2, "--plan and --dry-run answer different questions")
    assert not list(Path().iterdir())


def test_a_trained_search_plans_with_the_cached_baseline(cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path / "cache"))
    command = ["search", *TINY, "--plan", "--json"]
    before = cli(*command).json
    assert before["std"] is None and before["unit"] == "standard deviations"
    assert before["smallest_gain"][0]["gain"] == pytest.approx(3.5, abs=0.1)
    assert not (tmp_path / "cache" / "baselines").exists() and not list(tmp_path.glob("runs*"))
    one, each = before["seconds_per_seed"], before["seconds_per_random_architecture"]
    assert before["smallest_gain"][0]["seconds"] == pytest.approx(3 * (one + each))
    # The command that it names makes the pilot.
    said = shlex.split(before["std_source"].split("'")[1])
    measured = cli(*said[1:], "--baseline-size", 2, "--json").json["baseline"]["std"]
    after = cli(*command).json
    assert after["std"] == (measured or None) and "trained before" in after["std_source"]


def test_durations_in_words() -> None:
    assert in_words(0.3) == "less than a second" and in_words(90) == "90.0 seconds"
    assert in_words(7200) == "2.0 hours" and in_words(864_000, on_gpu=True) == "10.0 days (240.00 GPU-hours)"

"""A leaderboard of deliberately unfair runs raises every warning that it should, and a fair one none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nasbench.reports.fairness import cautions
from nasbench.reports.leaderboard import collect, leaderboard
from nasbench.reports.leaderboard_anytime import add_anytime
from tests.reports.ledgers import evaluations, write_runs
from tests.reports.results import trained_baseline

GOOD, FAIR = [93.0, 93.2, 92.8, 93.1, 92.9], [91.2, 90.8, 91.5, 90.6, 91.0]


def warnings(folder: Path) -> list[str]:
    results, anytime = add_anytime(collect([folder]))
    table = leaderboard(results)
    return [*table.warnings, *cautions(table, anytime, [folder])]


def change(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads((run / "result.json").read_text())
    change(data)
    (run / "result.json").write_text(json.dumps(data))


def test_fair_runs_raise_none(tmp_path: Path) -> None:
    write_runs(tmp_path, "evolution", GOOD, own=1)
    write_runs(tmp_path, "random", FAIR, own=2)
    assert warnings(tmp_path) == []


def fewer_seeds(runs: list[Path]) -> None:
    change(runs[2], lambda result: result.update(seed=7))


def chosen_on_test(runs: list[Path]) -> None:
    change(runs[1], lambda result: result.update(architecture_spec=evaluations(1, own=1)[0]["architecture"]))


def chosen_from_nowhere(runs: list[Path]) -> None:
    change(runs[1], lambda result: result.update(architecture_spec=["plain", [99, 0, 0, 0]]))


def beyond_the_budget(runs: list[Path]) -> None:
    for run in runs:
        config = json.loads((run / "config.json").read_text())
        config["run"]["evaluations"] = 10
        (run / "config.json").write_text(json.dumps(config))


def shorter_ledger(runs: list[Path]) -> None:
    lines = (runs[0] / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (runs[0] / "evaluations.jsonl").write_text("".join(lines[:-2]))
    change(runs[0], lambda result: result.update(architecture_spec=None))


def more_trainings(runs: list[Path]) -> None:
    for run in runs:
        change(run, lambda result: result["final"].update(test_accuracies=[93.0, 93.0]))


def more_trainings_of_one(runs: list[Path]) -> None:
    change(runs[3], lambda result: result["final"].update(test_accuracies=[93.1, 93.1]))


def other_code(runs: list[Path]) -> None:
    change(runs[0], lambda result: result["identity"].update(code_version="0.2.0"))


def other_sampler(runs: list[Path]) -> None:
    for run in runs:
        change(run, lambda result: result["identity"].update(sampler="connected cells only"))


def other_goal(runs: list[Path]) -> None:
    for run in runs:
        change(run, lambda result: result.update(constraints=["parameters<=1000"]))


def seconds_on_other_hardware(runs: list[Path]) -> None:
    for run in [*runs, *runs[0].parent.glob("random-*")]:
        config = json.loads((run / "config.json").read_text())
        config["run"] |= {"evaluations": None, "time": 60}
        (run / "config.json").write_text(json.dumps(config))
    for run in runs:
        change(run, lambda result: result["identity"].update(hardware="a fast machine"))


def unfinished(runs: list[Path]) -> None:
    folder = runs[0].parent / "given-up"
    folder.mkdir()
    (folder / "config.json").write_text("{}")


def picked_seeds(runs: list[Path]) -> None:
    for run, seed in zip(runs, (3, 17, 101, 230, 999), strict=True):
        change(run, lambda result, seed=seed: result.update(seed=seed))


def other_random_architectures(runs: list[Path]) -> None:
    for run in runs:
        change(run, lambda result: result["baseline"].update(key="a pool of its own"))


def a_training_left_out(runs: list[Path]) -> None:
    change(runs[4], lambda result: result["final"].update(seeds=[5, 6, 7]))


def validation_that_is_the_test(runs: list[Path]) -> None:
    for run in runs:
        change(run, lambda result: result["metrics"].update(valid_accuracy=result["final"]["test_accuracies"][0]))


def constraints_for_all(runs: list[Path]) -> None:
    for run in runs[0].parent.glob("*-digits-*"):
        change(run, lambda result: result.update(constraints=["parameters<=1000"]))


def scores_of_another_kind(runs: list[Path]) -> None:
    file = runs[0] / "evaluations.jsonl"
    file.write_text(file.read_text().replace('"trained"', '"predicted"', 3))


def a_control_under_a_false_name(runs: list[Path]) -> None:
    for run in runs:
        file = run / "evaluations.jsonl"
        file.write_text(file.read_text().replace('"trained"', '"shuffled"'))


def a_copy(runs: list[Path]) -> None:
    write_runs(runs[0].parent, "invented", FAIR, own=9)


def several_settings(runs: list[Path]) -> None:
    write_runs(runs[0].parent, "evolution(population=7)", [93.5, 93.6, 93.7, 93.4, 93.5], own=9)


@pytest.mark.parametrize(
    ("unfair", "words"),
    [
        (fewer_seeds, "evolution on plain, digits: seeds 2, 5, 6 are missing between the others"),
        (
            chosen_on_test,
            "evolution on plain, digits: 1 run recommended another architecture than the best",
        ),
        (chosen_from_nowhere, "1 run recommended another architecture than the best by validation"),
        (beyond_the_budget, "5 runs made more evaluations than the budget allows (10 evaluations)"),
        (shorter_ledger, "the ledger of 1 run holds another number of evaluations than the result states"),
        (more_trainings, "plain, digits: methods have different numbers of final trainings a run (1, 2)"),
        (more_trainings_of_one, "its runs have different numbers of final trainings: 1, 2"),
        (other_code, "made by different versions of this package: 0.2.0;0.1.0"),
        (other_sampler, "drawn in different ways (connected cells only, uniform); RI differs"),
        (other_goal, "some methods searched for other objectives or under constraints"),
        (seconds_on_other_hardware, "budgets in seconds were spent on different hardware"),
        (unfinished, "1 run not finished and not counted"),
        (picked_seeds, "evolution has other seeds (3, 17, 101, 230, 999) than others;"),
        (other_random_architectures, "compared with different random architectures (a pool of its own, pool); RI"),
        (a_training_left_out, "1 run with another number of test accuracies than of final trainings"),
        (validation_that_is_the_test, "in every run the validation accuracy is the test accuracy"),
        (
            constraints_for_all,
            "evolution on plain, digits; random on plain, digits: it searched under constraints, to which the random",
        ),
        (scores_of_another_kind, "its ledgers hold scores of another kind (predicted) than the results say (trained)"),
        (a_control_under_a_false_name, "scores of another kind (shuffled) than the results say (trained)"),
        (a_copy, "invented and random have the very same test accuracies; one may be a copy"),
        (
            several_settings,
            "2 variants of evolution are ranked; to report the best of them would be tuning",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_unfairness_is_named(unfair: Callable[[list[Path]], None], words: str, tmp_path: Path) -> None:
    runs = write_runs(tmp_path, "evolution", GOOD, own=1)
    write_runs(tmp_path, "random", FAIR, own=2)
    unfair(runs)
    assert any(words in warning for warning in warnings(tmp_path)), warnings(tmp_path)


def test_a_leaderboard_of_unfair_runs_names_all_of_it(tmp_path: Path) -> None:
    write_runs(tmp_path, "random", FAIR, own=2)
    runs = write_runs(tmp_path, "evolution", GOOD, own=1)
    for unfair in (
        fewer_seeds,
        chosen_on_test,
        more_trainings_of_one,
        other_code,
        unfinished,
        a_copy,
        several_settings,
    ):
        unfair(runs)
    for name, more in {
        "other recipe": {"recipe_hash": "b"},
        "other split": {"split": "seed 1"},
        "other protocol": {"protocol_version": 2},
        "other data": {"data_fingerprint": "b"},
        "other space": {"space_version": "2"},
        "other budget": {"count": 20},
        "proxy scores": {"fidelity": "one epoch"},
    }.items():
        write_runs(tmp_path, name, GOOD, own=3, **more)
    write_runs(tmp_path, "once", [99.0], own=4)
    failing = write_runs(tmp_path, "failing", [93.0, None, 93.0, 93.0, 93.0], own=5)
    change(failing[1], lambda result: result.update(final=None))
    text = "\n".join(warnings(tmp_path))
    for words in (
        *("recipe_hash differs", "split differs", "protocol_version differs", "data_fingerprint differs"),
        *("space_version differs", "budget differs", "fidelity differs", "not ranked: one run."),
        *("1 failed run and an unknown number of classes", "are missing between", "recommended another architecture"),
        *("final trainings", "different versions", "not finished", "may be a copy", "2 variants of evolution"),
    ):
        assert words in text, words


def test_fewer_runs_are_no_unfairness(tmp_path: Path) -> None:
    write_runs(tmp_path, "evolution", GOOD[:3], own=1)
    write_runs(tmp_path, "random", FAIR, own=2)
    assert warnings(tmp_path) == []


def test_many_methods_may_find_the_one_optimum(tmp_path: Path) -> None:
    write_runs(tmp_path, "evolution", [94.37] * 5, own=1)
    write_runs(tmp_path, "local-search", [94.37] * 5, own=2)
    assert warnings(tmp_path) == []


def test_a_larger_shared_baseline_is_no_unfairness(tmp_path: Path) -> None:
    write_runs(tmp_path, "evolution", GOOD, own=1)
    write_runs(tmp_path, "random", FAIR, own=2, baseline=trained_baseline([90.0, 91.0, 92.0, 91.0, 90.0, 91.5, 92.5]))
    assert warnings(tmp_path) == []

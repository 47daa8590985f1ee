"""What may make a comparison unfair although its rows are ranked together: each caution is one line for the reader.

A caution accuses nobody. It says what the files show and what that would mean. Differences that forbid a comparison
(recipe, split, data, budget, one run) are not here: rows that differ in them are not ranked in the first place.

Sources: Lindauer and Hutter, "Best practices for scientific research on NAS", JMLR 21(243), 2020; Yang et al., "NAS
evaluation is frustratingly hard", ICLR 2020.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nasbench.core.architecture import Architecture
from nasbench.reports.leaderboard import LeaderboardTable, largest_baseline, rows_of
from nasbench.reports.leaderboard_anytime import Anytime, Task
from nasbench.reports.leaderboard_rows import Run, test_scores

LISTED = 5
"""At most so many folders, seeds or places are named."""

Members = list[tuple[dict[str, Any], Sequence[Run]]]


def cautions(table: LeaderboardTable, anytime: Anytime, paths: Sequence[Path] = ()) -> list[str]:
    """Return all cautions: on unfinished runs below ``paths``, on single rows, on rows that are ranked together."""
    places: dict[str, list[str]] = defaultdict(list)  # by what is said of them
    ranked: dict[Task, Members] = defaultdict(list)
    for row, rank, runs in zip(rows_of(table), table.ranks, table.runs, strict=True):
        name = f"{row['method']} on {row['space']}, {row['dataset']}"
        for caution in _of_row(row, runs, anytime):
            places[caution].append(name)
        if rank is not None:
            ranked[row["space"], row["dataset"]].append((row, runs))
    for (space, dataset), members in ranked.items():
        for caution in _of_ranking(members):
            places[caution].append(f"{space}, {dataset}")
    return [*_unfinished(paths), *(f"{_listed(names, '; ')}: {caution}" for caution, names in places.items())]


def _unfinished(paths: Iterable[Path]) -> Iterator[str]:
    folders = sorted({file.parent for path in paths for file in path.rglob("config.json")})
    missing = [str(folder) for folder in folders if not (folder / "result.json").exists()]
    if missing:
        yield f"{_count(len(missing), 'run')} not finished and not counted: {_listed(missing)}."


def _of_row(row: dict[str, Any], runs: Sequence[Run], anytime: Anytime) -> Iterator[str]:
    seeds = sorted({int(run["seed"]) for run in runs})
    gaps = _gaps(seeds)
    if gaps:
        yield f"seeds {_listed(gaps)} are missing between the others; every run that was made counts, failed ones too."
    other = [run for run in runs if _chose_otherwise(run, anytime)]
    if other:
        yield (
            f"{_count(len(other), 'run')} recommended another architecture than the best by validation; "
            "a choice by test accuracy, or of the last candidate, would look like this."
        )
    longer = [run for run in runs if (limit := _limit(run)) is not None and run["evaluations"] > limit]
    if longer:
        yield f"{_count(len(longer), 'run')} made more evaluations than the budget allows ({longer[0]['budget']})."
    short = [run for run in runs if _evaluated(run, anytime) not in (None, run["evaluations"])]
    if short:
        yield f"the ledger of {_count(len(short), 'run')} holds another number of evaluations than the result states."
    trainings = {len(run["final"]["test_accuracies"]) for run in runs if run["final"]}
    if len(trainings) > 1:
        yield f"its runs have different numbers of final trainings: {_listed(sorted(trainings))}."
    dropped = [run for run in runs if (seeds_of := _final_seeds(run)) and len(seeds_of) != _trainings(run)]
    if dropped:
        yield f"{_count(len(dropped), 'run')} with another number of test accuracies than of final trainings."
    same = [
        run for run in runs if run["final"] and [(run["metrics"] or {}).get("valid_accuracy")] == test_scores([run])
    ]
    if len(runs) > 1 and len(same) == len(runs):
        yield "in every run the validation accuracy is the test accuracy; the search may have seen test data."
    if any(run.get("constraints") for run in runs):
        yield "it searched under constraints, to which the random architectures that it is compared with are not held."
    kinds = sorted({kind for run in runs for kind in _kinds(run, anytime) - {run["identity"].get("source")}})
    if kinds:
        yield f"its ledgers hold scores of another kind ({', '.join(kinds)}) than the results say ({row['source']})."
    if ";" in str(row["code_version"]):
        yield f"its runs were made by different versions of this package: {row['code_version']}."


def _of_ranking(members: Members) -> Iterator[str]:
    samplers = {row["sampler"] for row, runs in members if any(run["baseline"] for run in runs)}
    if len(samplers) > 1:
        yield f"random architectures were drawn in different ways ({_listed(sorted(map(str, samplers)))}); RI differs."
    pools = {key for row, runs in members if (key := largest_baseline(runs).get("key"))}
    if len(pools) > 1:
        yield f"methods are compared with different random architectures ({_listed(sorted(pools))}); RI differs."
    yield from _other_seeds(members)
    by_time = [row for row, runs in members if any("seconds" in str(run.get("budget")) for run in runs)]
    machines = {row["hardware"] for row in by_time}
    if len(machines) > 1 or any(";" in str(machine) for machine in machines):
        yield "budgets in seconds were spent on different hardware, so one second bought more for some than for others."
    goals = {str([run.get("objectives"), run.get("constraints")]) for _, runs in members for run in runs}
    if len(goals) > 1:
        yield "some methods searched for other objectives or under constraints, and accuracy alone ranks them here."
    trainings = {len(run["final"]["test_accuracies"]) for _, runs in members for run in runs if run["final"]}
    if len(trainings) > 1:
        yield f"methods have different numbers of final trainings a run ({_listed(sorted(trainings))})."
    settings: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row, _ in members:
        settings[str(row["method"]).partition("(")[0].partition(" for ")[0].partition(" with ")[0]].append(row)
    for name, rows in settings.items():
        if len(rows) > 1 and not all(row["tuning_seconds"] for row in rows):
            yield (
                f"{len(rows)} variants of {name} are ranked; to report the best of them would be tuning on the test "
                "scores, at a cost that is not counted."
            )
    yield from _copies(members)


def _copies(members: Members) -> Iterator[str]:
    """Name methods with the very same scores; equal constants are no copies, many methods may find the one optimum."""
    first: dict[tuple[float, ...], str] = {}
    for row, runs in members:
        scores = tuple(sorted(test_scores(runs) or []))
        if len(set(scores)) < 2:
            continue
        if scores in first:
            yield f"{first[scores]} and {row['method']} have the very same test accuracies; one may be a copy."
        first.setdefault(scores, row["method"])


def _other_seeds(members: Members) -> Iterator[str]:
    """Name methods whose seeds are not the first of all that were used: fewer seeds are fair, picked ones are not."""
    seeds = {id(row): sorted({int(run["seed"]) for run in runs}) for row, runs in members}
    used = sorted({seed for mine in seeds.values() for seed in mine})
    for row, _ in members:
        mine = seeds[id(row)]
        if mine != used[: len(mine)] and not _gaps(mine):
            yield f"{row['method']} has other seeds ({_listed(mine)}) than others; picked seeds would look like this."


def _gaps(seeds: Sequence[int]) -> list[int]:
    """Return the seeds missing between these sorted ones, none if they lie so far apart that they are no sequence."""
    gaps = sorted(set(range(seeds[0], seeds[-1] + 1)) - set(seeds))
    return gaps if len(gaps) < len(seeds) else []


def _final_seeds(run: Run) -> Sequence[int]:
    return (run["final"] or {}).get("seeds") or ()


def _trainings(run: Run) -> int:
    return len(run["final"]["test_accuracies"])


def _kinds(run: Run, anytime: Anytime) -> frozenset[str]:
    course = anytime.courses.get(run["run"])
    return frozenset() if course is None or run["identity"].get("source") == "predicted" else course.sources


def _chose_otherwise(run: Run, anytime: Anytime) -> bool:
    """Whether a run recommends something whose validation accuracy in its ledger is not the best one there."""
    course, chosen = anytime.courses.get(run["run"]), run.get("architecture_spec")
    if course is None or chosen is None or course.failed.all():
        return False
    best = course.best_validation[-1]
    spec = Architecture.from_json(chosen).spec
    return not any(
        score == best and seen == spec for seen, score in zip(course.specs, course.validation.tolist(), strict=True)
    )


def _limit(run: Run) -> int | None:
    found = re.match(r"(\d+) evaluations", str(run.get("budget") or ""))
    return int(found[1]) if found else None


def _evaluated(run: Run, anytime: Anytime) -> int | None:
    course = anytime.courses.get(run["run"])
    return None if course is None else len(course.specs)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _listed(items: Sequence[Any], between: str = ", ") -> str:
    more = f" and {len(items) - LISTED} more" if len(items) > LISTED else ""
    return between.join(map(str, items[:LISTED])) + more

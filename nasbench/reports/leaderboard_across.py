"""Which rows of a leaderboard can be compared over data sets and with each other, and what comes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.protocol.across import Across, compare_over_data_sets
from nasbench.protocol.comparisons import holm
from nasbench.protocol.pairing import PairOfMethods, compare_two
from nasbench.reports.leaderboard import LeaderboardTable, largest_baseline, rows_of
from nasbench.reports.leaderboard_anytime import Anytime, Task
from nasbench.reports.leaderboard_rows import test_scores

RankedRows = dict[Task, dict[str, int]]
"""The numbers of the ranked rows of each space and data set, by the label of their method."""


def ranked_rows(table: LeaderboardTable) -> RankedRows:
    """Return the ranked rows; a method of which two versions or samplers are ranked bears them in its label."""
    rows = rows_of(table)
    ranked = [i for i, rank in enumerate(table.ranks) if rank is not None]
    seen: dict[tuple[Any, ...], int] = defaultdict(int)
    for i in ranked:
        seen[rows[i]["space"], rows[i]["dataset"], rows[i]["method"]] += 1
    several = {method for (_, _, method), count in seen.items() if count > 1}
    found: RankedRows = defaultdict(dict)
    for i in ranked:
        row = rows[i]
        label = str(row["method"])
        if label in several:
            label += f" [version {row['method_version']}, {row['sampler']}]"
        found[row["space"], row["dataset"]].setdefault(label, i)
    return dict(found)


def largest_block(ranked: Mapping[Task, Mapping[str, int]]) -> tuple[list[str], list[Task]]:
    """Return methods and data sets such that every method is ranked on every one of them, as many results as possible.

    At least two of both, or nothing. The data sets considered are those that some method, or two methods, have.
    """
    where: dict[str, frozenset[Task]] = defaultdict(frozenset)
    for task, rows in ranked.items():
        for method in rows:
            where[method] |= {task}
    candidates = set(where.values()) | {a & b for a, b in combinations(where.values(), 2)}
    best: tuple[list[str], list[Task]] = [], []
    for tasks in sorted(candidates, key=lambda tasks: (-len(tasks), sorted(tasks))):
        methods = sorted(method for method, present in where.items() if tasks <= present)
        if min(len(methods), len(tasks)) >= 2 and len(methods) * len(tasks) > len(best[0]) * len(best[1]):
            best = methods, sorted(tasks)
    return best


def over_data_sets(table: LeaderboardTable) -> tuple[Across | None, list[str]]:
    """Compare the ranked methods over the data sets that they have in common; and say in words what is left out."""
    ranked = ranked_rows(table)
    methods, tasks = largest_block(ranked)
    if not methods:
        return None, ["No two methods are ranked on the same two data sets, so nothing is averaged over data sets."]
    scores: dict[str, list[list[float]]] = {}
    for method in methods:
        found = [test_scores(table.runs[ranked[task][method]]) for task in tasks]
        scores[method] = [runs for runs in found if runs is not None]  # a row without scores is not ranked
    baselines = [largest_baseline([run for i in ranked[task].values() for run in table.runs[i]]) for task in tasks]
    notes = []
    left_out = sorted({method for rows in ranked.values() for method in rows} - set(methods))
    if left_out:
        notes.append(f"Left out, because not ranked on each of these data sets: {', '.join(left_out)}.")
    other = [task for task in ranked if task not in tasks]
    if other:
        names = "; ".join(f"{space}, {dataset}" for space, dataset in other)
        notes.append(f"Left out, because not all of these methods are ranked there: {names}.")
    try:
        return compare_over_data_sets(
            scores, [f"{space}, {dataset}" for space, dataset in tasks], baselines, np.random.default_rng(0)
        ), notes
    except BadInput as error:
        return None, [*notes, f"Nothing is averaged over data sets: {error}"]


@dataclass(frozen=True)
class Duel:
    """Two methods on one data set; ``p_holm`` is adjusted for all duels of the leaderboard."""

    task: Task
    methods: tuple[str, str]
    result: PairOfMethods
    p_holm: float | None

    def to_json(self) -> dict[str, Any]:
        names = ("difference", "wins", "p_value", "test", "paired", "why")
        return {
            "space": self.task[0],
            "dataset": self.task[1],
            "methods": list(self.methods),
            **{name: getattr(self.result, name) for name in names},
            "p_holm": self.p_holm,
        }


def duels(table: LeaderboardTable, anytime: Anytime) -> list[Duel]:
    """Compare every two ranked methods of every space and data set by their final test accuracies."""
    found: list[tuple[Task, tuple[str, str], PairOfMethods]] = []
    for task, methods in ranked_rows(table).items():
        sides = {}
        for method, i in methods.items():
            runs = table.runs[i]
            scores = test_scores(runs)
            assert scores is not None, "a row without scores is not ranked"
            seeds = [run["seed"] for run in runs]
            if len(set(seeds)) < len(seeds):  # the same seed with other settings of the run: no seed names one run
                seeds = [-1 - place for place in range(len(runs))]
            courses = {seed: anytime.courses.get(run["run"]) for seed, run in zip(seeds, runs, strict=True)}
            sides[method] = dict(zip(seeds, scores, strict=True)), courses
        for (a, (scores_a, courses_a)), (b, (scores_b, courses_b)) in combinations(sides.items(), 2):
            found.append((task, (a, b), compare_two(scores_a, scores_b, courses_a, courses_b)))
    tested = [duel.p_value for _, _, duel in found if duel.p_value is not None]
    adjusted = iter(holm(tested).tolist() if tested else [])
    return [
        Duel(task, methods, duel, None if duel.p_value is None else next(adjusted)) for task, methods, duel in found
    ]

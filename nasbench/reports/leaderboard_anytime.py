"""The courses of the runs of a leaderboard, read from their ledgers, and their regrets where a table knows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.run_directory import read_json
from nasbench.protocol.anytime import Course, Floats, at_times, carried_on, course_of
from nasbench.protocol.table_regret import Regret, TableRegret
from nasbench.reports.leaderboard_rows import SHUFFLED, Run, is_control, row_key
from nasbench.reports.run_report import read_records
from nasbench.tables.table import Table, load_table

Task = tuple[str, str]
POINTS = 80
"""At most so many points of a curve are kept."""

NO_SIMULATED_TIME = "The tables hold no training times, so there is no simulated time."


@dataclass
class Anytime:
    """What is known of the courses of all runs, by run folder, and in words why something is not.

    ``tables`` has the best scores of each space and data set; ``regrets`` validation and test regret of each run.
    """

    courses: dict[str, Course] = field(default_factory=dict)
    regrets: dict[str, tuple[Regret, Regret]] = field(default_factory=dict)
    tables: dict[Task, TableRegret] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Curves:
    """A quantity over evaluations or seconds: median and quartiles over runs [points]."""

    at: Floats
    median: Floats
    low: Floats
    high: Floats

    def to_json(self) -> dict[str, list[float]]:
        return {name: getattr(self, name).tolist() for name in ("at", "median", "low", "high")}


def add_anytime(results: Sequence[Mapping[str, Any]], data_dir: Path | None = None) -> tuple[list[Run], Anytime]:
    """Read the ledgers beside the results, and return the results with ``regret_final`` and ``regret_auc``.

    These are the test regret of what a run recommended, and its mean over evaluations 1..B, in percentage points; B is
    the largest number of evaluations among the runs under the same conditions. Runs that are not of a table, or whose
    table or ledger is not at hand, have none; the notes say why. Nor has a control with shuffled rewards.
    """
    anytime = Anytime()
    length: dict[Any, int] = defaultdict(int)
    readable = [result for result in results if "unreadable" not in result]
    for result in readable:
        key = row_key(result)
        place = (key.space, key.dataset, key.conditions)
        length[place] = max(length[place], result["evaluations"])
        course = _course(result, anytime)
        if course is not None:
            anytime.courses[result["run"]] = course
    completed: list[Run] = []
    for result in results:
        if "unreadable" in result or (table := _table(result, data_dir, anytime)) is None or is_control([result]):
            completed.append(result)
            continue
        key = row_key(result)
        completed.append(_with_regret(result, table, length[key.space, key.dataset, key.conditions], anytime))
    anytime.notes = list(dict.fromkeys(anytime.notes))
    return completed, anytime


def _course(result: Run, anytime: Anytime) -> Course | None:
    where = f"{result['identity']['method']} on {result['space']}, {result['dataset']}"
    if result.get("objectives") or result.get("constraints"):
        anytime.notes.append(
            f"{where}: no course, because what it recommends is not chosen by validation accuracy alone."
        )
        return None
    chance = 100 / (result["identity"].get("classes") or 100)
    try:
        course = course_of(read_records(Path(str(result["run"])) / "evaluations.jsonl"), chance)
    except BadInput as error:
        anytime.notes.append(f"no course of {result['run']}: {error}")
        return None
    if course is None:
        anytime.notes.append(
            f"{where}: no course, because its scores are not of one scale (shared weights, fidelities)."
        )
    return course


def _table(result: Run, data_dir: Path | None, anytime: Anytime) -> TableRegret | None:
    """Return the table that a run searched, None if it searched none or another one is found."""
    if result["identity"].get("source") not in ("table", SHUFFLED):
        return None
    task = (result["space"], result["dataset"])
    name = f"{result['space']}, {result['dataset']}"
    if task not in anytime.tables:
        try:
            found = _open(task, [data_dir] if data_dir is not None else [None, _recorded_data_dir(result)])
        except MissingData:
            anytime.notes.append(f"no regret on {name}: its table is in none of the data folders (--data-dir).")
            return None
        except BadInput as error:
            anytime.notes.append(f"no regret on {name}: {error}")
            return None
        if found is None:
            return None
        anytime.tables[task] = found
    found = anytime.tables[task]
    if found.fingerprint != result["identity"].get("data_fingerprint"):
        anytime.notes.append(f"no regret of {result['run']}: the table at hand is not the one that it searched.")
        return None
    return found


def _open(task: Task, folders: Sequence[Path | None]) -> TableRegret | None:
    """Return the table from the first of these data folders that has it, None if not all of it was measured."""
    for folder in folders:
        try:
            table = load_table(*task, folder)
            return TableRegret(table, folder) if isinstance(table, Table) else None
        except MissingData:
            if folder == folders[-1]:
                raise
    return None


def _recorded_data_dir(result: Run) -> Path | None:
    """Return the data folder that a run recorded, None if it named none or it is no longer there."""
    try:
        environment = read_json(Path(str(result["run"])) / "config.json").get("environment")
    except BadInput:
        return None
    recorded = environment.get("data_dir") if isinstance(environment, dict) else None
    return Path(recorded) if recorded and Path(recorded).exists() else None


def _with_regret(result: Run, table: TableRegret, evaluations: int, anytime: Anytime) -> Run:
    course = anytime.courses.get(result["run"])
    if course is None:
        return result
    spec = result.get("architecture_spec")
    recommended = None if spec is None else Architecture.from_json(spec).spec
    try:
        regrets = table.of(course, recommended, evaluations)
    except KeyError as error:
        anytime.notes.append(f"no regret of {result['run']}: the table has no architecture {error}.")
        return result
    anytime.regrets[result["run"]] = regrets
    metrics = {**(result["metrics"] or {}), "regret_final": regrets[1].final, "regret_auc": regrets[1].area}
    return {**result, "metrics": metrics}


# -- curves of several runs ------------------------------------------------------------------------------------------
def over_evaluations(curves: Sequence[Floats]) -> Curves:
    """Sum up step curves over evaluations 1..B; one that ends earlier keeps its last value."""
    longest = max(curve.size for curve in curves)
    points = np.unique(np.geomspace(1, longest, POINTS).astype(int))
    values = np.array([carried_on(curve, longest) for curve in curves])[:, points - 1]
    return _quartiles(points.astype(np.float64), values)


def over_seconds(courses: Sequence[Course]) -> Curves | None:
    """Sum up the best validation accuracy over the seconds worked, from when every run has one; None without times."""
    timed = [(course.seconds, course.best_validation) for course in courses if course.seconds is not None]
    if len(timed) < len(courses) or not timed:
        return None
    start, end = max(seconds[0] for seconds, _ in timed), max(seconds[-1] for seconds, _ in timed)
    if not 0 < start <= end:
        return None
    grid = np.unique(np.geomspace(start, end, POINTS))
    grid[0], grid[-1] = start, end
    return _quartiles(grid, np.array([at_times(seconds, values, grid) for seconds, values in timed]))


def _quartiles(at: Floats, values: Floats) -> Curves:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    return Curves(at, median, low, high)

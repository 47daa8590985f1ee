"""The leaderboard: all finished runs, one row a method, space, data set and recipe, ranked only where that is fair.

The protocol follows Yang et al., "NAS evaluation is frustratingly hard", ICLR 2020, and Lindauer and Hutter, "Best
practices for scientific research on NAS", JMLR 21(243), 2020.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench.core.errors import BadInput
from nasbench.core.run_directory import read_json
from nasbench.core.state import write_atomically
from nasbench.protocol.comparisons import holm
from nasbench.protocol.stored_result import read_result
from nasbench.protocol.verdict import MIN_RUNS
from nasbench.reports.leaderboard_rows import (
    COLUMNS,
    SHUFFLED,
    Conditions,
    RowKey,
    Run,
    decisive_p,
    is_control,
    is_random_search,
    make_row,
    row_key,
    test_scores,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group

Row = dict[str, Any]


@dataclass(frozen=True)
class LeaderboardTable:
    """``frame`` has the columns `COLUMNS`, one row a method, space, data set and recipe; best first where ranked.

    ``warnings`` are lines for the user: files that could not be read, runs that appear twice. ``rank`` holds each row's
    rank within its space and data set, None where it is not ranked, and ``runs`` the results that it sums up.
    """

    frame: pd.DataFrame
    warnings: list[str] = field(default_factory=list)
    ranks: list[float | None] = field(default_factory=list)
    runs: list[list[Run]] = field(default_factory=list)


# -- reading ---------------------------------------------------------------------------------------------------------
def collect(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the results of all finished runs in these folders, at any depth, in the order of their paths.

    A result that cannot be read comes back as ``{"run": folder, "unreadable": reason}``, which `leaderboard` turns into
    a warning. Raises BadInput if a path does not exist or no run is finished.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            raise BadInput(f"{path} is not a folder; name run folders or folders that hold them.")
        files.update(dict.fromkeys(sorted(path.rglob("result.json"))))
    results = [_read_result(file) for file in files]
    if all("unreadable" in result for result in results):
        places = ", ".join(map(str, paths))
        problems = "".join(f" {_unreadable(result)}" for result in results)
        raise BadInput(f"there is no finished run (result.json) in {places or 'no folder'}.{problems}")
    return results


def _read_result(file: Path) -> dict[str, Any]:
    folder = str(file.parent)
    try:
        result = read_result(file.parent)
        config = file.parent / "config.json"
        budget = _budget(read_json(config)) if config.exists() else None
    except BadInput as error:
        return {"run": folder, "unreadable": str(error)}
    if result["final"] is not None and not result["final"]["test_accuracies"]:
        return {"run": folder, "unreadable": "it has no held-out score to be ranked by"}
    return {**result, "budget": budget}


def _budget(config: Mapping[str, Any]) -> str | None:
    """Return the budget that the run was given, in words; None if its configuration states none.

    An evaluation of a strategy that sets the epochs costs less than one of the others: only equal times are equal.
    """
    run = config.get("run")
    if not isinstance(run, dict):
        return None
    epochs = ((run.get("strategy") or {}).get("settings") or {}).get("maximum_epochs")
    parts = [
        f"{run[key]} {unit}" + (f" of up to {epochs} epochs" if epochs and key == "evaluations" else "")
        for key, unit in (("evaluations", "evaluations"), ("time", "seconds"))
        if run.get(key)
    ]
    return " or ".join(parts) or None


def _unreadable(result: Run) -> str:
    return f"{result['run']}: result.json is skipped: {str(result['unreadable']).rstrip('.')}."


# -- the table -------------------------------------------------------------------------------------------------------
def leaderboard(results: Sequence[Mapping[str, Any]]) -> LeaderboardTable:
    """Sum up results in one row a method, space, data set and recipe, test them against random, and rank them.

    Among the rows of one space and data set the largest group with the same protocol, recipe, split, data and budget
    (`Conditions.fits`) is ranked, by mean test accuracy; every other row says in ``not_comparable`` which of these
    differs. A single run is never ranked. ``rank_mean`` averages a method's ranks over spaces and data sets. p-values
    are adjusted by Holm's method over all rows. A run given twice counts once; a failed run stays in ``n_runs``. A
    control with shuffled rewards keeps its row, and is neither ranked nor tested.
    """
    import pandas as pd

    runs, warnings = _distinct([result for result in results if "unreadable" not in result])
    warnings = [_unreadable(result) for result in results if "unreadable" in result] + warnings
    groups: dict[RowKey, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run["seed"], str(run["identity"]["run_id"]))):
        groups[row_key(run)].append(run)
    baselines = _baselines(runs)
    random_searches = _random_searches(groups)
    keyed = [
        (
            key,
            make_row(
                key,
                group,
                baselines.get(_baseline_key(group), {}),
                None if is_random_search(key.method) else _random_search_beside(key, random_searches),
            ),
        )
        for key, group in groups.items()
    ]
    rows = [row for _, row in keyed]
    _adjust(rows)
    for row in rows:
        row["verdict"] = verdict(row)
    ranks = _rank(keyed)
    warnings += [
        f"{row['method']} on {row['space']}, {row['dataset']} is not ranked: {row['not_comparable']}."
        for row in rows
        if row["not_comparable"] and row["source"] != SHUFFLED
    ]
    order = sorted(range(len(rows)), key=lambda i: _place(rows[i], ranks[i]))
    frame = pd.DataFrame([rows[i] for i in order], columns=list(COLUMNS))
    summed_up = list(groups.values())
    return LeaderboardTable(frame, warnings, [ranks[i] for i in order], [summed_up[i] for i in order])


def _distinct(results: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Drop runs that are there already: the same id, or the same configuration and seed."""
    kept: list[Run] = []
    seen: dict[Any, str] = {}
    warnings = []
    for run in results:
        identity = run["identity"]
        keys: list[Any] = [identity["run_id"]] if identity["run_id"] is not None else []
        if identity["config_hash"] is not None:
            keys.append((row_key(run), identity["config_hash"], run["seed"]))
        first = next((seen[key] for key in keys if key in seen), None)
        if first is not None:
            warnings.append(f"{run.get('run')}: the same run as {first}; it counts once.")
            continue
        seen.update(dict.fromkeys(keys, str(run.get("run"))))
        kept.append(run)
    return kept, warnings


def _baseline_key(runs: Sequence[Run]) -> Any:
    return next((run["baseline"]["key"] for run in runs if run["baseline"]), None)


def _baselines(runs: Iterable[Run]) -> dict[Any, Run]:
    """Return for each key the baseline with most architectures: later runs may have added some to the shared pool."""
    largest: dict[Any, Run] = {}
    for run in runs:
        baseline = run["baseline"]
        if baseline and baseline["n"] > largest.get(baseline["key"], {"n": -1})["n"]:
            largest[baseline["key"]] = baseline
    return largest


def largest_baseline(runs: Iterable[Run]) -> Run:
    """Return the baseline with most architectures among these runs, an empty one if they have none."""
    return max(
        (run["baseline"] for run in runs if run["baseline"]), key=lambda baseline: baseline["n"] or 0, default={}
    )


def _random_searches(groups: Mapping[RowKey, list[Run]]) -> dict[tuple[str, str, Conditions], list[float]]:
    """Return the test accuracies of random search wherever it has enough runs to compare with."""
    found: dict[tuple[str, str, Conditions], list[float]] = {}
    for key, runs in groups.items():
        scores = test_scores(runs) if is_random_search(key.method) and not is_control(runs) else None
        place = (key.space, key.dataset, key.conditions)
        if scores is not None and len(scores) >= max(MIN_RUNS, len(found.get(place, ())) + 1):
            found[place] = scores
    return found


def _random_search_beside(key: RowKey, found: Mapping[tuple[str, str, Conditions], list[float]]) -> list[float] | None:
    """Return what random search reached under the same conditions or, if there is none, under conditions that fit."""
    fitting = [
        scores
        for (space, dataset, conditions), scores in found.items()
        if (space, dataset) == (key.space, key.dataset) and key.conditions.fits(conditions)
    ]
    return found.get((key.space, key.dataset, key.conditions)) or max(fitting, key=len, default=None)


def _adjust(rows: Sequence[Row]) -> None:
    methods = [row for row in rows if row["source"] != SHUFFLED]
    tested = [(row, p_value) for row in methods if (p_value := decisive_p(row)) is not None]
    if tested:
        for (row, _), adjusted in zip(tested, holm([p_value for _, p_value in tested]).tolist(), strict=True):
            row["p_holm"] = adjusted


# -- ranking ---------------------------------------------------------------------------------------------------------
def _rank(keyed: Sequence[tuple[RowKey, Row]]) -> list[float | None]:
    """Set ``rank_mean`` and ``not_comparable`` of all rows; return each row's rank within its space and data set."""
    ranks: list[float | None] = [None] * len(keyed)
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, (key, _) in enumerate(keyed):
        places[key.space, key.dataset].append(i)
    for members in places.values():
        methods = [i for i in members if keyed[i][1]["source"] != SHUFFLED]
        rankable = [i for i in methods if keyed[i][1]["n_runs"] > 1 and keyed[i][1]["test_mean"] is not None]
        chosen = _largest_group(keyed, rankable or methods or members)
        ranked = [i for i in rankable if keyed[i][0].conditions.fits(chosen)]
        means = np.array([keyed[i][1]["test_mean"] for i in ranked])
        for i in ranked:
            mean = keyed[i][1]["test_mean"]
            ranks[i] = float((means > mean).sum() + ((means == mean).sum() + 1) / 2)
        for i in sorted(set(members) - set(methods)):
            keyed[i][1]["not_comparable"] = "its rewards were shuffled"
        for i in methods:
            key, row = keyed[i]
            reasons = [row["not_comparable"], _difference(key.conditions, chosen)]
            reasons.append("one run" if row["n_runs"] == 1 else None)
            row["not_comparable"] = "; ".join(reason for reason in reasons if reason) or None
    by_method: dict[str, list[float]] = defaultdict(list)
    for (key, _), rank in zip(keyed, ranks, strict=True):
        if rank is not None:
            by_method[key.method].append(rank)
    for (key, row), rank in zip(keyed, ranks, strict=True):
        row["rank_mean"] = None if rank is None else float(np.mean(by_method[key.method]))
    return ranks


def _largest_group(keyed: Sequence[tuple[RowKey, Row]], members: Sequence[int]) -> Conditions:
    """Return the conditions shared by most rows; then by most runs; then the first in the order of their text.

    Those of methods that train candidates go first: methods that train a supernet fit all of them.
    """
    sizes: dict[Conditions, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for i in [i for i in members if not keyed[i][0].conditions.shared] or members:
        key, row = keyed[i]
        rows, runs = sizes[key.conditions]
        sizes[key.conditions] = rows + 1, runs + row["n_runs"]
    return min(sizes, key=lambda conditions: (-sizes[conditions][0], -sizes[conditions][1], str(conditions)))


def _difference(conditions: Conditions, chosen: Conditions) -> str:
    if conditions.fits(chosen):
        return ""
    return "; ".join(
        f"{name} differs: {mine}, ranked rows have {theirs}"
        for name, mine, theirs in zip(Conditions._fields, conditions, chosen, strict=True)
        if mine != theirs
    )


def _place(row: Row, rank: float | None) -> tuple[Any, ...]:
    mean = row["test_mean"]
    return (
        row["space"],
        row["dataset"],
        rank if rank is not None else np.inf,
        -mean if mean is not None else np.inf,
        row["method"],
        str(row["recipe_hash"]),
    )


# -- writing ---------------------------------------------------------------------------------------------------------
def write_csv(table: LeaderboardTable, path: Path) -> None:
    """Write every column; numbers in the shortest form that reads back as the very same float, unknown ones empty."""
    try:
        write_atomically(path, table.frame.to_csv(index=False, lineterminator="\n").encode())
    except OSError as error:
        raise BadInput(f"cannot write to {path}: {error.strerror}.") from error


HEADINGS = (
    *("rank", "method", "space", "data set", "runs", "test %"),
    *("random %", "RI %", "beats RS", "p (Holm)", "search s", "verdict"),
)
IN_TERMINAL: dict[str, tuple[str, int | None]] = {
    "rank": ("rank", 4),
    "method": ("method", None),
    "runs": ("runs", 4),
    "test %": ("test % ± std", 13),
    "RI %": ("RI % ± 95 %", 13),
    "beats RS": ("beats RS", 5),
    "p (Holm)": ("p (Holm)", 7),
    "verdict": ("verdict", None),
}
"""Headings of the terminal's table and the characters of its columns; words share what is left, 27 of 80."""


def rows_of(table: LeaderboardTable) -> list[dict[str, Any]]:
    """Return the rows of a leaderboard as dictionaries, what is not known as None."""
    frame = table.frame.astype(object)
    return [{str(k): None if v != v else v for k, v in row.items()} for row in frame.to_dict("records")]


def short_rows(table: LeaderboardTable) -> list[dict[str, str]]:
    """Return the cells under `HEADINGS`, rounded for reading; an unranked row says why after its verdict."""
    shortened = []
    for known, rank in zip(rows_of(table), table.ranks, strict=True):
        spread = "" if known["test_std"] is None else f" ± {known['test_std']:.2f}"
        interval = ""
        if known["ri_ci_low"] is not None:
            interval = f" [{known['ri_ci_low']:+.2f}, {known['ri_ci_high']:+.2f}]"
        apart = known["not_comparable"] and known["source"] != SHUFFLED
        note = f" (not ranked: {known['not_comparable']})" if apart else ""
        cells = (
            short_number(rank, "g"),
            known["method"],
            known["space"],
            known["dataset"],
            str(known["n_runs"]),
            short_number(known["test_mean"]) + spread,
            short_number(known["random_mean"]),
            short_number(known["ri"], "+.2f") + interval,
            short_number(known["rs_percentile"], ".0f") + (" %" if known["rs_percentile"] is not None else ""),
            short_number(known["p_holm"], ".2g"),
            short_number(known["search_seconds"], ".3g"),
            f"{known['verdict']}{note}",
        )
        shortened.append(dict(zip(HEADINGS, cells, strict=True)))
    return shortened


def short_number(value: float | None, form: str = ".2f") -> str:
    """Write a number, or a dash where it is not known."""
    return "–" if value is None else format(value, form)


def to_text(table: LeaderboardTable) -> Group:
    """Return one table a space and data set, to be printed by a rich console, which knows the terminal's width."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tables: dict[str, Table] = {}
    for row in short_rows(table):
        title = f"{row['space']}, {row['data set']}"
        if title not in tables:
            drawn = Table(
                title=Text(title, "bold"),
                title_justify="left",
                box=box.SIMPLE_HEAD,
                show_edge=False,
                padding=0,
            )
            for heading, width in IN_TERMINAL.values():
                drawn.add_column(heading, justify="left" if width is None else "right", width=width, overflow="fold")
            tables[title] = drawn
        value, _, interval = row["RI %"].partition(" [")
        if interval:  # it is symmetric, and shorter like this
            low, high = map(float, interval.removesuffix("]").split(", "))
            row["RI %"] = f"{value} ± {(high - low) / 2:.2f}"
        tables[title].add_row(*(Text(row[name]) for name in IN_TERMINAL))
    return Group(*(part for table in tables.values() for part in (table, "")))


def to_markdown(table: LeaderboardTable) -> str:
    """Return the table as Markdown, for a README or a discussion."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.values() for row in short_rows(table))]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)

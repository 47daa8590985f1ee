"""The leaderboard as one HTML file that needs no other file and no network, and as one JSON object.

A script in the file sorts tables by the heading that is clicked; without it nothing else is lost.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench import __version__
from nasbench.core.errors import BadInput
from nasbench.core.run_directory import read_json
from nasbench.core.state import write_atomically
from nasbench.protocol.across import MIN_DATA_SETS, Across
from nasbench.reports import leaderboard_plots as plots
from nasbench.reports.leaderboard import LeaderboardTable, largest_baseline, rows_of, short_number, short_rows
from nasbench.reports.leaderboard_across import Duel, RankedRows, duels, over_data_sets, ranked_rows
from nasbench.reports.leaderboard_anytime import NO_SIMULATED_TIME, Anytime, Task
from nasbench.reports.leaderboard_controls import Control, controls
from nasbench.reports.leaderboard_rows import COLUMNS, SCHEMA_VERSION, SHUFFLED, Run, test_scores
from nasbench.reports.leaderboard_tasks import anytime_curves, random_search_behind, regret_lines, what_would_change
from nasbench.reports.run_report import duration, inline_svg

if TYPE_CHECKING:
    from markupsafe import Markup

COSTS = {
    "tuning_seconds": "tuning",
    "search_seconds": "search",
    "selection_seconds": "selection",
    "final_seconds": "final training",
    "simulated_seconds": "simulated",
}
CONDITIONS = (
    *("seeds", "recipe_hash", "protocol_version", "data_fingerprint", "space_version", "sampler", "fidelity", "source"),
    *("method_version", "config_hash", "code_version", "hardware"),
)


def write_page(table: LeaderboardTable, anytime: Anytime, warnings: Sequence[str], path: Path) -> None:
    """Write the page; ``warnings`` stand at its top. The same runs give the same bytes.

    Raises BadInput if the file cannot be written.
    """
    page = render(table, anytime, warnings)
    try:
        write_atomically(path, page.encode())
    except OSError as error:
        raise BadInput(f"cannot write to {path}: {error.strerror}.") from error


def render(table: LeaderboardTable, anytime: Anytime, warnings: Sequence[str]) -> str:
    """Return the HTML page."""
    import jinja2

    rows, shortened, ranked = rows_of(table), short_rows(table), ranked_rows(table)
    labels = {i: label for members in ranked.values() for label, i in members.items()}
    style = plots.styles(
        sorted({labels.get(i, str(row["method"])) for i, row in enumerate(rows) if row["source"] != SHUFFLED})
    )
    across, across_notes = over_data_sets(table)
    compared = duels(table, anytime)
    tasks = list(dict.fromkeys((row["space"], row["dataset"]) for row in rows))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nasbench.reports"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("leaderboard.html").render(
        warnings=warnings,
        tasks=[
            _task(number, task, table, rows, shortened, ranked, labels, anytime, compared, style)
            for number, task in enumerate(tasks)
        ],
        across=across,
        across_notes=across_notes,
        across_pictures={} if across is None else _across_pictures(across, style),
        min_data_sets=MIN_DATA_SETS,
        anytime_notes=anytime.notes,
        conditions=[_conditions(row, runs) for row, runs in zip(rows, table.runs, strict=True)],
        columns=COLUMNS,
        cells=[[_exact(row[column]) for column in COLUMNS] for row in rows],
        schema=SCHEMA_VERSION,
        version=__version__,
    )


def to_json(table: LeaderboardTable, anytime: Anytime, warnings: Sequence[str]) -> dict[str, Any]:
    """Return rows and everything derived from them as one JSON object; what is not known is null.

    Scores over data sets are normalised, regrets in percentage points, accuracies in percent.
    """
    across, notes = over_data_sets(table)
    members = {task: _members(table, methods) for task, methods in ranked_rows(table).items()}
    rows = rows_of(table)
    tasks = dict.fromkeys((row["space"], row["dataset"]) for row in rows)
    return {
        "rows": rows,
        "warnings": list(warnings),
        "over_data_sets": {**(_across_json(across) if across else {}), "notes": notes},
        "pairs": [duel.to_json() for duel in duels(table, anytime)],
        "regrets": [
            {"space": task[0], "dataset": task[1], **asdict(line)}
            for task, runs in members.items()
            for line in regret_lines(runs, anytime)
        ],
        "controls": [
            {"space": task[0], "dataset": task[1], **asdict(control), "outcome": control.outcome or None}
            for task in tasks
            for control in _controls(task, table, rows, anytime)
        ],
        "anytime": [
            {"space": task[0], "dataset": task[1], **anytime_curves(runs, anytime).to_json()}
            for task, runs in members.items()
        ],
        "anytime_notes": anytime.notes,
    }


def _across_json(across: Across) -> dict[str, Any]:
    names = ("methods", "data_sets", "scale", "iqm", "iqm_intervals", "average_ranks", "wins", "win_intervals")
    ranking = across.ranking
    return {
        **{name: getattr(across, name) for name in names},
        "normalised": [[runs.tolist() for runs in method] for method in across.normalised],
        "profile": {"thresholds": across.thresholds.tolist(), "shares": across.profile.tolist()},
        "friedman": ranking and {"statistic": ranking.statistic, "p_value": ranking.p_value},
        "critical_difference": ranking and ranking.distance,
        "no_ranking": across.no_ranking,
    }


# -- parts of the page -----------------------------------------------------------------------------------------------
def _controls(
    task: Task, table: LeaderboardTable, rows: Sequence[Mapping[str, Any]], anytime: Anytime
) -> list[Control]:
    mine = [i for i, row in enumerate(rows) if (row["space"], row["dataset"]) == task]
    known = anytime.tables.get(task)
    ranked = [table.ranks[i] is not None for i in mine]
    exact = None if known is None else known.controls
    return controls([rows[i] for i in mine], [table.runs[i] for i in mine], ranked, exact)


def _members(table: LeaderboardTable, methods: Mapping[str, int]) -> dict[str, list[Run]]:
    return {method: table.runs[i] for method, i in methods.items()}


def _task(
    number: int,
    task: Task,
    table: LeaderboardTable,
    rows: Sequence[Mapping[str, Any]],
    shortened: Sequence[Mapping[str, str]],
    ranked: RankedRows,
    labels: Mapping[int, str],
    anytime: Anytime,
    compared: Sequence[Duel],
    style: Mapping[str, plots.Style],
) -> dict[str, Any]:
    """Return what the page shows of one space and data set."""
    mine = [i for i, row in enumerate(rows) if (row["space"], row["dataset"]) == task and row["source"] != SHUFFLED]
    known = anytime.tables.get(task)
    methods = ranked.get(task, {})
    members = _members(table, methods)
    everything = [
        run
        for row, runs in zip(rows, table.runs, strict=True)
        if (row["space"], row["dataset"]) == task
        for run in runs
    ]
    first = min((rank for i in mine if (rank := table.ranks[i]) is not None), default=None)
    title = f"{task[0]}, {task[1]}"
    pictures: dict[str, Markup] = {}
    if members:
        drawn = [{**rows[i], "label": label} for label, i in methods.items()]
        scores = [test_scores(table.runs[i]) or [] for i in methods.values()]
        baseline = largest_baseline([run for group in members.values() for run in group])
        ceilings = None if known is None else (known.controls.oracle, known.controls.proxy_ceiling)
        dots = plots.dots_over_baseline(drawn, scores, baseline, ceilings, style, f"Runs on {title}")
        pictures["dots"] = inline_svg(dots, f"t{number}-dots")
    curves = anytime_curves(members, anytime)
    panels = []
    if curves.validation_regret:
        panels = [
            ("validation regret (points)", "evaluations", curves.validation_regret),
            ("test regret (points)", "evaluations", curves.test_regret),
        ]
    elif curves.validation:
        panels = [("best validation accuracy (%)", "evaluations", curves.validation)]
        if curves.seconds:
            panels.append(("best validation accuracy (%)", "seconds that evaluators worked", curves.seconds))
    if panels:
        behind = random_search_behind(
            [run for group in members.values() for run in group],
            known.best_validation if known is not None and curves.validation_regret else None,
        )
        ceiling = None
        if known is not None and curves.validation_regret:
            ceiling = known.controls.oracle - known.controls.proxy_ceiling
        svg = plots.anytime_panels(panels, behind, ceiling, style, f"Course of the searches on {title}")
        pictures["anytime"] = inline_svg(svg, f"t{number}-anytime")
    return {
        "title": title,
        "rows": [
            {
                **shortened[i],
                "not_comparable": rows[i]["not_comparable"],
                "verdict": rows[i]["verdict"],
                "raw": short_number(rows[i]["p_value"] if rows[i]["p_rs"] is None else rows[i]["p_rs"], ".2g"),
                "iqm": short_number(rows[i]["test_iqm"]),
                "improvement": shortened[i]["RI %"].partition(" "),
                "rs": short_number(rows[i]["rs_mean"]),
                "improves": "–" if rows[i]["p_improve"] is None else f"{100 * rows[i]['p_improve']:.0f} %",
                "evaluations": short_number(rows[i]["evaluations"], ".6g"),
                "changes": what_would_change(rows[i]),
                "label": labels.get(i, rows[i]["method"]),
                "leads": table.ranks[i] is not None and table.ranks[i] == first,
            }
            for i in mine
        ],
        "costs": [(labels.get(i, rows[i]["method"]), _costs(rows[i])) for i in mine],
        "pictures": pictures,
        "notes": list(dict.fromkeys(note for run in everything for note in run.get("notes") or [])),
        "regrets": regret_lines(members, anytime),
        "exact": known and known.controls,
        "controls": _controls(task, table, rows, anytime),
        "shuffled": any(row["source"] == SHUFFLED for row in rows if (row["space"], row["dataset"]) == task),
        "duels": [duel for duel in compared if duel.task == task],
        "on_table": any(run["identity"].get("source") == "table" for run in everything),
        "sampled": any(rows[i]["p_improve"] is not None for i in mine),
        "by_seconds": bool(curves.seconds),
        "no_simulated_time": NO_SIMULATED_TIME,
    }


def _costs(row: Mapping[str, Any]) -> list[tuple[float | None, str]]:
    """Return each cost in seconds and as text, in the order of `COSTS`."""
    return [(row[name], "–" if row[name] is None else duration(row[name])) for name in COSTS]


def _across_pictures(across: Across, style: Mapping[str, plots.Style]) -> dict[str, Markup]:
    pictures = {"means": inline_svg(plots.interquartile_means(across, style), "means")}
    if across.ranking is not None:
        pictures["ranks"] = inline_svg(plots.critical_difference(across, style), "ranks")
    return pictures


def _conditions(row: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, Any]:
    """Return what a row's runs have in common, and the command of the first of them."""
    lines = [(name, str(row[name])) for name in CONDITIONS if row[name] is not None]
    splits = dict.fromkeys(str(run["identity"].get("split")) for run in runs)
    budgets = dict.fromkeys(str(run["budget"]) for run in runs if run.get("budget"))
    lines += [("split", "; ".join(splits))]
    lines += [("budget", "; ".join(budgets))] if budgets else []
    try:
        command = (read_json(Path(str(runs[0]["run"])) / "config.json").get("environment") or {}).get("command")
    except BadInput:
        command = None
    return {
        "title": f"{row['method']} on {row['space']}, {row['dataset']}",
        "lines": lines,
        "command": shlex.join(command) if isinstance(command, list) else command,
    }


def _exact(value: Any) -> str:
    """Write a value as the CSV file does."""
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)

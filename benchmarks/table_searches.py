"""Black-box strategies on twelve benchmark data sets, and Optuna's samplers beside them: searches, then a leaderboard.

The data sets: NAS-Bench-201 (CIFAR-10, CIFAR-100), NAS-Bench-Graph (nine graphs), NAS-Bench-Macro (CIFAR-10). The
defaults of all strategies are the same everywhere; what was tuned was tuned on NAS-Bench-201's CIFAR-10, which is
therefore shown apart. The best of our strategies is the one with the least validation regret there, and is compared on
the eleven others with Optuna's TPE and NSGA-II and with plain regularised evolution, at equal evaluations: mean
difference of the regret over the data sets, with its 95 % interval over runs (Welch's, the data sets being given).

    NASBENCH_DATA=FOLDER python -m benchmarks.table_searches OUT [SEEDS] [SEEDS OF OPTUNA]

Every search is an ordinary run folder below ``OUT/runs``; what is finished there is not searched again. ``OUT`` then
holds leaderboard.csv, leaderboard.md, leaderboard.html, regret.csv and regret.svg (the held-out data sets together).
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as RichTable
from scipy import stats

from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import Settings, resolve_settings
from nasbench.experiments.search import run_search
from nasbench.reports import figures
from nasbench.reports import leaderboard as board
from nasbench.reports.fairness import cautions
from nasbench.reports.leaderboard_anytime import Anytime, add_anytime
from nasbench.reports.leaderboard_page import write_page
from nasbench.reports.leaderboard_rows import Run

GRAPHS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv")
DEVELOPMENT = ("nasbench201", "cifar10")
DATA_SETS = [
    DEVELOPMENT,
    ("nasbench201", "cifar100"),
    *(("nasbench-graph", graph) for graph in GRAPHS),
    ("nasbench-graph-proteins", "proteins"),
    ("nasbench-macro", "cifar10"),
]
EVALUATIONS = 300
SHOWN = (50, 100, 200, 300)
OURS: dict[str, tuple[str, ...]] = {
    "random": (),
    "evolution 10, 3": ("population=10", "tournament=3", "unique=false"),
    "evolution 30, 10": ("population=30", "tournament=10", "unique=false"),
    "evolution": (),
    "local-search": (),
    "reinforce": (),
    "nsga2": (),
    "bananas": (),
}
PEERS: dict[str, tuple[str, ...]] = {"optuna tpe": ("sampler=tpe",), "optuna nsga2": ("sampler=nsga2",)}
RIVALS = ("optuna tpe", "optuna nsga2", "evolution 10, 3", "evolution", "random")
"""What our best strategy is compared with; where it is one of them it is left out."""
CHUNK = 10


class Job(NamedTuple):
    """Some searches of one method on one data set, done by one process."""

    space: str
    dataset: str
    method: str
    seeds: range
    out: Path


def jobs(out: Path, seeds: int, peer_seeds: int) -> list[Job]:
    """Return all jobs, those of the slowest methods first, so that no process is left with a long one at the end."""
    slow = (*PEERS, "bananas")
    found = [
        Job(space, dataset, method, range(first, min(first + CHUNK, count)), out)
        for methods, count in ((PEERS, peer_seeds), (OURS, seeds))
        for method in methods
        for space, dataset in DATA_SETS
        for first in range(0, count, CHUNK)
    ]
    return sorted(found, key=lambda job: slow.index(job.method) if job.method in slow else len(slow))


_known: dict[tuple[str, str], Parts] = {}


def work(job: Job) -> int:
    """Make the searches of one job; space, table and judge are shared by all that one process makes on a data set."""
    settings = (OURS | PEERS)[job.method]
    for seed in job.seeds:
        config = resolve_settings(
            Settings(
                space=job.space,
                dataset=job.dataset,
                evaluator="table",
                strategy=job.method.split()[0],
                evaluations=EVALUATIONS,
                seed=seed,
                overrides=settings,
            )
        )
        place = (job.space, job.dataset)
        parts = _known[place].sharing(config) if place in _known else Parts(config, None)
        if place not in _known:
            _known[place] = parts
            gc.collect()
            gc.freeze()  # tables stay to the end: no collection need look through them again
        folder = job.out / "runs" / f"{job.space} {job.dataset}" / job.method / str(seed)
        run_search(parts, folder, pictures=False)
    return len(job.seeds)


def search_all(out: Path, seeds: int, peer_seeds: int, console: Console) -> None:
    """Make all searches, in as many processes as there are cores."""
    todo = jobs(out, seeds, peer_seeds)
    with (
        Progress(console=console) as progress,
        ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool,
    ):
        bar = progress.add_task("searches", total=sum(len(job.seeds) for job in todo))
        for done in as_completed([pool.submit(work, job) for job in todo]):
            progress.advance(bar, done.result())


class Curves(NamedTuple):
    """Validation and test regret in percentage points after each evaluation: [runs, evaluations] each."""

    validation: np.ndarray
    test: np.ndarray


Everything = Mapping[tuple[str, str], Mapping[str, Curves]]


def regret_curves(results: Iterable[Run], anytime: Anytime) -> Everything:
    """Return the curves of all runs by data set and method, the method named by the folder of its run."""
    found: dict[tuple[str, str], dict[str, list[tuple[np.ndarray, np.ndarray]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for result in results:
        validation, test = anytime.regrets[result["run"]]
        method = Path(result["run"]).parent.name
        found[result["space"], result["dataset"]][method].append((validation.curve, test.curve))
    return {
        place: {
            method: Curves(*(np.array(curves) for curves in zip(*runs, strict=True)))
            for method, runs in methods.items()
        }
        for place, methods in found.items()
    }


def mean_difference(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[float, float, float]:
    """Return the mean over data sets of mean(a) - mean(b), and its 95 % interval over runs; one array a data set.

    Welch's interval for a sum of independent means, degrees of freedom after Satterthwaite (1946).
    """
    difference = float(np.mean([x.mean() - y.mean() for x, y in zip(a, b, strict=True)]))
    parts = np.array([[x.var(ddof=1) / x.size, x.size - 1] for x in (*a, *b)])
    variances, freedom = parts[:, 0] / len(a) ** 2, parts[:, 1]
    if not variances.any():
        return difference, difference, difference
    degrees = variances.sum() ** 2 / (variances**2 / freedom).sum()
    half = float(stats.t.ppf(0.975, degrees) * np.sqrt(variances.sum()))
    return difference, difference - half, difference + half


def regret_table(everything: Everything, places: list[tuple[str, str]], title: str) -> RichTable:
    shown = RichTable(title=title)
    for column in ("method", *(f"validation {n}" for n in SHOWN), *(f"test {n}" for n in SHOWN)):
        shown.add_column(column)
    for method in (*OURS, *PEERS):
        cells = [
            f"{np.mean([curves[:, n - 1].mean() for curves in of_method]):.3f}"
            for of_method in zip(*(everything[place][method] for place in places), strict=True)
            for n in SHOWN
        ]
        shown.add_row(method, *cells)
    return shown


def comparison_table(everything: Everything, places: list[tuple[str, str]], best: str, title: str) -> RichTable:
    shown = RichTable(title=title)
    for column in (f"{best} minus", "regret", *map(str, SHOWN)):
        shown.add_column(column)
    for rival in RIVALS:
        if rival == best:
            continue
        for kind in Curves._fields:
            cells = []
            for n in SHOWN:
                mine, theirs = (
                    [getattr(everything[place][method], kind)[:, n - 1] for place in places] for method in (best, rival)
                )
                difference, low, high = mean_difference(mine, theirs)
                cells.append(f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]")
            shown.add_row(rival, kind, *cells)
    return shown


# name in the picture, colour, dashes; a family has one colour
LOOKS = {
    "random": ("random search", figures.GREY, "-"),
    "evolution 10, 3": ("evolution 10/3", figures.ORANGE, ":"),
    "evolution 30, 10": ("evolution 30/10", figures.ORANGE, "--"),
    "evolution": ("evolution, no isomorphs", figures.ORANGE, "-"),
    "local-search": ("local search", figures.GREEN, "-"),
    "reinforce": ("REINFORCE", figures.PURPLE, "-"),
    "nsga2": ("NSGA-II", figures.SKY, "-"),
    "bananas": ("BANANAS", figures.BLUE, "-"),
    "optuna tpe": ("Optuna TPE", figures.VERMILION, "-"),
    "optuna nsga2": ("Optuna NSGA-II", figures.VERMILION, "--"),
}


def picture(everything: Everything, places: list[tuple[str, str]]) -> str:
    """Return the regrets over evaluations as SVG text: mean over runs, then over data sets."""
    with figures.figure_style():
        figure = figures.new_figure(10.5, 4.4)
        at = np.arange(1, EVALUATIONS + 1)
        for axes, kind in zip(figure.subplots(1, 2), Curves._fields, strict=True):
            for method, (name, colour, dashes) in LOOKS.items():
                mean = np.mean([getattr(everything[place][method], kind).mean(axis=0) for place in places], axis=0)
                axes.step(at, mean, where="post", label=name, color=colour, linestyle=dashes, linewidth=1.8)
            axes.set_xscale("log")
            axes.set_xlim(10, EVALUATIONS)
            axes.set_ylim(0, 2.7)
            axes.set_xticks([10, *SHOWN], [str(n) for n in (10, *SHOWN)])
            axes.minorticks_off()
            axes.set_xlabel("evaluations")
            axes.set_ylabel(f"{kind} regret, points")
            axes.grid(color=figures.FAINT, alpha=0.4, linewidth=0.7)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=5)
        figure.tight_layout(rect=(0, 0.13, 1, 1))
        return figures.svg_text(figure, f"Regret over evaluations, mean over {len(places)} data sets")


def main(out: Path, seeds: int, peer_seeds: int) -> None:
    console, started = Console(width=150), time.perf_counter()
    search_all(out, seeds, peer_seeds, console)
    searched = time.perf_counter()
    results, anytime = add_anytime(board.collect([out / "runs"]))
    table = board.leaderboard(results)
    warnings = [*table.warnings, *cautions(table, anytime, [out / "runs"])]
    board.write_csv(table, out / "leaderboard.csv")
    (out / "leaderboard.md").write_text(board.to_markdown(table))
    write_page(table, anytime, warnings, out / "leaderboard.html")
    written = time.perf_counter()
    console.print(f"{len(results):,} searches in {searched - started:.0f} s, leaderboard in {written - searched:.0f} s")
    for warning in warnings:
        console.print(f"warning: {warning}", highlight=False)

    everything = regret_curves(results, anytime)
    rows = [
        {"space": space, "dataset": dataset, "method": method, "regret": kind, "evaluations": n}
        | {"mean": regret[:, n - 1].mean(), "std": regret[:, n - 1].std(ddof=1), "runs": len(regret)}
        for (space, dataset), methods in everything.items()
        for method, curves in methods.items()
        for kind, regret in curves._asdict().items()
        for n in SHOWN
    ]
    pd.DataFrame(rows).to_csv(out / "regret.csv", index=False)
    held_out = [place for place in DATA_SETS if place != DEVELOPMENT]
    other_spaces = [place for place in DATA_SETS if place[0] != DEVELOPMENT[0]]
    (out / "regret.svg").write_text(picture(everything, held_out))
    on_development = everything[DEVELOPMENT]
    best = min(OURS, key=lambda method: on_development[method].validation.mean())
    console.print(f"Least mean validation regret on the development data set: {best}")
    console.print(regret_table(everything, [DEVELOPMENT], "development: NAS-Bench-201, CIFAR-10"))
    for places, name in ((held_out, "eleven held-out data sets"), (other_spaces, "ten without NAS-Bench-201")):
        console.print(regret_table(everything, places, f"mean regret over {name}"))
        console.print(comparison_table(everything, places, best, f"difference of the mean regret over {name}"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *(int(given) for given in (sys.argv[2:] + ["100", "20"][len(sys.argv) - 2 :])))

"""Controllers for graph networks, and black-box strategies beside them, on the nine data sets of NAS-Bench-Graph.

Validation and test regret, in points of accuracy (ROC-AUC on proteins), after 50, 100, 200 and 400 evaluations: how far
the network that is best by validation among those evaluated is from the best of the table by validation, and by test
score. Optimisers are ranked by the first. On proteins the network that is best by validation is worse on test than the
average one, so that there a better optimiser has the larger test regret.

    NASBENCH_DATA=FOLDER python -m benchmarks.graph_searches OUT.csv [SEEDS [METHOD ...]]

``OUT.csv`` has a line a search and number of evaluations; what it holds already is not searched again. Then the tables
are printed as Markdown: both regrets with their standard errors over seeds, and our figures less reference figures of
other code and other random numbers, over 100 seeds, in standard errors of the difference.
"""

from __future__ import annotations

import csv
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.graph_references import REFERENCE_SEEDS, TEST_REGRET, VALIDATION_REGRET
from nasbench.catalog import STRATEGIES, resolve
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.seeding import generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.search_spaces.nasbench_graph import NasBenchGraph, NasBenchGraphProteins
from nasbench.strategies.best_seen import BestSeen
from nasbench.tables.held_out import held_out_scores
from nasbench.tables.table import Table, load_table

DATA_SETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
SHOWN = (50, 100, 200, 400)
CHUNK = 10
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "evolution 10, 3": ("evolution", {"population": 10, "tournament": 3, "unique": False}),
    "evolution": ("evolution", {}),
    "local-search": ("local-search", {}),
    "reinforce": ("reinforce", {}),
    "bananas": ("bananas", {}),
    "graphnas": ("graphnas", {}),
    "agnn": ("agnn", {}),
    "agnn, positions": ("agnn", {"classes": "positions"}),
    "conservative": ("conservative", {}),
    "conservative, positions": ("conservative", {"classes": "positions"}),
    "change one, repeats": ("conservative", {"classes": "positions", "choice": "uniform", "unseen": False}),
    "change one, unseen": ("conservative", {"classes": "positions", "choice": "uniform"}),
}
"""By the name shown: the strategy and its settings. The default classes of `agnn` and `conservative` are groups: links
and operations. The last two draw each of the seven decisions equally often."""


class Job(NamedTuple):
    """Some searches of one method on one data set, done by one process."""

    dataset: str
    method: str
    seeds: tuple[int, ...]


class Line(NamedTuple):
    """One line of the CSV file; regrets in points."""

    dataset: str
    method: str
    seed: int
    evaluations: int
    validation: float
    test: float


class Place(NamedTuple):
    """A data set: its space, its table, the test scores of the table's rows, and what looks scores up."""

    space: NasBenchGraph
    table: Table
    final: np.ndarray
    evaluator: TableEvaluator


@cache
def place(dataset: str) -> Place:
    space = NasBenchGraphProteins() if dataset == "proteins" else NasBenchGraph()
    table = load_table(space.name, dataset)
    assert isinstance(table, Table)
    return Place(space, table, held_out_scores(table), TableEvaluator(space, table, TableEvaluator.Config()))


def work(job: Job) -> tuple[list[Line], float]:
    """Make the searches of one job; return their lines and the seconds of the processor they took."""
    space, table, final, evaluator = place(job.dataset)
    name, settings = METHODS[job.method]
    strategy = resolve("strategy", name, STRATEGIES)
    lines, started = [], time.process_time()
    for seed in job.seeds:
        problem, ledger = Problem(space, None, Budget(evaluations=max(SHOWN)), seed), Ledger()
        search(problem, strategy(problem, strategy.Config(**settings), generator(seed, "strategy")), evaluator, ledger)
        best = BestSeen(problem.objective)
        for evaluation in ledger.evaluations:
            best.add(evaluation)
            if evaluation.id + 1 in SHOWN:
                row = table.row[best.architectures(1)[0].spec]
                validation = table.valid_accuracy.max() - table.valid_accuracy[row]
                regrets = float(validation), float(final.max() - final[row])
                lines.append(Line(job.dataset, job.method, seed, evaluation.id + 1, *regrets))
    return lines, time.process_time() - started


def read(file: Path) -> list[Line]:
    """Return the lines of an earlier run."""
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        rows = list(csv.reader(opened))[1:]
    return [Line(row[0], row[1], int(row[2]), int(row[3]), float(row[4]), float(row[5])) for row in rows]


def search_all(file: Path, seeds: int, methods: Iterable[str]) -> None:
    """Make the searches that the file lacks, in as many processes as there are cores, and add them to it."""
    there = {line[:3] for line in read(file)}
    jobs = []
    for method in methods:
        for dataset in DATA_SETS:
            lacking = [seed for seed in range(seeds) if (dataset, method, seed) not in there]
            jobs += [Job(dataset, method, tuple(lacking[i : i + CHUNK])) for i in range(0, len(lacking), CHUNK)]
    jobs.sort(key=lambda job: job.method != "bananas")  # the slowest first, so that none is left over at the end
    seconds: dict[str, list[float]] = defaultdict(list)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are spawned: so small products gain nothing from more
    with (
        file.open("a", newline="") as opened,
        ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool,
    ):
        written = csv.writer(opened)
        if not opened.tell():
            written.writerow(Line._fields)
        waiting = {pool.submit(work, job): job for job in jobs}
        for done in as_completed(waiting):
            lines, took = done.result()
            written.writerows(lines)
            opened.flush()
            seconds[waiting[done].method].append(took / len(waiting[done].seeds))
    for method, times in seconds.items():
        print(f"{method}: {1000 * np.mean(times) / max(SHOWN):.2f} ms of processor time an evaluation", file=sys.stderr)


Found = Mapping[tuple[str, str, int], np.ndarray]
"""Regrets [seeds, 2], validation and test, by data set, method and evaluations."""


def collected(lines: Iterable[Line], seeds: int) -> Found:
    found: dict[tuple[str, str, int], list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        if line.seed < seeds:
            found[line.dataset, line.method, line.evaluations].append((line.validation, line.test))
    return {key: np.array(values) for key, values in found.items()}


def regret_table(found: Found, methods: Iterable[str], kind: int) -> Iterator[str]:
    """Yield the lines of a Markdown table: mean regret and its standard error, 0 validation and 1 test."""
    yield from heading("method", "evaluations", *DATA_SETS, "mean")
    for method in methods:
        for evaluations in SHOWN:
            regrets = [found[dataset, method, evaluations][:, kind] for dataset in DATA_SETS]
            means, errors = np.array([r.mean() for r in regrets]), np.array([standard_error(r) for r in regrets])
            cells = [f"{mean:.2f} ± {error:.2f}" for mean, error in zip(means, errors, strict=True)]
            whole = f"{means.mean():.3f} ± {math.sqrt((errors**2).sum()) / len(means):.3f}"
            yield "| " + " | ".join([method, str(evaluations), *cells, whole]) + " |"


def reference_table(found: Found) -> Iterator[str]:
    """Yield the lines of a Markdown table: ours less the reference, in standard errors of the difference."""
    yield from heading("method", "reference", "regret", *DATA_SETS, "same definition")
    for method, reference, same in COMPARED:
        if any((DATA_SETS[0], method, evaluations) not in found for evaluations in SHOWN):
            continue
        cells = [
            " ".join(
                z_score(found[dataset, method, evaluations][:, 1], float(expected))
                for evaluations, expected in zip(SHOWN, TEST_REGRET[reference][dataset].split(), strict=True)
            )
            for dataset in DATA_SETS
        ]
        yield "| " + " | ".join([method, reference, "test", *cells, same]) + " |"
        if reference in VALIDATION_REGRET:
            expected_at_end = zip(DATA_SETS, VALIDATION_REGRET[reference].split(), strict=True)
            cells = [z_score(found[dataset, method, max(SHOWN)][:, 0], float(e)) for dataset, e in expected_at_end]
            yield "| " + " | ".join([method, reference, f"validation, {max(SHOWN)}", *cells, same]) + " |"


COMPARED = (
    ("random", "random", "no: the reference draws no network twice"),
    ("evolution 10, 3", "evolution 10/3", "yes"),
    ("evolution", "evolution 20/10, unseen", "yes, but for what to do when all near the population is seen"),
    ("change one, repeats", "conservative", "yes, but for whether the best itself may be drawn again"),
    ("change one, unseen", "conservative, unseen", "yes, but for what to do when all near the best is seen"),
    ("local-search", "local search", "yes, but ours meets isomorphs of what it tried"),
)
"""Our method, the name of the reference, and whether both are the same method."""


def z_score(regrets: np.ndarray, expected: float) -> str:
    """Return the difference in its standard errors; the reference's spread is taken to be ours."""
    error = float(regrets.std(ddof=1)) * math.sqrt(1 / len(regrets) + 1 / REFERENCE_SEEDS)
    return f"{(regrets.mean() - expected) / error:+.1f}" if error else "-"


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def heading(*names: str) -> Iterator[str]:
    yield "| " + " | ".join(names) + " |"
    yield "| " + " | ".join(["---"] * len(names)) + " |"


def main(file: Path, seeds: int, methods: list[str]) -> None:
    for method in methods:
        if method not in METHODS:
            sys.exit(f"there is no method '{method}'; there are: {'; '.join(METHODS)}")
    search_all(file, seeds, methods)
    found = collected(read(file), seeds)
    shown = [m for m in METHODS if all((d, m, n) in found for d in DATA_SETS for n in SHOWN)]
    for kind, name in enumerate(("Validation", "Test")):
        print(f"\n{name} regret in points, mean ± standard error of {seeds} seeds\n")
        print("\n".join(regret_table(found, shown, kind)))
    print(f"\nOurs less the reference in standard errors, at {', '.join(map(str, SHOWN))} evaluations\n")
    print("\n".join(reference_table(found)))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100, sys.argv[3:] or list(METHODS))

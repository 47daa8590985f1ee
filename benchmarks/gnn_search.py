"""Searching graph networks of two layers on Cora and CiteSeer, and what it gains over not searching.

    NASBENCH_DATA=FOLDER python -m benchmarks.gnn_search OUT [EVALUATIONS] [--epochs N] [--seeds N] [--splits N] ...

Every method scores EVALUATIONS architectures (300) by validation accuracy, each trained once for N epochs (50) by the
recipe "graph": the epoch of the best validation accuracy, validation looked at every 10 epochs. The 10 best are trained
by 5 more seeds each for the recipe's 200 epochs, and the best of their mean validation accuracies is trained by 10
fresh seeds and tested. The 50 trainings of the second stage are in the column "trainings". Test data are read by the
last stage alone.

The public split is searched with each of N search seeds (3); then N random class-balanced splits (10), each with a seed
of its own. "random architectures" is the mean over 100 of them, each trained for 200 epochs and tested once. What would
take more than 0.25 GiB to train, a tenth of the space on Cora and a seventh on CiteSeer, fails in every search and is
no random architecture: half of all the time would go into it. For the many searches of random splits the limit is 0.08
GiB, which three and nearly four tenths of the space exceed. GAT, made by hand, is retrained as often as what a search
found, by the same recipe. "less random search" and "less GAT" have 95 % t-intervals, paired by split on random splits
and Welch's on the public one. OUT keeps everything of these settings: a search goes on where it was, and what is
finished is not done again. Two processes of one thread each.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.stats import ttest_ind, ttest_rel

from nasbench.catalog import STRATEGIES, resolve
from nasbench.core.architecture import Architecture
from nasbench.core.errors import Diverged, TooLarge
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem, SearchTask, Task
from nasbench.core.run_directory import read_json
from nasbench.core.seeding import generator
from nasbench.core.state import write_json
from nasbench.datasets.load import load_task
from nasbench.evaluators.graph_memory import networks_that_fit
from nasbench.evaluators.graph_recipe import GRAPH_RECIPES, GraphRecipe
from nasbench.evaluators.graph_stack import Parts
from nasbench.evaluators.graph_training import accuracy, build_and_train
from nasbench.evaluators.train_graphs import GraphTrainEvaluator
from nasbench.search_spaces.gnn import Gnn

SPACE, RECIPE = Gnn(), GRAPH_RECIPES["graph"].model_copy(update={"memory_gib": 0.25})
RECIPE_OF_SPLITS = RECIPE.model_copy(update={"memory_gib": 0.08})
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "evolution": ("evolution", {}),
    "conservative": ("conservative", {}),
    "agnn": ("agnn", {}),
    "graphnas": ("graphnas", {}),
}
BASELINE, HAND_MADE = "random architectures", "gat"
CANDIDATES, RESCORINGS, RETRAININGS, BASELINE_SIZE, BASELINE_CHUNK = 10, 5, 10, 100, 10


class Job(NamedTuple):
    """One search, or a baseline: ``seed`` is that of the search, or of the retrainings, or the number of the chunk."""

    dataset: str
    split: int | None
    method: str
    seed: int
    evaluations: int
    epochs: int
    out: Path

    @property
    def folder(self) -> Path:
        split = "public" if self.split is None else f"random-{self.split}"
        return self.out / self.dataset / split / self.method / str(self.seed)

    @property
    def recipe(self) -> GraphRecipe:
        return RECIPE if self.split is None else RECIPE_OF_SPLITS


@cache
def task_of(dataset: str, split: int | None) -> Task:
    name = dataset if split is None else f"{dataset}@random"
    return load_task(name, data_dir=None, split_seed=split or 0)


def work(job: Job) -> Job:
    torch.set_num_threads(1)
    if (job.folder / "result.json").exists():
        return job
    job.folder.mkdir(parents=True, exist_ok=True)
    what = {BASELINE: baseline_part, HAND_MADE: hand_made}.get(job.method, one_search)
    write_json(job.folder / "result.json", what(job))
    return job


def baseline_part(job: Job) -> dict[str, Any]:
    """Train and test some random architectures once each."""
    task, parts, rng = task_of(job.dataset, job.split), Parts(), generator(job.seed, f"baseline of {job.dataset}")
    drawn = [random_that_fits(rng, task.search, job.recipe) for _ in range(BASELINE_CHUNK)]
    return {"test": [trained_and_tested(one, task, number, parts) for number, one in enumerate(drawn)]}


def hand_made(job: Job) -> dict[str, Any]:
    """Retrain and test the network made by hand as often as what a search found."""
    task = task_of(job.dataset, job.split)
    valid, tested = scores(SPACE.named(HAND_MADE), task, Parts(), f"retraining {job.seed}", RETRAININGS)
    return {"valid": valid, "test": tested}


def random_that_fits(rng: np.random.Generator, task: SearchTask, recipe: GraphRecipe = RECIPE) -> Architecture:
    """Return the next random architecture that may be trained within the recipe's memory."""
    while not fits(architecture := SPACE.sample(rng), task, recipe):
        pass
    return architecture


def trained_and_tested(architecture: Architecture, task: Task, seed: int, parts: Parts) -> float:
    """Train an architecture once and return its test accuracy; that of chance if the training diverges."""
    try:
        ((network, _),) = build_and_train(SPACE, architecture, task.search, RECIPE, [seed], parts=parts)
    except Diverged:
        return 100.0 / task.search.classes
    return accuracy(network, task.test, parts=parts)


def one_search(job: Job) -> dict[str, Any]:
    task, parts = task_of(job.dataset, job.split), Parts()
    problem = Problem(SPACE, task.search, Budget(evaluations=job.evaluations), job.seed)
    name, settings = METHODS[job.method]
    target = resolve("strategy", name, STRATEGIES)
    strategy = target(problem, target.Config(**settings), generator(job.seed, "strategy"))
    ledger = Ledger(job.folder / "evaluations.jsonl")
    search(problem, strategy, GraphTrainEvaluator(SPACE, task.search, job.recipe.shortened(job.epochs)), ledger)
    done = [e for e in ledger.evaluations if e.status == "ok"]
    candidates = best_of({e.architecture: e.metrics["valid_accuracy"] for e in done})
    rescored = {a: statistics.fmean(scores(a, task, parts, f"rescoring {job.seed}", RESCORINGS)[0]) for a in candidates}
    best = best_of(rescored)[0]
    valid, tested = scores(best, task, parts, f"retraining {job.seed}", RETRAININGS)
    return {
        "architecture": SPACE.format(best),
        "search_valid": max(e.metrics["valid_accuracy"] for e in done),
        "rescored_valid": rescored[best],
        "valid": valid,
        "test": tested,
        "trainings": sum(e.reuses is None for e in ledger.evaluations) + RESCORINGS * len(candidates),
        "failed": len(ledger.evaluations) - len(done),
        "seconds": ledger.seconds,
    }


def fits(architecture: Architecture, task: SearchTask, recipe: GraphRecipe = RECIPE) -> bool:
    """Whether an architecture may be trained within the recipe's memory."""
    try:
        return networks_that_fit(SPACE, architecture, task, recipe.memory_gib) > 0
    except TooLarge:
        return False


def best_of(scored: dict[Architecture, float]) -> list[Architecture]:
    """Return the best architectures; of equal ones those whose text sorts first."""
    return sorted(scored, key=lambda a: (-scored[a], SPACE.format(a)))[:CANDIDATES]


def scores(
    architecture: Architecture, task: Task, parts: Parts, purpose: str, count: int
) -> tuple[list[float], list[float]]:
    """Train an architecture by fresh seeds; return validation and test accuracies, these of the last stage alone."""
    seeds = generator(0, f"{purpose} {SPACE.format(architecture)}").integers(2**32, size=count).tolist()
    trained = build_and_train(SPACE, architecture, task.search, RECIPE, seeds, parts=parts)
    tested = [accuracy(n, task.test, parts=parts) for n, _ in trained] if count == RETRAININGS else []
    return [record.valid_accuracy for _, record in trained], tested


def show(jobs: Sequence[Job], title: str) -> None:
    """Print what is finished of these jobs, by data set and method."""
    shown = Table(title=title)
    for column in (
        "data",
        "method",
        "searches",
        "validation, best seen",
        "validation, retrained",
        "test",
        "± between searches",
        "gain over random architectures",
        "less random search",
        "less GAT",
        "trainings",
        "failed",
    ):
        shown.add_column(column)
    results = {job: read_json(job.folder / "result.json") for job in jobs if (job.folder / "result.json").exists()}
    for dataset in dict.fromkeys(job.dataset for job in jobs):
        chunks = [result for job, result in results.items() if (job.dataset, job.method) == (dataset, BASELINE)]
        drawn = [score for chunk in chunks for score in chunk["test"]]
        mean = statistics.fmean(drawn) if drawn else float("nan")
        spread = f"{statistics.stdev(drawn):.2f} (of one)" if len(drawn) > 1 else ""
        shown.add_row(dataset, BASELINE, f"{len(drawn)} networks", "", "", f"{mean:.2f}", spread)
        for method in (HAND_MADE, *METHODS):
            if done := [job for job in results if (job.dataset, job.method) == (dataset, method)]:
                shown.add_row(dataset, method, *cells(done, results, mean))
    Console(width=200).print(shown)


def cells(done: Sequence[Job], results: dict[Job, dict[str, Any]], baseline: float) -> list[str]:
    """Return the columns of one method's jobs; what only a search has is empty for the network made by hand."""

    def average(key: str, digits: int = 2) -> str:
        return f"{np.mean([results[job][key] for job in done]):.{digits}f}" if key in results[done[0]] else ""

    def tests(jobs: Sequence[Job]) -> list[float]:
        return [statistics.fmean(results[job]["test"]) for job in jobs]

    def less(other: str) -> str:
        if done[0].method in (other, HAND_MADE):
            return ""
        beside = [job for job in done if job._replace(method=other) in results]
        peers = [job._replace(method=other) for job in beside]
        return difference(tests(beside), tests(peers), paired=done[0].split is not None)

    mine = tests(done)
    return [
        str(len(done)),
        average("search_valid"),
        average("valid"),
        average("test"),
        f"{statistics.stdev(mine):.2f}" if len(mine) > 1 else "",
        f"{statistics.fmean(mine) - baseline:+.2f}",
        less("random"),
        less(HAND_MADE),
        average("trainings", 0),
        average("failed", 0),
    ]


def difference(mine: Sequence[float], others: Sequence[float], *, paired: bool = True) -> str:
    """Return the mean difference with its 95 % t-interval: of pairs, or Welch's. Nothing where there are no scores."""
    if not mine:
        return ""
    mean = f"{statistics.fmean(mine) - statistics.fmean(others):+.2f}"
    if len(mine) == 1:
        return mean
    test = ttest_rel(mine, others) if paired else ttest_ind(mine, others, equal_var=False)
    low, high = test.confidence_interval(0.95)
    return f"{mean} ({low:+.2f} to {high:+.2f})"


def main(
    out: Path,
    evaluations: int = typer.Argument(300),
    epochs: int = 50,
    seeds: int = 3,
    splits: int = 10,
    methods: str = ",".join(METHODS),
    datasets: str = "cora,citeseer",
) -> None:
    """Run or continue all searches, then print the tables."""
    chosen = methods.split(",")
    chunks = BASELINE_SIZE // BASELINE_CHUNK

    def jobs_of(split: int | None, searches: Sequence[int]) -> list[Job]:
        return [
            Job(dataset, split, method, seed, evaluations, epochs, out)
            for seed in searches
            for dataset in datasets.split(",")
            for method in (HAND_MADE, *chosen)
        ]

    public = [Job(d, None, BASELINE, n, 0, 0, out) for d in datasets.split(",") for n in range(chunks)]
    public += jobs_of(None, range(seeds))
    balanced = [Job(d, s, BASELINE, s, 0, 0, out) for d in datasets.split(",") for s in range(splits)]
    balanced += [job for split in range(splits) for job in jobs_of(split, [split])]
    with (
        Progress(console=Console(stderr=True)) as progress,
        ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool,
    ):
        bar = progress.add_task("searches", total=len(public) + len(balanced))
        for _ in as_completed([pool.submit(work, job) for job in (*public, *balanced)]):
            progress.advance(bar)
    spent = f"{evaluations} evaluations of {epochs} epochs a search"
    show(public, f"public split, {spent}")
    if splits:
        show(balanced, f"{splits} random class-balanced splits, {spent}")


if __name__ == "__main__":
    typer.run(main)

"""Whether graph networks that were found on the public split are better than others on random splits, too.

    NASBENCH_DATA=FOLDER python -m benchmarks.gnn_splits OUT [--splits N]

OUT is the folder of `benchmarks.gnn_search`, whose finished searches of the public split are read. What each found is
trained once on each of N random class-balanced splits (10), by the same recipe for 200 epochs, and tested at the epoch
of the best validation accuracy; beside it GCN, GAT and three random architectures a split. Nothing is searched here.
Differences are paired by split, with 95 % t-intervals over splits. The nodes by which a network was chosen are spread
over training, validation and test nodes of these splits. OUT/splits.json keeps every score. Two processes of a thread.
"""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.gnn_search import (
    BASELINE,
    HAND_MADE,
    METHODS,
    SPACE,
    difference,
    random_that_fits,
    task_of,
    trained_and_tested,
)
from nasbench.core.run_directory import read_json
from nasbench.core.seeding import generator
from nasbench.core.state import write_json
from nasbench.evaluators.graph_stack import Parts

RANDOM_COUNT = 3  # on each split
PARTS = Parts()
Scores = dict[str, float]
"""Test accuracy in percent by data set, split and text of the architecture."""
Fields = dict[tuple[str, int], dict[str, list[str]]]
"""By data set and split: the texts of the architectures that stand for each name."""


def trained(dataset: str, split: int, text: str) -> float:
    torch.set_num_threads(1)
    return trained_and_tested(SPACE.parse(text), task_of(dataset, split), split, PARTS)


def contestants(out: Path, dataset: str, split: int) -> dict[str, list[str]]:
    """Return the architectures that stand for each name on a split."""
    rng, task = generator(split, f"random architectures on {dataset}"), task_of(dataset, split).search
    found = {BASELINE: [SPACE.format(random_that_fits(rng, task)) for _ in range(RANDOM_COUNT)]}
    found |= {name: [SPACE.format(SPACE.named(name))] for name in ("gcn", HAND_MADE)}
    for method in METHODS:
        results = sorted((out / dataset / "public" / method).glob("*/result.json"))
        found |= {method: [read_json(result)["architecture"] for result in results]} if results else {}
    return found


def show(fields: Fields, splits: int, scores: Scores) -> None:
    table = Table(title=f"test accuracy on {splits} random class-balanced splits, one training each")
    for column in ("data", "network", "mean ± between splits", "less random architectures", "less GAT"):
        table.add_column(column)
    for dataset in dict.fromkeys(dataset for dataset, _ in fields):
        means: dict[str, list[float]] = defaultdict(list)
        for split in range(splits):
            for name, texts in fields[dataset, split].items():
                means[name].append(statistics.fmean(scores[f"{dataset} {split} {text}"] for text in texts))
        for name, values in means.items():
            cells = ["" if name == other else difference(values, means[other]) for other in (BASELINE, HAND_MADE)]
            table.add_row(dataset, name, f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}", *cells)
    Console(width=140).print(table)


def main(out: Path, splits: int = typer.Option(10, min=2), datasets: str = "cora,citeseer") -> None:
    """Train what is not there yet, then print the table."""
    kept = out / "splits.json"
    scores: Scores = read_json(kept) if kept.exists() else {}
    fields = {(name, split): contestants(out, name, split) for split in range(splits) for name in datasets.split(",")}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        jobs = {}
        for (dataset, split), field in fields.items():
            for text in {text for texts in field.values() for text in texts}:
                if f"{dataset} {split} {text}" not in scores:
                    jobs[pool.submit(trained, dataset, split, text)] = f"{dataset} {split} {text}"
        for job in as_completed(jobs):
            scores[jobs[job]] = job.result()
            write_json(kept, scores)
    show(fields, splits, scores)


if __name__ == "__main__":
    typer.run(main)

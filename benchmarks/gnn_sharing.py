"""Whether scores with shared weights rank graph networks as training from scratch does, and what they save.

    NASBENCH_DATA=FOLDER python -m benchmarks.gnn_sharing OUT.json [--bank N] [--architectures N]

Random two-layer architectures of the space `gnn` on Cora's public split, every score an accuracy on validation nodes.
From scratch: the recipe ``graph``, the mean of three seeds. Shared: a few epochs (``epochs``) with the same recipe,

- ``off``: from fresh weights, so that what ranks is the short training alone;
- ``random``: from a bank that N other random architectures have passed through;
- ``near``: from a bank that N architectures have passed through, each of which differs in one decision from one of
  those scored, as those that a conservative search has seen do.

A bank is frozen while it scores, so that the order does not matter, and all three see the same seeds: an architecture
that finds no layer in the bank scores there what it scores without. Intervals are 95 % percentile bootstraps over
architectures. None takes more than 0.25 GiB to train, as nine in ten of the space; those that fail are counted, and
left out of correlations.

OUT keeps every score as it comes; the next call goes on from there. Two processes with a thread each; hours in full.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import ConstantInputWarning, kendalltau, spearmanr

from benchmarks.gnn_search import RECIPE, SPACE, fits
from nasbench.core.architecture import Architecture
from nasbench.core.errors import Diverged
from nasbench.core.evaluation import Proposal
from nasbench.core.problem import SearchTask
from nasbench.core.run_directory import read_json
from nasbench.core.seeding import generator
from nasbench.core.state import write_json
from nasbench.datasets.load import load_task
from nasbench.evaluators.shared_gnn import SharedGnnConfig, SharedGnnEvaluator
from nasbench.evaluators.train_graphs import GraphTrainConfig, GraphTrainEvaluator

BANKS = ("off", "random", "near")
SEEDS = (0, 1, 2)
RESAMPLES = 1000
CONSOLE = Console(width=170)

Score = dict[str, Any]
"""``score`` (percent), ``seconds`` and, with shared weights, ``found`` layers in the bank; or an ``error``."""
Floats = npt.NDArray[np.float64]


# -- architectures -----------------------------------------------------------------------------------------------------
def distinct(draw: Callable[[int], Architecture], count: int, without: Iterable[Architecture]) -> list[Architecture]:
    """Return the first architectures drawn that are distinct, not too large, and none of some others."""
    found: list[Architecture] = []
    taken, number = {SPACE.canonical(one) for one in without}, 0
    while len(found) < count:
        architecture = SPACE.canonical(draw(number))
        number += 1
        if architecture not in taken and fits(architecture, task_once()):
            taken.add(architecture)
            found.append(architecture)
    return found


def scored_architectures(count: int) -> list[Architecture]:
    rng = generator(0, "scored")
    return distinct(lambda number: SPACE.sample(rng), count, [])


def stream(bank: str, count: int, scored: list[Architecture]) -> list[Architecture]:
    """Return the architectures that pass through a bank before it scores."""
    rng = generator(0, bank)
    if bank == "near":
        return distinct(lambda number: SPACE.mutate(scored[number % len(scored)], rng), count, scored)
    return distinct(lambda number: SPACE.sample(rng), count, scored)


# -- scores, in processes of their own ---------------------------------------------------------------------------------
def prepare() -> None:
    """Compute on one thread; let what needs more than half of the machine's memory fail, and not be killed."""
    torch.set_num_threads(1)
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    resource.setrlimit(resource.RLIMIT_DATA, (half, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def measured(evaluate: Callable[[], Any]) -> Score:
    """Return the score that an evaluation gives, or why there is none."""
    try:
        evaluation = evaluate()
    except (Diverged, MemoryError, RuntimeError) as error:  # torch raises the last one where memory is short
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    metrics = evaluation.metrics
    score = {"score": metrics["valid_accuracy"], "seconds": evaluation.seconds}
    return score | ({"found": metrics["shared_layers"]} if "shared_layers" in metrics else {})


@cache
def task_once() -> SearchTask:
    return load_task("cora", data_dir=None).search


@cache
def trainer(epochs: int | None) -> GraphTrainEvaluator:
    """Return what trains by the recipe, or for fewer epochs; the same one in a process, as in a search."""
    return GraphTrainEvaluator(SPACE, task_once(), RECIPE, GraphTrainConfig(epochs=epochs))


def from_scratch(spec: str, seed: int, epochs: int | None) -> Score:
    """Train one architecture."""
    return measured(partial(trainer(epochs).evaluate, Proposal(SPACE.parse(spec)), id=0, seed=seed))


def with_bank(bank: str, epochs: int, count: int, architectures: int) -> dict[str, Score]:
    """Fill a bank, freeze it, and score all architectures with it."""
    scored, task = scored_architectures(architectures), task_once()
    config = SharedGnnConfig(epochs=epochs, bank=bank != "off")
    evaluator = SharedGnnEvaluator(SPACE, task, RECIPE, config)
    for number, architecture in enumerate(stream(bank, count, scored) if bank != "off" else []):
        try:
            evaluator.absorb([evaluator.evaluate(Proposal(architecture), id=number, seed=100_000 + number)])
        except (Diverged, MemoryError, RuntimeError):
            continue
    scores = {}
    for number, architecture in enumerate(scored):
        evaluate = partial(evaluator.evaluate, Proposal(architecture), id=count + number, seed=200_000 + number)
        scores[SPACE.format(architecture)] = measured(evaluate)
        evaluator.absorb([])  # forgets the network; nothing goes into the bank
    return scores


# -- the file of scores ------------------------------------------------------------------------------------------------
def opened(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the scores in a file, none if there is no such file. Ends the program if they are of other settings."""
    if not out.exists():
        return {"settings": settings, "scratch": {}, "shared": {}}
    kept = read_json(out)
    if kept["settings"] != settings:
        raise SystemExit(f"{out} has scores of other settings: {kept['settings']}, not {settings}.")
    return kept


def fill(out: Path, kept: dict[str, Any], short: tuple[int, ...], counts: tuple[int, int], epochs: int | None) -> None:
    """Compute the scores that are not there yet."""
    bank_count, architectures = counts
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=prepare) as pool:
        jobs: dict[Future[Any], tuple[dict[str, Any], str]] = {}
        for seed in SEEDS:
            for architecture in scored_architectures(architectures):
                name = SPACE.format(architecture)
                of_name = kept["scratch"].setdefault(name, {})
                if str(seed) not in of_name:
                    jobs[pool.submit(from_scratch, name, seed, epochs)] = of_name, str(seed)
        for few in sorted(short, reverse=True):
            for bank in BANKS:
                if f"{bank} {few}" not in kept["shared"]:
                    job = pool.submit(with_bank, bank, few, bank_count, architectures)
                    jobs[job] = kept["shared"], f"{bank} {few}"
        for number, job in enumerate(as_completed(jobs), start=1):
            place, key = jobs[job]
            place[key] = job.result()
            write_json(out, kept)
            if number % 20 == 0 or number == len(jobs):
                CONSOLE.print(f"{number} of {len(jobs)} done")


# -- what they say -----------------------------------------------------------------------------------------------------
def spearman(x: Floats, y: Floats) -> float:
    return float(spearmanr(x, y).statistic)


def kendall(x: Floats, y: Floats) -> float:
    return float(kendalltau(x, y).statistic)


def interval(statistic: Callable[[npt.NDArray[np.intp]], float], count: int) -> str:
    """Return a statistic of the architectures 0, 1, ..., count - 1 with its 95 % bootstrap interval."""
    rng = generator(0, "bootstrap")
    with warnings.catch_warnings():  # a resample in which all are equal has no correlation, and is left out
        warnings.simplefilter("ignore", ConstantInputWarning)
        values = [statistic(rng.integers(count, size=count)) for _ in range(RESAMPLES)]
        whole = statistic(np.arange(count))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return f"{whole:.2f} ({low:.2f} to {high:.2f})"


def show(kept: dict[str, Any], short: tuple[int, ...]) -> None:
    scratch: dict[str, dict[str, Score]] = kept["scratch"]
    good = {name: runs for name, runs in scratch.items() if all("score" in run for run in runs.values())}
    truth = {name: statistics.fmean(run["score"] for run in runs.values()) for name, runs in good.items()}
    seconds = statistics.fmean(run["seconds"] for runs in good.values() for run in runs.values())
    failed = [f"{name}: {run['error']}" for name, runs in scratch.items() for run in runs.values() if "error" in run]
    CONSOLE.print(
        f"{len(scratch)} architectures; from scratch {seconds:.2f} s a training, {len(failed)} trainings failed; "
        f"{statistics.fmean(truth.values()):.1f} % on average, {min(truth.values()):.1f} to {max(truth.values()):.1f}"
    )
    for line in failed:
        CONSOLE.print(line)
    names = list(truth)
    one = np.array([good[name]["0"]["score"] for name in names])
    others = np.array([statistics.fmean(good[name][str(seed)]["score"] for seed in SEEDS[1:]) for name in names])
    between = interval(lambda rows: spearman(one[rows], others[rows]), len(names))
    CONSOLE.print(f"Spearman's correlation of one training from scratch with the mean of the two others: {between}")
    table = Table(
        title=f"validation accuracy with shared weights against from scratch, {kept['settings']['bank']} in a bank"
    )
    columns = "epochs", "bank", "Spearman", "less off", "Kendall", "Spearman, better half", "layers found", "s", "saves"
    for column in (*columns, "failed"):
        table.add_column(column)
    for few in short:
        for bank in BANKS:
            table.add_row(str(few), bank, *row(kept["shared"], few, bank, truth, seconds))
    CONSOLE.print(table)
    CONSOLE.print("Layers found: of two, on average. Saves: the share of the seconds of one training from scratch.")


def row(shared: dict[str, dict[str, Score]], few: int, bank: str, truth: dict[str, float], whole: float) -> list[str]:
    scores, fresh = shared[f"{bank} {few}"], shared[f"off {few}"]
    names = [name for name in truth if "score" in scores[name] and "score" in fresh[name]]
    x, off = (np.array([found[name]["score"] for name in names]) for found in (scores, fresh))
    y = np.array([truth[name] for name in names])
    count = len(names)
    upper = np.flatnonzero(y >= np.median(y))
    less = interval(lambda rows: spearman(x[rows], y[rows]) - spearman(off[rows], y[rows]), count)
    seconds = statistics.fmean(scores[name]["seconds"] for name in names)
    return [
        interval(lambda rows: spearman(x[rows], y[rows]), count),
        "" if bank == "off" else less,
        interval(lambda rows: kendall(x[rows], y[rows]), count),
        interval(lambda rows: spearman(x[upper[rows]], y[upper[rows]]), len(upper)),
        f"{statistics.fmean(scores[name]['found'] for name in names):.2f}",
        f"{seconds:.2f}",
        f"{1 - seconds / whole:.0%}",
        str(sum("error" in score for score in scores.values())),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare scores with shared weights with training from scratch.")
    parser.add_argument("out", type=Path, metavar="OUT.json", help="where scores are kept")
    parser.add_argument("--bank", type=int, default=200, help="architectures that pass through a bank")
    parser.add_argument("--architectures", type=int, default=60, help="architectures that are scored")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 5, 20, 50], help="with shared weights")
    parser.add_argument("--scratch-epochs", type=int, help="fewer epochs from scratch than the recipe has, to try this")
    arguments = parser.parse_args()
    settings = {
        "bank": arguments.bank,
        "architectures": arguments.architectures,
        "epochs from scratch": arguments.scratch_epochs or RECIPE.epochs,
        "recipe": RECIPE.fingerprint(),
        "data": task_once().fingerprint,
    }
    kept, short = opened(arguments.out, settings), tuple(arguments.epochs)
    fill(arguments.out, kept, short, (arguments.bank, arguments.architectures), arguments.scratch_epochs)
    show(kept, short)


if __name__ == "__main__":
    main()

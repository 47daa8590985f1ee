"""How fast networks on graphs train, at what memory and accuracy: ours, and the loops of torch-geometric's examples.

    NASBENCH_DATA=FOLDER python -m benchmarks.gnn_speed [gcn] [gat] [--rounds N] [--epochs N]
    NASBENCH_DATA=FOLDER python -m benchmarks.gnn_speed --accuracy OUT.json [--seeds N] [--plain-seeds N]

GCN and GAT on Cora's public split, by the recipes of their papers, for 200 epochs. The first form takes about ten
minutes on two cores: every way of training stands in fresh processes of its own, and all take turns, so that slow
minutes of the machine hit all alike. Ratios are those within a round; of them and of all seconds medians. Seconds of
ours count building the networks and choosing the epoch, but not the test accuracy, which takes one more pass; the
loops get theirs from the pass that they make for validation anyway. Memory is the most that a process held while it
trained, less what it held before: the libraries, and the data in the form that the way of training takes.

The second form compares test accuracies: two one-sided t-tests (Welch's, for unequal variances) of whether the means
differ by less than a margin, and the 90 % interval of the difference, which lies within the margin exactly if their p
is below .05 (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987). No run is left out. OUT.json keeps
every score as it comes; the next call goes on from there.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import textbook_gnn
from nasbench.core.problem import SearchTask, Task
from nasbench.core.run_directory import read_json
from nasbench.core.state import write_json
from nasbench.datasets.graphs import Graph, Graphs, Nodes, tidy_edges
from nasbench.datasets.load import load_task
from nasbench.evaluators.graph_parts import GraphPart, part_of
from nasbench.evaluators.graph_recipe import GRAPH_RECIPES
from nasbench.evaluators.graph_stack import Parts, stack_of
from nasbench.evaluators.graph_training import build, scores, train_stack
from nasbench.networks.graph_layers import Dropout
from nasbench.search_spaces.gnn import Gnn

RECIPES = {
    name: GRAPH_RECIPES[name].model_copy(update={"epochs": 200, "patience": None, "evaluate_every": 1})
    for name in ("gcn", "gat")
}
STACKED = 10
MARGIN = 0.5  # percentage points
CONSOLE = Console(width=150)
CORES = ((1, 1), (1, 2), (2, 1))
"""(processes, threads of each)."""


class Way(NamedTuple):
    """A way of training: ``loop`` is whose; the rest is for ours alone, but ``cores`` and ``repeats``, of a round."""

    loop: str
    evaluate_every: int = 1
    stacked: int = 1
    shared_input: bool = False
    whole_graph: bool = False  # layers are computed for all nodes, not for those alone that are needed
    cores: tuple[tuple[int, int], ...] = CORES[:1]
    repeats: int = 1


PLAIN, SPARSE, OURS = "plain", "sparse input", "ours"
WAYS = {
    PLAIN: Way("dense", cores=CORES),
    SPARSE: Way("sparse", cores=CORES),
    "ours, whole graph, every epoch": Way("ours", whole_graph=True),
    "ours, every epoch": Way("ours", repeats=2),
    OURS: Way("ours", evaluate_every=10, cores=CORES, repeats=3),
    "ours, 10 seeds, own input masks": Way("ours", evaluate_every=10, stacked=STACKED, cores=(CORES[0], CORES[2])),
    "ours, 10 seeds, shared input mask": Way(
        "ours", evaluate_every=10, stacked=STACKED, shared_input=True, cores=(CORES[0], CORES[2])
    ),
}


# -- one training ------------------------------------------------------------------------------------------------------
class WholeGraph(Parts):
    """Gives every layer all nodes of the graph."""

    def of(self, data: Nodes | Graphs, layers: int) -> GraphPart:
        key = id(data), layers
        if key not in self._found:
            assert isinstance(data, Nodes)
            everything = Nodes(data.graph, torch.arange(data.graph.nodes), torch.zeros(data.graph.nodes).long())
            part = part_of(everything, layers)
            self._found[key] = data, GraphPart(part.features, part.blocks, index=data.index)
        return self._found[key][1]


class Trainer:
    """Trains networks in one way; keeps between trainings what an evaluator keeps, too."""

    def __init__(self, network: str, way: Way, task: Task, epochs: int) -> None:
        self.network, self.way, self.task = network, way, task
        self.recipe = RECIPES[network].model_copy(update={"epochs": epochs, "evaluate_every": way.evaluate_every})
        self.features = None if way.loop == "ours" else textbook_gnn.features_of(task, way.loop == "sparse")
        self.parts = WholeGraph() if way.whole_graph else Parts()

    def train(self, seeds: Sequence[int]) -> Callable[[], list[float]]:
        """Train one network a seed; return what gives the test accuracies."""
        if self.features is not None:
            trained = [textbook_gnn.train(self.network, self.task, self.features, self.recipe, seed) for seed in seeds]
            return lambda: [one.test for one in trained]
        space, task, recipe = Gnn(), self.task.search, self.recipe
        stack = stack_of([build(space, space.named(self.network), task, recipe, seed) for seed in seeds], self.parts)
        dropout = Dropout(recipe.dropout, recipe.attention_dropout, seeds[0], shared_input=self.way.shared_input)
        train_stack(stack, task.train, task.validation, recipe, dropout)
        return lambda: [scores(stack_of([one], self.parts), self.task.test)[0][0] for one in stack.networks]


def tiny_task() -> Task:
    """Return a task of eight nodes, on which all that is loaded at first use is loaded."""
    ring = torch.arange(8)
    edges = tidy_edges(torch.cat([torch.stack([ring, ring.roll(1)]), torch.stack([ring.roll(1), ring])], dim=1), 8)
    nodes = Nodes(Graph(torch.eye(8).to_sparse_csr(), edges), ring, ring % 2)
    return Task(SearchTask("ring", "node", (8,), 2, nodes, nodes, "ring"), nodes)


# -- speed and memory --------------------------------------------------------------------------------------------------
def resident_mib() -> float:
    """Return the memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def peak_mib() -> float:
    """Return the most memory of this process since its start, or since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Let `peak_mib` count from now on. Where the kernel does not allow it, reading the data may hide the peak."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def stand_by(network: str, way: Way, threads: int, epochs: int, pipe: Connection) -> None:
    """Train in this process, which is a fresh one, whenever the pipe brings seeds; answer with (seconds, MiB)."""
    torch.set_num_threads(threads)
    Trainer(network, way, tiny_task(), 10).train(range(way.stacked))
    trainer = Trainer(network, way, load_task("cora", data_dir=None), epochs)
    gc.collect()
    before = resident_mib()
    forget_peak()
    pipe.send("ready")
    while (groups := pipe.recv()) is not None:
        started = time.perf_counter()
        for seeds in groups:
            trainer.train(seeds)
        pipe.send((time.perf_counter() - started, peak_mib() - before))


class Team(NamedTuple):
    """Processes that train in one way at the same time."""

    way: str
    processes: int
    threads: int
    pipes: list[Connection]

    def measure(self, first: int) -> tuple[float, float]:
        """Let each process train; return seconds for a network, counted for all of them together, and peak MiB."""
        way = WAYS[self.way]
        started = time.perf_counter()
        for number, pipe in enumerate(self.pipes):
            begin = 1000 * (first * self.processes + number)
            pipe.send([range(begin + k * way.stacked, begin + (k + 1) * way.stacked) for k in range(way.repeats)])
        peak = max(pipe.recv()[1] for pipe in self.pipes)
        networks = self.processes * way.repeats * way.stacked
        return (time.perf_counter() - started) / networks, peak


def show_speed(network: str, rounds: int, epochs: int) -> None:
    """Time all ways in turns, and print a table."""
    teams: list[Team] = []
    started: list[Connection] = []
    context = multiprocessing.get_context("spawn")
    for name, way in WAYS.items():
        for processes, threads in way.cores:
            for _ in range(processes):
                if len(started) > 1:  # two at a time
                    started[-2].recv()
                here, there = context.Pipe()
                context.Process(target=stand_by, args=(network, way, threads, epochs, there), daemon=True).start()
                started.append(here)
            teams.append(Team(name, processes, threads, started[-processes:]))
    for pipe in started[-2:]:
        pipe.recv()
    seconds: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    peaks: dict[tuple[str, int, int], float] = {}
    for number in range(rounds):
        for team in teams:
            spent, peak = team.measure(number)
            seconds[team[:3]].append(spent)
            peaks[team[:3]] = peak
    for team in teams:
        for pipe in team.pipes:
            pipe.send(None)
    table = Table(title=f"{network}, Cora, {epochs} epochs, {rounds} rounds; all figures for one network")
    for column in ("way", "processes x threads", "seconds", "a minute", "x plain", "x sparse input", "peak MiB"):
        table.add_column(column, justify="left" if column == "way" else "right")
    # Against the loops on as many cores, and of two cores against that use of two that is their best.
    for key, values in seconds.items():
        cells = [ratio(best(seconds, loop, key[1] * key[2]), values) for loop in (PLAIN, SPARSE)]
        middle = statistics.median(values)
        shown = f"{middle:.3f}", f"{60 / middle:.1f}", *cells, f"{peaks[key]:.0f}"
        table.add_row(key[0], f"{key[1]} x {key[2]}", *shown)
    CONSOLE.print(table)


def best(seconds: dict[tuple[str, int, int], list[float]], way: str, cores: int) -> list[float]:
    """Return the seconds of a way on so many cores, in the arrangement that is fastest on them."""
    return min((values for key, values in seconds.items() if key[0] == way and key[1] * key[2] == cores), key=sum)


def ratio(others: list[float], own: list[float]) -> str:
    """Return the median of ratios within a round, with the least and the largest."""
    ratios = [theirs / ours for theirs, ours in zip(others, own, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


# -- accuracy ----------------------------------------------------------------------------------------------------------
def test_accuracies(network: str, way: str, seeds: Sequence[int], epochs: int) -> list[float]:
    """Return test accuracies (percent) at the epoch of the best validation, trained on one thread."""
    torch.set_num_threads(1)
    trainer = Trainer(network, WAYS[way], load_task("cora", data_dir=None), epochs)
    groups = [seeds[start : start + WAYS[way].stacked] for start in range(0, len(seeds), WAYS[way].stacked)]
    return [score for group in groups for score in trainer.train(group)()]


def accuracies(
    out: Path, networks: Sequence[str], count: int, plain: int, epochs: int
) -> dict[tuple[str, str], list[float]]:
    """Train in two processes what the file does not hold yet. Every way has seeds of its own."""
    kept: dict[str, list[float]] = read_json(out) if out.exists() else {}
    keys: dict[tuple[str, str], list[str]] = {}
    jobs: dict[Future[list[float]], str] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for network in networks:
            for number, (way, how) in enumerate(WAYS.items()):
                seeds = range(10_000 * number, 10_000 * number + (plain if way == PLAIN else count))
                parts = [seeds[start : start + how.stacked] for start in range(0, len(seeds), how.stacked)]
                keys[network, way] = [f"{network}, {way}, {epochs} epochs, seeds {p.start} to {p[-1]}" for p in parts]
                for key, part in zip(keys[network, way], parts, strict=True):
                    if key not in kept:
                        jobs[pool.submit(test_accuracies, network, way, part, epochs)] = key
        for job in as_completed(jobs):
            kept[jobs[job]] = job.result()
            write_json(out, kept)
    return {way: [score for key in parts for score in kept[key]] for way, parts in keys.items()}


def show_accuracy(results: dict[tuple[str, str], list[float]], epochs: int) -> None:
    """Print how far ways differ in accuracy."""
    table = Table(title=f"test accuracy on Cora at the epoch of the best validation, {epochs} epochs; margin {MARGIN}")
    columns = "network", "way", "seeds", "mean ± sd", "less sparse input", "p, equal", "less plain", "p, equal"
    for column in columns:
        table.add_column(column)
    for (network, way), values in results.items():
        cells = []
        for other in (SPARSE, PLAIN):
            cells += ["", ""] if way == other else equivalence(values, results[network, other])
        spread = f"{statistics.fmean(values):.2f} ± {statistics.stdev(values):.2f}"
        table.add_row(network, way, str(len(values)), spread, *cells)
    CONSOLE.print(table)
    CONSOLE.print(
        "Differences of means with their 90 % intervals. Seeds trained side by side with a shared input mask depend on "
        "each other: their p and intervals are too good."
    )


def equivalence(a: Sequence[float], b: Sequence[float]) -> list[str]:
    """Return the difference of means with its 90 % interval, and p of two one-sided tests that it is within MARGIN."""
    from scipy.stats import ttest_ind  # here, since the processes that are measured import this file

    def test(shift: float, alternative: Any) -> Any:
        return ttest_ind([value + shift for value in a], b, equal_var=False, alternative=alternative)

    p = max(test(MARGIN, "greater").pvalue, test(-MARGIN, "less").pvalue)
    low, high = test(0.0, "two-sided").confidence_interval(0.9)
    return [f"{statistics.fmean(a) - statistics.fmean(b):+.2f} ({low:+.2f} to {high:+.2f})", f"{p:.4f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time networks on graphs, or compare their accuracy.")
    parser.add_argument("networks", nargs="*", default=[], metavar="NETWORK", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--accuracy", type=Path, metavar="OUT.json", help="compare accuracies, and keep them here")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--plain-seeds", type=int, default=30, help="seeds of the slow loop")
    arguments = parser.parse_args()
    networks = arguments.networks or list(RECIPES)
    if unknown := set(networks) - set(RECIPES):
        parser.error(f"unknown network {', '.join(sorted(unknown))}; allowed: {', '.join(RECIPES)}")
    if arguments.accuracy is not None and min(arguments.seeds, arguments.plain_seeds) < 2:
        parser.error("a comparison needs two seeds of each")
    os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait sleep: spinning ones disturb the others
    CONSOLE.print(f"torch {torch.__version__}, {os.cpu_count()} cores")
    if arguments.accuracy is not None:
        counts = arguments.seeds, arguments.plain_seeds
        show_accuracy(accuracies(arguments.accuracy, networks, *counts, arguments.epochs), arguments.epochs)
        return
    for network in networks:
        show_speed(network, arguments.rounds, arguments.epochs)


if __name__ == "__main__":
    main()

"""Does differentiable search collapse into skip connections, and what do the remedies do to it?

The supernet of NAS-Bench-201 (8 channels, one cell a stage) searches on real photographs: 4,000 of CIFAR-10 at 16x16,
half for the weights and half for alpha, 24 epochs of 31 steps, no augmentation, alpha learned with Adam at 0.01 because
the steps are few. Every variant differs in one piece. Each cell found is looked up in the benchmark's table: its test
accuracy after 200 epochs on CIFAR-10. Random cells are known exactly, all 15,625 of them.

    NASBENCH_DATA=DATA python -m benchmarks.collapse [--seeds N] [--processes N] [--out FOLDER] [VARIANT ...]

Every finished search is kept in the folder, as JSON, and not run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from nasbench.core.abilities import Relaxing

COMMON: dict[str, Any] = {
    "channels": 8,
    "cells": 1,
    "epochs": 24,
    "batch_size": 64,
    "learning_rate": 0.025,
    "alpha_learning_rate": 0.01,
    "alpha_momentum": (0.5, 0.999),
    "crop_padding": 0,
    "flip": False,
    "cutout": 0,
}
# The name of the strategy and what it changes besides.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "DARTS, first order": ("darts", {}),
    "DARTS, second order": ("darts", {"order": 2}),
    "Max-W": ("darts", {"coefficients": "max-w"}),
    "Max-W, maximum detached": ("darts", {"coefficients": "max-w-detached"}),
    "DARTS-": ("darts-minus", {}),
    "Fair DARTS": ("fair-darts", {}),
    "SDARTS-RS": ("sdarts", {}),
    "RobustDARTS early stop": ("robust-darts", {}),
    "GDAS": ("gdas", {}),
    "DARTS-PT": ("darts-pt", {"tuning_epochs": 0}),
    "DARTS-PT, alpha frozen": ("darts-pt-frozen", {"tuning_epochs": 0}),
}


def run(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Search once and return what was found, or what was found before."""
    file = folder / f"{name.replace(' ', '_').replace(',', '')}-{seed}.json"
    if file.exists():
        return dict(json.loads(file.read_text()))
    from nasbench.core.ledger import Ledger
    from nasbench.core.loop import search
    from nasbench.core.state import write_json
    from nasbench.experiments.assemble import Parts
    from nasbench.experiments.config import Part, Settings, resolve_settings

    strategy_name, changes = VARIANTS[name]
    settings = Settings(
        space="nasbench201",
        strategy=strategy_name,
        dataset="benchmarks.small_cifar:photos4000",
        recipe="small",
        evaluations=COMMON["epochs"],
        seed=seed,
    )
    config = resolve_settings(settings)
    searching = Part(name=strategy_name, settings={**config.strategy.settings, **COMMON, **changes})
    parts, ledger = Parts(config.model_copy(update={"strategy": searching}), None), Ledger()
    strategy = parts.strategy
    started = time.perf_counter()
    search(parts.problem, strategy, parts.evaluator, ledger, shared=parts.shared)
    cell = strategy.recommend()[0]
    assert isinstance(strategy, Relaxing)
    relaxation = strategy.relaxation()
    result = {
        "cell": parts.space.format(cell),
        "operations": list(cell.spec),
        "operation_names": relaxation["operations"],
        "weights": relaxation["weights"]["cell"],
        "units": [unit.metrics for unit in ledger.units],
        "seconds": time.perf_counter() - started,
    }
    write_json(file, result, indent=None)
    return result


def summarise(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return, one a seed: skips and parameter-free operations of 6, mean weight of the skip, test accuracy (%)."""
    import torch

    from nasbench.protocol.table_judge import TableJudge
    from nasbench.search_spaces.nasbench201 import NasBench201
    from nasbench.strategies.differentiable.measures import PARAMETER_FREE, SKIP, skip_weight
    from nasbench.tables.nasbench201 import load

    space, judge = NasBench201(), TableJudge(load("cifar10", None))
    counts = [Counter(result["operations"]) for result in results]
    return {
        "skips": [count[SKIP] for count in counts],
        "parameter_free": [sum(count[name] for name in PARAMETER_FREE) for count in counts],
        "skip_weight": [skip_weight(torch.tensor(r["weights"][-1]), r["operation_names"]) for r in results],
        "accuracy": [judge.final(space.parse(result["cell"])).test_accuracies[0] for result in results],
        "seconds": [result["seconds"] for result in results],
    }


def show(summaries: dict[str, dict[str, list[float]]]) -> None:
    """Print the table of all variants."""
    from nasbench.protocol.table_judge import TableJudge
    from nasbench.tables.nasbench201 import load

    baseline = TableJudge(load("cifar10", None)).baseline()
    table = RichTable(title="NAS-Bench-201 cells found on 4,000 photographs of CIFAR-10 at 16x16, one figure a seed")
    for column in ("variant", "skips of 6", "parameter-free of 6", "weight of skip", "test %", "mean ± sd", "seconds"):
        table.add_column(column)
    for name, found in summaries.items():
        mean = statistics.fmean(found["accuracy"])
        spread = f" ± {statistics.stdev(found['accuracy']):.2f}" if len(found["accuracy"]) > 1 else ""
        table.add_row(
            name,
            ", ".join(f"{value:.0f}" for value in found["skips"]),
            ", ".join(f"{value:.0f}" for value in found["parameter_free"]),
            ", ".join(f"{value:.2f}" for value in found["skip_weight"]),
            ", ".join(f"{value:.2f}" for value in found["accuracy"]),
            f"{mean:.2f}{spread}",
            f"{statistics.median(found['seconds']):.0f}",
        )
    table.add_row("a random cell", "1.2", "3.6", "", "", f"{baseline.mean:.2f} ± {baseline.std:.2f}", "")
    Console(width=140).print(Text(""), table)


def draw(folder: Path, names: list[str], seeds: int, picture: Path) -> None:
    """Draw the mean weight of each operation over the epochs, a panel a variant, and the test accuracies found."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "collapse"})
    from matplotlib import pyplot

    from nasbench.tables.held_out import test_accuracies

    results = {name: [run(name, seed, folder) for seed in range(seeds)] for name in names}
    columns = 4
    rows = -(-(len(names) + 1) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(3.4 * columns, 2.6 * rows), layout="constrained")
    panels = list(axes.flat)
    colours = {"none": "#999999", "skip_connect": "#d55e00", "nor_conv_1x1": "#56b4e9", "nor_conv_3x3": "#0072b2"}
    for panel, name in zip(panels, names, strict=False):
        for number, result in enumerate(results[name]):
            weights = np.array(result["weights"]).mean(axis=1)
            for column, operation in enumerate(result["operation_names"]):
                label = operation if number == 0 else None
                colour = colours.get(operation, "#009e73")
                panel.plot(range(1, len(weights) + 1), weights[:, column], color=colour, linewidth=1, label=label)
        panel.set_title(name, fontsize=9)
        panel.set_ylim(0, 1)
        panel.tick_params(labelsize=7)
    panels[0].set_ylabel("mean weight over the 6 edges", fontsize=8)
    last = panels[len(names)]
    summaries = {name: summarise(results[name])["accuracy"] for name in names}
    for height, (_, accuracies) in enumerate(reversed(summaries.items())):
        last.plot(accuracies, [height] * len(accuracies), "o", color="#0072b2", markersize=4, alpha=0.7)
    last.set_yticks(range(len(summaries)), list(reversed(summaries)), fontsize=6)
    middle = float(np.median(test_accuracies("cifar10", None)))
    last.axvline(middle, color="#999999", linestyle="--", linewidth=1)
    last.set_title("test accuracy of the cells, %; dashed: median cell", fontsize=8)
    last.tick_params(axis="x", labelsize=7)
    for panel in panels[len(names) + 1 :]:
        panel.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the collapse of differentiable search, and its remedies.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of: {'; '.join(VARIANTS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("collapse"))
    parser.add_argument("--picture", type=Path, help="write the figure here")
    options = parser.parse_args()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"no variant {', '.join(unknown)}; there are: {'; '.join(VARIANTS)}")
    names = options.variants or list(VARIANTS)
    options.out.mkdir(parents=True, exist_ok=True)
    jobs = [(name, seed, options.out) for seed in range(options.seeds) for name in names]
    if options.processes > 1:
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            pool.starmap(run, jobs, chunksize=1)
    else:
        for job in jobs:
            run(*job)
    show({name: summarise([run(name, seed, options.out) for seed in range(options.seeds)]) for name in names})
    if options.picture is not None:
        draw(options.out, names, options.seeds, options.picture)


if __name__ == "__main__":
    main()

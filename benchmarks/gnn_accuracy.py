"""GCN, GAT and the baselines beside the space, trained by their papers' recipes on the public split of two graphs.

    NASBENCH_DATA=FOLDER python -m benchmarks.gnn_accuracy [SEEDS]

Prints for each the test accuracy (mean and standard deviation over seeds, percent) at the epoch of the best validation
accuracy (of equal ones, that of the lowest validation loss) and at the last epoch. Validation is looked at after every
epoch. GAT is trained for 200 epochs and by its paper's schedule, until neither validation accuracy nor loss has got
better for 100 epochs. No run is left out, and no epoch is picked by test accuracy.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from nasbench.core.architecture import Architecture
from nasbench.core.problem import SearchTask, Task
from nasbench.core.search_space import SearchSpace
from nasbench.datasets.load import load_task
from nasbench.evaluators.graph_recipe import GRAPH_RECIPES, GraphRecipe
from nasbench.evaluators.graph_stack import Parts, Stack, is_stackable, stack_of
from nasbench.evaluators.graph_training import build, scores, train_stack
from nasbench.networks.device import seeded
from nasbench.networks.graph_baselines import APPNP, ARMA, SGC
from nasbench.networks.graph_layers import Dropout
from nasbench.search_spaces.gnn import Gnn

GCN, GAT = GRAPH_RECIPES["gcn"], GRAPH_RECIPES["gat"]
GAT_200 = GAT.model_copy(update={"epochs": 200, "patience": None, "name": "gat, 200 epochs"})
DATA_SETS = ("cora", "citeseer")
# Those of the authors' programs, which the docstrings of the networks name; weight decay of SGC as on Cora.
BASELINES: dict[str, tuple[Callable[..., nn.Module], GraphRecipe]] = {
    "SGC": (SGC, GCN.model_copy(update={"epochs": 100, "learning_rate": 0.2, "weight_decay": 1.3e-5})),
    "APPNP": (APPNP, GCN.model_copy(update={"weight_decay": 5e-3})),
    "ARMA": (ARMA, GCN.model_copy(update={"decayed": "all layers"})),
}


def train_all(
    make: Callable[[int], nn.Module], task: Task, recipe: GraphRecipe, seeds: range
) -> dict[str, list[float]]:
    """Return test accuracies by epoch rule, the epochs chosen and the seconds, of one network a seed."""
    parts = Parts()
    found: dict[str, list[float]] = {"best": [], "last": [], "epoch": [], "seconds": []}
    groups = [list(seeds)] if is_stackable(make(0)) else [[seed] for seed in seeds]
    for group in groups:
        stack = stack_of([make(seed) for seed in group], parts)
        dropout = Dropout(recipe.dropout, recipe.attention_dropout, group[0])
        data = task.search.train, task.search.validation

        def test_last(stack: Stack = stack) -> None:
            found["last"] += scores(stack, task.test)[0]

        with seeded(group[0]):
            records = train_stack(stack, *data, recipe, dropout, ended=test_last)
        found["best"] += [
            score for network in stack.networks for score in scores(stack_of([network], parts), task.test)[0]
        ]
        found["epoch"] += [record.epoch for record in records]
        found["seconds"] += [record.seconds for record in records]
    return found


def main(seeds: int) -> None:
    torch.set_num_threads(1)
    shown = Table(title=f"test accuracy on the public split, {seeds} seeds")
    for column in ("data", "network", "recipe", "best epoch", "last epoch", "epoch chosen", "s a network"):
        shown.add_column(column)
    space = Gnn()
    for name in DATA_SETS:
        task = load_task(name, data_dir=None)
        jobs: list[tuple[str, str, GraphRecipe, Callable[[int], nn.Module]]] = []
        for network, recipe in (("gcn", GCN), ("gat", GAT_200), ("gat", GAT)):
            jobs.append((network, recipe.name, recipe, maker(space, space.named(network), task.search, recipe)))
        for title, (kind, recipe) in BASELINES.items():
            jobs.append((title, "its own", recipe, baseline(kind, task.search)))
        for title, recipe_name, recipe, make in jobs:
            found = train_all(make, task, recipe, range(seeds))
            cells = [
                f"{statistics.fmean(found[rule]):.2f} ± {statistics.stdev(found[rule]):.2f}"
                for rule in ("best", "last")
            ]
            epochs = f"{statistics.median(found['epoch']):.0f}"
            row = name, title, recipe_name, *cells, epochs, f"{statistics.fmean(found['seconds']):.2f}"
            print(*row, sep=" | ", file=sys.stderr, flush=True)
            shown.add_row(*row)
    Console(width=140).print(shown)


def maker(
    space: SearchSpace, architecture: Architecture, task: SearchTask, recipe: GraphRecipe
) -> Callable[[int], nn.Module]:
    return lambda seed: build(space, architecture, task, recipe, seed)


def baseline(kind: Callable[..., nn.Module], task: SearchTask) -> Callable[[int], nn.Module]:
    def make(seed: int) -> nn.Module:
        with seeded(seed):
            return kind(task.input_shape[0], task.classes)

    return make


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)

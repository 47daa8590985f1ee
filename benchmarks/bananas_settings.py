"""How the defaults of `bananas` were chosen: on the validation accuracy of NAS-Bench-201's CIFAR-10, and nothing else.

Mean validation regret after so many evaluations, and over all of them, with its standard error. The seeds begin at
1,000: no search that is reported elsewhere has them.

    NASBENCH_DATA=FOLDER python -m benchmarks.bananas_settings [SEEDS [EVALUATIONS]]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable

from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.predictor import Predictor
from nasbench.core.problem import Budget, Problem
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import Rng, generator
from nasbench.evaluators.table import TableEvaluator
from nasbench.predictors.encodings import Encoding, GraphCounts, OneHot
from nasbench.predictors.gaussian_process import GaussianProcess
from nasbench.predictors.path_encoding import PathEncoding
from nasbench.search_spaces.nasbench201 import NasBench201
from nasbench.strategies.bananas import Bananas
from nasbench.tables.nasbench201 import load

FIRST_SEED = 1000
SHOWN = (20, 30, 50, 75, 100, 200, 300)
SPACE = NasBench201()
ENCODINGS: dict[str, Callable[[], Encoding]] = {
    "one-hot": lambda: OneHot(SPACE),
    "paths": lambda: PathEncoding(SPACE),
    "graph counts, 1 round": lambda: GraphCounts(SPACE, rounds=1),
    "graph counts, 2 rounds": lambda: GraphCounts(SPACE, rounds=2),
    "graph counts, 3 rounds": lambda: GraphCounts(SPACE, rounds=3),
}
DEFAULT = "graph counts, 2 rounds"
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((encoding, {}) for encoding in ENCODINGS),
    *((DEFAULT, {"batch": batch}) for batch in (1, 5, 10)),
    *((DEFAULT, {"mutants": mutants, "strangers": strangers}) for mutants, strangers in ((100, 100), (200, 50))),
    (DEFAULT, {"acquisition": "thompson"}),
    (DEFAULT, {"acquisition": "ucb"}),
]

encoding_in_use: Encoding


def gaussian_process(space: SearchSpace, rng: Rng) -> Predictor:
    """The Gaussian process with the encoding that is tried."""
    return GaussianProcess(space, rng, encoding_in_use)


def main(seeds: int, evaluations: int) -> None:
    global encoding_in_use
    table = load("cifar10")
    evaluator = TableEvaluator(SPACE, table, TableEvaluator.Config())
    points = [point for point in SHOWN if point <= evaluations]
    shown = RichTable(title=f"validation regret on NAS-Bench-201, CIFAR-10, {seeds} seeds from {FIRST_SEED}")
    for column in ("encoding", "changed", *map(str, points), f"mean over 1..{evaluations}", "s a search"):
        shown.add_column(column)
    for name, settings in VARIANTS:
        started, regrets = time.process_time(), []
        encoding_in_use = ENCODINGS[name]()
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            problem, ledger = Problem(SPACE, None, Budget(evaluations=evaluations), seed), Ledger()
            config = Bananas.Config(predictor="benchmarks.bananas_settings:gaussian_process", **settings)
            search(problem, Bananas(problem, config, generator(seed, "strategy")), evaluator, ledger)
            scores = [evaluation.metrics["valid_accuracy"] for evaluation in ledger.evaluations]
            regrets.append(table.valid_accuracy.max() - np.maximum.accumulate(scores))
        regret = np.array(regrets)
        area, error = regret.mean(), regret.mean(axis=1).std(ddof=1) / seeds**0.5
        shown.add_row(
            name,
            ", ".join(f"{key}={value}" for key, value in settings.items()),
            *(f"{regret[:, point - 1].mean():.3f}" for point in points),
            f"{area:.3f} ± {error:.3f}",
            f"{(time.process_time() - started) / seeds:.2f}",
        )
    Console(width=150).print(shown)


if __name__ == "__main__":
    from benchmarks import bananas_settings  # the module that the predictor's name finds, not this one called __main__

    bananas_settings.main(*(int(given) for given in (sys.argv[1:] + ["60", "100"][len(sys.argv) - 1 :])))

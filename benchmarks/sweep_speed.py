"""What a sweep costs beyond its searches: on two workers beside one, and packed table searches beside a plain loop.

Training: a sweep of searches by training on ``nasbench sweep --workers 1`` (this process, no Ray) and ``--workers 2``;
Ray's start and the baseline are part of the time. Table: searches of 300 evaluations, ledger, configuration and
``result.json`` included, one after another in one process, beside ``--workers N`` for N cores. All by wall clock.

    NASBENCH_DATA=FOLDER python -m benchmarks.sweep_speed [training|table] [TABLE_SEARCHES]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEARCHES = 5000
EVALUATIONS = 300
TRAINING = [
    *("--spaces", "nasbench201", "--strategies", "random,evolution", "--evaluator", "train", "--seeds", "0:4"),
    *("--evaluations", "16", "--final-seeds", "2", "--baseline-size", "8", "--set", "population=8"),
    *("--set", "tournament=4", "--set", "recipe.epochs=4", "--set", "recipe.channels=8", "--set", "recipe.cells=1"),
]
TABLE = ["--strategies", "random,evolution", "--evaluator", "table", "--evaluations", str(EVALUATIONS)]
LOOP = """
import sys
from pathlib import Path
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import Settings, resolve_settings
from nasbench.experiments.search import run_search

for strategy in ("random", "evolution"):
    first = None
    for seed in range(int(sys.argv[2]) // 2):
        settings = Settings(strategy=strategy, evaluator="table", evaluations=int(sys.argv[3]), seed=seed)
        config = resolve_settings(settings)
        parts = Parts(config, None) if first is None else first.sharing(config)
        first = first or parts
        run_search(parts, Path(sys.argv[1]) / strategy / str(seed), pictures=False)
"""


def timed(command: list[str], cache: Path) -> float:
    """Return the seconds that a command takes, with a cache of its own."""
    environment = {**os.environ, "NASBENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def sweep(arguments: list[str], workers: int, folder: Path) -> float:
    program = "import sys; from nasbench.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "sweep", *arguments, "--workers", str(workers)]
    return timed([*command, "--out", str(folder / "out")], folder / "cache")


def training(root: Path) -> None:
    one, two = sweep(TRAINING, 1, root / "one"), sweep(TRAINING, 2, root / "two")
    print(
        f"training searches: 1 worker {one:.1f} s, 2 workers {two:.1f} s: {two / one:.2f} of one worker's", flush=True
    )


def table(root: Path, searches: int) -> None:
    cores = os.cpu_count() or 1
    alone = timed([sys.executable, "-c", LOOP, str(root / "loop"), str(searches), str(EVALUATIONS)], root / "cache")
    packed = sweep([*TABLE, "--seeds", f"0:{searches // 2}"], cores, root / "packed")
    print(
        f"{searches} table searches of {EVALUATIONS} evaluations: one process {alone:.1f} s, sweep on {cores} workers "
        f"{packed:.1f} s: {packed * cores / alone:.2f} times one process's divided by the cores",
        flush=True,
    )


def main(what: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if "table" not in what:
            training(Path(folder) / "training")
        if "training" not in what:
            counts = [int(word) for word in what if word.isdigit()]
            table(Path(folder) / "table", counts[0] if counts else SEARCHES)


if __name__ == "__main__":
    main(sys.argv[1:])

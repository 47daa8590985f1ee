"""How a sweep grows: what Ray adds to a task, what the driver has to do for one, and its memory over many cells.

The searches are replaced by tasks that return at once, so that all that is left is the machinery of
`nasbench.experiments.sweep`: its driver, the packing, the tasks and results that travel. Two workers; the driver has no
core of its own.

    NASBENCH_DATA=FOLDER python -m benchmarks.sweep_scaling [CELLS]
"""

from __future__ import annotations

import pickle
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ray.cloudpickle import dumps

from nasbench.distributed.cluster import Workers, cluster
from nasbench.distributed.tasks import TaskPool
from nasbench.experiments import sweep as module
from nasbench.experiments.reporter import Reporter
from nasbench.experiments.sweep_config import read_sweep
from nasbench.experiments.sweep_places import Place
from nasbench.experiments.sweep_plan import make_plan
from nasbench.experiments.sweep_work import Batch, Done

CELLS = 100_000
TASKS = 5_000


def nothing(task: Any) -> None:
    return None


def empty(task: Batch) -> Done:
    """Finish every search of a batch in no time, a hundredth of a second each as far as the packing can tell."""
    return Done(len(task.seeds), 0.01 * len(task.seeds))


def resident() -> float:
    """Return the memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def overhead(connected: Any) -> None:
    """Print what one task costs, alone and in a stream, in wall clock and in the driver's processor time."""
    pool = TaskPool(connected, nothing, 2)
    for _ in range(20):
        pool.submit(0, None)
        pool.wait(10)
    started = time.perf_counter()
    for number in range(200):
        pool.submit(number, None)
        while not pool.wait(10):
            pass
    print(f"one task and its answer: {(time.perf_counter() - started) / 200 * 1e3:.2f} ms")
    started, busy, done, number = time.perf_counter(), time.process_time(), 0, 0
    while done < TASKS:
        while number < TASKS and pool.room():
            pool.submit(number, None)
            number += 1
        done += len(pool.wait(10))
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    print(f"{TASKS} tasks: {TASKS / seconds:.0f} a second, {busy / TASKS * 1e6:.0f} µs of the driver's processor each")


class Watch(Reporter):
    """Notes the driver's memory as cells are finished."""

    def __init__(self, cells: int) -> None:
        self.marks = {round(cells * share): 0.0 for share in (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)}

    def phase(self, title: str, total: float | None) -> Any:
        from contextlib import nullcontext

        def step(done: float, words: str) -> None:
            for mark, seen in self.marks.items():
                if done >= mark and not seen:
                    self.marks[mark] = resident()

        return nullcontext(step)


def driver(connected: Any, cells: int, packed: bool) -> None:
    """Print time, processor time and memory of a driver over many cells, packed or one a task."""
    batch = module.SECONDS_OF_A_BATCH
    module.SECONDS_OF_A_BATCH = batch if packed else 0.0
    options = {"strategies": "random", "evaluator": "table", "evaluations": 300, "seeds": f"0:{cells}"}
    with tempfile.TemporaryDirectory() as folder:
        config = read_sweep(None, {**options, "out": folder})
        plan, watch = make_plan(config), Watch(cells)
        pool = TaskPool(connected, empty, module.TASKS_QUEUED)
        sizes: list[int] = []
        submit = pool.submit

        def counted(key: Any, task: Any) -> None:
            sizes.append(len(pickle.dumps((key[1], task.seeds))))
            submit(key, task)

        pool.submit = counted  # type: ignore[method-assign]
        started, busy = time.perf_counter(), time.process_time()
        tally = module._Driver(plan, config, Place(folder), pool, watch, True).run()
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    module.SECONDS_OF_A_BATCH = batch
    assert tally.done == cells
    marks = ", ".join(f"{mark}: {memory:.0f}" for mark, memory in watch.marks.items())
    print(
        f"{cells} cells in {len(sizes)} tasks: {seconds:.1f} s, {busy / len(sizes) * 1e6:.0f} µs of the driver's "
        f"processor a task; memory of the driver in MiB after so many cells: {marks}"
    )


def size(item: object) -> int:
    return len(dumps(item))  # type: ignore[no-untyped-call]


def traffic() -> None:
    """Print how large a task and what it returns are, and what is placed in the object store once."""
    options = {"strategies": "random", "evaluator": "table", "seeds": "0:10", "out": "out"}
    config = read_sweep(None, options)
    plan = make_plan(config)
    group = plan.groups[0]

    class Sizes:
        slots = 1

        def put(self, item: Any) -> Any:
            from nasbench.distributed.cluster import Stored

            print(f"once in the object store: {type(item).__name__}, {size(item) / 2**20:.2f} MiB")
            return Stored("0" * 56)

    sizes: Any = Sizes()
    work = module._Driver(plan, config, Place("out"), sizes, Reporter(), True)._work_of(group)
    task = Batch(work, tuple(range(200)), {}, None, True)
    sent, answered = size(task), len(pickle.dumps(Done(200, 1.0)))
    print(f"a task of 200 searches: {sent} bytes; its answer: {answered}")


def main(cells: int) -> None:
    traffic()
    with cluster(Workers(2)) as connected:
        overhead(connected)
        driver(connected, cells, packed=True)
        driver(connected, min(cells, 2_000), packed=False)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CELLS)

"""A sweep: many searches, on this machine or a cluster, each in a run folder of its own.

The process that runs a sweep holds no state of any search and no list of results. What is finished is known from the
folders alone, so the same command, or a changed one, goes on wherever the last one stopped.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nasbench.core.errors import BadInput, RunLocked
from nasbench.distributed.attempts import Crash
from nasbench.distributed.cluster import Workers, cluster
from nasbench.distributed.tasks import Finished, TaskPool, Tasks, TasksHere
from nasbench.experiments.reporter import Reporter
from nasbench.experiments.sweep_config import SweepConfig
from nasbench.experiments.sweep_places import Place, place_of
from nasbench.experiments.sweep_plan import Group, Plan
from nasbench.experiments.sweep_work import Batch, CellFailure, Done, GroupWork, RandomTraining, work

SECONDS_OF_A_BATCH = 2.0
"""Small searches are packed until a task takes about so long: a thousand times what Ray needs to start one."""
MOST_CELLS_OF_A_BATCH = 5000
FIRST_LOOK_UPS = 2000
"""Evaluations of the first batch on a table, before it is known how long a search takes."""
TASKS_QUEUED = 2
SECONDS_OF_A_WAIT = 0.5
FAILURES_SHOWN = 20
SHARED_ON_TABLE = ("table", "table_judge")
FAILURES_FILE = "failures.jsonl"


@dataclass
class Tally:
    """What became of the cells of a sweep. ``failures`` are the first few; `FAILURES_FILE` has all."""

    cells: int
    finished_before: int = 0
    done: int = 0
    failed: int = 0
    retries: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    stopped: str | None = None
    seconds: float = 0.0

    @property
    def left(self) -> int:
        return self.cells - self.finished_before - self.done


def run_sweep(plan: Plan, sweep: SweepConfig, reporter: Reporter | None = None) -> Tally:
    """Make all searches of a plan that are not finished yet; return what became of them.

    Raises BadInput if the folder cannot be used, SearchFailed if the cluster was lost.
    """
    if sweep.out is None:
        raise BadInput("a sweep needs a folder for its runs: --out DIR.")
    reporter, place = reporter or Reporter(), place_of(sweep.out)
    workers = workers_of(sweep)
    with _locked(place):
        record = {"sweep": sweep.model_dump(mode="json", exclude={"workers", "address"}), **plan.to_json()}
        _write(place, "sweep.json", (json.dumps(record, indent=2) + "\n").encode())
        if workers.here:
            return _Driver(plan, sweep, place, TasksHere(work), reporter, expendable=False).run()
        with cluster(workers) as connected:
            pool = TaskPool(connected, work, TASKS_QUEUED)
            return _Driver(plan, sweep, place, pool, reporter, expendable=True).run()


def workers_of(sweep: SweepConfig) -> Workers:
    """Return where a sweep is to be done: with an address and no number, as much as the cluster has room for."""
    count = sweep.workers if sweep.address is None else sweep.workers or None
    if count is None and sweep.address is None:
        count = 0
    return Workers(count, sweep.cpus_per_worker, sweep.gpus_per_worker, sweep.address)


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    """Keep a second process from the same sweep; behind a URL nothing can."""
    if place.local is None:
        yield
        return
    try:
        place.local.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.local / ".sweep.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise RunLocked(f"{place.out} is in use by another sweep; wait for it or choose another folder.") from None
    except OSError as error:
        raise BadInput(f"cannot write to {place.out}: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def _write(place: Place, name: str, data: bytes) -> None:
    try:
        place.write(name, data)
    except OSError as error:
        raise BadInput(f"cannot write to {place.out}: {error.strerror or error}.") from error


class _Driver:
    """Hands out tasks and counts what comes back. Its memory does not grow with the cells that are finished."""

    def __init__(
        self, plan: Plan, sweep: SweepConfig, place: Place, tasks: Tasks, reporter: Reporter, expendable: bool
    ) -> None:
        self._plan, self._sweep, self._place, self._tasks, self._reporter = plan, sweep, place, tasks, reporter
        self._expendable = expendable
        self._groups = {group.folder: group for group in plan.groups}
        self._baselines: dict[str, dict[int, dict[str, Any]]] = {}
        self._broken: dict[str, str] = {}
        self._again: deque[tuple[str, tuple[int, ...], Crash | None]] = deque()
        self._tries: dict[tuple[str, int], tuple[int, Any]] = {}
        self._seconds_of_a_cell: dict[str, float] = {}
        self._failures: Any = None
        self.tally = Tally(len(plan))

    def run(self) -> Tally:
        started = time.monotonic()
        file = self._failures_file()
        with file.open("w") as self._failures:
            try:
                todo = self._unfinished()
                if self.tally.finished_before:
                    self._reporter.note(
                        f"{self.tally.finished_before} of {self.tally.cells} cells were finished before"
                    )
                self._train_baselines(todo)
                self._search(todo)
            finally:
                self._tasks.cancel()
                self.tally.seconds = time.monotonic() - started
                self._failures.flush()
                if self._place.local is None:
                    self._place.write(FAILURES_FILE, file.read_bytes())
        return self.tally

    # -- what there is to do -----------------------------------------------------------------------------------------
    def _failures_file(self) -> Path:
        file = self._place.workplace(FAILURES_FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _unfinished(self) -> dict[str, tuple[int, ...]]:
        """Return the seeds of each group that are to be searched; a finished search that found nothing has failed."""
        todo = {}
        for group in self._plan.groups:
            finished = self._place.finished(group.folder, group.seeds)
            self.tally.finished_before += len(finished)
            for seed, found in finished.items():
                if not found:
                    self._fail(group.cell(seed), self._place.reason(group.cell(seed)), tries=0)
            left = tuple(seed for seed in group.seeds if seed not in finished)
            if left:
                todo[group.folder] = left
        return todo

    def _batches(self, todo: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...], Crash | None]]:
        for folder, seeds in todo.items():
            first = 0
            while first < len(seeds):
                size = self._size(self._groups[folder])
                yield folder, seeds[first : first + size], None
                first += size

    def _size(self, group: Group) -> int:
        """Return how many searches of a group make a task: fewer at the end, so that all workers end together."""
        config, seconds = group.parts.config, self._seconds_of_a_cell.get(group.folder)
        if seconds is not None:
            size = SECONDS_OF_A_BATCH / max(seconds, 1e-6)
        else:
            size = FIRST_LOOK_UPS / (config.evaluations or FIRST_LOOK_UPS) if group.parts.on_table else 1
        return int(max(1, min(size, MOST_CELLS_OF_A_BATCH, self.tally.left / (3 * self._tasks.slots))))

    def _work_of(self, group: Group) -> GroupWork:
        parts = group.parts
        names = SHARED_ON_TABLE if parts.on_table else ("loaded",)
        shared = {name: self._tasks.put(vars(parts)[name]) for name in names if name in vars(parts)}
        data_dir = None if parts.data_dir is None else parts.data_dir.resolve()
        return GroupWork(self._place.out, group.folder, parts.config, data_dir, Path.cwd(), shared)

    # -- baselines ---------------------------------------------------------------------------------------------------
    def _train_baselines(self, todo: dict[str, tuple[int, ...]]) -> None:
        """Train the random architectures that the cells are compared with, once for all, before any cell."""
        wanted: dict[tuple[str, int], Group] = {}
        for folder in todo:
            group = self._groups[folder]
            if group.baseline is not None:
                wanted |= {(group.baseline, n): group for n in range(group.parts.config.baseline)}
                self._baselines.setdefault(group.baseline, {})
        if not wanted:
            return
        waiting, tries, done = deque(wanted), dict.fromkeys(wanted, 0), 0
        with self._reporter.phase("random baselines", len(wanted)) as step:
            while waiting or len(self._tasks):
                while waiting and self._tasks.room():
                    key = waiting.popleft()
                    tries[key] += 1
                    self._tasks.submit(key, RandomTraining(self._work_of(wanted[key]), key[1]))
                for finished in self._tasks.wait(SECONDS_OF_A_WAIT):
                    key, failure = finished.key, finished.failure
                    if failure is None:
                        self._baselines[key[0]][key[1]] = finished.value
                        done += 1
                    elif failure.kind == "node" or (failure.kind != "error" and tries[key] <= self._sweep.retries):
                        tries[key] -= failure.kind == "node"
                        self.tally.retries += 1
                        waiting.append(key)
                    else:
                        self._broken[key[0]] = f"its random baseline could not be trained: {failure.reason}"
                step(done, f"random architectures trained, {self._tasks.running} running")

    # -- cells -------------------------------------------------------------------------------------------------------
    def _search(self, todo: dict[str, tuple[int, ...]]) -> None:
        started, fresh = time.monotonic(), self._batches(todo)
        exhausted = False
        with self._reporter.phase("searches", self.tally.cells) as step:
            while len(self._tasks) or not exhausted or self._again:
                while self._tasks.room() and self.tally.stopped is None:
                    batch = self._again.popleft() if self._again else next(fresh, None)
                    if batch is None:
                        exhausted = True
                        break
                    self._submit(*batch)
                if self.tally.stopped is not None and not len(self._tasks):
                    break
                for finished in self._tasks.wait(SECONDS_OF_A_WAIT):
                    self._take(finished)
                step(self.tally.finished_before + self.tally.done, self._words(time.monotonic() - started))

    def _words(self, seconds: float) -> str:
        tally = self.tally
        left = "" if not tally.done else f", {_clock(seconds / tally.done * tally.left)} left"
        return f"{self._tasks.running} running, {tally.failed} failed{left}"

    def _submit(self, folder: str, seeds: tuple[int, ...], crash: Crash | None) -> None:
        group = self._groups[folder]
        if group.baseline in self._broken:
            for seed in seeds:
                self._end(group.cell(seed), self._broken[group.baseline], tries=0)
            return
        baseline = self._baselines.get(group.baseline or "", {})
        limit = self._sweep.timeout_per_evaluation
        batch = Batch(self._work_of(group), seeds, baseline, limit, self._expendable, crash)
        self._tasks.submit((folder, seeds), batch)

    def _take(self, finished: Finished) -> None:
        folder, seeds = finished.key
        if finished.failure is None:
            self._take_done(folder, seeds, finished.value)
            return
        failure, group = finished.failure, self._groups[folder]
        known = self._place.finished(folder, seeds)  # those were made before the worker died
        self._take_done(folder, tuple(known), Done(len(known), 0.0, self._found_nothing(folder, known)))
        for seed in seeds:
            if seed in known:
                continue
            tries, before = self._tries.get((folder, seed), (0, None))
            now = self._place.progress(group.cell(seed))
            further = before is not None and now != before
            tries = 1 if further else tries + (failure.kind != "node")
            if failure.kind == "error" or tries > self._sweep.retries:
                self._tries.pop((folder, seed), None)
                self._end(group.cell(seed), failure.reason, tries)
                continue
            self._tries[folder, seed] = (tries, now)
            self.tally.retries += 1
            blamed = failure.kind in ("crash", "memory")
            self._again.append((folder, (seed,), Crash(time.time(), failure.reason) if blamed else None))

    def _found_nothing(self, folder: str, known: dict[int, bool]) -> list[CellFailure]:
        cell = self._groups[folder].cell
        return [CellFailure(seed, self._place.reason(cell(seed))) for seed, found in known.items() if not found]

    def _take_done(self, folder: str, seeds: tuple[int, ...], done: Done) -> None:
        group = self._groups[folder]
        if done.cells and done.seconds:
            self._seconds_of_a_cell[folder] = done.seconds / done.cells
        for failure in done.failures:
            tries, _ = self._tries.get((folder, failure.seed), (0, None))
            self._fail(group.cell(failure.seed), failure.reason, tries + 1, failure.traceback)
            if failure.disk_full:
                self.tally.stopped = failure.reason
        self.tally.done += done.cells
        for seed in seeds:
            self._tries.pop((folder, seed), None)

    def _end(self, cell: str, reason: str, tries: int) -> None:
        self._fail(cell, reason, tries)
        self.tally.done += 1

    def _fail(self, cell: str, reason: str, tries: int, traceback: str | None = None) -> None:
        self.tally.failed += 1
        if len(self.tally.failures) < FAILURES_SHOWN:
            self.tally.failures.append((cell, reason))
        line = {"cell": cell, "reason": reason, "tries": tries} | ({"traceback": traceback} if traceback else {})
        try:
            self._failures.write(json.dumps(line) + "\n")
            self._failures.flush()
        except OSError as error:  # a full disk; the first failures are shown in any case
            self.tally.stopped = f"{error.strerror} ({FAILURES_FILE})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

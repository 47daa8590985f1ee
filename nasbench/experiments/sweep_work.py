"""What a worker of a sweep does: some searches of one group, or one training of a random architecture."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nasbench.core.errors import NasbenchError, RunLocked
from nasbench.distributed.attempts import Attempts, Crash
from nasbench.distributed.cluster import Stored
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import RunConfig
from nasbench.experiments.search import run_search
from nasbench.experiments.sweep_places import Place

SECONDS_UNTIL_A_LOCK_IS_FREE = 30.0
"""A worker whose driver was killed lets go of its run a little later."""
GROUPS_KEPT = 64


@dataclass(frozen=True)
class GroupWork:
    """What all searches of a group have in common, as it travels to a worker.

    ``shared`` are attributes of `Parts` that were loaded once for all: a data set, a table and its judge.
    """

    out: str
    folder: str
    config: RunConfig
    data_dir: Path | None
    start: Path
    shared: Mapping[str, Stored]

    def parts(self) -> Parts:
        """Return the parts of this group that its searches share, built once in a worker."""
        key = (self.out, self.folder, tuple(stored.key for stored in self.shared.values()))
        if key not in _groups:
            while len(_groups) >= GROUPS_KEPT:
                del _groups[next(iter(_groups))]
            parts = Parts(self.config, self.data_dir, self.start)
            for name, stored in self.shared.items():
                setattr(parts, name, stored.get())
            _groups[key] = parts
        return _groups[key]


_groups: dict[Any, Parts] = {}


class CellFailure(NamedTuple):
    """A search that came to no good end."""

    seed: int
    reason: str
    disk_full: bool = False
    traceback: str | None = None


@dataclass(frozen=True)
class Done:
    """What became of a batch of searches: how many were made, in how many seconds, and which failed."""

    cells: int
    seconds: float
    failures: list[CellFailure] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Searches of one group, one after another. ``crash`` says that a worker died over the first of them."""

    group: GroupWork
    seeds: tuple[int, ...]
    baseline: Mapping[int, dict[str, Any]]
    timeout: float | None
    expendable: bool
    crash: Crash | None = None

    def run(self) -> Done:
        place, failures = Place(self.group.out), []
        parts = self.group.parts()
        if self.baseline:
            parts.training_judge.adopt(self.baseline)
        started = time.perf_counter()
        known = place.finished(self.group.folder, self.seeds)  # by a worker that was lost before it could say so
        for made, seed in enumerate(self.seeds, start=1):
            if seed not in known:
                failure = self._search(place, parts, seed)
            else:
                failure = None if known[seed] else CellFailure(seed, place.reason(f"{self.group.folder}/seed-{seed}"))
            if failure is not None:
                failures.append(failure)
                if failure.disk_full:  # the others would only fail, too
                    return Done(made, time.perf_counter() - started, failures)
        return Done(len(self.seeds), time.perf_counter() - started, failures)

    def _search(self, place: Place, group: Parts, seed: int) -> CellFailure | None:
        cell = f"{self.group.folder}/seed-{seed}"
        folder = place.workplace(cell)
        attempts = Attempts(folder, self.crash, self.timeout, self.expendable)
        parts = group.sharing(group.config.model_copy(update={"seed": seed}))
        if "loaded" in self.group.shared:
            parts.loaded = group.loaded
        given_up = time.monotonic() + SECONDS_UNTIL_A_LOCK_IS_FREE
        try:
            while True:
                try:
                    run_search(parts, folder, scoring=attempts.scoring, pictures=False)
                    break
                except RunLocked:
                    if time.monotonic() > given_up:
                        raise
                    time.sleep(0.5)
        except NasbenchError as error:
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOSPC
            if (folder / "result.json").exists():
                place.publish(cell)
            return CellFailure(seed, str(error), full)
        except OSError as error:
            return CellFailure(seed, f"{error.strerror or error}", error.errno == errno.ENOSPC, traceback.format_exc())
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return CellFailure(seed, reason, traceback=traceback.format_exc())
        attempts.over()
        place.publish(cell)
        return None


@dataclass(frozen=True)
class RandomTraining:
    """The training of one random architecture of a baseline."""

    group: GroupWork
    number: int

    def run(self) -> dict[str, Any]:
        return self.group.parts().training_judge.one_of_baseline(self.number)


def work(task: Batch | RandomTraining) -> Any:
    """Do a task in a worker."""
    return task.run()

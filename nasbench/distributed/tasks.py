"""Tasks on a Ray cluster: submitted, waited for, and, whatever became of them, handed back exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nasbench.distributed.cluster import Cluster, Stored

SECONDS_BETWEEN_CHECKS = 0.5


@dataclass(frozen=True)
class Failure:
    """Why a task came to no end.

    ``crash``: its worker process died. ``memory``: it was killed for want of memory. ``node``: the machine was lost, or
    the cluster. ``error``: its function raised an error, which is ``error``.
    """

    kind: Literal["crash", "memory", "node", "error"]
    reason: str
    error: Exception | None = None


@dataclass(frozen=True)
class Finished:
    """A task that is over: what it returned, or why it did not. ``seconds`` passed since it was submitted."""

    key: Any
    value: Any
    failure: Failure | None
    seconds: float


class Tasks(Protocol):
    """Where tasks are done: on a cluster (`TaskPool`), or one after another in this process (`TasksHere`)."""

    @property
    def running(self) -> int: ...

    @property
    def slots(self) -> int: ...

    def __len__(self) -> int: ...

    def room(self) -> bool: ...

    def put(self, item: Any) -> Stored: ...

    def submit(self, key: Any, *arguments: Any) -> None: ...

    def wait(self, seconds: float) -> list[Finished]: ...

    def cancel(self) -> None: ...


class TasksHere:
    """One task at a time in this process, which waits for it. What its function raises is raised."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._task: tuple[Any, tuple[Any, ...]] | None = None

    running = slots = 1

    def __len__(self) -> int:
        return int(self._task is not None)

    def room(self) -> bool:
        return self._task is None

    def put(self, item: Any) -> Stored:
        return Stored(item, here=True)

    def submit(self, key: Any, *arguments: Any) -> None:
        self._task = (key, arguments)

    def wait(self, seconds: float) -> list[Finished]:
        if self._task is None:
            return []
        (key, arguments), self._task = self._task, None
        began = time.monotonic()
        value = self._function(*arguments)
        return [Finished(key, value, None, time.monotonic() - began)]

    def cancel(self) -> None:
        self._task = None


class TaskPool:
    """Runs one function on a cluster, with the share of cores and GPUs that a worker gets. Ray itself repeats nothing.

    ``queue`` is how many tasks a worker may have before it, itself included: with 2 none waits for this process.
    """

    def __init__(self, cluster: Cluster, function: Callable[..., Any], queue: int = 1) -> None:
        import ray

        self.cluster = cluster
        self._ray = ray
        self._queue = queue
        options: dict[str, Any] = {"num_cpus": cluster.workers.cpus, "max_retries": 0}
        if cluster.gpus:
            options["num_gpus"] = cluster.gpus
        self._function = ray.remote(**options)(function)
        self._tasks: dict[Any, tuple[Any, float]] = {}
        self._checked = time.monotonic()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def running(self) -> int:
        """How many tasks run, if the cluster does what it can."""
        return min(len(self._tasks), self.cluster.slots())

    @property
    def slots(self) -> int:
        return self.cluster.slots()

    def room(self) -> bool:
        """Say whether another task should be submitted now."""
        return len(self._tasks) < self._queue * self.cluster.slots()

    def put(self, item: Any) -> Stored:
        return self.cluster.put(item)

    def submit(self, key: Any, *arguments: Any) -> None:
        self._tasks[self._function.remote(*arguments)] = (key, time.monotonic())

    def wait(self, seconds: float) -> list[Finished]:
        """Return the tasks that are over, after at most so many seconds; none if none is.

        Where the node of this process died, all tasks come back as failed and the cluster is started anew.
        """
        if not self._tasks:
            return []
        if time.monotonic() - self._checked > SECONDS_BETWEEN_CHECKS:
            if not self.cluster.alive():
                return self._all_lost()
            self._checked = time.monotonic()
        seconds = min(seconds, SECONDS_BETWEEN_CHECKS)
        ready, _ = self._ray.wait(list(self._tasks), timeout=seconds, fetch_local=False)
        if ready:
            ready, _ = self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0, fetch_local=False)
        return [self._finished(ref) for ref in ready]

    def cancel(self) -> None:
        """End all tasks, their workers included."""
        for ref in self._tasks:
            self._ray.cancel(ref, force=True)
        self._tasks.clear()

    def _all_lost(self) -> list[Finished]:
        lost = Failure("node", "the Ray node of this machine died")
        over = [Finished(key, None, lost, time.monotonic() - began) for key, began in self._tasks.values()]
        self._tasks.clear()
        self.cluster.restart()
        return over

    def _finished(self, ref: Any) -> Finished:
        key, began = self._tasks.pop(ref)
        seconds = time.monotonic() - began
        errors = self._ray.exceptions
        try:
            return Finished(key, self._ray.get(ref), None, seconds)
        except errors.OutOfMemoryError:
            failure = Failure("memory", "out of memory: Ray ended the worker to save its machine")
        except errors.WorkerCrashedError:
            failure = Failure("crash", "the worker process died (killed, out of memory, or a crash of native code)")
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            failure = Failure("error", f"{type(cause).__name__}: {cause}".splitlines()[0], cause)
        except errors.RayError as error:  # a lost node, a lost object, a worker that could not be started
            failure = Failure("node", f"{type(error).__name__}: {error}".splitlines()[0])
        return Finished(key, None, failure, seconds)

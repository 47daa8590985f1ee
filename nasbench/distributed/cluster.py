"""A Ray cluster to work on: one of this machine's own for the time of the work, or one that is there already."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nasbench.core.errors import BadInput, SearchFailed

SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_TO_ANSWER = 5.0
MOST_RESTARTS = 20


@dataclass(frozen=True)
class Workers:
    """Where work is done: how many workers, what each of them is given, and how long one evaluation may take.

    Attributes:
        count: tasks that run at the same time; with 0 or 1 and no address all is done in this process and Ray is not
            even imported. None: as many as the cluster at ``address`` has room for.
        cpus: processor cores of one worker, fractions allowed.
        gpus: GPUs of one worker, fractions allowed. None: on this machine its GPUs in equal shares, elsewhere none.
        address: of an existing Ray cluster (``auto``, ``host:6379``, ``ray://…``); None: this machine.
        asynchronous: of a search, whether the strategy goes on before all candidates of a batch are scored.
        timeout: seconds that one evaluation may take, None for no limit.
    """

    count: int | None = 0
    cpus: float = 1.0
    gpus: float | None = None
    address: str | None = None
    asynchronous: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        if not self.cpus > 0:
            raise BadInput(f"--cpus-per-worker must be more than 0, not {self.cpus}.")
        if self.gpus is not None and not (0 <= self.gpus < 1 or float(self.gpus).is_integer()):
            raise BadInput(f"--gpus-per-worker must be a share below 1 or a whole number, not {self.gpus}.")
        if self.timeout is not None and not self.timeout > 0:
            raise BadInput(f"--timeout-per-evaluation must be more than 0 seconds, not {self.timeout}.")

    @property
    def here(self) -> bool:
        """Whether all work is done in this process."""
        return self.address is None and self.count in (0, 1)


HERE = Workers()


class ClusterLost(SearchFailed):
    """The node of this process, or the head of the cluster, is gone."""


OBJECTS_KEPT = 8

_fetched: dict[Any, Any] = {}
"""What this worker has taken out of the cluster's store, the latest few."""


@dataclass(frozen=True)
class Stored:
    """An object in the cluster's store, or of this process. A worker takes it out of the store once and keeps it."""

    reference: Any
    here: bool = False

    @property
    def key(self) -> Any:
        """What tells stored objects apart."""
        return id(self.reference) if self.here else self.reference.hex()

    def get(self) -> Any:
        if self.here:
            return self.reference
        if self.key not in _fetched:
            import ray

            while len(_fetched) >= OBJECTS_KEPT:
                del _fetched[next(iter(_fetched))]
            _fetched[self.key] = ray.get(self.reference)
        return _fetched[self.key]


class Cluster:
    """A connection to Ray. Objects that many tasks need are stored in it once, whoever asks for them."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._ray = _ray()
        self._stored: dict[int, tuple[Any, Stored]] = {}
        self._looked_at, self._slots = -math.inf, 0
        self._restarts = 0
        self._node = ("", 0)
        self.ours = not self._ray.is_initialized()
        self._connect()
        self.gpus = self._gpus_of_a_worker()

    def put(self, item: Any) -> Stored:
        """Store an object in the cluster, the same object only once; return what tasks are given in its place."""
        if id(item) not in self._stored:
            self._stored[id(item)] = (item, Stored(self._ray.put(item)))
        return self._stored[id(item)][1]

    def slots(self) -> int:
        """Return how many tasks fit on the cluster at the same time, as it is now; at least 1."""
        now = time.monotonic()
        if now - self._looked_at > SECONDS_BETWEEN_LOOKS:
            self._looked_at, resources = now, self._ray.cluster_resources()
            room = resources.get("CPU", 0.0) / self.workers.cpus
            if self.gpus:
                room = min(room, resources.get("GPU", 0.0) / self.gpus)
            self._slots = max(1, int(room + 1e-9))
            if self.workers.count is not None:
                self._slots = min(self._slots, max(1, self.workers.count))
        return self._slots

    def alive(self) -> bool:
        """Say whether the node that this process is connected to still works: without it nothing ever comes back.

        Ray itself notices later, and then ends the process.
        """
        try:
            with socket.create_connection(self._node, SECONDS_TO_ANSWER):
                return True
        except OSError:
            return False

    def restart(self) -> None:
        """Begin with a new cluster on this machine; raise ClusterLost where the cluster was not ours to start."""
        self._restarts += 1
        if not self.ours or self.workers.address is not None or self._restarts > MOST_RESTARTS:
            raise ClusterLost("the Ray node of this process died; what was done is saved, and the same command goes on")
        self.close()
        self._stored.clear()
        self._looked_at = -math.inf
        self._connect()

    def close(self) -> None:
        if self.ours:
            self._ray.shutdown()

    def _connect(self) -> None:
        workers = self.workers
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if workers.address is None:
            assert workers.count is not None
            options |= {
                "address": "local",
                "include_dashboard": False,
                "num_cpus": math.ceil(workers.count * workers.cpus),
            }
        else:
            options["address"] = workers.address
        try:
            if self.ours:
                self._ray.init(**options)
        except Exception as error:  # Ray raises plain ones, too
            reason = (str(error).splitlines() or [repr(error)])[0]
            if workers.address is None:
                raise SearchFailed(f"Ray could not be started on this machine: {reason}") from error
            raise BadInput(f"cannot connect to the Ray cluster at '{workers.address}': {reason}") from error
        mine = self._ray.get_runtime_context().get_node_id()
        node = next(node for node in self._ray.nodes() if node["NodeID"] == mine)
        self._node = (str(node["NodeManagerAddress"]), int(node["NodeManagerPort"]))

    def _gpus_of_a_worker(self) -> float:
        resources = self._ray.cluster_resources()
        if self.workers.gpus is None:
            if self.workers.address is not None or not self.workers.count:
                return 0.0
            share = resources.get("GPU", 0.0) / self.workers.count
            return float(math.floor(share)) if share >= 1 else math.floor(share * 1000) / 1000
        if self.workers.address is None and self.workers.gpus > resources.get("GPU", 0.0):
            raise BadInput(
                f"--gpus-per-worker is {self.workers.gpus:g}, and this machine has {resources.get('GPU', 0):g} GPUs."
            )
        return self.workers.gpus


@contextmanager
def cluster(workers: Workers) -> Iterator[Cluster]:
    """Connect to Ray, or start it on this machine, for the time of the context.

    Where the calling program is connected to Ray already, that connection is used, and left as it is.
    """
    connected = Cluster(workers)
    try:
        yield connected
    finally:
        connected.close()


def _ray() -> Any:
    # Ray reports its use to its makers unless it is told not to; nobody asked for that here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise BadInput("several workers need Ray: pip install 'nasbench[ray]'; or use --workers 0.") from error
    return ray

"""One Ray cluster for all tests of a process: starting it takes seconds."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster of one raylet with two workers, to which this process is connected; more nodes can be added."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["NASBENCH_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")  # workers have it from here
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    # A node that was lost is noticed after some seconds, not after a quarter of a minute; not sooner, for on a busy
    # machine a raylet that is slow to start would count as lost.
    soon = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": soon}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield cluster
    ray.shutdown()
    cluster.shutdown()

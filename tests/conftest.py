"""What all tests share: caches of their own, and real data where it is at hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Examples are judged by what they give and not by how long a busy machine takes; and they are the same each time.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

SIBLING = Path(__file__).parents[2] / "shared" / "data"
if "NASBENCH_DATA" not in os.environ and SIBLING.is_dir():
    os.environ["NASBENCH_DATA"] = str(SIBLING)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests run side by side; small networks on several threads each only wait for one another."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep baselines and decoded images of the tests out of the user's cache."""
    monkeypatch.setenv("NASBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test wrote, so that another test's module of the same name is not taken for them."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    written = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(written):
            del sys.modules[name]


@pytest.fixture
def data() -> Path:
    """The folder of real benchmark tables and data sets; skips where there is none."""
    folder = os.environ.get("NASBENCH_DATA")
    if folder is None:
        pytest.skip("NASBENCH_DATA names no folder of benchmark data")
    return Path(folder)


@pytest.fixture
def table(data: Path) -> Path:
    """The folder of real data, with the NAS-Bench-201 table in it."""
    if not (data / "nasbench201" / "accuracy.csv.gz").exists():
        pytest.skip("the NAS-Bench-201 table is not in NASBENCH_DATA")
    return data

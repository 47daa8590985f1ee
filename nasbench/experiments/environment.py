"""What a run ran on: recorded beside its configuration, never compared."""

from __future__ import annotations

import functools
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("nasbench", "numpy", "scipy", "pandas", "networkx", "torch")


def describe_environment(data_dir: Path | None) -> dict[str, Any]:
    """Return versions, hardware, folder, data folder and command line. Imports none of the packages it names."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": hardware(),
        "folder": str(Path.cwd()),
        "data_dir": None if data_dir is None else str(data_dir.resolve()),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def hardware() -> str:
    """Return processor, cores and, if torch is loaded and sees one, the GPU."""
    text = (
        f"{_processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
    )
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name(0)}"
    return text


@functools.cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

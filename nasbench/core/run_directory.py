"""A run's folder: its configuration, its lock, its checkpoints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nasbench.core.errors import BadInput, RunLocked
from nasbench.core.ledger import Ledger
from nasbench.core.state import digest, load_state, remove_leftovers, save_state, write_json

FORMAT = 1
CHECKPOINTS_KEPT = 2


class RunDirectory:
    """One run on disk. Open it with `open_run`; close it, or use it in a ``with`` block, to release the lock."""

    def __init__(self, path: Path, lock: FileLock, resumed: bool) -> None:
        self.path = path
        self.resumed = resumed
        self._lock = lock

    def ledger(self) -> Ledger:
        """Open the ledger, with whatever it holds already."""
        return Ledger(self.path / "evaluations.jsonl")

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Write a checkpoint and drop all but the newest two. ``state["step"]`` numbers it."""
        folder = self.path / "checkpoint"
        folder.mkdir(exist_ok=True)
        save_state(folder / f"{state['step']:09d}.json", state)
        for old in self._checkpoints()[:-CHECKPOINTS_KEPT]:
            old.unlink(missing_ok=True)
            old.with_suffix(".safetensors").unlink(missing_ok=True)

    def last_checkpoint(self, evaluations: int, units: int) -> dict[str, Any] | None:
        """Return the newest state that a ledger of so many evaluations and units covers, None if there is none.

        Without one a search is replayed from its beginning. Raises BadInput if a checkpoint was damaged.
        """
        for file in reversed(self._checkpoints()):
            state = load_state(file)
            if state["evaluations"] <= evaluations and state["units"] <= units:
                return state
        return None

    def write(self, name: str, data: Any, indent: int | None = 2) -> None:
        """Write a JSON file of the run atomically."""
        write_json(self.path / name, data, indent)

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checkpoints(self) -> list[Path]:
        return sorted((self.path / "checkpoint").glob("[0-9]*.json"))


def open_run(path: Path, config: dict[str, Any], environment: dict[str, Any]) -> RunDirectory:
    """Create a run folder, or open one whose configuration is the same.

    ``config`` is what defines the run and must be equal to resume it; ``environment`` (versions, hardware) is recorded
    only. Raises BadInput with the differences if the folder holds another configuration or is not a run, RunLocked
    if another process works in it.
    """
    config = json.loads(json.dumps(config))
    file = path / "config.json"
    if path.is_dir() and not file.exists() and any(not _ours(p.name) for p in path.iterdir()):
        raise BadInput(f"{path} is not empty and not a run; choose another folder with --out.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise RunLocked(
            f"{path} is in use by another process; wait for it or choose another folder with --out."
        ) from None
    except OSError as error:
        raise BadInput(f"cannot write to {path}: {os.strerror(error.errno or 0)}.") from error
    try:
        if file.exists():
            require_same(path, config)
            remove_leftovers(path)
            return RunDirectory(path, lock, resumed=True)
        remove_leftovers(path)
        try:
            write_json(file, {"format": FORMAT, "run": config, "sha256": digest(config), "environment": environment})
        except OSError as error:
            raise BadInput(f"cannot write to {path}: {os.strerror(error.errno or 0)}.") from error
        return RunDirectory(path, lock, resumed=False)
    except BaseException:
        lock.release()
        raise


def _ours(name: str) -> bool:
    """Say whether a file is what a run that was killed while it began leaves: its lock, a file not yet renamed."""
    return name == ".lock" or (name.startswith(".config.json.") and name.endswith(".part"))


def require_same(path: Path, config: dict[str, Any]) -> None:
    """Raise BadInput with the differences if the run in a folder has another configuration."""
    found = differences(read_config(path), json.loads(json.dumps(config)))
    if found:
        raise BadInput(f"{path} holds another run: {'; '.join(found)}. Choose another folder with --out.")


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration of the run in a folder; raise BadInput if there is none or it was changed."""
    file = path / "config.json"
    if not file.exists():
        raise BadInput(f"{path} holds no run (no config.json).")
    data = read_json(file)
    if data.get("format") != FORMAT:
        raise BadInput(f"{file}: run format {data.get('format')}, this version reads format {FORMAT}.")
    if not isinstance(data.get("run"), dict):
        raise BadInput(f"{file} is not a run's configuration.")
    if data.get("sha256") != digest(data["run"]):
        raise BadInput(f"{file} was changed since the run began; what it holds would not be what was run.")
    return dict(data["run"])


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raise BadInput if the file is not one."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
    if not isinstance(data, dict):
        raise BadInput(f"{path} is not a JSON object.")
    return data


def differences(stored: dict[str, Any], given: dict[str, Any], prefix: str = "") -> list[str]:
    """Say in words where two configurations differ, nested keys joined by dots."""
    found = []
    for key in sorted({*stored, *given}):
        old, new = stored.get(key), given.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key} is {old!r} there and {new!r} here")
    return found

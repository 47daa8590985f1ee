"""Runs behind a URL, brought to this machine for a leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench.core.errors import BadInput

READ = ("result.json", "config.json", "evaluations.jsonl", "sweep.json")
"""The files that a leaderboard reads."""


def brought_here(paths: Sequence[str], folder: Path) -> list[Path]:
    """Return local folders: a path as it is, a URL that fsspec knows as a copy below ``folder``.

    Raises BadInput if a URL cannot be read.
    """
    return [
        Path(path) if "://" not in path else _copied(path, folder / f"{number}") for number, path in enumerate(paths)
    ]


def _copied(url: str, folder: Path) -> Path:
    import fsspec

    try:
        system, root = fsspec.url_to_fs(url)
        root = str(root).rstrip("/")
        files = [path for path in system.find(root) if path.rpartition("/")[2] in READ]
        copies = [folder / path.removeprefix(root).lstrip("/") for path in files]
        for copy in copies:
            copy.parent.mkdir(parents=True, exist_ok=True)
        if files:
            system.get(files, list(map(str, copies)))
    except (ImportError, ValueError, OSError) as error:
        raise BadInput(f"cannot read {url}: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    return folder

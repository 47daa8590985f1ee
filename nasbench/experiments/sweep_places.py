"""Where the runs of a sweep lie: in a folder that all workers see, or behind a URL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nasbench.core.errors import BadInput
from nasbench.core.locations import cache_folder
from nasbench.core.state import digest, write_atomically

RESULT = "result.json"
LAST = (RESULT,)
"""Uploaded after all else: its existence means that the run is whole."""
NOT_KEPT = (".lock", "attempt.json")


def place_of(out: str) -> Place:
    """Return the place that a user means: a folder is the same for all workers, wherever they were started."""
    return Place(out if "://" in out.removeprefix("file://") else str(Path(out.removeprefix("file://")).resolve()))


@dataclass(frozen=True)
class Place:
    """The results of a sweep: ``out`` is a folder or a URL that fsspec knows (``s3://bucket/sweep``).

    In a folder a search is made where it lies. Behind a URL there are neither locks nor renames: a search is made in a
    folder of the worker's machine and uploaded when it is finished, ``result.json`` last.
    """

    out: str

    @property
    def local(self) -> Path | None:
        """The folder, None if it is a URL."""
        return None if "://" in self.out else Path(self.out)

    def workplace(self, cell: str) -> Path:
        """Return the folder in which a cell is worked on."""
        if self.local is not None:
            return self.local / cell
        return cache_folder() / "sweeps" / digest(self.out)[:12] / cell

    def finished(self, folder: str, seeds: Iterable[int]) -> dict[int, bool]:
        """Return the seeds of a group whose runs are finished, and whether they found anything."""
        if self.local is not None:
            root = self.local / folder
            if not root.is_dir():
                return {}
            done = [seed for seed in seeds if (root / f"seed-{seed}" / RESULT).exists()]
            return {seed: (root / f"seed-{seed}" / "architecture.json").exists() for seed in done}
        self._fs.invalidate_cache()  # others write there, too
        results, found = (
            {
                int(path.split("/")[-2].removeprefix("seed-"))
                for path in self._fs.glob(f"{self._root}/{folder}/seed-*/{name}")
            }
            for name in (RESULT, "architecture.json")
        )
        return {seed: seed in found for seed in seeds if seed in results}

    def reason(self, cell: str) -> str:
        """Return why a finished run found nothing."""
        try:
            return str(json.loads(self.read(f"{cell}/{RESULT}"))["verdict_sentence"])
        except (OSError, ValueError, KeyError) as error:
            return f"its {RESULT} cannot be read ({error!r})"

    def progress(self, cell: str) -> Any:
        """Return something that differs once a run has got further, None where that cannot be seen."""
        if self.local is None:
            return None
        folder = self.local / cell
        ledger = folder / "evaluations.jsonl"
        checkpoints = sorted(path.name for path in folder.glob("checkpoint/*.json"))
        return (ledger.stat().st_size if ledger.exists() else 0, checkpoints, len(list(folder.glob("final/*.json"))))

    def publish(self, cell: str) -> None:
        """Bring a finished run from its workplace to where it belongs."""
        if self.local is not None:
            return
        folder = self.workplace(cell)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_KEPT)
        for path in sorted(files, key=lambda path: path.name in LAST):
            self.write(f"{cell}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        shutil.rmtree(folder)

    def write(self, name: str, data: bytes) -> None:
        if self.local is not None:
            (self.local / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.local / name, data)
            return
        path = f"{self._root}/{name}"
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, data)

    def read(self, name: str) -> bytes:
        return (self.local / name).read_bytes() if self.local is not None else self._fs.cat_file(f"{self._root}/{name}")

    @cached_property
    def _parts(self) -> tuple[Any, str]:
        import fsspec

        try:
            system, root = fsspec.url_to_fs(self.out)
            return system, str(root)
        except (ImportError, ValueError) as error:
            raise BadInput(f"cannot write to {self.out}: {error}") from error

    @property
    def _fs(self) -> Any:
        return self._parts[0]

    @property
    def _root(self) -> str:
        return self._parts[1].rstrip("/")

"""Where data lies on this machine. Imports neither torch nor numpy: tables and data sets share this search order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import platformdirs

from nasbench.core.errors import BadInput

DATA_VARIABLE = "NASBENCH_DATA"
CACHE_VARIABLE = "NASBENCH_CACHE"


def cache_folder() -> Path:
    """Return the folder for what can be computed again: ``NASBENCH_CACHE``, else the user's cache folder."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("nasbench"))


def user_data_folder() -> Path:
    """Return the folder into which data is imported: ``NASBENCH_DATA``, else the user's data folder."""
    given = os.environ.get(DATA_VARIABLE)
    return Path(given).expanduser() if given else Path(platformdirs.user_data_dir("nasbench"))


def data_folders(data_dir: Path | None = None) -> list[Path]:
    """Return the folders searched for data, first match wins: ``data_dir``, ``NASBENCH_DATA``, the user's data folder.

    ``data_dir`` may also be one file (an archive). Only a given ``data_dir`` must exist; BadInput if it does not.
    """
    folders = []
    if data_dir is not None:
        folder = Path(data_dir).expanduser()
        if not folder.exists():
            raise BadInput(f"the data folder {data_dir} does not exist.")
        folders.append(folder)
    folders += [user_data_folder(), Path(platformdirs.user_data_dir("nasbench"))]
    return list(dict.fromkeys(folders))


def find(relative_names: str | Iterable[str], data_dir: Path | None = None) -> Path | None:
    """Return the first existing file or folder of that name, None if there is none.

    ``relative_names`` are paths as they stand in a data folder (``"nasbench201/accuracy.csv.gz"``), the preferred one
    first; a folder earlier in the search order beats a name earlier in the list. ``data_dir`` may be such a folder, or
    one data set's own: the folder ``nasbench201`` itself, any folder that holds ``accuracy.csv.gz``, or that file.
    """
    names = [relative_names] if isinstance(relative_names, str) else list(relative_names)
    for folder in data_folders(data_dir):
        for name in names:
            parts = PurePosixPath(name).parts
            candidates = [folder.joinpath(*parts)]
            if data_dir is not None and folder == Path(data_dir).expanduser():
                candidates += [folder.joinpath(*parts[start:]) for start in range(1, len(parts))]
                if folder.resolve().name == parts[-1]:
                    candidates.append(folder)
            for candidate in candidates:
                if candidate.exists():
                    return candidate
    return None

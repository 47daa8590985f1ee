"""Get a data set from its author's site, on the user's explicit demand alone."""

from __future__ import annotations

from pathlib import Path

import pooch

from nasbench.core.errors import BadInput, unknown
from nasbench.datasets.cifar import CIFAR


def download(name: str, folder: Path) -> Path:
    """Download the archive of ``cifar10`` or ``cifar100`` into a folder and return its path.

    The MD5 published beside it is verified; a file that is there already with that sum is not loaded again, one with
    another sum is replaced. Raises BadInput for another name, no connection, a wrong checksum, a folder not writable.
    """
    cifar = CIFAR.get(name.lower())
    if cifar is None:
        raise unknown("data set to download", name, CIFAR)
    try:
        # pooch writes beside the target, verifies, and renames: an interrupted download leaves nothing half done.
        return Path(pooch.retrieve(cifar.url, f"md5:{cifar.md5}", fname=cifar.archive, path=folder))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
        reason = str(error).splitlines()[0]
        raise BadInput(f"{cifar.title} could not be loaded from {cifar.url}: {reason}") from error

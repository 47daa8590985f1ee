"""Find the data set that a name stands for. Imports torch only when one is loaded, so listing them is instant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import data_folders, find

if TYPE_CHECKING:
    from nasbench.core.problem import Task
    from nasbench.datasets.images import Source
    from nasbench.datasets.splits import LoadedTask

DESCRIPTIONS = {
    "digits": "1,797 grey images of handwritten digits, 8x8, 10 classes; comes with scikit-learn, needs no download",
    "cifar10": "60,000 colour photographs, 32x32, 10 classes; get it with: nasbench data import cifar10",
    "cifar100": "60,000 colour photographs, 32x32, 100 classes; get it with: nasbench data import cifar100",
}


def describe() -> dict[str, str]:
    """Return one line on each built-in data set."""
    return dict(DESCRIPTIONS)


def load_task(
    name: str,
    *,
    data_dir: Path | None,
    split_seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    image_size: int | None = None,
) -> Task:
    """Load an image task; see `load_task_with_split`."""
    return load_task_with_split(
        name, data_dir=data_dir, split_seed=split_seed, validation=validation, test=test, image_size=image_size
    ).task


def load_task_with_split(
    name: str,
    *,
    data_dir: Path | None,
    split_seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    image_size: int | None = None,
) -> LoadedTask:
    """Load an image task together with the record of its split.

    ``name`` is, the first that fits: a built-in data set (any case); ``module:name`` (see
    `nasbench.datasets.torch_dataset.load_object`); the path of a folder or an archive with a folder for each class
    (see `nasbench.datasets.image_folder.read_image_folder`); such a folder or archive in a data folder (``flowers``
    finds ``flowers/`` or ``flowers.tar.gz``; see `nasbench.core.locations.find`).

    ``validation`` is the fraction of the training images set aside for the search to score on. ``test`` is used only
    where the source has no test part: 0.2 and 0.2 then give 60 / 20 / 20 percent. ``image_size`` scales image folders.
    Raises MissingData if a built-in data set is not on this machine, BadInput for everything else that is wrong.
    """
    from nasbench.datasets.splits import make_task

    if _is_object(name):
        from nasbench.datasets.torch_dataset import load_object

        root = data_folders(data_dir)[0]
        return load_object(name, root, seed=split_seed, validation=validation, test=test)
    title, source = read_source(name, data_dir, image_size)
    return make_task(title, source, seed=split_seed, validation=validation, test=test)


def read_source(name: str, data_dir: Path | None, image_size: int | None) -> tuple[str, Source]:
    """Return the title and the images of a data set that is no ``module:name``; see `load_task_with_split`."""
    from nasbench.datasets.image_folder import read_image_folder, task_name

    lower = name.lower()
    if lower == "digits":
        from nasbench.datasets.digits import read_digits

        return lower, read_digits()
    if lower in DESCRIPTIONS:
        return lower, _read_cifar(lower, data_dir, image_size)
    path = Path(name).expanduser()
    if path.exists():
        return task_name(path), read_image_folder(path, image_size)
    if _looks_like_path(name):
        raise BadInput(f"there is no file or folder {name}.")
    found = find(_image_names(name), data_dir)
    if found is None:
        raise unknown("data set", name, DESCRIPTIONS)
    return task_name(found), read_image_folder(found, image_size)


def locate(name: str, data_dir: Path | None) -> Path | None:
    """Return where the files of CIFAR-10 or CIFAR-100 lie, in whichever form, None if they are on no data folder."""
    from nasbench.datasets.cifar import CIFAR

    cifar = CIFAR[name]
    return find([cifar.folder, cifar.archive, *_image_names(name)], data_dir)


def _read_cifar(name: str, data_dir: Path | None, image_size: int | None) -> Source:
    from nasbench.datasets.cifar import CIFAR, read_cifar
    from nasbench.datasets.image_folder import read_image_folder

    cifar = CIFAR[name]
    own = [cifar.folder, cifar.archive]
    found = locate(name, data_dir)
    if found is None:
        folders = ", ".join(str(folder) for folder in data_folders(data_dir))
        raise MissingData(
            f"{cifar.title} (60,000 images, {cifar.archive} from {cifar.url}) is not in {folders}. "
            f"Get it with: nasbench data import {name}; or name the folder that holds it with --data-dir."
        )
    return read_cifar(found, cifar) if found.name in own else read_image_folder(found, image_size)


def _image_names(name: str) -> list[str]:
    from nasbench.datasets.archives import SUFFIXES

    return [f"{stem}{suffix}" for stem in (name, f"{name}-jpeg") for suffix in ("", *SUFFIXES)]


def _looks_like_path(name: str) -> bool:
    from nasbench.datasets.archives import is_archive_name

    return name.startswith((".", "~")) or "/" in name or "\\" in name or is_archive_name(name)


def _is_object(name: str) -> bool:
    return ":" in name and not Path(name).exists() and "/" not in name and "\\" not in name

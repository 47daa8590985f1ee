"""Find the data set that a name stands for. Imports torch only when one is loaded, so listing them is instant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nasbench.core.errors import BadInput, MissingData, unknown
from nasbench.core.locations import data_folders, find

if TYPE_CHECKING:
    from nasbench.core.problem import Task
    from nasbench.datasets.graph_splits import GraphSource, NodeSource
    from nasbench.datasets.images import Source
    from nasbench.datasets.splits import LoadedTask

DESCRIPTIONS = {
    "digits": "1,797 grey images of handwritten digits, 8x8, 10 classes; comes with scikit-learn, needs no download",
    "cifar10": "60,000 colour photographs, 32x32, 10 classes; get it with: nasbench data import cifar10",
    "cifar100": "60,000 colour photographs, 32x32, 100 classes; get it with: nasbench data import cifar100",
    "cora": "citation graph of 2,708 papers, 1,433 words, 7 classes; get its files, then: nasbench data import FOLDER",
    "citeseer": "citation graph of 3,327 papers, 3,703 words, 6 classes; got like cora",
    "pubmed": "citation graph of 19,717 papers, 500 words, 3 classes; got like cora",
    "karate": "graph of 34 members of a karate club, 2 classes; comes with networkx, needs no download",
}
CITATIONS = ("cora", "citeseer", "pubmed")
GRAPH_DATASETS = (*CITATIONS, "karate")


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
    """Load a task; see `load_task_with_split`."""
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
    """Load a task together with the record of its split.

    ``name`` is, the first that fits: a built-in data set (any case); ``module:name`` (see
    `nasbench.datasets.torch_dataset.load_object`); a path of images or graphs (see `read_path`); such a folder or file
    in a data folder (``flowers`` finds ``flowers/`` or ``flowers.tar.gz``; see `nasbench.core.locations.find`). Behind
    the name of graphs may stand how to split them: ``cora@random`` (see `nasbench.datasets.graph_splits`).

    ``validation`` is the fraction of the training images set aside for the search to score on. ``test`` is used only
    where the source has no test part: 0.2 and 0.2 then give 60 / 20 / 20 percent. Of graphs, both are used by the split
    ``stratified`` alone. ``image_size`` scales image folders.
    Raises MissingData if a built-in data set is not on this machine, BadInput for everything else that is wrong.
    """
    from nasbench.datasets.graph_splits import check_split, make_graph_task
    from nasbench.datasets.images import Source
    from nasbench.datasets.splits import make_task

    name, behind = divide(name)
    split = None if behind is None else check_split(behind)
    if _is_object(name):
        from nasbench.datasets.torch_dataset import load_object

        root = data_folders(data_dir)[0]
        return load_object(name, root, seed=split_seed, validation=validation, test=test, split=split)
    title, source = read_source(name, data_dir, image_size)
    if not isinstance(source, Source):
        return make_graph_task(title, source, split, seed=split_seed, validation=validation, test=test)
    if split is not None:
        raise BadInput(f"'{name}' has images; '@{split}' is a way to split graphs.")
    return make_task(title, source, seed=split_seed, validation=validation, test=test)


def divide(name: str) -> tuple[str, str | None]:
    """Return the name of a data set and what stands behind its last ``@``; None if there is none, or a path has it."""
    before, at, behind = name.rpartition("@")
    return (before, behind) if at and not Path(name).expanduser().exists() else (name, None)


def spelled(name: str) -> str:
    """Return the one spelling of a built-in data set and its split; any other name as it is."""
    before, behind = divide(name)
    if before.lower() not in DESCRIPTIONS:
        return name
    split = None if behind is None else behind.lower()
    if split in (None, "given", "public") and before.lower() in CITATIONS:
        return before.lower()
    return before.lower() if split is None else f"{before.lower()}@{split}"


def read_source(
    name: str, data_dir: Path | None, image_size: int | None
) -> tuple[str, Source | NodeSource | GraphSource]:
    """Return the title and the data of a data set that is no ``module:name``; see `load_task_with_split`."""
    lower = name.lower()
    if lower in CITATIONS:
        from nasbench.datasets.planetoid import TITLES, read_built_in

        return TITLES[lower], read_built_in(lower, data_dir)
    if lower == "karate":
        from nasbench.datasets.karate import read_karate

        return lower, read_karate()
    if lower == "digits":
        from nasbench.datasets.digits import read_digits

        return lower, read_digits()
    if lower in DESCRIPTIONS:
        return lower, _read_cifar(lower, data_dir, image_size)
    path = Path(name).expanduser()
    if path.exists():
        return read_path(path, image_size)
    if _looks_like_path(name):
        raise BadInput(f"there is no file or folder {name}.")
    found = find(_image_names(name), data_dir)
    if found is None:
        raise unknown("data set", name, DESCRIPTIONS)
    return read_path(found, image_size)


def read_path(path: Path, image_size: int | None) -> tuple[str, Source | NodeSource | GraphSource]:
    """Return the title and the data at a path, recognised by what is there, the first that fits.

    A folder with the files ``ind.NAME.*`` of one graph (see `nasbench.datasets.planetoid.read_planetoid`); a data set
    that torch-geometric has stored (see `nasbench.datasets.pyg_data.stored_file`); a folder or an archive with a folder
    of images for each class (see `nasbench.datasets.image_folder.read_image_folder`).
    """
    from nasbench.datasets.image_folder import read_image_folder, task_name
    from nasbench.datasets.planetoid import TITLES, names_in, read_planetoid
    from nasbench.datasets.pyg_data import read_stored, stored_file

    names = names_in(path)
    if len(names) > 1:
        raise BadInput(f"{path} holds {len(names)} graphs: {', '.join(names)}; give each a folder of its own.")
    if names:
        return TITLES.get(names[0], names[0]), read_planetoid(path, names[0])
    stored = stored_file(path)
    if stored is not None:
        whole = path if path.is_file() or path.resolve().name != "processed" else path.resolve().parent
        return task_name(whole).removesuffix(".pt"), read_stored(stored)
    return task_name(path), read_image_folder(path, image_size)


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

    return name.startswith((".", "~")) or "/" in name or "\\" in name or name.endswith(".pt") or is_archive_name(name)


def _is_object(name: str) -> bool:
    return ":" in name and not Path(name).exists() and "/" not in name and "\\" not in name

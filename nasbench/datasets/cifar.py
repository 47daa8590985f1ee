"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in the format their author distributes for Python."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from nasbench.core import restricted_pickle
from nasbench.core.errors import BadInput
from nasbench.datasets.archives import read_archive
from nasbench.datasets.images import Images, Source, as_images

SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets: where it comes from and how its files are called."""

    title: str
    archive: str
    folder: str
    md5: str
    training_files: tuple[str, ...]
    testing_file: str
    label_key: bytes
    classes: int

    @property
    def url(self) -> str:
        return f"https://www.cs.toronto.edu/~kriz/{self.archive}"


CIFAR = {
    "cifar10": Cifar(
        title="CIFAR-10",
        archive="cifar-10-python.tar.gz",
        folder="cifar-10-batches-py",
        md5="c58f30108f718f92721af3b95e74349a",
        training_files=tuple(f"data_batch_{number}" for number in range(1, 6)),
        testing_file="test_batch",
        label_key=b"labels",
        classes=10,
    ),
    "cifar100": Cifar(
        title="CIFAR-100",
        archive="cifar-100-python.tar.gz",
        folder="cifar-100-python",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        training_files=("train",),
        testing_file="test",
        label_key=b"fine_labels",
        classes=100,
    ),
}


def read_cifar(path: Path, cifar: Cifar) -> Source:
    """Read the archive, or the folder that it unpacks to. The images' order is that of the files.

    Raises BadInput if a file is missing, damaged, or holds anything but images and labels.
    """
    wanted = (*cifar.training_files, cifar.testing_file)
    parts = {name: _read_batch(f"{path}: {name}", data, cifar) for name, data in _files(path, cifar, wanted)}
    if missing := [name for name in wanted if name not in parts]:
        raise BadInput(f"{path} lacks '{missing[0]}' of {cifar.title}; get {cifar.archive} again from {cifar.url}.")
    training = [parts[name] for name in cifar.training_files]
    names = tuple(str(label) for label in range(cifar.classes))
    joined = as_images(
        np.concatenate([part.images.numpy() for part in training]),
        np.concatenate([part.labels.numpy() for part in training]),
    )
    return Source(joined, parts[cifar.testing_file], names, path.resolve().name)


def _files(path: Path, cifar: Cifar, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for name in wanted:
            try:
                yield name, (path / name).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise BadInput(f"{path / name} cannot be read: {error.strerror}.") from error
        return
    for name, data in read_archive(path):
        place = PurePosixPath(name)
        if data is not None and place.name in wanted and place.parent.name == cifar.folder:
            yield place.name, data


def _read_batch(name: str, data: bytes, cifar: Cifar) -> Images:
    batch: Any = restricted_pickle.load(name, io.BytesIO(data))
    pixels, labels = (batch.get(b"data"), batch.get(cifar.label_key)) if isinstance(batch, dict) else (None, None)
    row = int(np.prod(SHAPE))
    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.shape[1:] == (row,)):
        raise BadInput(f"{name} is not a batch of {cifar.title}: it has no uint8 array of rows of {row}.")
    if not (isinstance(labels, list) and len(labels) == len(pixels) and set(map(type, labels)) <= {int}):
        raise BadInput(f"{name} is not a batch of {cifar.title}: it has not one whole number a label and image.")
    if wrong := [label for label in labels if not 0 <= label < cifar.classes]:
        raise BadInput(f"{name}: label {wrong[0]}; {cifar.title} has labels 0 to {cifar.classes - 1}.")
    return as_images(np.ascontiguousarray(pixels).reshape(-1, *SHAPE), labels)

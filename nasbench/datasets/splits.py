"""Stratified splits, and the task that a source of images becomes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nasbench.core.errors import BadInput
from nasbench.core.problem import SearchTask, Task
from nasbench.core.seeding import Rng, generator
from nasbench.datasets.images import Source

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LoadedTask:
    """A task with the record of its split, plain data that a run stores.

    ``split`` holds the ``seed``, the fractions asked for, the ``sizes`` of the three parts, the ``classes``, the
    ``origin`` of the data, and ``validation_indices``: the positions of the validation images in the training part as
    the source lists it. Where the source has no test part of its own, ``test_indices`` is not None and both lists are
    positions in the whole source. ``sha256`` identifies the two lists.
    """

    task: Task
    split: dict[str, Any]


def split_record(loaded: LoadedTask) -> dict[str, Any]:
    """Return what a run stores of a split; see `LoadedTask`."""
    return loaded.split


def stratified_split(labels: npt.NDArray[np.int64], fraction: float, rng: Rng) -> tuple[Indices, Indices]:
    """Split positions 0..n-1 into (kept, held out), ``fraction`` of each class held out; both in rising order.

    The number held out is ``round(n * fraction)``, shared among the classes by largest remainder; every class keeps
    and gives at least one image, so each class needs two.
    """
    counts = np.bincount(labels)
    exact = counts * fraction
    quota = np.floor(exact).astype(np.int64)
    missing = round(len(labels) * fraction) - int(quota.sum())
    quota[np.argsort(quota - exact, kind="stable")[: max(missing, 0)]] += 1
    quota = np.clip(quota, 1, np.maximum(counts - 1, 1))
    held = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:q] for c, q in enumerate(quota)])
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def make_task(name: str, source: Source, *, seed: int, validation: float, test: float) -> LoadedTask:
    """Split a source into train, validation and test.

    ``validation`` and ``test`` are fractions of the source's training part; ``test`` counts only where the source has
    no test part: then 0.2 and 0.2 give 60 / 20 / 20 percent. The test split depends on the seed and ``test`` alone.
    Raises BadInput for fractions outside 0..1, or a class with too few images to be in every part.
    """
    check_source(source)
    own_test = source.held_out is not None
    check_fractions(validation, None if own_test else test)
    labels = source.training.labels.numpy()
    check_counts(labels, source.class_names, 2 if own_test else 3)

    test_indices: Indices | None = None
    remaining: Indices = np.arange(len(labels))
    share = validation
    held_out = source.held_out
    if held_out is None:
        remaining, test_indices = stratified_split(labels, test, generator(seed, "test split"))
        held_out = source.training.subset(test_indices)
        share = validation / (1 - test)
    train, valid = stratified_split(labels[remaining], share, generator(seed, "validation split"))
    train_indices, validation_indices = remaining[train], remaining[valid]

    chosen = {
        "validation_indices": validation_indices.tolist(),
        "test_indices": None if test_indices is None else test_indices.tolist(),
    }
    sha256 = hashlib.sha256(json.dumps(chosen).encode()).hexdigest()
    digests = {part: images.digest() for part, images in source.parts()}
    fingerprint = hashlib.sha256(json.dumps([digests, sha256, list(source.class_names)]).encode()).hexdigest()
    search = SearchTask(
        name=name,
        kind="image",
        input_shape=source.training.shape,
        classes=len(source.class_names),
        train=source.training.subset(train_indices),
        validation=source.training.subset(validation_indices),
        fingerprint=fingerprint,
    )
    split = {
        "seed": seed,
        "validation": validation,
        "test": None if own_test else test,
        "sizes": {"train": len(train_indices), "validation": len(validation_indices), "test": len(held_out)},
        "classes": list(source.class_names),
        "origin": source.origin,
        **chosen,
        "sha256": sha256,
    }
    return LoadedTask(Task(search, held_out), split)


def check_source(source: Source) -> None:
    """Raise BadInput unless both parts have images of one shape, labels within the classes, and 2 classes or more."""
    classes = len(source.class_names)
    if classes < 2:
        raise BadInput(f"{source.origin} has {classes} class{'es' * (not classes)}; classification needs at least 2.")
    for part, images in source.parts():
        if not len(images):
            raise BadInput(f"{source.origin}: the {part} part has no images.")
        if images.shape != source.training.shape:
            raise BadInput(f"{source.origin}: {part} images are {images.shape}, train images {source.training.shape}.")
        low, high = int(images.labels.min()), int(images.labels.max())
        if low < 0 or high >= classes:
            wrong = low if low < 0 else high
            raise BadInput(f"{source.origin}: label {wrong} in the {part} part; allowed are 0 to {classes - 1}.")


def check_fractions(validation: float, test: float | None) -> None:
    """Raise BadInput unless every part gets a fraction; ``test`` is None where the source has its own test part."""
    for part, fraction in (("validation", validation), ("test", test)):
        if fraction is not None and not 0 < fraction < 1:
            raise BadInput(f"the {part} fraction must be between 0 and 1, not {fraction}.")
    if test is not None and validation + test >= 1:
        raise BadInput(f"validation {validation} and test {test} must leave a fraction to train on.")


def check_counts(
    labels: npt.NDArray[np.int64], class_names: Sequence[str], least: int, what: str = "training images"
) -> None:
    """Raise BadInput naming the first class that has fewer members than the parts to be made."""
    counts = np.bincount(labels, minlength=len(class_names))
    for name, count in zip(class_names, counts.tolist(), strict=True):
        if count < least:
            raise BadInput(f"class '{name}' has {count} {what}; at least {least} are needed to split them.")

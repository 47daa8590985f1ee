"""CIFAR-10 photographs at a size that a processor bears: fewer of them, 16x16.

Usable as data sets of the command line, in a folder from which ``benchmarks`` can be imported:

    nasbench search --dataset benchmarks.small_cifar:photos8000 --data-dir DATA ...
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from nasbench.core.problem import Task
from nasbench.datasets.images import Images, Source
from nasbench.datasets.load import read_source
from nasbench.datasets.splits import make_task

SIDE = 16


def photos4000(root: Path, seed: int) -> Task:
    """2,000 photographs to train on, 2,000 to validate on, 10,000 to test on."""
    return _task("cifar10-16x16-4000", root, seed, 400)


def photos8000(root: Path, seed: int) -> Task:
    """4,000 photographs to train on, 4,000 to validate on, 10,000 to test on."""
    return _task("cifar10-16x16-8000", root, seed, 800)


def _task(name: str, root: Path, seed: int, per_class: int) -> Task:
    _, source = read_source("cifar10", root, SIDE)
    assert isinstance(source, Source)
    fewer = replace(source, training=first_of_each_class(source.training, per_class))
    return make_task(name, fewer, seed=seed, validation=0.5, test=0.2).task


def first_of_each_class(images: Images, count: int) -> Images:
    """Return the first ``count`` images of every class, classes one after another."""
    classes = int(images.labels.max()) + 1
    positions = [torch.nonzero(images.labels == label).flatten()[:count] for label in range(classes)]
    return images.subset(torch.cat(positions))

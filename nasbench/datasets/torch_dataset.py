"""The user's own data: `torch.utils.data.Dataset`, or a function that returns a task, named ``module:name``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from nasbench.core.errors import BadInput, NasbenchError, unknown
from nasbench.core.problem import GRAPH_KINDS, Task
from nasbench.datasets.graph_splits import check_graph_task, make_graph_task
from nasbench.datasets.images import Images, Source, as_images
from nasbench.datasets.pyg_data import is_graph_data, source_of
from nasbench.datasets.splits import LoadedTask, make_task

PARAMETERS = ("root", "seed", "train")


def task_from_datasets(name: str, train: Any, test: Any, validation: float = 0.2, seed: int = 0) -> Task:
    """Make a task of two map-style datasets of (image, label) items; labels are 0..classes-1.

    ``train`` loses the fraction ``validation`` to the validation part, stratified. Images may be uint8 or float (0..1)
    tensors [c, h, w] or [h, w], numpy arrays [h, w, c] or [h, w], or PIL images; each is read once, so a transform
    must not be random and must not normalise. Raises BadInput naming the item that does not fit.
    """
    source = source_from_datasets(name, train, test)
    return make_task(name, source, seed=seed, validation=validation, test=0.0).task


def source_from_datasets(name: str, train: Any, test: Any | None) -> Source:
    """Read one or two datasets into memory. Every label 0..classes-1 must occur in ``train``."""
    training = _read_dataset(f"{name} (train)", train)
    held_out = None if test is None else _read_dataset(f"{name} (test)", test)
    present = set(training.labels.tolist())
    classes = max(present) + 1
    if absent := sorted(set(range(classes)) - present):
        raise BadInput(f"{name}: labels go up to {classes - 1}, but no training item has label {absent[0]}.")
    return Source(training, held_out, tuple(str(label) for label in range(classes)), name)


def load_object(
    spec: str, root: Path, *, seed: int, validation: float, test: float, split: str | None = None
) -> LoadedTask:
    """Load what ``module:name`` stands for: a dataset, a dataset class, or a function returning a dataset or a `Task`.

    The module may be a file in the current directory. Classes and functions are called with those of the parameters
    ``root`` (a Path), ``seed`` and ``train`` that they have. With ``train``, as in torchvision, it is called twice, for
    the train and the test part; a function may also return a pair (train, test); any other dataset is split three ways.

    Graphs are a ``Data`` of torch-geometric, a list of them or a data set of them, split as ``split`` says (see
    `nasbench.datasets.graph_splits.make_graph_task`).
    """
    found = _resolve(spec)
    if is_graph_data(found):
        made: Any = found
    elif not isinstance(found, type) and _is_dataset(found):
        made = found
    elif callable(found):
        made = _call(spec, found, {"root": root, "seed": seed, "train": True})
    else:
        raise BadInput(f"'{spec}' is a {type(found).__name__}; expected a dataset, or a function that returns one.")
    if is_graph_data(made):
        return make_graph_task(spec, source_of(made, spec), split, seed=seed, validation=validation, test=test)
    if split is not None:
        raise BadInput(f"'{spec}' is no graph; '@{split}' is a way to split graphs.")
    if isinstance(made, Task):
        if made.search.kind in GRAPH_KINDS:
            check_graph_task(made, spec)
        return LoadedTask(made, {"seed": seed, "origin": spec})
    if isinstance(made, tuple) and len(made) == 2 and all(map(_is_dataset, made)):
        source = source_from_datasets(spec, *made)
    elif callable(found) and made is not found and "train" in _parameters(found):
        second = _call(spec, found, {"root": root, "seed": seed, "train": False})
        source = source_from_datasets(spec, made, second)
    else:
        source = source_from_datasets(spec, made, None)
    return make_task(spec, source, seed=seed, validation=validation, test=test)


def _is_dataset(value: Any) -> bool:
    return hasattr(value, "__getitem__") and hasattr(value, "__len__")


def _resolve(spec: str) -> Any:
    module_name, _, name = spec.partition(":")
    module_name = module_name.removesuffix(".py")
    if not all(part.isidentifier() for part in module_name.split(".")) or not name.isidentifier():
        raise BadInput(f"'{spec}' is not of the form module:name, such as my_data:photos.")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.split(".")[: error.name.count(".") + 1] == error.name.split("."):
            raise BadInput(f"there is no module '{module_name}' here or among the installed packages.") from None
        raise BadInput(f"importing '{module_name}' failed: {error}.") from error
    except Exception as error:  # whatever the user's module raises
        raise BadInput(f"importing '{module_name}' failed: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(here)
    if not hasattr(module, name):
        raise unknown(f"name in {module_name}", name, (n for n in vars(module) if not n.startswith("_")))
    return getattr(module, name)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built in C, without a signature
        return {}


def _call(spec: str, function: Callable[..., Any], values: dict[str, Any]) -> Any:
    parameters = _parameters(function)
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if strange := [name for name in required if name not in values]:
        raise BadInput(f"'{spec}' needs the argument '{strange[0]}'; allowed are {', '.join(PARAMETERS)}.")
    try:
        return function(**{name: value for name, value in values.items() if name in parameters})
    except NasbenchError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise BadInput(f"'{spec}' failed: {type(error).__name__}: {error}") from error


def _read_dataset(name: str, dataset: Any) -> Images:
    if not _is_dataset(dataset):
        raise BadInput(f"{name} is a {type(dataset).__name__}, not a dataset with items and a length.")
    pixels: npt.NDArray[np.uint8] | None = None
    labels = np.empty(len(dataset), np.int64)
    for index in range(len(dataset)):
        where = f"{name}: item {index}"
        try:
            image, label = dataset[index]
        except Exception as error:  # whatever the user's dataset raises
            raise BadInput(f"{where} is not an (image, label) pair: {type(error).__name__}: {error}") from error
        array = _as_array(where, image)
        if pixels is None:
            pixels = np.empty((len(dataset), *array.shape), np.uint8)
        if array.shape != pixels.shape[1:]:
            raise BadInput(f"{where} has shape {array.shape}, earlier ones {pixels.shape[1:]}; bring them to one size.")
        pixels[index] = array
        labels[index] = _as_label(where, label)
    if pixels is None:
        raise BadInput(f"{name} has no items.")
    return as_images(pixels, labels)


def _as_array(where: str, image: Any) -> npt.NDArray[np.uint8]:
    """Return an image of any allowed kind as uint8 [c, h, w]."""
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    if isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        array = array[None] if array.ndim == 2 else array
    elif isinstance(image, np.ndarray):
        array = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    else:
        raise BadInput(f"{where} is a {type(image).__name__}; allowed are tensors, numpy arrays and PIL images.")
    if array.ndim != 3:
        raise BadInput(f"{where} has {array.ndim} dimensions; allowed are tensors [c, h, w] and arrays [h, w, c].")
    if np.issubdtype(array.dtype, np.floating):
        if not (array.size and array.min() >= 0 and array.max() <= 1):
            raise BadInput(f"{where} has values outside 0..1; give images before normalisation.")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise BadInput(f"{where} is of type {array.dtype}; allowed are uint8 and floats in 0..1.")
    return array


def _as_label(where: str, label: Any) -> int:
    value = label.item() if isinstance(label, torch.Tensor | np.ndarray) and label.size == 1 else label
    if isinstance(label, torch.Tensor) and label.numel() == 1:
        value = label.item()
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise BadInput(f"{where} has the label {label!r}; labels are whole numbers from 0.")
    return int(value)

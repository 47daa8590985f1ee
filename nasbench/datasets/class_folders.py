"""Which class and which part a file belongs to, by its path: ``train/<class>/...`` or only ``<class>/...``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from nasbench.core.errors import BadInput

PARTS = ("train", "test")
LITTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True)
class Layout:
    """``members`` of each part, sorted: (file name, position of its class in ``class_names``)."""

    class_names: tuple[str, ...]
    members: dict[str, list[tuple[str, int]]]


def is_litter(name: str) -> bool:
    """Say whether a path is hidden or a file manager's own (``.DS_Store``, ``__MACOSX/``, ``Thumbs.db``)."""
    return any(part.lower() in LITTER or part.startswith(".") for part in PurePosixPath(name).parts)


def layout(origin: str, files: Iterable[str], folders: Iterable[str]) -> Layout:
    """Sort files into parts and classes; classes are sorted by name.

    One folder around everything is ignored, and so are files that lie in no class folder. Without a ``test`` part
    there is only ``"train"`` in the result. Raises BadInput for an empty class folder, fewer than two classes,
    a class in ``test`` that ``train`` lacks, and other folders beside ``train`` and ``test``.
    """
    paths = {name: PurePosixPath(name).parts for name in files}
    empty = {PurePosixPath(name).parts for name in folders} - {()}
    depth = _wrapped(list(paths.values()) + list(empty))
    paths = {name: parts[depth:] for name, parts in paths.items() if len(parts) > depth + 1}
    empty = {parts[depth:] for parts in empty if len(parts) > depth}

    top = {parts[0] for parts in [*paths.values(), *empty]}
    if top.isdisjoint(PARTS):
        paths = {name: ("train", *parts) for name, parts in paths.items()}
        empty = {("train", *parts) for parts in empty}
    elif strangers := sorted(top - set(PARTS)):
        raise BadInput(
            f"{origin}: folder '{strangers[0]}' stands beside train or test; "
            "allowed are the folders train and test, or only one folder a class."
        )
    members: dict[str, list[tuple[str, str]]] = {}
    for name, parts in paths.items():
        if len(parts) > 2:
            members.setdefault(parts[0], []).append((name, parts[1]))
    _check_empty(origin, members, empty)
    classes = {part: {class_name for _, class_name in found} for part, found in members.items()}
    names = sorted(classes.get("train", ()))
    if len(names) < 2:
        found = ", ".join(names) or "none"
        raise BadInput(
            f"{origin} has images of fewer than two classes to train on (found: {found}); "
            "expected are train/<class>/ and test/<class>/, or <class>/, with images in them."
        )
    if foreign := sorted(classes.get("test", set()) - classes["train"]):
        raise BadInput(f"{origin}: class '{foreign[0]}' is in test and not in train (there: {', '.join(names)}).")
    positions = {class_name: position for position, class_name in enumerate(names)}
    return Layout(
        tuple(names),
        {
            part: [(name, positions[class_name]) for name, class_name in sorted(found)]
            for part, found in members.items()
        },
    )


def _wrapped(paths: list[tuple[str, ...]]) -> int:
    """Return 1 if one folder stands around all class folders, else 0."""
    deep = [parts for parts in paths if len(parts) > 2]
    outer = {parts[0] for parts in paths if len(parts) > 1}
    return int(len(outer) == 1 and bool(deep) and outer.isdisjoint(PARTS))


def _check_empty(origin: str, members: dict[str, list[tuple[str, str]]], folders: set[tuple[str, ...]]) -> None:
    filled = {(part, class_name) for part, found in members.items() for _, class_name in found}
    for parts in sorted(folders):
        if len(parts) == 2 and parts[:2] not in filled:
            raise BadInput(f"{origin}: the class folder '{parts[1]}' in {parts[0]} has no images.")
        if parts == ("test",) and "test" not in members:
            raise BadInput(f"{origin}: the folder 'test' has no images in class folders.")

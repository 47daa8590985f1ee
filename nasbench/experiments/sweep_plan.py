"""The cells of a sweep: which pairs of space, data set and strategy fit, and in which folder each search lies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from nasbench.catalog import EVALUATORS, SPACES, STRATEGIES, resolve
from nasbench.core.errors import BadInput, MissingData
from nasbench.core.state import digest
from nasbench.experiments.assemble import Parts
from nasbench.experiments.config import RunConfig, Settings, UnknownKey, resolve_settings
from nasbench.experiments.sweep_config import CellSettings, Method, SweepConfig

CELL = ("evaluator", "recipe", "evaluations", "time", "objective", "constraint")


@dataclass(frozen=True)
class Group:
    """The cells of one space, data set and method: they differ in nothing but the seed.

    Attributes:
        folder: where they lie below the sweep's folder; it names the method and ends in a digest of all its settings.
        parts: those of the first seed, whose data, table and judge the others share.
        seeds: those of the cells.
    """

    folder: str
    parts: Parts
    seeds: tuple[int, ...]

    def config(self, seed: int) -> RunConfig:
        return self.parts.config.model_copy(update={"seed": seed})

    def cell(self, seed: int) -> str:
        """Return the folder of one cell below the sweep's."""
        return f"{self.folder}/seed-{seed}"

    @property
    def baseline(self) -> str | None:
        """What names the trained random architectures that these cells need; None on a table."""
        return None if self.parts.on_table else self.parts.training_judge.key


class Skipped(NamedTuple):
    """A pair that does not fit."""

    space: str
    dataset: str
    strategy: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All groups of a sweep, and the pairs that there is no group for."""

    groups: tuple[Group, ...]
    skipped: tuple[Skipped, ...] = field(default=())

    def __len__(self) -> int:
        return sum(len(group.seeds) for group in self.groups)

    def cells(self) -> Iterator[tuple[Group, int]]:
        return ((group, seed) for group in self.groups for seed in group.seeds)

    def to_json(self) -> dict[str, Any]:
        groups = [
            {"folder": g.folder, "seeds": list(g.seeds), "run": g.config(0).model_dump(mode="json")}
            for g in self.groups
        ]
        return {"cells": len(self), "groups": groups, "skipped": [pair._asdict() for pair in self.skipped]}


def make_plan(sweep: SweepConfig) -> Plan:
    """Check every pair of a sweep and return its plan; data and tables are loaded once and shared.

    Raises BadInput for a name or key that does not exist, for data that is not at hand, and if no pair fits.
    """
    spaces: Sequence[str | None] = sweep.spaces or (None,)
    datasets: Sequence[str | None] = sweep.datasets or (None,)
    methods: Sequence[Method | None] = sweep.strategies or (None,)
    _check_names(sweep)
    used: set[str] = set()
    groups: dict[str, Group] = {}
    skipped = []
    loaded: list[Parts] = []
    for space, dataset, method in product(spaces, datasets, methods):
        layers = _layers(sweep, space, dataset, method)
        if layers is None:
            continue
        name = None if method is None else method.name
        try:
            settings = _settings(layers, sweep, space, dataset, name, used)
            parts = _shared(Parts(resolve_settings(settings), sweep.data_dir, Path.cwd()), loaded)
            _check(parts)
        except MissingData:
            raise
        except BadInput as error:
            skipped.append(Skipped(space or "default", dataset or "default", name or "default", str(error)))
            continue
        loaded.append(parts)
        group = Group(_folder(parts, method), parts, _last(layers, "seeds") or (0,))
        groups[group.folder] = group
    unknown = [text for text in sweep.set if text not in used]
    if groups and unknown:
        raise BadInput(f"no space, strategy, evaluator or recipe of this sweep has the key of '{unknown[0]}'.")
    if not groups:
        raise BadInput(f"no pair of this sweep fits: {skipped[0].reason if skipped else 'all are skipped'}")
    return Plan(tuple(groups.values()), tuple(skipped))


def _check_names(sweep: SweepConfig) -> None:
    """Raise BadInput if something is named that does not exist, in whatever pair."""
    for space in sweep.spaces or ():
        resolve("space", space, SPACES)
    for method in sweep.strategies or ():
        resolve("strategy", method.name, STRATEGIES)
    for settings in (sweep, *(sweep.strategies or ()), *sweep.overrides):
        if settings.evaluator is not None:
            resolve("evaluator", settings.evaluator, EVALUATORS)
    known = {
        "space": {*(sweep.spaces or ())},
        "dataset": {*(sweep.datasets or ())},
        "strategy": {name for m in sweep.strategies or () for name in (m.name, m.label) if name},
    }
    for override in sweep.overrides:
        for key, names in override.where.items():
            for name in names:
                if name not in known[key]:
                    allowed = ", ".join(sorted(known[key])) or "none named"
                    raise BadInput(f"overrides: '{name}' is no {key} of this sweep; it has: {allowed}.")


def _layers(
    sweep: SweepConfig, space: str | None, dataset: str | None, method: Method | None
) -> list[CellSettings] | None:
    """Return what says how a cell is set, the most general first; None if it is skipped."""
    layers: list[CellSettings] = [sweep] if method is None else [sweep, method]
    names = {
        "space": {space},
        "dataset": {dataset},
        "strategy": set() if method is None else {method.name, method.label},
    }
    for override in sweep.overrides:
        if all(names[key] & set(wanted) for key, wanted in override.where.items()):
            if override.skip:
                return None
            layers.append(override)
    return layers


def _last(layers: Sequence[CellSettings], key: str) -> Any:
    return next((value for layer in reversed(layers) if (value := getattr(layer, key)) is not None), None)


def _settings(
    layers: Sequence[CellSettings],
    sweep: SweepConfig,
    space: str | None,
    dataset: str | None,
    strategy: str | None,
    used: set[str],
) -> Settings:
    """Return the settings of a group's searches. Of the sweep's own ``set`` each takes the keys that it has."""
    values = {key: value for key in CELL if (value := _last(layers, key)) is not None}
    others = {"seeds": _last(layers, "final_seeds"), "baseline": _last(layers, "baseline_size")}
    values |= {key: value for key, value in others.items() if value is not None}
    bare = Settings(space=space, strategy=strategy, dataset=dataset, **values)
    chosen: dict[str, str] = {}
    for layer in layers:
        for text in layer.set:
            if layer is sweep:
                try:
                    resolve_settings(bare.model_copy(update={"overrides": (text,)}))
                except UnknownKey:
                    continue
                except BadInput:  # a value that fits only together with others
                    pass
                used.add(text)
            chosen[text.partition("=")[0].strip()] = text
    return bare.model_copy(update={"overrides": tuple(chosen.values())})


def _shared(parts: Parts, loaded: Sequence[Parts]) -> Parts:
    """Let a group take over what another one has loaded already: a data set with its split, a table with its judge."""
    config = parts.config
    for other in loaded:
        if parts.on_table:
            shared = other.sharing(config)
            if "table" in vars(shared):
                return shared
        elif not other.on_table and split_of(other.config) == split_of(config):
            parts.check_data(other.loaded.task.search)
            parts.loaded = other.loaded
            return parts
    return parts


def split_of(config: RunConfig) -> tuple[Any, ...]:
    """Return what decides which images a run trains on and which it validates with."""
    recipe = config.recipe
    return (config.dataset, recipe and recipe.split_seed, recipe and recipe.validation)


def _check(parts: Parts) -> None:
    """Build all that a search would refuse to begin with; raise BadInput."""
    _ = parts.strategy, parts.evaluator
    if not parts.on_table:
        parts.training_judge.open_cache()
    elif parts.judged:
        _ = parts.table_judge


def _folder(parts: Parts, method: Method | None) -> str:
    config = parts.complete_config
    label = (method.label if method is not None else None) or config.strategy.name
    short = digest(config.model_copy(update={"seed": 0}).model_dump(mode="json"))[:6]
    names = [config.space.name, Path(config.dataset).name, f"{label}-{short}"]
    return "/".join(re.sub(r"[^A-Za-z0-9_.=-]+", "_", name) for name in names)

"""What a sweep is: spaces × data sets × strategies × seeds, in a YAML file or on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nasbench.core.configuration import validated
from nasbench.core.errors import BadInput


def parse_seeds(text: Any) -> tuple[int, ...]:
    """Return the seeds that ``0:10`` (0 to 9), ``3``, ``1,5,7`` or a list stand for; raise ValueError."""
    items = text if isinstance(text, (list, tuple)) else str(text).split(",")
    seeds: dict[int, None] = {}
    for item in items:
        found = re.fullmatch(r"\s*(\d+)(?:\s*:\s*(\d+))?\s*", str(item))
        if found is None:
            raise ValueError(f"seeds are written 0:10 (0 to 9), 3, or 1,5,7, not '{item}'")
        first = int(found[1])
        seeds.update(dict.fromkeys(range(first, int(found[2])) if found[2] else (first,)))
    if not seeds:
        raise ValueError(f"'{text}' holds no seed")
    return tuple(seeds)


def _names(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _strategies(value: Any) -> Any:
    items = _names(value)
    return [{"name": item} if isinstance(item, str) else item for item in items] if isinstance(items, list) else items


def _overrides(value: Any) -> Any:
    """Let ``set: {population: 20}`` stand for ``population=20``."""
    if isinstance(value, dict):
        return [f"{key}={'none' if item is None else item}" for key, item in value.items()]
    return [value] if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Seeds = Annotated[tuple[int, ...], BeforeValidator(parse_seeds)]
Overrides = Annotated[tuple[str, ...], BeforeValidator(_overrides)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CellSettings(_Strict):
    """What may differ from cell to cell; None means the default of ``nasbench search``."""

    evaluator: str | None = None
    recipe: str | None = None
    seeds: Seeds | None = None
    evaluations: int | None = Field(default=None, ge=1)
    time: float | None = Field(default=None, gt=0)
    final_seeds: int | None = Field(default=None, ge=1)
    baseline_size: int | None = Field(default=None, ge=2)
    objective: Texts | None = None
    constraint: Texts | None = None
    set: Overrides = ()


class Method(CellSettings):
    """A strategy of the sweep, perhaps with settings of its own, under a name for its folder."""

    name: str
    label: str | None = None


class Override(CellSettings):
    """What is otherwise in the cells that ``where`` names; with ``skip`` there are none."""

    where: dict[Literal["space", "dataset", "strategy"], Texts]
    skip: bool = False


class SweepConfig(CellSettings):
    """A whole sweep. The keys of the YAML file are the options of the command, with underscores."""

    spaces: Names | None = None
    strategies: Annotated[tuple[Method, ...] | None, BeforeValidator(_strategies)] = None
    datasets: Names | None = None
    overrides: tuple[Override, ...] = ()
    out: str | None = None
    data_dir: Path | None = None
    workers: int | None = Field(default=None, ge=0)
    address: str | None = None
    cpus_per_worker: float = Field(default=1.0, gt=0)
    gpus_per_worker: float | None = Field(default=None, ge=0)
    timeout_per_evaluation: float | None = Field(default=None, gt=0)
    retries: int = Field(default=3, ge=0)


def read_sweep(file: Path | None, options: dict[str, Any]) -> SweepConfig:
    """Return the sweep of a YAML file with the options that were given in the place of the file's.

    Raises BadInput if the file cannot be read, or a key or value is wrong.
    """
    values: dict[str, Any] = {}
    if file is not None:
        import yaml

        try:
            values = yaml.safe_load(file.read_text()) or {}
        except OSError as error:
            raise BadInput(f"cannot read {file}: {error.strerror}.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} is not YAML: {' '.join(str(error).split())}.") from error
        if not isinstance(values, dict):
            raise BadInput(f"{file} must hold keys and values, such as 'spaces: [nasbench201]'.")
    given = {key: value for key, value in options.items() if value is not None and value != []}
    return validated(SweepConfig, {**values, **given}, "sweep" if file is None else str(file))

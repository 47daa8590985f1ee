"""Where runs lie, and what a run's folder says about how it was started."""

from __future__ import annotations

import re
from pathlib import Path

from nasbench.core.configuration import validated
from nasbench.core.errors import BadInput
from nasbench.core.run_directory import read_config, read_json
from nasbench.core.state import digest
from nasbench.experiments.config import RunConfig

RUNS = Path("runs")


def default_out(config: RunConfig) -> Path:
    """Return the folder of a run that was given none: the same configuration always has the same folder."""
    short = digest(config.model_dump(mode="json"))[:6]
    names = [config.space.name, Path(config.dataset).name, config.strategy.name, f"seed{config.seed}", short]
    return RUNS / "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", name) for name in names)


def config_of_run(folder: Path) -> RunConfig:
    """Return the configuration of the run in a folder; raise BadInput if there is none or it is malformed."""
    stored = read_config(folder)
    if "architecture" in stored:
        raise BadInput(f"{folder} holds the evaluation of one architecture, not a search.")
    return validated(RunConfig, {**stored, "data_fingerprint": None, "own_code": {}}, str(folder / "config.json"))


def data_dir_of_run(folder: Path) -> Path | None:
    """Return the data folder that a run was started with, None if it was not given one."""
    return _place(folder, "data_dir")


def folder_of_run(folder: Path) -> Path | None:
    """Return the folder from which a run was started: relative paths and the user's modules lie there."""
    return _place(folder, "folder")


def _place(folder: Path, key: str) -> Path | None:
    if not (folder / "config.json").exists():
        return None
    environment = read_json(folder / "config.json").get("environment")
    stored = environment.get(key) if isinstance(environment, dict) else None
    return Path(stored) if isinstance(stored, str) else None

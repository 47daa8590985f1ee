"""Where runs lie, and what a run's folder says about how it was started."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from nasbench.core.configuration import validated
from nasbench.core.run_directory import read_config, read_json
from nasbench.experiments.config import RunConfig

RUNS = Path("runs")


def default_out(config: RunConfig) -> Path:
    """Return the folder of a run that was given none: the same configuration always has the same folder."""
    text = json.dumps(config.model_dump(mode="json", exclude={"data_fingerprint", "own_code"}), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    names = [config.space.name, Path(config.dataset).name, config.strategy.name, f"seed{config.seed}", digest]
    return RUNS / "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", name) for name in names)


def config_of_run(folder: Path) -> RunConfig:
    """Return the configuration of the run in a folder; raise BadInput if there is none or it is malformed."""
    stored = read_config(folder)
    return validated(RunConfig, {**stored, "data_fingerprint": None, "own_code": {}}, str(folder / "config.json"))


def data_dir_of_run(folder: Path) -> Path | None:
    """Return the data folder that a run was started with, None if it was not given one."""
    stored = read_json(folder / "config.json").get("environment", {}).get("data_dir")
    return None if stored is None else Path(stored)

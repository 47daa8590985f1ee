"""The built-in names, and how a user's own ``module:Name`` is found. Nothing is imported before it is named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from nasbench.core.errors import BadInput, unknown

SPACES = {
    "darts": "nasbench.search_spaces.darts:Darts",
    "gnn": "nasbench.search_spaces.gnn:Gnn",
    "hypercuboid": "nasbench.search_spaces.hypercuboid:HyperCuboid",
    "nasbench-graph": "nasbench.search_spaces.nasbench_graph:NasBenchGraph",
    "nasbench-graph-proteins": "nasbench.search_spaces.nasbench_graph:NasBenchGraphProteins",
    "nasbench-macro": "nasbench.search_spaces.nasbench_macro:NasBenchMacro",
    "nasbench201": "nasbench.search_spaces.nasbench201:NasBench201",
    "ofa-mobilenetv3": "nasbench.search_spaces.ofa_mobilenetv3:OfaMobileNetV3",
}
STRATEGIES = {
    "agnn": "nasbench.strategies.agnn:AutoGnn",
    "bananas": "nasbench.strategies.bananas:Bananas",
    "conservative": "nasbench.strategies.conservative:Conservative",
    "darts": "nasbench.strategies.darts:Darts",
    "darts-minus": "nasbench.strategies.darts:DartsMinus",
    "darts-pt": "nasbench.strategies.darts:DartsPt",
    "darts-pt-frozen": "nasbench.strategies.darts:FrozenDarts",
    "dhgs": "nasbench.strategies.darts:GridSearch",
    "evolution": "nasbench.strategies.evolution:Evolution",
    "fair-darts": "nasbench.strategies.darts:FairDarts",
    "gdas": "nasbench.strategies.darts:Gdas",
    "graphnas": "nasbench.strategies.graphnas:GraphNas",
    "hyperband": "nasbench.strategies.hyperband:Hyperband",
    "local-search": "nasbench.strategies.local_search:LocalSearch",
    "nsga2": "nasbench.strategies.nsga2:Nsga2",
    "optuna": "nasbench.strategies.optuna_sampler:OptunaSampler",
    "random": "nasbench.strategies.random:RandomSearch",
    "reinforce": "nasbench.strategies.reinforce:Reinforce",
    "robust-darts": "nasbench.strategies.darts:RobustDarts",
    "sdarts": "nasbench.strategies.darts:Sdarts",
    "sharpdarts": "nasbench.strategies.darts:SharpDarts",
    "successive-halving": "nasbench.strategies.hyperband:SuccessiveHalving",
}
PREDICTORS = {
    "boosting": "nasbench.predictors.trees:Boosting",
    "ensemble": "nasbench.predictors.ensemble:Ensemble",
    "forest": "nasbench.predictors.trees:Forest",
    "gaussian-process": "nasbench.predictors.gaussian_process:GaussianProcess",
    "ridge": "nasbench.predictors.ridge:Ridge",
}
EVALUATORS = {
    "shared": "nasbench.evaluators.shared:SharedEvaluator",
    "shared-gnn": "nasbench.evaluators.shared_gnn:SharedGnnEvaluator",
    "table": "nasbench.evaluators.table:TableEvaluator",
    "train": "nasbench.evaluators.train:TrainEvaluator",
    "train-graphs": "nasbench.evaluators.train_graphs:GraphTrainEvaluator",
}


def resolve(kind: str, name: str, table: dict[str, str]) -> Any:
    """Return the object behind a built-in name or behind ``module:Name``.

    Modules are looked for in the current folder first. Raises BadInput with the nearest name, or with what is wrong
    with the user's module.
    """
    target = table.get(name.lower(), name)
    module_name, colon, attribute = target.partition(":")
    if not colon:
        raise unknown(kind, name, table)
    return import_attribute(kind, module_name, attribute)


def look_for_modules_in(folder: Path | None) -> None:
    """Let modules in a folder be found before all others."""
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def import_attribute(kind: str, module_name: str, attribute: str) -> Any:
    """Import ``module_name``: a module, looked for in the current folder first, or the path of a ``.py`` file."""
    here = str(Path.cwd())
    if module_name.endswith(".py") or "/" in module_name:
        file = Path(module_name).with_suffix(".py")
        if not file.is_file():
            raise BadInput(f"{kind} '{module_name}:{attribute}': there is no file {file}.")
        look_for_modules_in(file.resolve().parent)
        module_name = file.stem
    else:
        look_for_modules_in(Path.cwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = f"no module '{error.name}'"
        where = "" if error.name != module_name else f" in {here} or among the installed packages"
        raise BadInput(f"{kind} '{module_name}:{attribute}': {missing}{where}.") from error
    except (Exception, SystemExit) as error:
        raise BadInput(f"{kind} '{module_name}:{attribute}': importing it failed: {error!r}.") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise unknown(f"{kind} in module '{module_name}'", attribute, names) from None

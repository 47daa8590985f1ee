"""The built-in names, and how a user's own ``module:Name`` is found. Nothing is imported before it is named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from nasbench.core.errors import BadInput, unknown

SPACES = {
    "darts": "nasbench.search_spaces.darts:Darts",
    "hypercuboid": "nasbench.search_spaces.hypercuboid:HyperCuboid",
    "nasbench201": "nasbench.search_spaces.nasbench201:NasBench201",
}
STRATEGIES = {
    "evolution": "nasbench.strategies.evolution:Evolution",
    "local-search": "nasbench.strategies.local_search:LocalSearch",
    "random": "nasbench.strategies.random:RandomSearch",
}
EVALUATORS = {
    "table": "nasbench.evaluators.table:TableEvaluator",
    "train": "nasbench.evaluators.train:TrainEvaluator",
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


def import_attribute(kind: str, module_name: str, attribute: str) -> Any:
    """Import ``module_name`` (a module, or a file ending in ``.py``) with the current folder on the path."""
    module_name = module_name.removesuffix(".py").replace("/", ".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = f"no module '{error.name}'"
        where = "" if error.name != module_name else f" in {here} or among the installed packages"
        raise BadInput(f"{kind} '{module_name}:{attribute}': {missing}{where}.") from error
    except Exception as error:
        raise BadInput(f"{kind} '{module_name}:{attribute}': importing it failed: {error!r}.") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise unknown(f"{kind} in module '{module_name}'", attribute, names) from None

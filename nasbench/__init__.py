"""Neural architecture search whose every result comes with an honest verdict on whether searching helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "Architecture": "nasbench.core.architecture",
    "BadInput": "nasbench.core.errors",
    "Choice": "nasbench.core.decision_space",
    "DecisionSpace": "nasbench.core.decision_space",
    "Evaluation": "nasbench.core.evaluation",
    "NasbenchError": "nasbench.core.errors",
    "Problem": "nasbench.core.problem",
    "Proposal": "nasbench.core.evaluation",
    "SearchSpace": "nasbench.core.search_space",
    "Strategy": "nasbench.core.strategy",
    "StrategyConfig": "nasbench.core.strategy",
    "Task": "nasbench.core.problem",
    "load": "nasbench.experiments.model",
    "task_from_datasets": "nasbench.datasets.torch_dataset",
}

if TYPE_CHECKING:
    from nasbench.core.architecture import Architecture as Architecture
    from nasbench.core.decision_space import Choice as Choice
    from nasbench.core.decision_space import DecisionSpace as DecisionSpace
    from nasbench.core.errors import BadInput as BadInput
    from nasbench.core.errors import NasbenchError as NasbenchError
    from nasbench.core.evaluation import Evaluation as Evaluation
    from nasbench.core.evaluation import Proposal as Proposal
    from nasbench.core.problem import Problem as Problem
    from nasbench.core.problem import Task as Task
    from nasbench.core.search_space import SearchSpace as SearchSpace
    from nasbench.core.strategy import Strategy as Strategy
    from nasbench.core.strategy import StrategyConfig as StrategyConfig
    from nasbench.datasets.torch_dataset import task_from_datasets as task_from_datasets
    from nasbench.experiments.model import load as load


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that ``import nasbench`` costs nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'nasbench' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])

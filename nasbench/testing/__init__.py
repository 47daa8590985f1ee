"""Contract tests that authors of spaces, strategies, evaluators and predictors call on their own classes.

Each check raises `ContractBroken`, whose message says in words what is wrong.
"""

from nasbench.testing.contract import ContractBroken
from nasbench.testing.evaluators import check_evaluator
from nasbench.testing.predictors import check_predictor
from nasbench.testing.spaces import check_space
from nasbench.testing.strategies import check_strategy

__all__ = ["ContractBroken", "check_evaluator", "check_predictor", "check_space", "check_strategy"]

"""The contract of a strategy, as one function."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.evaluation import Evaluation, Proposal, Source
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.core.strategy import Strategy, StrategyConfig
from nasbench.testing.contract import no_global_randomness, require

FAILING_SHARE = 8


class SmallSpace(DecisionSpace):
    """Six decisions of four values in two groups: enough to search, nothing to build."""

    name = "small"
    decisions = tuple(Choice(f"choice{i}", ("a", "b", "c", "d"), group=f"group{i % 2}") for i in range(6))

    def build(self, architecture: Architecture, task: Any, size: Any = None) -> Any:
        raise TypeError("the space of the contract tests builds no networks")


class HashEvaluator:
    """Scores by position in the alphabet plus noise from a hash; one candidate in eight fails. No state."""

    source: Source = "trained"
    version = 0
    fingerprint = "hash"

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        digest = hashlib.blake2b(repr(proposal.architecture.spec).encode(), digest_size=2).digest()
        noise = int.from_bytes(digest)
        if noise % FAILING_SHARE == 0:
            raise RuntimeError("this candidate fails, as some do")
        score = sum(str(value) < "c" for value in proposal.architecture.spec) + noise / 2**16
        return Evaluation(id, proposal, {"valid_accuracy": 10.0 * score}, self.source, seed)


def check_strategy(
    strategy: type[Strategy],
    *,
    space: SearchSpace | None = None,
    evaluator: Any = None,
    config: StrategyConfig | None = None,
    evaluations: int = 60,
) -> None:
    """Run a strategy on a space of 4,096 architectures; raise ContractBroken on a fault.

    Checked: the same seed gives the same ledger; no global randomness; the state survives JSON and, put into a fresh
    instance after any batch, gives the same future; failures are borne; the recommendation is an architecture with the
    best measured validation score.
    """
    config = config or strategy.Config()
    space, evaluator = space or SmallSpace(), evaluator or HashEvaluator()
    problem = Problem(space, None, Budget(evaluations=evaluations), seed=1)

    def fresh() -> Strategy:
        return strategy(problem, config, generator(1, "strategy"))

    def run(memory: _Memory | None) -> tuple[Strategy, Ledger]:
        ledger, searcher = Ledger(), fresh()
        with no_global_randomness():
            search(problem, searcher, evaluator, ledger, checkpoints=memory)
        return searcher, ledger

    searcher, ledger = run(None)
    require(len(ledger) > 0, "the strategy asked for nothing.")
    require(len(ledger) <= evaluations, "the strategy was told more evaluations than the budget allows.")
    records = [_timeless(evaluation) for evaluation in ledger.evaluations]
    require([_timeless(e) for e in run(None)[1].evaluations] == records, "the same seed gave another ledger.")
    _check_resumption(fresh, evaluator, problem, ledger)
    best = max(problem.objective.score(evaluation) for evaluation in ledger.evaluations)
    recommended = searcher.recommend()
    require(len(recommended) == 1, f"recommend() returned {len(recommended)} architectures instead of 1.")
    scores = [problem.objective.score(e) for e in ledger.evaluations if e.architecture == recommended[0]]
    require(bool(scores) and max(scores) == best, "recommend() is not an architecture with the best validation score.")
    require(fresh().recommend() == [], "recommend() before any evaluation must be empty.")


def _check_resumption(fresh: Any, evaluator: Any, problem: Problem, ledger: Ledger) -> None:
    """Replay the ledger; after every batch, move the state through JSON into a fresh instance and go on with that."""
    searcher, told = fresh(), 0
    while told < len(ledger):
        proposals = searcher.ask()[: len(ledger) - told]
        batch = ledger.evaluations[told : told + len(proposals)]
        same = proposals == [evaluation.proposal for evaluation in batch]
        require(same, f"after {told} evaluations a restored strategy asks for something else.")
        searcher.tell(batch)
        told += len(batch)
        state = json.loads(json.dumps(searcher.state_dict()))
        searcher = fresh()
        searcher.load_state_dict(state)


class _Memory:
    """Checkpoints in memory."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None

    def checkpoint(self, state: dict[str, Any]) -> None:
        self.state = state

    def last_checkpoint(self) -> dict[str, Any] | None:
        return self.state


def _timeless(evaluation: Evaluation) -> dict[str, Any]:
    return {**evaluation.to_record(), "seconds": 0.0}

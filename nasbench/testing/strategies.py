"""The contract of a strategy, as one function."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasbench.core.abilities import Learner
from nasbench.core.architecture import Architecture
from nasbench.core.decision_space import Choice, DecisionSpace
from nasbench.core.evaluation import Evaluation, Proposal, Source, longest_trained
from nasbench.core.ledger import Ledger
from nasbench.core.loop import search
from nasbench.core.problem import Budget, Problem
from nasbench.core.progress import Progress
from nasbench.core.search_space import SearchSpace
from nasbench.core.seeding import generator
from nasbench.core.state import load_state, save_state
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
    """Scores by position in the alphabet plus noise from a hash; one candidate in eight fails. No state.

    Noise and failure are others at another fidelity, and the score is not the higher for more epochs.
    """

    source: Source = "trained"
    version = 0
    fingerprint = "hash"

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        text = repr(proposal.architecture.spec) + (repr(proposal.fidelity) if proposal.fidelity else "")
        digest = hashlib.blake2b(text.encode(), digest_size=2).digest()
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

    Checked: the same seed gives the same ledger; no global randomness; the state survives a file and, put into a fresh
    instance after any batch, gives the same future; failures are borne; the recommendation is an architecture with the
    best measured validation score, among the scores of the longest trained where epochs differ; what goes on from an
    earlier evaluation goes on from one that succeeded.
    """
    config = config or strategy.Config()
    space, evaluator = space or SmallSpace(), evaluator or HashEvaluator()
    problem = Problem(space, None, Budget(evaluations=evaluations), seed=1)

    def fresh() -> Strategy:
        return strategy(problem, config, generator(1, "strategy"))

    def run() -> tuple[Strategy, Ledger]:
        ledger, searcher = Ledger(), fresh()
        with no_global_randomness():
            search(problem, searcher, evaluator, ledger)
        return searcher, ledger

    searcher, ledger = run()
    require(len(ledger) > 0, "the strategy asked for nothing.")
    require(len(ledger) <= evaluations, "the strategy was told more evaluations than the budget allows.")
    records = [_timeless(evaluation) for evaluation in ledger.evaluations]
    require([_timeless(e) for e in run()[1].evaluations] == records, "the same seed gave another ledger.")
    comparable = longest_trained(ledger.evaluations)
    best = max(problem.objective.score(evaluation) for evaluation in comparable)
    recommended = searcher.recommend()
    require(len(recommended) == 1, f"recommend() returned {len(recommended)} architectures instead of 1.")
    scores = [problem.objective.score(e) for e in comparable if e.architecture == recommended[0]]
    require(bool(scores) and max(scores) == best, "recommend() is not an architecture with the best validation score.")
    parents = [ledger.evaluations[e.proposal.parent] for e in ledger.evaluations if e.proposal.parent is not None]
    require(all(parent.status == "ok" for parent in parents), "a candidate goes on from an evaluation that failed.")
    require(fresh().recommend() == [], "recommend() before any evaluation must be empty.")
    _check_resumption(fresh, evaluator, problem, ledger)


def _check_resumption(fresh: Callable[[], Strategy], evaluator: Any, problem: Problem, ledger: Ledger) -> None:
    """Replay the ledger; after every step, move the state through a file into a fresh instance and go on with that."""
    searcher, told, units = fresh(), 0, 0
    while told < len(ledger):
        if isinstance(searcher, Learner) and searcher.due(Progress(told, units, 0.0)):
            searcher.learn(searcher.sample)
            searcher, units = _restored(searcher, fresh), units + 1
            continue
        proposals = searcher.ask()[: len(ledger) - told]
        batch = ledger.evaluations[told : told + len(proposals)]
        same = proposals == [evaluation.proposal for evaluation in batch]
        require(same, f"after {told} evaluations a restored strategy asks for something else.")
        searcher.tell(batch)
        told += len(batch)
        recommended = searcher.recommend()
        searcher = _restored(searcher, fresh)
        require(searcher.recommend() == recommended, "a restored strategy recommends something else.")


def _restored(searcher: Strategy, fresh: Callable[[], Strategy]) -> Strategy:
    with tempfile.TemporaryDirectory() as folder:
        save_state(Path(folder) / "state.json", searcher.state_dict())
        other = fresh()
        other.load_state_dict(load_state(Path(folder) / "state.json"))
    return other


def _timeless(evaluation: Evaluation) -> dict[str, Any]:
    return {**evaluation.to_record(), "seconds": 0.0}

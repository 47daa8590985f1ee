"""The contract of an evaluator: how good is this candidate?"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from nasbench.core.evaluation import Evaluation, Proposal, Source


@runtime_checkable
class Evaluator(Protocol):
    """Scores candidates on validation data.

    `evaluate` is a function of (the evaluator's state, proposal, seed): any worker may run it, in any order.
    ``version`` counts the changes of that state, 0 for a stateless evaluator. ``fingerprint`` identifies recipe,
    data and format: equal fingerprints mean comparable scores. One that scores at several fidelities names them in an
    attribute ``fidelities``, what it can measure in ``measures``.
    """

    source: Source
    version: int
    fingerprint: str

    def evaluate(self, proposal: Proposal, *, id: int, seed: int) -> Evaluation:
        """Score one candidate. Whatever it raises makes the candidate a failed evaluation, except BadInput."""
        ...

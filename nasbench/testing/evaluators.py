"""The contract of an evaluator, as one function."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasbench.core.abilities import Batching
from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.evaluation import Proposal
from nasbench.core.evaluator import Evaluator
from nasbench.testing.contract import no_global_randomness, require


def check_evaluator(evaluator: Evaluator, architectures: Sequence[Architecture]) -> None:
    """Score some architectures twice; raise ContractBroken unless the contract of an evaluator is kept.

    Checked: equal (proposal, seed) gives equal metrics, in any order and in a batch; ids, seeds and proposals come
    back; metrics are finite numbers; an unknown fidelity is refused; no global randomness.
    """
    require(isinstance(evaluator, Evaluator), "it lacks source, version, fingerprint or evaluate.")
    sources = getattr(evaluator, "sources", (evaluator.source,))  # one that answers in several ways names them all
    proposals = [Proposal(architecture) for architecture in architectures]
    with no_global_randomness():
        first = [evaluator.evaluate(p, id=i, seed=7 + i) for i, p in enumerate(proposals)]
        backwards = [evaluator.evaluate(p, id=i, seed=7 + i) for i, p in reversed(list(enumerate(proposals)))]
    for i, evaluation in enumerate(first):
        require(evaluation.id == i and evaluation.seed == 7 + i, "id and seed must come back as they were given.")
        require(evaluation.proposal == proposals[i], "the proposal must come back as it was given.")
        require(evaluation.source in sources, "an evaluation's source must be the evaluator's.")
        odd = {k: v for k, v in evaluation.metrics.items() if not isinstance(v, float) or not math.isfinite(v)}
        require(not odd, f"metrics must be finite floats: {odd}")
    again = {evaluation.id: evaluation.metrics for evaluation in backwards}
    require(all(again[e.id] == e.metrics for e in first), "the same proposal and seed gave other metrics.")
    if isinstance(evaluator, Batching):
        ids, seeds = list(range(len(first))), [7 + i for i in range(len(first))]
        batch = evaluator.evaluate_many(proposals, ids, seeds)
        require([e.metrics for e in batch] == [e.metrics for e in first], "a batch gave other metrics than one by one.")
    try:
        evaluator.evaluate(Proposal(proposals[0].architecture, fidelity=(("no such fidelity", 1.0),)), id=0, seed=0)
    except BadInput:
        return
    require(False, "an unknown fidelity was accepted.")

"""What is asked (`Proposal`) and what comes back (`Evaluation`), and a learning unit's record (`Learned`)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from nasbench.core.architecture import Architecture, freeze

Fidelity = tuple[tuple[str, float], ...]
Source = Literal["trained", "table", "shared", "inherited", "predicted", "shuffled"]
"""Whence a score is; "shuffled" is another architecture's: a control in which nothing can be learned."""


class Proposal(NamedTuple):
    """One candidate that a strategy wants scored.

    ``fidelity`` overrides the recipe (``(("epochs", 4.0),)``), ``parent`` is the id of the evaluation whose weights the
    candidate inherits: of the same architecture, whose training goes on with its seed, or of another. ``repeat``
    greater than zero asks for another training of an architecture already scored.
    """

    architecture: Architecture
    fidelity: Fidelity = ()
    parent: int | None = None
    repeat: int = 0


class Evaluation(NamedTuple):
    """The score of one proposal. Accuracies in ``metrics`` are percentages of the validation part.

    ``id`` counts what was told to the strategy, from 0. ``seconds`` is the time the evaluator worked, 0 for a look-up.
    ``weights`` is the version of the shared weights it was scored with, 0 if none. ``reuses`` is the id of an
    earlier evaluation of the same encoding that answered this one. ``weights_file`` names the weights that it stored,
    relative to the run directory, where they lie until the next batch is scored. A failed evaluation has ``status ==
    "failed"``, empty metrics and the reason in ``error``.
    """

    id: int
    proposal: Proposal
    metrics: dict[str, float]
    source: Source
    seed: int
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
    seconds: float = 0.0
    weights: int = 0
    weights_file: str | None = None
    reuses: int | None = None

    @property
    def architecture(self) -> Architecture:
        return self.proposal.architecture

    @property
    def epochs(self) -> float:
        """The epochs that were asked for; infinite where that was left to the recipe: nothing is trained longer."""
        return dict(self.proposal.fidelity).get("epochs", math.inf)

    def to_record(self) -> dict[str, Any]:
        """Return the ledger's JSON object; fields that hold their default are left out."""
        proposal = self.proposal
        record: dict[str, Any] = {"id": self.id, "architecture": proposal.architecture.to_json()}
        if proposal.fidelity:
            record["fidelity"] = proposal.fidelity
        if proposal.parent is not None:
            record["parent"] = proposal.parent
        if proposal.repeat:
            record["repeat"] = proposal.repeat
        record["metrics"] = self.metrics
        record["source"] = self.source
        record["seed"] = self.seed
        if self.status != "ok":
            record["status"] = self.status
            record["error"] = self.error
        record["seconds"] = self.seconds
        if self.weights:
            record["weights"] = self.weights
        if self.weights_file is not None:
            record["weights_file"] = self.weights_file
        if self.reuses is not None:
            record["reuses"] = self.reuses
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Evaluation:
        """Rebuild an evaluation from ``to_record``. Raises KeyError, TypeError or BadInput on malformed data."""
        proposal = Proposal(
            Architecture.from_json(record["architecture"]),
            freeze(record.get("fidelity", ())),
            record.get("parent"),
            record.get("repeat", 0),
        )
        metrics = record["metrics"]
        if not isinstance(metrics, dict) or not all(isinstance(value, float | int) for value in metrics.values()):
            raise TypeError(f"metrics must be numbers: {metrics!r}")
        return cls(
            record["id"],
            proposal,
            metrics,
            record["source"],
            record["seed"],
            record.get("status", "ok"),
            record.get("error"),
            record["seconds"],
            record.get("weights", 0),
            record.get("weights_file"),
            record.get("reuses"),
        )


def longest_trained(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return those that succeeded at the highest number of epochs at which any did: the scores that can be compared."""
    succeeded = [evaluation for evaluation in evaluations if evaluation.status == "ok"]
    most = max((evaluation.epochs for evaluation in succeeded), default=math.inf)
    return [evaluation for evaluation in succeeded if evaluation.epochs == most]


def epochs_trained(evaluations: Iterable[Evaluation]) -> float:
    """Return how many epochs evaluations that all name their epochs cost: going on costs the further ones alone."""
    epochs: dict[int, float] = {}
    total = 0.0
    for evaluation in evaluations:
        parent = evaluation.proposal.parent
        total += evaluation.epochs - (0.0 if parent is None else epochs[parent])
        epochs[evaluation.id] = evaluation.epochs
    return total


class Learned(NamedTuple):
    """One learning unit (an epoch at most) of a strategy or an evaluator: ``unit`` counts them from 0."""

    unit: int
    part: str
    metrics: dict[str, float]
    seconds: float

    def to_record(self) -> dict[str, Any]:
        return {"unit": self.unit, "part": self.part, "metrics": self.metrics, "seconds": self.seconds}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Learned:
        return cls(record["unit"], record["part"], record["metrics"], record["seconds"])

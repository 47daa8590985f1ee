"""The course of one search: what it would have recommended after each of its evaluations, chosen by validation alone.

A course is a step function of evaluations or of seconds. It is never interpolated between points: between two
evaluations a search recommends what it recommended after the first (Lindauer and Hutter, "Best practices for scientific
research on NAS", JMLR 21(243), 2020, on performance as a function of compute).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasbench.core.architecture import freeze
from nasbench.core.errors import BadInput
from nasbench.protocol.statistics import as_scores

Floats = NDArray[np.float64]
Spec = tuple[Any, ...]
METRIC = "valid_accuracy"


@dataclass(frozen=True)
class Course:
    """The evaluations of one search, in order.

    Attributes:
        specs: [B] encodings that were scored.
        validation: [B] validation accuracy in percent; chance for an evaluation that failed.
        failed: [B] which ones failed.
        incumbents: [B] number (from 0) of the evaluation that would be recommended after each.
        seconds: [B] seconds that evaluators had worked when each was done, summed over workers; None where scores were
            looked up, which takes no time that means anything.
        sources: whence the scores are, of those that succeeded.
    """

    specs: tuple[Spec, ...]
    validation: Floats
    failed: NDArray[np.bool_]
    incumbents: NDArray[np.intp]
    seconds: Floats | None
    sources: frozenset[str] = frozenset()

    @property
    def best_validation(self) -> Floats:
        """[B] validation accuracy of the incumbent, percent."""
        return self.validation[self.incumbents]


def course_of(records: Sequence[Mapping[str, Any]], chance: float) -> Course | None:
    """Return the course written down in a ledger; ``chance`` is the accuracy in percent of a failed evaluation.

    Of equal scores the encoding that sorts first is the incumbent, as strategies recommend it. None where the records
    allow no such course: there are none, scores are those of shared weights, whose scale moves with the training, or of
    other fidelities than the recipe's, or the metric is missing.

    Raises BadInput for records that are not those of a ledger.
    """
    try:
        evaluations = [record for record in records if "id" in record]
        ok = [record.get("status", "ok") == "ok" for record in evaluations]
        usable = not any(record["source"] == "shared" or record.get("fidelity") for record in evaluations)
        if not evaluations or not usable:
            return None
        if not all(METRIC in record["metrics"] for record, good in zip(evaluations, ok, strict=True) if good):
            return None
        scores = [
            float(record["metrics"][METRIC]) if good else chance for record, good in zip(evaluations, ok, strict=True)
        ]
        specs = tuple(freeze(record["architecture"][1]) for record in evaluations)
        looked_up = all(record["source"] in ("table", "predicted", "shuffled") for record in evaluations)
        seconds = None if looked_up else _seconds(records)
        sources = frozenset(record["source"] for record, good in zip(evaluations, ok, strict=True) if good)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInput(f"not the records of a search ({error!r}).") from error
    failed = ~np.array(ok)
    validation = as_scores(scores, "validation scores")
    return Course(specs, validation, failed, incumbents(preference(validation, failed, specs)), seconds, sources)


def _seconds(records: Sequence[Mapping[str, Any]]) -> Floats:
    """Return the seconds worked up to each evaluation; learning units before it count."""
    worked = np.cumsum([float(record["seconds"]) for record in records])
    return np.asarray(worked[["id" in record for record in records]], dtype=np.float64)


def preference(validation: Floats, failed: NDArray[np.bool_], specs: Sequence[Spec]) -> Floats:
    """Return a number [B] for each evaluation, larger where a search would rather recommend it.

    Failures come last; of equal scores the encoding that sorts first is preferred.
    """
    equals: dict[tuple[bool, float], list[int]] = defaultdict(list)
    for i, key in enumerate(zip((~failed).tolist(), validation.tolist(), strict=True)):
        equals[key].append(i)
    places = np.zeros(len(specs))
    place = -1.0
    for key in sorted(equals):
        among = {specs[i] for i in equals[key]}
        if len(among) > 1:  # only where it decides: the texts take longer than all the rest
            rank = {spec: n for n, spec in enumerate(sorted(among, key=repr, reverse=True), start=1)}
            places[equals[key]] = [place + rank[specs[i]] for i in equals[key]]
        else:
            places[equals[key]] = place + 1
        place += len(among)
    return places


def incumbents(preferences: ArrayLike) -> NDArray[np.intp]:
    """Return the number (from 0) of the most preferred evaluation so far [B], the earlier one of equals."""
    values = as_scores(preferences, "preferences")
    improves = np.concatenate([[True], values[1:] > np.maximum.accumulate(values)[:-1]])
    return np.maximum.accumulate(np.where(improves, np.arange(values.size), 0))


def carried_on(curve: ArrayLike, evaluations: int) -> Floats:
    """Return a curve [B] over so many evaluations: a search that stopped earlier keeps what it has."""
    values = as_scores(curve, "curve")
    kept = values[:evaluations]
    return np.concatenate([kept, np.full(max(0, evaluations - kept.size), kept[-1])])


def log_area(curve: ArrayLike) -> float:
    """Mean of a step curve [B] over evaluations 1..B on a logarithmic scale: early evaluations weigh more.

    The integral over log t from 1 to B + 1, value t holding from t to t + 1, divided by log(B + 1).
    """
    values = as_scores(curve, "curve")
    return float(np.average(values, weights=np.diff(np.log(np.arange(1, values.size + 2)))))


def at_times(times: ArrayLike, values: ArrayLike, grid: ArrayLike) -> Floats:
    """Return a step function, ``values`` [B] from the rising ``times`` [B] on, at points [g]; NaN before the first."""
    moments, steps = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    place = np.searchsorted(moments, np.asarray(grid, dtype=np.float64), side="right")
    return np.asarray(np.concatenate([[np.nan], steps])[place], dtype=np.float64)

"""How well a predictor ranks what a run has measured: cross-validated, so that no score is predicted from itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nasbench.core.architecture import Architecture
from nasbench.core.errors import BadInput
from nasbench.core.predictor import Predictor
from nasbench.core.seeding import Rng


class Skill(NamedTuple):
    """Rank correlations of held-out predictions and targets, -1 to 1; 0 where either does not vary.

    ``kendall`` is tau-b, ``spearman`` is rho, ``predicted`` [n] what each architecture was expected to have.
    """

    kendall: float
    spearman: float
    predicted: np.ndarray


def skill(
    predictor: Predictor,
    architectures: Sequence[Architecture],
    targets: np.ndarray,
    rng: Rng,
    folds: int | None = 5,
) -> Skill:
    """Cross-validate a predictor, which is fitted anew for each fold and last on all but the last fold.

    ``folds`` None leaves one out at a time. Isomorphs share a fold (`SearchSpace.canonical`), so that a twin gives
    nothing away. All held-out predictions are ranked together; a predictor that only knows the mean of its training
    fold is then below 0, not at 0, the more so the smaller the folds. Raises BadInput with less than two folds or fewer
    distinct architectures than folds.
    """
    targets = np.asarray(targets, dtype=np.float64)
    if targets.shape != (len(architectures),):
        raise BadInput(f"skill needs one target an architecture: {len(architectures)} and {targets.shape}.")
    groups = _groups([predictor.space.canonical(architecture) for architecture in architectures])
    distinct = int(groups.max(initial=-1)) + 1
    count = distinct if folds is None else folds
    if not 2 <= count <= distinct:
        raise BadInput(f"{distinct} distinct architectures cannot be split into {count} folds; use 2 to {distinct}.")
    if count == len(targets):  # no twins: the predictor may know a shorter way
        predicted = predictor.leave_one_out(architectures, targets)
        return Skill(*rank_correlations(predicted, targets), predicted)
    fold_of = rng.permutation(np.arange(distinct) % count)[groups]
    predicted = np.empty(len(targets))
    for fold in range(count):
        held_out, rest = np.flatnonzero(fold_of == fold).tolist(), np.flatnonzero(fold_of != fold).tolist()
        predictor.fit([architectures[i] for i in rest], targets[rest])
        predicted[held_out] = predictor.predict([architectures[i] for i in held_out]).mean
    return Skill(*rank_correlations(predicted, targets), predicted)


def rank_correlations(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return Kendall's tau-b and Spearman's rho of two samples [n]; 0 where one of them does not vary."""
    from scipy.stats import kendalltau, spearmanr

    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0, 0.0
    return float(kendalltau(a, b).statistic), float(spearmanr(a, b).statistic)


def _groups(architectures: Sequence[Architecture]) -> np.ndarray:
    numbers: dict[Architecture, int] = {}
    return np.array([numbers.setdefault(architecture, len(numbers)) for architecture in architectures], dtype=np.intp)

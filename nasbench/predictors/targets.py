"""What predictors learn: scores turned into normal quantiles, so that neither outliers nor units matter."""

from __future__ import annotations

import numpy as np


def rank_normal(scores: np.ndarray) -> np.ndarray:
    """Return the standard normal quantiles of the ranks of ``scores`` [n]: the order remains, the spacing does not.

    The i-th smallest of n becomes the quantile of (i - 1/2)/n (Hazen); equal scores share their mean rank. Accuracies
    are skewed: a few broken networks at chance level would otherwise take up most of a predictor's attention.
    """
    from scipy.special import ndtri

    _, value_of, counts = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    quantiles: np.ndarray = ndtri((mean_ranks - 0.5) / max(len(scores), 1))
    return quantiles[value_of]

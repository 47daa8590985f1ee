"""The digits that scikit-learn brings along: 1,797 grey images of 8x8, ten classes. Always there, no download."""

from __future__ import annotations

import numpy as np

from nasbench.datasets.images import Source, as_images


def read_digits() -> Source:
    """Read the test set of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, UCI repository).

    Grey levels 0..16 are scaled to 0..255 and rounded; images are [1, 8, 8]. There is no test part of its own.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    return Source(as_images(pixels, bunch.target.astype(np.int64)), None, tuple("0123456789"), "scikit-learn digits")

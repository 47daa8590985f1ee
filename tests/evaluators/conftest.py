"""The digits that tests of the training of images share."""

from dataclasses import replace

import pytest
import torch

from nasbench.core.problem import SearchTask
from nasbench.datasets.digits import read_digits
from nasbench.datasets.splits import make_task


@pytest.fixture(scope="module")
def digits() -> SearchTask:
    return make_task("digits", read_digits(), seed=0, validation=0.25, test=0.2).task.search


@pytest.fixture(scope="module")
def few(digits: SearchTask) -> SearchTask:
    """The first 200 training and 100 validation digits: for tests that care for no accuracy."""
    first = torch.arange(200)
    return replace(digits, train=digits.train.subset(first), validation=digits.validation.subset(first[:100]))

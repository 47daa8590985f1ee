import json
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.core.seeding import generator
from nasbench.datasets.images import Source, as_images
from nasbench.datasets.splits import make_task, split_record, stratified_split


def source(counts=(40, 60, 100), held_out=None):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] + np.zeros((1, 1, 2, 2), np.uint8)
    own = None if held_out is None else as_images(np.zeros((held_out, 1, 2, 2), np.uint8), [0] * held_out)
    return Source(as_images(pixels, labels), own, tuple("abcdefgh"[: len(counts)]), "made up")


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=8),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 99),
)
def test_stratified_split_is_a_partition_with_each_class_in_proportion(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    kept, held = stratified_split(labels, fraction, generator(seed, "split"))
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held) > 0).all()
    for label, count in enumerate(counts):
        share = int((labels[held] == label).sum())
        assert 1 <= share <= count - 1
        assert abs(share - count * fraction) < 1 or share in (1, count - 1)


def test_the_number_held_out_is_exact():
    labels = np.repeat(np.arange(3), 11)
    for fraction in (0.1, 0.2, 0.25, 0.5):
        _, held = stratified_split(labels, fraction, generator(0, "split"))
        assert len(held) == round(33 * fraction)


def test_a_source_without_test_part_is_split_60_20_20():
    loaded = make_task("made", source(), seed=0, validation=0.2, test=0.2)
    assert loaded.split["sizes"] == {"train": 120, "validation": 40, "test": 40}
    search = loaded.task.search
    pixels = [part.images[:, 0, 0, 0].tolist() for part in (search.train, search.validation, loaded.task.test)]
    assert sorted(chain.from_iterable(pixels)) == list(range(200))
    assert pixels[1] == loaded.split["validation_indices"]
    assert pixels[2] == loaded.split["test_indices"]
    assert search.validation.labels.bincount().tolist() == [8, 12, 20]
    assert (search.kind, search.input_shape, search.classes, search.name) == ("image", (1, 2, 2), 3, "made")


def test_the_test_split_does_not_depend_on_the_validation_fraction():
    few, many = (make_task("made", source(), seed=3, validation=v, test=0.3).split for v in (0.1, 0.4))
    assert few["test_indices"] == many["test_indices"]
    assert few["validation_indices"] != many["validation_indices"]


def test_the_record_is_plain_data_and_the_fingerprint_follows_it():
    def fingerprint(seed=0, validation=0.2, **kwargs):
        loaded = make_task("made", source(**kwargs), seed=seed, validation=validation, test=0.2)
        assert json.loads(json.dumps(split_record(loaded))) == split_record(loaded)
        return loaded.task.search.fingerprint

    prints = [fingerprint(), fingerprint(seed=1), fingerprint(validation=0.3), fingerprint(counts=(41, 60, 100))]
    assert len(set(prints)) == 4
    assert fingerprint() == prints[0]


def test_a_test_part_of_its_own_stays_whole():
    loaded = make_task("made", source(held_out=7), seed=0, validation=0.2, test=0.9)
    assert loaded.split["sizes"] == {"train": 160, "validation": 40, "test": 7}
    assert loaded.split["test_indices"] is None
    assert loaded.split["test"] is None


@pytest.mark.parametrize(
    ("kwargs", "validation", "test", "message"),
    [
        ({}, 0.0, 0.2, "validation fraction must be between 0 and 1"),
        ({}, 0.2, 1.0, "test fraction must be between 0 and 1"),
        ({}, 0.6, 0.4, "must leave a fraction to train on"),
        ({"counts": (9, 2)}, 0.2, 0.2, "class 'b' has 2 training images; at least 3"),
        ({"counts": (9, 1), "held_out": 1}, 0.2, 0.2, "class 'b' has 1 training images; at least 2"),
        ({"counts": (9,)}, 0.2, 0.2, "needs at least 2"),
        ({"held_out": 0}, 0.2, 0.2, "the test part has no images"),
    ],
)
def test_what_cannot_be_split_is_refused(kwargs, validation, test, message):
    with pytest.raises(BadInput, match=message):
        make_task("made", source(**kwargs), seed=0, validation=validation, test=test)

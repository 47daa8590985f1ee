import numpy as np
import pytest
import torch

from nasbench.core.errors import BadInput
from nasbench.datasets.images import Images, as_images


def some(n=20, channels=3, size=5):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, channels, size, size + 1), dtype=np.uint8)
    return as_images(pixels, rng.integers(0, 4, n))


def test_shape_and_length():
    assert len(some()) == 20
    assert some().shape == (3, 5, 6)


def test_subset_keeps_the_given_order_and_copies():
    images = some()
    part = images.subset(np.array([3, 0, 3]))
    assert torch.equal(part.images, images.images[[3, 0, 3]])
    assert torch.equal(part.labels, images.labels[[3, 0, 3]])
    part.images.zero_()
    assert images.images[3].any()


def test_digest_tells_pixels_labels_and_shapes_apart():
    images = some()
    other_pixel = Images(images.images.clone(), images.labels)
    other_pixel.images[0, 0, 0, 0] ^= 1
    other_label = Images(images.images, images.labels.clone())
    other_label.labels[-1] ^= 1
    other_shape = Images(images.images.reshape(20, 5, 3, 6), images.labels)
    digests = {image.digest() for image in (images, other_pixel, other_label, other_shape)}
    assert len(digests) == 4
    assert some().digest() == images.digest()
    assert len(images.digest()) == 64


def test_digest_does_not_depend_on_memory_layout():
    images = some()
    columns_first = Images(images.images.transpose(2, 3).contiguous().transpose(2, 3), images.labels)
    assert not columns_first.images.is_contiguous()
    assert columns_first.digest() == images.digest()


def test_statistics_equal_the_plain_formula():
    images = some(n=5000, size=3)
    mean, std = images.statistics()
    pixels = images.images.numpy().astype(np.float64) / 255
    assert mean.dtype == std.dtype == torch.float32
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std((0, 2, 3)), rtol=1e-6)


def test_a_constant_channel_has_deviation_one():
    pixels = np.full((4, 2, 3, 3), 77, np.uint8)
    pixels[0, 1] = 0
    _, std = as_images(pixels, [0, 1, 0, 1]).statistics()
    assert std[0] == 1
    assert 0 < std[1] < 1


def test_to_keeps_what_is_known():
    images = some()
    assert images.to("cpu") is images
    digest = images.digest()
    moved = images.to("meta")
    assert moved.digest() == digest


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2)),
    ],
)
def test_wrong_tensors_are_refused(images, labels):
    with pytest.raises(BadInput, match="must be"):
        Images(images, labels)


def test_no_images_have_no_statistics():
    with pytest.raises(BadInput, match="no images"):
        as_images(np.empty((0, 1, 2, 2), np.uint8), []).statistics()

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.core.errors import BadInput
from nasbench.datasets.augment import Augment, normalise

MEAN, STD = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])


def one_by_one(images, generator, crop_padding, flip, cutout):
    """The recipe written image by image, pixel by pixel, on the draws in their documented order."""
    size, channels, height, width = images.shape
    draw = lambda below: torch.randint(below, (size,), generator=generator).tolist()  # noqa: E731
    tops, lefts = [0] * size, [0] * size
    if crop_padding:
        tops, lefts = draw(2 * crop_padding + 1), draw(2 * crop_padding + 1)
    mirrored = draw(2) if flip else [0] * size
    centres = list(zip(draw(height), draw(width), strict=True)) if cutout else []
    result = np.zeros(images.shape, np.float64)
    for i in range(size):
        padded = np.pad(images[i].numpy(), ((0, 0), (crop_padding, crop_padding), (crop_padding, crop_padding)))
        image = padded[:, tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
        if mirrored[i]:
            image = image[:, :, ::-1]
        for channel in range(channels):
            result[i, channel] = (image[channel] / 255 - MEAN[channel].item()) / STD[channel].item()
        if cutout:
            y, x = centres[i]
            y1, x1 = y - cutout // 2, x - cutout // 2
            result[i, :, max(y1, 0) : max(y1 + cutout, 0), max(x1, 0) : max(x1 + cutout, 0)] = 0
    return result


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 6),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    crop_padding=st.integers(0, 5),
    flip=st.booleans(),
    cutout=st.integers(0, 12),
    seed=st.integers(0, 1000),
)
def test_batches_equal_the_recipe_applied_one_by_one(size, height, width, crop_padding, flip, cutout, seed):
    pixels = torch.Generator().manual_seed(seed + 1)
    images = torch.randint(0, 256, (size, 3, height, width), dtype=torch.uint8, generator=pixels)
    before = images.clone()
    augment = Augment(MEAN, STD, crop_padding=crop_padding, flip=flip, cutout=cutout)
    result = augment(images, torch.Generator().manual_seed(seed))
    expected = one_by_one(images, torch.Generator().manual_seed(seed), crop_padding, flip, cutout)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result, expected, atol=2e-6)
    assert torch.equal(images, before)


def test_images_of_a_batch_differ_and_a_seed_repeats():
    image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    augment = Augment(MEAN, STD, crop_padding=4, flip=True, cutout=8)
    batch = image.expand(32, -1, -1, -1)
    first = augment(batch, torch.Generator().manual_seed(5))
    assert len({row.numpy().tobytes() for row in first}) > 25
    assert torch.equal(first, augment(batch, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, augment(batch, torch.Generator().manual_seed(6)))


def test_the_global_generator_is_left_alone():
    state = torch.random.get_rng_state()
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    Augment(MEAN, STD, crop_padding=2, flip=True, cutout=2)(images, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_cutout_removes_the_whole_square_in_the_middle_and_a_quarter_in_a_corner():
    images = torch.full((4000, 3, 8, 8), 255, dtype=torch.uint8)
    hidden = Augment(MEAN, STD, crop_padding=0, flip=False, cutout=4)(images, torch.Generator().manual_seed(0)) == 0
    areas = hidden[:, 0].sum((1, 2))
    assert areas.max() == 16
    assert areas.min() == 4
    # Centres are uniform: a corner pixel is hidden by 2x2 of the 8x8 centres at the upper left, 3x3 at the lower right.
    share = hidden[:, 0].float().mean(0)
    assert share[0, 0].item() == pytest.approx(9 / 64, abs=0.02)
    assert share[-1, -1].item() == pytest.approx(4 / 64, abs=0.02)
    assert share[4, 4].item() == pytest.approx(16 / 64, abs=0.03)


def test_normalise_gives_mean_zero_and_deviation_one():
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scaled = images.double() / 255
    mean, std = scaled.mean((0, 2, 3)), scaled.std((0, 2, 3), unbiased=False)
    result = normalise(images, mean, std)
    np.testing.assert_allclose(result.mean((0, 2, 3)), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(result.std((0, 2, 3), unbiased=False), np.ones(3), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_with_a_generator_of_the_processor():
    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    augment = Augment(MEAN, STD, crop_padding=2, flip=True, cutout=4)
    here = augment(images, torch.Generator().manual_seed(0))
    there = augment(images.cuda(), torch.Generator().manual_seed(0))
    np.testing.assert_allclose(there.cpu(), here, atol=2e-6)


def test_negative_sizes_are_refused():
    with pytest.raises(BadInput, match="at least 0"):
        Augment(MEAN, STD, crop_padding=-1)

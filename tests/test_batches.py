"""Batches of one epoch: each image once, the same for the same seed, cropped and mirrored."""

import numpy as np
import pytest

from mc_keras.batches import Batches, crop_flip


def numbered(count, height=5, width=7):
    """Images that are all different, and their numbers as labels."""
    images = np.random.default_rng(0).integers(1, 256, (count, height, width, 3), "uint8")
    return images, np.arange(count)


def labels_of(batches):
    return np.concatenate([batches[i][1] for i in range(len(batches))])


def test_an_epoch_has_every_image_once():
    x, y = numbered(23)
    batches = Batches(x, y, batch_size=5)
    assert [len(batches[i][1]) for i in range(len(batches))] == [5, 5, 5, 5, 3]
    assert sorted(labels_of(batches)) == list(y)
    for i in range(len(batches)):
        images, labels = batches[i]
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, x[labels])


def test_order_depends_on_seed_and_epoch_only():
    x, y = numbered(23)
    batches = Batches(x, y, batch_size=5, seed=3)
    first = labels_of(batches)
    batches.epoch = 1
    second = labels_of(batches)
    assert (first != second).any()
    batches.epoch = 0
    np.testing.assert_array_equal(labels_of(batches), first)
    assert (labels_of(Batches(x, y, batch_size=5, seed=4)) != first).any()


def test_augmentation_depends_on_seed_epoch_and_batch_only():
    x, y = numbered(12)
    batches = Batches(x, y, batch_size=4, augmentation="crop_flip", seed=3)
    again = Batches(x, y, batch_size=4, augmentation="crop_flip", seed=3)
    again[0]  # what was read before makes no difference
    np.testing.assert_array_equal(batches[1][0], again[1][0])
    same_image = Batches(x[:1].repeat(8, 0), y[:8], batch_size=4, augmentation="crop_flip")
    assert (same_image[0][0] != same_image[1][0]).any()
    before = same_image[0][0]
    same_image.epoch = 1
    assert (same_image[0][0] != before).any()


@pytest.mark.parametrize(("borders", "padding"), [("constant", 4), ("reflect", 4), ("reflect", 2)])
def test_crops_are_windows_of_the_padded_image_mirrored_half_of_the_time(borders, padding):
    x, _ = numbered(1, 9, 10)
    sides = (padding, padding)
    padded = np.pad(x[0], (sides, sides, (0, 0)), mode=borders)
    windows = {}
    places = 2 * padding + 1
    for top in range(places):
        for left in range(places):
            window = padded[top : top + 9, left : left + 10]
            windows[window.tobytes()] = (top, left, False)
            windows[window[:, ::-1].tobytes()] = (top, left, True)
    assert len(windows) == 2 * places**2
    crops = crop_flip(x.repeat(4000, 0), np.random.default_rng(0), borders, padding)
    assert crops.shape == (4000, 9, 10, 3)
    assert crops.dtype == np.uint8
    found = [windows[crop.tobytes()] for crop in crops]  # a KeyError is a crop that cannot be
    assert len(set(found)) == 2 * places**2
    assert np.mean([mirrored for *_, mirrored in found]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("augmentation", "blackest", "widest"),
    [("crop_flip", 0, 4), ("mirror_crop_flip", 1, 4), ("small_mirror_crop_flip", 1, 2)],
)
def test_borders_are_black_or_mirrored(augmentation, blackest, widest):
    x = np.tile(np.arange(1, 21, dtype="uint8")[:, None, None], (1, 20, 1))[None]
    batches = Batches(x.repeat(90, 0), np.zeros(90), batch_size=90, augmentation=augmentation)
    images = batches[0][0]
    assert images.min() == blackest
    middles = images[:, 10, 10, 0].astype(int)  # 11 where nothing is moved
    assert set(middles) == set(range(11 - widest, 12 + widest))


def test_unknown_augmentation():
    x, y = numbered(3)
    with pytest.raises(ValueError, match="or 'small_mirror_crop_flip'. Received: 'flip'"):
        Batches(x, y, batch_size=2, augmentation="flip")

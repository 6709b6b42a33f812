"""Generated lesions: reproducible, lesion-like, and hard for a threshold."""

import numpy as np
import pytest

from dagnet.data import imresize, phantom


def test_a_seed_gives_the_same_lesion_and_another_seed_another():
    image, mask = phantom.sample(5, 48)
    again, mask_again = phantom.sample(5, 48)
    assert np.array_equal(image, again) and np.array_equal(mask, mask_again)
    assert not np.array_equal(phantom.sample(6, 48)[0], image)


def test_an_image_is_uint8_and_its_mask_bool():
    image, mask = phantom.sample(1, 40)
    assert image.shape == (40, 40, 3) and image.dtype == np.uint8
    assert mask.shape == (40, 40) and mask.dtype == bool


def test_a_dataset_is_its_samples_one_by_one():
    images, masks = phantom.dataset(3, 32, seed=9)
    for i in range(3):
        image, mask = phantom.sample((9, i), 32)
        assert np.array_equal(images[i], image) and np.array_equal(masks[i], mask)


def test_a_seed_gives_the_same_picture_at_every_size():
    for seed in range(5):
        small, small_mask = phantom.sample(seed, 64)
        large, large_mask = phantom.sample(seed, 192)
        shrunk = imresize.imresize(large.astype(float), (64, 64))
        assert np.abs(shrunk - small).mean() < 12
        assert (imresize.imresize(large_mask, (64, 64), "nearest") == small_mask).mean() > 0.97


def test_every_lesion_is_there_and_leaves_skin_around_it():
    _, masks = phantom.dataset(150, 32, seed=0)
    area = masks.mean(axis=(1, 2))
    assert area.min() > 0.01 and area.max() < 0.75
    assert np.quantile(area, 0.9) > 4 * np.quantile(area, 0.1)  # small and large ones


def test_lesions_are_darker_than_the_skin_beside_them_in_nearly_all_images():
    images, masks = phantom.dataset(100, 48, seed=1)
    contrast = []
    for image, mask in zip(images, masks, strict=True):
        green = image[..., 1].astype(float)
        contrast.append(np.median(green[~mask & (green > 40)]) - np.median(green[mask]))
    assert np.mean(np.array(contrast) > 5) > 0.95
    assert np.quantile(contrast, 0.1) < 35 and np.median(contrast) > 50  # grey values: some of low contrast


def test_the_best_threshold_of_each_image_still_misses_much():
    """Even the threshold that suits an image best, chosen with the truth in hand, stays well below a network."""
    images, masks = phantom.dataset(60, 48, seed=2)
    best = []
    for image, mask in zip(images, masks, strict=True):
        grey = image @ [0.299, 0.587, 0.114]
        jaccard = [(mask & (grey < t)).sum() / (mask | (grey < t)).sum() for t in range(20, 230, 5)]
        best.append(max(jaccard))
    assert 0.5 < np.mean(best) < 0.8


def test_nonsense_sizes_and_counts_are_refused():
    with pytest.raises(ValueError, match="size is 8"):
        phantom.sample(0, 8)
    with pytest.raises(ValueError, match="n is 0"):
        phantom.dataset(0, 32, 0)

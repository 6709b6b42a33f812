"""Batches, their augmentation, and preparing them ahead of time."""

import threading
import time

import numpy as np
import pytest

from dagnet.data import batches

MEAN = [10.0, 20.0, 30.0]


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def labels(rng):
    return rng.integers(1, 3, (6, 8, 8), dtype=np.uint8)


def test_a_batch_is_the_images_minus_their_mean_and_the_labels(images, labels):
    batch = batches.Batches(images, labels, MEAN).get_batch([4, 1])
    assert batch["input"].shape == (8, 8, 3, 2) and batch["label"].shape == (8, 8, 1, 2)
    assert batch["input"].dtype == batch["label"].dtype == np.float32
    for n, index in enumerate((4, 1)):
        assert np.array_equal(batch["input"][:, :, :, n], images[index] - np.float32(MEAN))
        assert np.array_equal(batch["label"][:, :, 0, n], labels[index])


def test_memory_lies_as_the_layers_want_it(images, labels):
    for array in batches.Batches(images, labels, MEAN).get_batch([0, 3]).values():
        assert array.transpose(3, 0, 1, 2).flags.c_contiguous


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), (3, 1), (1, 3)])
def test_the_mean_may_have_any_shape_that_files_hold(images, labels, shape):
    batch = batches.Batches(images, labels, np.reshape(MEAN, shape)).get_batch([0])
    assert np.array_equal(batch["input"][:, :, :, 0], images[0] - np.float32(MEAN))


def test_the_mean_may_be_an_image(images, labels, rng):
    mean = rng.normal(size=(8, 8, 3)).astype(np.float32)
    batch = batches.Batches(images, labels, mean).get_batch([2])
    assert np.array_equal(batch["input"][:, :, :, 0], images[2] - mean)


def test_what_does_not_fit_is_refused(images, labels):
    with pytest.raises(ValueError, match=r"labels have shape \(5, 8, 8\)"):
        batches.Batches(images, labels[:5], MEAN)
    with pytest.raises(ValueError, match=r"average has shape \(2,\)"):
        batches.Batches(images, labels, [1, 2])
    with pytest.raises(ValueError, match="square"):
        batches.Batches(images[:, :4], labels[:, :4], MEAN, augment=batches.Augment())
    with pytest.raises(ValueError, match=r"scale is 0\.5"):
        batches.Augment(scale=0.5)
    for index in (-1, 6):
        with pytest.raises(IndexError, match=r"outside 0\.\.5"):
            batches.Batches(images, labels, MEAN).get_batch([index])


def _marked():
    """Forty images whose labels can be told from their pixels, so that both must be changed alike."""
    labels = np.random.default_rng(5).integers(1, 3, (40, 8, 8), dtype=np.uint8)
    return np.repeat(labels[..., None] * np.uint8(100), 3, axis=3), labels


def test_flips_and_turns_change_image_and_label_alike():
    images, labels = _marked()
    made = batches.Batches(images, labels, [0, 0, 0], augment=batches.Augment()).get_batch(range(40))
    assert np.array_equal(made["input"][:, :, 0], made["label"][:, :, 0] * 100)
    seen = set()
    for n in range(40):
        symmetries = [np.rot90(m, k) for m in (labels[n], labels[n][:, ::-1]) for k in range(4)]
        which = [k for k, s in enumerate(symmetries) if np.array_equal(s, made["label"][:, :, 0, n])]
        assert len(which) == 1
        seen.add(which[0])
    assert seen == set(range(8))


def test_zoom_moves_image_and_label_alike_and_ignores_what_lies_outside():
    ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    labels = np.where(ramp < 32, 1, 2).astype(np.uint8)
    image = np.repeat(ramp[..., None], 3, axis=2)
    shrunk = 0
    for seed in range(20):
        zoomed, label = batches.Augment(False, False, scale=1.5)(image, labels, np.random.default_rng(seed))
        assert zoomed.shape == image.shape and label.shape == labels.shape and set(np.unique(label)) <= {0, 1, 2}
        clear = (np.abs(zoomed[..., 0] - 31.5) > 1) & (label > 0)
        assert np.array_equal(label[clear] == 2, zoomed[..., 0][clear] > 31.5)
        slope = np.diff(zoomed[32, :, 0])
        assert 1 / 1.5 - 1e-3 <= slope.max() <= 1.5 + 1e-3
        shrunk += bool((label == 0).any())
    assert 0 < shrunk < 20


def test_seed_epoch_and_index_alone_decide_what_happens(images, labels):
    def make(seed, epoch):
        made = batches.Batches(images, labels, MEAN, augment=batches.Augment(scale=1.3), seed=seed)
        made.epoch = epoch
        return made

    whole = make(7, 3).get_batch([0, 1, 2, 3])["input"]
    resumed = make(7, 3)
    resumed.get_batch([5, 4])
    assert np.array_equal(resumed.get_batch([3, 1])["input"], whole[..., [3, 1]])
    assert not np.array_equal(make(7, 4).get_batch([0, 1, 2, 3])["input"], whole)
    assert not np.array_equal(make(8, 3).get_batch([0, 1, 2, 3])["input"], whole)


def test_only_the_images_named_are_augmented(images, labels):
    plain = batches.Batches(images, labels, MEAN)
    made = batches.Batches(images, labels, MEAN, augment=batches.Augment(scale=2.0), augmented=np.array([0, 1]))
    assert np.array_equal(made.get_batch([2, 5])["input"], plain.get_batch([2, 5])["input"])
    assert not np.array_equal(made.get_batch([0, 1])["input"], plain.get_batch([0, 1])["input"])


def test_prefetched_batches_are_the_batches_in_order(images, labels):
    made = batches.Batches(images, labels, MEAN)
    lists = [[0, 1], [5], [2, 3, 4]]
    with batches.Prefetch(made.get_batch, lists) as coming:
        got = list(coming)
        assert list(coming) == []  # once is once
    assert len(got) == 3
    for batch, indices in zip(got, lists, strict=True):
        assert np.array_equal(batch["input"], made.get_batch(indices)["input"])


def test_batches_are_made_while_the_consumer_computes_and_waiting_is_counted():
    def slow(indices):
        time.sleep(0.05)
        return {}

    with batches.Prefetch(slow, [[0]] * 4) as coming:
        for _ in coming:
            time.sleep(0.08)
    assert 0.02 < coming.waited < 0.15  # the first batch only
    with batches.Prefetch(slow, [[0]] * 4) as coming:
        for _ in coming:
            pass
    assert coming.waited > 0.15


def test_no_more_batches_are_made_ahead_than_depth_allows():
    made = []

    def note(indices):
        made.append(indices)
        return {}

    with batches.Prefetch(note, [[i] for i in range(20)], depth=2) as coming:
        next(coming)
        time.sleep(0.1)
        assert len(made) <= 4  # one taken, two waiting, one in the thread's hands


def test_an_exception_reaches_the_consumer_at_its_batch():
    def fail_at_two(indices):
        if indices == [2]:
            raise ValueError("image 2 is bad")
        return {}

    got = 0
    with (
        batches.Prefetch(fail_at_two, [[0], [1], [2], [3]]) as coming,
        pytest.raises(ValueError, match="image 2 is bad"),
    ):
        for _ in coming:
            got += 1
    assert got == 2


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    with batches.Prefetch(lambda indices: {}, [[i] for i in range(1000)]) as coming:
        next(coming)
    assert threading.active_count() == before


def test_iterating_outside_the_block_is_refused_instead_of_waiting_forever():
    with pytest.raises(RuntimeError, match="with Prefetch"):
        next(batches.Prefetch(lambda indices: {}, [[0]]))

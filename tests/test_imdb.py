"""The image database: what it holds, and that its cache is used when it may be and only then."""

import os

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import imdb, imresize, isic2017, phantom


@pytest.fixture
def samples(tmp_path):
    """Five generated lesions as files, 60 x 60."""
    images, masks = phantom.dataset(5, 60, seed=3)
    found = []
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        paths = tmp_path / f"ISIC_000000{i}.png", tmp_path / f"ISIC_000000{i}_segmentation.png"
        iio.imwrite(paths[0], image, plugin="pillow")
        iio.imwrite(paths[1], mask.astype(np.uint8) * 255, plugin="pillow")
        found.append(isic2017.Sample(f"ISIC_000000{i}", *paths))
    return found


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_images_and_labels_are_matlabs_resize_of_the_files(samples, cache):
    data = imdb.load(samples[:3], samples[3:], 24, cache)
    assert data.ids == [s.id for s in samples]
    assert data.train.tolist() == [0, 1, 2] and data.val.tolist() == [3, 4]
    for i, sample in enumerate(samples):
        image, mask = isic2017.read(sample)
        resized = imresize.imresize(image.astype(float), (24, 24))
        assert np.abs(data.images[i] - np.clip(resized, 0, 255)).max() <= 0.5 + 1e-4
        assert np.array_equal(data.labels[i], 1 + imresize.imresize(mask, (24, 24), "nearest").astype(int))


def test_a_second_run_reads_no_image(samples, cache, monkeypatch):
    first = imdb.load(samples[:3], samples[3:], 24, cache)
    monkeypatch.setattr(isic2017, "read", None)  # whoever calls it fails
    second = imdb.load(samples[:3], samples[3:], 24, cache)
    assert np.array_equal(first.images[4], second.images[4])


def test_another_size_or_set_or_a_changed_file_makes_another_cache(samples, cache):
    imdb.load(samples, [], 24, cache)
    imdb.load(samples, [], 16, cache)
    imdb.load(samples[1:], [], 24, cache)
    assert len(list(cache.iterdir())) == 3
    iio.imwrite(samples[0].image, np.zeros((60, 60, 3), np.uint8), plugin="pillow")
    os.utime(samples[0].image, (1, 1))
    assert imdb.load(samples, [], 24, cache).images[0].max() == 0


def test_a_bad_file_is_an_error_now_and_at_the_next_start_or_is_left_out(samples, cache, caplog):
    samples[1].image.write_bytes(b"no image")
    for _ in range(2):  # the second time from the cache
        with pytest.raises(ValueError, match=r"ISIC_0000001\.png: the file cannot be read"):
            imdb.load(samples[:3], samples[3:], 24, cache)
    data = imdb.load(samples[:3], samples[3:], 24, cache, on_bad="skip")
    assert data.train.tolist() == [0, 2] and data.val.tolist() == [3, 4]
    assert "skipped: " in caplog.text and "ISIC_0000001.png" in caplog.text


def test_only_bad_files_are_an_error_even_when_skipping(samples, cache):
    samples[0].image.write_bytes(b"no image")
    with pytest.raises(ValueError, match="all 1 images"):
        imdb.load(samples[:1], [], 24, cache, on_bad="skip")


def test_an_interrupted_run_leaves_no_half_written_cache(samples, cache, monkeypatch):
    def interrupt(sample):
        raise KeyboardInterrupt

    monkeypatch.setattr(isic2017, "read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        imdb.load(samples, [], 24, cache)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(samples, cache, monkeypatch):
    def full(file, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(imdb, "_write_all", full)
    with pytest.raises(OSError, match=r"train-24-.*\.npy.*No space left on device"):
        imdb.load(samples, [], 24, cache)
    assert list(cache.iterdir()) == []


def test_images_without_masks_cannot_be_trained_on(samples, cache):
    with pytest.raises(ValueError, match=r"ISIC_0000000\.png: no mask"):
        imdb.load([isic2017.Sample("ISIC_0000000", samples[0].image)], [], 24, cache)
    with pytest.raises(ValueError, match="no samples"):
        imdb.load([], [], 24, cache)


def test_the_average_is_the_mean_colour_of_the_training_images_alone(rng):
    images = rng.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    data = imdb.from_arrays((images[:2], np.ones((2, 8, 8), bool)), (images[2:], np.zeros((1, 8, 8), bool)))
    assert np.allclose(data.average(), images[:2].mean((0, 1, 2)), rtol=1e-6)
    assert [int(data.labels[i].max()) for i in range(3)] == [2, 2, 1]


def test_joined_arrays_read_like_one(rng):
    parts = [rng.normal(size=(n, 2)) for n in (2, 0, 3)]
    joined, whole = imdb.Joined(parts), np.concatenate(parts)
    assert len(joined) == 5 and joined.shape == (5, 2)
    assert all(np.array_equal(joined[i], whole[i]) for i in range(5))
    for index in (-1, 5):
        with pytest.raises(IndexError, match=r"outside 0\.\.4"):
            joined[index]


def test_arrays_that_do_not_fit_are_refused():
    images, masks = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 8), bool)
    with pytest.raises(ValueError, match="must be uint8"):
        imdb.from_arrays((images.astype(float), masks), (images, masks))
    with pytest.raises(ValueError, match=r"masks \(1, 8, 8\)"):
        imdb.from_arrays((images, masks), (images, masks[:1]))
    with pytest.raises(ValueError, match="1 names for 4 images"):
        imdb.from_arrays((images, masks), (images, masks), names=["one"])

"""From scores to masks at each image's own size, over folders, and the submission's archive."""

import tracemalloc
import zipfile
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet import dagnn
from dagnet.data import imdb, imresize, isic2017
from dagnet.evaluation import segmentation
from dagnet.evaluation.segmentation import Segmenter
from dagnet.layers import array, block

AVERAGE = np.array([120.0, 110.0, 100.0], np.float32)


@dataclass
class Darkness(block.Layer):
    """Score maps of a network that takes what is darker than the average for lesion."""

    def forward(self, inputs, params):
        (x,) = inputs
        assert self.mode == "test"
        return [array.channels_last(np.concatenate([x[:, :, :1], -x[:, :, :1]], axis=2))]


@dataclass
class NeedsLabels(block.Layer):
    """Stands for the loss, which a network cannot compute from an image alone."""

    def forward(self, inputs, params):
        raise AssertionError("the loss was run")


@pytest.fixture
def net() -> dagnn.DagNN:
    net = dagnn.DagNN()
    net.add_layer("dark", Darkness(), "input", "prediction")
    net.add_layer("objective", NeedsLabels(), ["prediction", "label"], "objective")
    net.meta = {
        "normalization": {"imageSize": np.array([[32.0, 48.0, 3.0]]), "averageImage": AVERAGE.reshape(1, 1, 3)},
    }
    return net


def disc(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A dark disc on bright skin, uint8, and its mask."""
    y, x = np.mgrid[:height, :width]
    mask = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 4) ** 2
    return np.where(mask[:, :, None], (70, 50, 40), (210, 170, 150)).astype(np.uint8), mask


@pytest.fixture
def samples(tmp_path: Path) -> list[isic2017.Sample]:
    """Five image files, each of its own size."""
    (tmp_path / "images").mkdir()
    for i in range(5):
        iio.imwrite(tmp_path / "images" / f"ISIC_000000{i}.png", disc(60 + 10 * i, 100)[0])
    return isic2017.images_in(tmp_path / "images")


@pytest.mark.parametrize("size", [(32, 48), (200, 333), (90, 50), (20, 20)])
def test_a_mask_has_its_images_size_and_finds_the_lesion(net, size):
    image, truth = disc(*size)
    mask = segmentation.predict(net, image)
    assert mask.dtype == bool
    assert mask.shape == size
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8


def test_a_mask_is_the_argmax_of_bilinearly_resized_scores(net, rng):
    image = rng.integers(0, 255, (75, 97, 3), dtype=np.uint8)
    segmenter = Segmenter(net)
    mask = segmentation.predict(net, image)
    segmenter.net.eval({"input": segmenter.prepare(image)[:, :, :, None]})
    scores = segmenter.net.vars["prediction"].value[:, :, :, 0].astype(np.float64)
    resized = imresize.imresize(scores, (75, 97), "bilinear")
    clear = np.abs(resized[:, :, 1] - resized[:, :, 0]) > 1e-4  # where rounding cannot decide
    assert clear.mean() > 0.99
    assert np.array_equal(mask[clear], resized.argmax(axis=2)[clear] == 1)


def test_a_tie_is_skin(net):
    average = np.broadcast_to(AVERAGE.astype(np.uint8), (30, 30, 3))
    assert not segmentation.predict(net, average).any()


def test_the_input_is_what_training_saw(net, tmp_path, rng):
    image, mask = rng.integers(0, 255, (70, 60, 3), dtype=np.uint8), np.eye(70, 60) > 0
    iio.imwrite(tmp_path / "a.png", image)
    iio.imwrite(tmp_path / "a_segmentation.png", mask * np.uint8(255))
    sample = isic2017.Sample("a", tmp_path / "a.png", tmp_path / "a_segmentation.png")
    trained_on = imdb.load([sample], [], 32, tmp_path / "cache").images[0] - AVERAGE
    assert np.array_equal(Segmenter(net, size=(32, 32)).prepare(image), trained_on)


def test_an_average_image_is_subtracted_pixel_by_pixel(net, rng):
    average = rng.random((32, 48, 3)).astype(np.float32)
    image = rng.integers(0, 255, (32, 48, 3), dtype=np.uint8)
    assert np.array_equal(Segmenter(net, average=average).prepare(image), image - average)


def test_the_network_passed_in_stays_as_it_was(net):
    segmentation.predict(net, disc(40, 40)[0])
    assert net.mode == "normal"
    assert list(net.layers) == ["dark", "objective"]


def test_images_of_several_sizes_segment_in_one_batch_as_alone(net):
    images = [disc(50, 60)[0], disc(90, 30)[0]]
    segmenter = Segmenter(net)
    masks = segmenter.masks([segmenter.prepare(image) for image in images], [image.shape[:2] for image in images])
    for mask, image in zip(masks, images, strict=True):
        assert np.array_equal(mask, segmentation.predict(net, image))


def test_the_largest_original_needs_half_a_gigabyte_at_most(net):
    segmenter = Segmenter(net)
    prepared = segmenter.prepare(disc(64, 64)[0])
    tracemalloc.start()
    (mask,) = segmenter.masks([prepared], [(4400, 6700)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask.shape == (4400, 6700)
    assert peak < 5e8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda net: net.rename_var("prediction", "scores"), r"no variable 'prediction'; it has input, scores"),
        (lambda net: net.meta.clear(), r"the network's meta has no normalization\.imageSize; pass size and average"),
        (lambda net: net.meta["normalization"].pop("averageImage"), r"no normalization\.averageImage"),
        (
            lambda net: net.meta["normalization"].update(averageImage=np.zeros((224, 224, 3))),
            r"the average is \(224, 224, 3\); it must be 3 numbers or an image \(32, 48, 3\)",
        ),
    ],
)
def test_a_network_that_cannot_segment_is_refused_with_the_reason(net, change, message):
    change(net)
    with pytest.raises(ValueError, match=message):
        Segmenter(net)


def test_an_image_that_is_not_8_bit_colour_is_refused(net):
    with pytest.raises(ValueError, match=r"image is float64 \(4, 4, 3\); it must be uint8 \(H, W, 3\)"):
        segmentation.predict(net, np.zeros((4, 4, 3)))


def test_scores_that_are_not_finite_are_an_error_and_no_mask(net):
    with pytest.raises(ValueError, match=r"`prediction` holds NaN or infinite scores"):
        Segmenter(net).masks([np.full((32, 48, 3), np.nan, np.float32)], [(10, 10)])


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_every_image_gets_its_mask_file_whatever_the_batch(net, samples, tmp_path, batch_size):
    written = list(segmentation.segment_files(Segmenter(net), samples, tmp_path / "masks", batch_size))
    assert written == [tmp_path / "masks" / f"ISIC_000000{i}_segmentation.png" for i in range(5)]
    assert sorted((tmp_path / "masks").iterdir()) == written
    for sample, path in zip(samples, written, strict=True):
        mask = iio.imread(path)
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, 255 * segmentation.predict(net, iio.imread(sample.image)))


def test_an_interrupted_run_goes_on_where_it_was(net, samples, tmp_path):
    run = segmentation.segment_files(Segmenter(net), samples, tmp_path / "masks", batch_size=1)
    first = next(run)
    run.close()
    first.write_bytes(b"mine")
    assert list(tmp_path.glob("masks/*")) == [first]
    again = list(segmentation.segment_files(Segmenter(net), samples, tmp_path / "masks"))
    assert again[0] == first
    assert len(again) == 5
    assert first.read_bytes() == b"mine"
    list(segmentation.segment_files(Segmenter(net), samples, tmp_path / "masks", overwrite=True))
    assert iio.imread(first).shape == (60, 100)


def test_a_damaged_image_is_named_and_the_masks_before_it_stay(net, samples, tmp_path):
    bad = samples[3].image
    bad.write_bytes(bad.read_bytes()[:80])
    with pytest.raises(ValueError, match=str(bad)):
        list(segmentation.segment_files(Segmenter(net), samples, tmp_path / "masks", batch_size=1))
    assert len(list(tmp_path.glob("masks/*"))) == 3


def test_two_images_of_one_name_are_refused_before_any_work(net, samples, tmp_path):
    twice = [*samples, isic2017.Sample(samples[0].id, tmp_path / "other" / "ISIC_0000000.jpg")]
    with pytest.raises(
        ValueError, match=r"other/ISIC_0000000\.jpg: its mask would replace that of .*images/ISIC_0000000"
    ):
        next(segmentation.segment_files(Segmenter(net), twice, tmp_path / "masks"))
    assert not (tmp_path / "masks").exists()


def test_the_submission_holds_every_isic_mask_flat_and_nothing_else(tmp_path):
    masks = tmp_path / "masks"
    for name in ("ISIC_0000001_segmentation.png", "ISIC_0000000_segmentation.png", "mole_segmentation.png"):
        segmentation.write_mask(masks / name, disc(10, 10)[1])
    (masks / "scores.csv").write_text("")
    assert segmentation.write_submission(masks, tmp_path / "submission.zip") == 2
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert archive.namelist() == ["ISIC_0000000_segmentation.png", "ISIC_0000001_segmentation.png"]
        assert archive.read(archive.namelist()[0]) == (masks / archive.namelist()[0]).read_bytes()


def test_an_empty_folder_makes_no_submission(tmp_path):
    with pytest.raises(ValueError, match=r"no masks to submit"):
        segmentation.write_submission(tmp_path, tmp_path / "submission.zip")
    assert list(tmp_path.iterdir()) == []

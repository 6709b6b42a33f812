"""imresize against arrays that MATLAB wrote, numbers it published, and its definition as bare loops."""

import math

import numpy as np
import pytest
from scipy.io import loadmat

from dagnet.data import imresize


def _loops(line: np.ndarray, n_out: int, method: str) -> np.ndarray:
    """One dimension of MATLAB's definition, pixel by pixel, positions from 1."""
    n_in, scale = len(line), n_out / len(line)
    shrink = min(scale, 1.0)

    def kernel(x: float) -> float:
        x = abs(x)
        if method == "bilinear":
            return max(1 - x, 0)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0

    out = []
    for i in range(1, n_out + 1):
        u = i / scale + 0.5 * (1 - 1 / scale)
        total = norm = 0.0
        for j in range(-3 * n_in, 4 * n_in):
            weight = kernel(shrink * (u - j))
            mirrored = [*range(n_in), *reversed(range(n_in))][(j - 1) % (2 * n_in)]
            total += weight * line[mirrored]
            norm += weight
        out.append(total / norm)
    return np.array(out)


@pytest.mark.parametrize("name", ["butterfly", "bird"])
def test_bicubic_gives_the_arrays_that_matlab_wrote(data_dir, name):
    arrays = loadmat(data_dir / "imresize" / f"{name}_x2.mat")
    half = imresize.imresize(arrays["im_gt_y"], 0.5, "bicubic")
    twice = imresize.imresize(arrays["im_l_y"], 2, "bicubic")
    assert np.abs(half - arrays["im_l_y"]).max() < 1e-12
    assert np.abs(twice - arrays["im_b_y"]).max() < 1e-12


def test_bilinear_gives_the_numbers_that_matlab_published():
    small = np.array([[1.0, 2.0], [3.0, 4.0]])
    large = imresize.imresize(small, 2, "bilinear")
    assert large.tolist() == [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]]
    back = imresize.imresize(large, 0.5, "bilinear")
    assert np.allclose(back, [[1.5625, 2.1875], [2.8125, 3.4375]], atol=1e-15)
    rough = imresize.imresize(large, 0.5, "bilinear", antialiasing=False)
    assert np.allclose(rough, [[1.375, 2.125], [2.875, 3.625]], atol=1e-15)


@pytest.mark.parametrize("method", ["bicubic", "bilinear"])
@pytest.mark.parametrize("n_out", [1, 3, 9, 10, 11, 37])
def test_each_dimension_is_the_bare_loops_of_the_definition(rng, method, n_out):
    line = rng.normal(size=10)
    expected = _loops(line, n_out, method)
    assert np.allclose(imresize.imresize(line[:, None], (n_out, 1), method)[:, 0], expected, atol=1e-13)
    assert np.allclose(imresize.imresize(line[None, :], (1, n_out), method)[0], expected, atol=1e-13)


def test_nearest_takes_one_input_pixel_each_as_matlabs_box_does():
    line = np.arange(1, 9, dtype=np.uint8)
    assert imresize.imresize(line[None], (1, 4), "nearest").tolist() == [[2, 4, 6, 8]]
    assert imresize.imresize(line[None], (1, 3), "nearest").tolist() == [[2, 5, 7]]
    assert imresize.imresize(line[None, :2], (1, 5), "nearest").tolist() == [[1, 1, 2, 2, 2]]


def test_nearest_keeps_a_mask_a_mask(rng):
    mask = rng.random((50, 70)) < 0.5
    small = imresize.imresize(mask, (16, 16), "nearest")
    assert small.dtype == bool and small.shape == (16, 16) and small.any() and not small.all()


def test_a_constant_image_stays_constant():
    image = np.full((30, 20, 3), 77.0)
    for size in ((7, 45), (64, 64), (30, 20)):
        assert np.allclose(imresize.imresize(image, size), 77, atol=1e-12)


def test_channels_are_resized_alike_and_alone(rng):
    image = rng.normal(size=(24, 31, 3))
    whole = imresize.imresize(image, (10, 40))
    for c in range(3):
        assert np.array_equal(whole[:, :, c], imresize.imresize(image[:, :, c], (10, 40)))


def test_integers_are_rounded_and_clipped_after_each_pass(rng):
    image = rng.integers(0, 2, (40, 60), dtype=np.uint8) * np.uint8(255)
    resized = imresize.imresize(image, (50, 20))
    assert resized.dtype == np.uint8
    columns = np.stack([_loops(row, 20, "bicubic") for row in image.astype(float)])  # 20/60 is the smaller scale: first
    columns = np.clip(np.floor(columns + 0.5), 0, 255)
    rows = np.stack([_loops(c, 50, "bicubic") for c in columns.T], axis=1)
    assert np.array_equal(resized, np.clip(np.floor(rows + 0.5), 0, 255))


def test_halves_are_rounded_away_from_zero():
    assert imresize.imresize(np.array([[0, 1, 2, 3]], np.uint8), (1, 2), "bilinear", antialiasing=False).tolist() == [
        [1, 3]
    ]
    assert imresize.imresize(np.array([[0, -1]], np.int16), (1, 1), "bilinear", antialiasing=False).tolist() == [[-1]]


def test_single_in_is_single_out_summed_in_double(rng):
    image = rng.normal(size=(300, 200)).astype(np.float32)
    resized = imresize.imresize(image, (20, 20))
    assert resized.dtype == np.float32
    assert np.allclose(resized, imresize.imresize(image.astype(np.float64), (20, 20)), rtol=0, atol=3e-7)


@pytest.mark.parametrize("method", ["bicubic", "nearest"])
def test_a_type_asked_for_is_as_if_the_image_had_been_converted_first(rng, method):
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    resized = imresize.imresize(image, (50, 20), method, dtype=np.float32)
    assert resized.dtype == np.float32
    assert np.array_equal(resized, imresize.imresize(image.astype(np.float32), (50, 20), method))


def test_a_scale_rounds_sizes_up_as_matlab_does():
    assert imresize.imresize(np.zeros((5, 7)), 0.3).shape == (math.ceil(1.5), math.ceil(2.1))


@pytest.mark.parametrize(
    ("image", "size", "method", "words"),
    [
        (np.zeros((4, 4)), (2, 2), "cubic", "method is 'cubic'"),
        (np.zeros((4, 4, 3, 1)), (2, 2), "bicubic", r"shape \(4, 4, 3, 1\)"),
        (np.zeros((0, 4)), (2, 2), "bicubic", "not empty"),
        (np.zeros((4, 4), bool), (2, 2), "bicubic", "type bool"),
        (np.zeros((4, 4)), (0, 2), "bicubic", "at least 1"),
        (np.zeros((4, 4)), -1.0, "bicubic", "positive"),
    ],
)
def test_what_cannot_be_resized_is_refused_in_words(image, size, method, words):
    with pytest.raises(ValueError, match=words):
        imresize.imresize(image, size, method)

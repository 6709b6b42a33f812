"""dagnet.data.resampling: what the kernels are, and that strips do not show."""

import numpy as np
import pytest

from dagnet.data import imresize, resampling


@pytest.mark.parametrize("name", resampling.KERNELS)
def test_a_kernel_is_one_at_its_middle_nothing_at_other_pixels_and_nothing_beyond_its_width(name):
    kernel, width = resampling.KERNELS[name]
    assert kernel(np.array([0.0])) == 1
    assert np.abs(kernel(np.arange(1.0, 5))).max() < 1e-5
    assert not kernel(np.array([-width / 2 - 1e-9, width / 2 + 1e-9, 9.0])).any()


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos2", "lanczos3"])
def test_kernels_but_the_box_are_even(name):
    x = np.linspace(0, 4, 101)
    assert (resampling.KERNELS[name][0](x) == resampling.KERNELS[name][0](-x)).all()


def test_known_values():
    values = {"bilinear": 0.5, "bicubic": 0.5625, "lanczos2": 0.5732, "lanczos3": 0.6079}
    for name, value in values.items():
        assert resampling.KERNELS[name][0](np.array([0.5])) == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize("name", resampling.KERNELS)
@pytest.mark.parametrize("shrink", [1.0, 0.37])
def test_each_rows_weights_add_up_to_one_and_lie_within_the_kernels_reach(name, shrink):
    u = np.linspace(-0.4, 19.4, 23)
    weights = resampling.matrix(u, 20, name, shrink, lambda index: index.clip(0, 19)).toarray()
    assert np.allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-14)
    reach = resampling.KERNELS[name][1] / 2 / shrink
    assert (np.abs(u[:, None] - np.arange(20))[weights != 0] <= reach + 1e-9).all()


def test_a_box_half_way_between_two_pixels_takes_the_second():
    weights = resampling.matrix(np.array([0.5, 1.5]), 3, "box", 1.0, lambda index: index.clip(0, 2)).toarray()
    assert weights.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_strips_do_not_show(rng, monkeypatch):
    image = rng.normal(size=(40, 50, 3))
    whole = imresize.imresize(image, (17, 13))
    monkeypatch.setattr(resampling, "STRIP", 7)
    assert np.array_equal(imresize.imresize(image, (17, 13)), whole)

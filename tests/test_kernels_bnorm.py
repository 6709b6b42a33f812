"""dagnet.layers.kernels: batch normalisation's fast twins against the plain code."""

import numpy as np
import pytest

from dagnet.layers import bnorm, settings

SIZES = [(1, 1, 1, 2), (3, 4, 5, 2), (40, 60, 3, 4), (5, 3, 130, 2), (2, 2, 700, 1)]


@pytest.fixture(params=SIZES, ids=str)
def arrays(request, rng):
    """A function of a dtype: x, g, b, dy; x's mean is large beside its deviation."""
    h, w, c, n = request.param

    def made(dtype):
        x, dy = rng.standard_normal((h, w, c, n)) + 100, rng.standard_normal((h, w, c, n))
        return [a.astype(dtype) for a in (x, rng.random((c, 1)) + 0.5, rng.standard_normal((1, c)), dy)]

    return made


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_ways_agree_with_the_plain_code(fast, arrays, rng, dtype, given):
    x, g, b, dy = arrays(dtype)
    drawn = rng.random((2, g.size)).astype(dtype).T + dtype(1)
    moments = drawn if given else None
    with settings.using(fast=False):
        plain = *bnorm.forward(x, g, b, moments=moments), *bnorm.backward(x, g, b, dy, moments=moments)
    twin = fast(bnorm)
    found = *twin.forward(x, g, b, moments=moments), *twin.backward(x, g, b, dy, moments=moments)
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.dtype == theirs.dtype == dtype
        assert ours.shape == theirs.shape
        assert abs(ours - theirs).max() <= (2e-5 if dtype == np.float32 else 1e-11) * abs(theirs).max() + 1e-11


def test_what_is_constant_becomes_the_bias(fast):
    x, one = np.full((2, 2, 1, 2), 1e6, np.float32), np.ones(1, np.float32)
    y, moments = fast(bnorm).forward(x, one, 3 * one)
    assert (y == 3).all()
    assert moments.tolist() == [[1e6, np.float32(0.01)]]

"""dagnet.layers.spnorm: windows that the border cuts, against bare loops and finite differences."""

import numpy as np
import pytest

from dagnet.layers import gradcheck, spnorm
from tests import oracles

SHAPE = (5, 4, 2, 2)
PARAMS = [(2, 2, 10, 2), (3, 3, 0.5, 0.75), (4, 1, 0.1, 0.5), (1, 1, 1, 0.6)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("param", PARAMS)
def test_forward_and_backward_agree_with_bare_loops(xp, rng, param, dtype, tolerance):
    x, dy = (rng.standard_normal(SHAPE).astype(dtype) for _ in range(2))
    y = spnorm.forward(xp.asarray(x), param=param)
    dx = spnorm.backward(xp.asarray(x), xp.asarray(dy), param=param)
    assert y.dtype == dx.dtype == dtype
    assert oracles.error(y, oracles.spnorm(x, param)) < tolerance
    assert oracles.error(dx, oracles.spnorm_backward(x, dy, param)) < tolerance


@pytest.mark.parametrize("param", PARAMS)
def test_backward_is_the_slope_of_forward(xp, rng, param):
    gradcheck.check(spnorm.SpatialNorm(list(param)), [xp.asarray(rng.standard_normal(SHAPE))], [], rng)


def test_the_mean_is_over_the_pixels_that_exist(xp):
    x = xp.asarray([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1)
    y = spnorm.forward(x, param=[2, 1, 1, 1])  # the pixel itself and the one below
    assert xp.allclose(y.ravel(), xp.asarray([1 / (1 + 2.5), 2 / (1 + 6.5), 3 / (1 + 9)]))


def test_the_result_has_our_memory_order_and_no_argument_is_written_to(xp, rng):
    x = xp.asarray(rng.standard_normal(SHAPE))
    before = x.copy()
    for y in (spnorm.forward(x), spnorm.backward(x, x)):
        assert y.transpose(3, 0, 1, 2).flags.c_contiguous
    assert (x == before).all()


@pytest.mark.parametrize("param", [[2, 2, 1], [0, 2, 1, 1], [2, 1.5, 1, 1]])
def test_a_param_that_is_not_a_window_alpha_and_beta_is_refused(param):
    with pytest.raises(ValueError, match="spnorm: param is"):
        spnorm.forward(np.ones(SHAPE), param=param)


def test_bytes_are_refused():
    with pytest.raises(ValueError, match="spnorm: x is uint8; all float32"):
        spnorm.forward(np.zeros(SHAPE, np.uint8))

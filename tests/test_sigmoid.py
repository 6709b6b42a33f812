"""dagnet.layers.sigmoid: against bare loops and finite differences, and far from zero."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, sigmoid
from tests import oracles

SHAPE = (4, 5, 3, 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_forward_and_backward_agree_with_bare_loops(xp, rng, dtype, tolerance):
    x, dy = ((3 * rng.standard_normal(SHAPE)).astype(dtype) for _ in range(2))
    y, dx = sigmoid.forward(xp.asarray(x)), sigmoid.backward(xp.asarray(x), xp.asarray(dy))
    assert y.dtype == dx.dtype == dtype
    assert oracles.error(y, oracles.sigmoid(x)) < tolerance
    assert oracles.error(dx, oracles.sigmoid_backward(x, dy)) < tolerance


def test_backward_is_the_slope_of_forward(xp, rng):
    gradcheck.check(sigmoid.Sigmoid(), [xp.asarray(rng.standard_normal(SHAPE))], [], rng)


@pytest.mark.filterwarnings("error")
def test_values_far_from_zero_saturate_without_overflow(xp):
    x = xp.asarray([[-1e4, -200.0, 0.0, 200.0, 1e4]], np.float32)
    assert sigmoid.forward(x).ravel().tolist() == [0, 0, 0.5, 1, 1]
    assert sigmoid.backward(x, xp.ones_like(x)).ravel().tolist() == [0, 0, 0.25, 0, 0]


def test_bytes_and_mixed_precisions_are_refused():
    x = np.zeros((4, 4, 2, 1))
    with pytest.raises(ValueError, match="sigmoid: x is uint8; all float32"):
        sigmoid.forward(x.astype(np.uint8))
    with pytest.raises(ValueError, match="sigmoid: x is float64, dy is float32"):
        sigmoid.backward(x, x.astype(np.float32))


def test_the_memory_order_of_the_input_is_kept(xp, rng):
    x = array.channels_last(xp.asarray(rng.standard_normal(SHAPE)))
    assert sigmoid.forward(x).strides == sigmoid.backward(x, x).strides == x.strides

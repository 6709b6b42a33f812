"""dagnet.layers.softmax: against bare loops and finite differences, and for large scores."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, softmax
from tests import oracles

pytestmark = pytest.mark.usefixtures("tier")

SHAPE = (3, 4, 5, 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 5e-7), (np.float64, 1e-15)])
@pytest.mark.parametrize("shape", [SHAPE, (1, 1, 10, 4), (2, 3, 1, 1), (2, 2, 2, 1)])
def test_forward_and_backward_agree_with_bare_loops(xp, rng, dtype, tolerance, shape):
    x, dy = ((3 * rng.standard_normal(shape)).astype(dtype) for _ in range(2))
    y, dx = softmax.forward(xp.asarray(x)), softmax.backward(xp.asarray(x), xp.asarray(dy))
    assert y.dtype == dx.dtype == dtype
    assert oracles.error(y, oracles.softmax(x)) < tolerance
    if shape[2] > 1:
        assert oracles.error(dx, oracles.softmax_backward(x, dy)) < tolerance
    else:
        assert not dx.any()  # one channel is 1, whatever its score


def test_backward_is_the_slope_of_forward(xp, rng):
    gradcheck.check(softmax.SoftMax(), [xp.asarray(rng.standard_normal(SHAPE))], [], rng)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("turned", [0, 1, 2])  # the highest is the first, second, third
def test_large_scores_do_not_overflow(xp, turned):
    x = xp.asarray(np.roll([1000.0, 999.0, -1000.0], turned).astype(np.float32)).reshape(1, 1, 3, 1)
    right = np.roll([1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0], turned)
    assert softmax.forward(x).ravel().tolist() == pytest.approx(right.tolist(), abs=1e-7)


def test_the_memory_order_of_the_input_is_kept(xp, rng):
    x = array.channels_last(xp.asarray(rng.standard_normal(SHAPE)))
    assert softmax.forward(x).strides == softmax.backward(x, x).strides == x.strides


def test_bytes_and_mixed_precisions_are_refused():
    x = np.zeros((4, 4, 2, 1))
    with pytest.raises(ValueError, match="softmax: x is uint8; all float32"):
        softmax.forward(x.astype(np.uint8))
    with pytest.raises(ValueError, match="softmax: x is float64, dy is float32"):
        softmax.backward(x, x.astype(np.float32))

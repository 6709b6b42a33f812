"""dagnet.layers.noffset: against bare loops and finite differences, and where all channels are 0."""

import numpy as np
import pytest

from dagnet.layers import gradcheck, noffset
from tests import oracles

SHAPE = (3, 4, 5, 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("param", [(1, 0.5), (0.7, 1), (1.2, 0.3)])
def test_forward_and_backward_agree_with_bare_loops(xp, rng, param, dtype, tolerance):
    x, dy = (rng.standard_normal(SHAPE).astype(dtype) for _ in range(2))
    y = noffset.forward(xp.asarray(x), param=param)
    dx = noffset.backward(xp.asarray(x), xp.asarray(dy), param=param)
    assert y.dtype == dx.dtype == dtype
    assert oracles.error(y, oracles.noffset(x, *param)) < tolerance
    assert oracles.error(dx, oracles.noffset_backward(x, dy, *param)) < tolerance


@pytest.mark.parametrize("param", [[1, 0.5], [0.7, 1.3]])
def test_backward_is_the_slope_of_forward(xp, rng, param):
    gradcheck.check(noffset.NormOffset(param), [xp.asarray(rng.standard_normal(SHAPE))], [], rng)


def test_a_pixel_without_values_is_offset_by_the_bound_and_stays_finite(xp):
    x = xp.zeros((1, 1, 3, 1))
    assert xp.allclose(noffset.forward(x), -1e-4, rtol=1e-12)
    assert (noffset.backward(x, xp.ones_like(x)) == 1).all()


def test_the_result_has_our_memory_order_and_no_argument_is_written_to(xp, rng):
    x = xp.asarray(rng.standard_normal(SHAPE))
    before = x.copy()
    for y in (noffset.forward(x), noffset.backward(x, x)):
        assert y.transpose(3, 0, 1, 2).flags.c_contiguous
    assert (x == before).all()


def test_bytes_and_a_param_of_another_length_are_refused():
    with pytest.raises(ValueError, match="noffset: x is uint8; all float32"):
        noffset.forward(np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match=r"noffset: param is \[1, 2, 3\]; \[alpha, beta\] is right"):
        noffset.forward(np.zeros(SHAPE), param=[1, 2, 3])

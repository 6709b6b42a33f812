"""dagnet.layers.taccum: alpha * a + beta * b, of arrays and numbers."""

import numpy as np
import pytest

from dagnet.layers import array, taccum
from tests import oracles


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-7), (np.float64, 1e-15)])
@pytest.mark.parametrize("shape", [(5, 4, 3, 2), (1, 1), (6,)])
def test_it_agrees_with_bare_loops(xp, rng, dtype, tolerance, shape):
    a, b = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    y = taccum.forward(np.float64(0.9), xp.asarray(a), -0.5, xp.asarray(b))
    assert y.dtype == dtype
    assert oracles.error(y, oracles.taccum(0.9, a, -0.5, b)) < tolerance


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.full((1, 1), 2.0)])
def test_a_number_counts_for_every_value_and_leaves_the_others_dtype(rng, number):
    b = rng.standard_normal((5, 4, 3)).astype(np.float32)
    for y in (taccum.forward(0.5, number, -1, b), taccum.forward(-1, b, 0.5, number)):
        assert y.dtype == np.float32
        assert (y == 1 - b).all()


def test_arguments_are_left_as_they_were(xp, rng):
    a, b = (xp.asarray(rng.standard_normal((5, 4))) for _ in range(2))
    before = a.copy(), b.copy()
    taccum.forward(1, a, 1, b)
    assert (a == before[0]).all() and (b == before[1]).all()


def test_arrays_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"taccum: a and b have shapes \(3, 1\) and \(3, 2\)"):
        taccum.forward(1, np.zeros((3, 1)), 1, np.zeros((3, 2)))


def test_two_numbers_and_mixed_precisions_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(\) and \(\); equal shapes, or one number and an array"):
        taccum.forward(1, 2.0, 1, 3.0)
    with pytest.raises(ValueError, match="taccum: a is float32, b is float64"):
        taccum.forward(1, np.zeros((3, 2), np.float32), 1, np.zeros((3, 2)))


def test_the_memory_order_of_the_first_array_is_kept(xp, rng):
    x = array.channels_last(xp.asarray(rng.standard_normal((5, 4, 3, 2))))
    for y in (taccum.forward(1, x, 2, x), taccum.forward(1, 3.0, 2, x), taccum.forward(1, x, 2, 3.0)):
        assert y.strides == x.strides

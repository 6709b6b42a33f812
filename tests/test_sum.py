"""dagnet.layers.sum: any number of inputs, against finite differences."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck
from dagnet.layers import sum as sum_

SHAPE = (3, 4, 2, 2)


def inputs(xp, rng, count, dtype=np.float64):
    return [xp.asarray(rng.standard_normal(SHAPE), dtype) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_forward_adds_value_by_value_in_the_order_of_the_inputs(xp, rng, count):
    xs = inputs(xp, rng, count, np.float32)
    y = sum_.forward(xs)
    assert y.dtype == np.float32
    for place in np.ndindex(SHAPE):
        total = np.float32(0)
        for x in xs:
            total += array.to_numpy(x)[place]
        assert y[place] == total


@pytest.mark.parametrize("count", [1, 2, 4])
def test_backward_is_the_slope_of_forward(xp, rng, count):
    gradcheck.check(sum_.Sum(), inputs(xp, rng, count), [], rng)


def test_inputs_are_left_as_they_were(xp, rng):
    xs = inputs(xp, rng, 3)
    before = [x.copy() for x in xs]
    sum_.forward(xs)
    assert all((x == b).all() for x, b in zip(xs, before, strict=True))


def test_the_memory_order_of_the_inputs_is_kept(xp, rng):
    xs = [array.channels_last(x) for x in inputs(xp, rng, 3)]
    assert sum_.forward(xs).strides == xs[0].strides


def test_inputs_of_different_shapes_are_refused_even_where_numpy_would_broadcast():
    with pytest.raises(ValueError, match=r"sum: inputs have shapes \(3, 4, 2, 2\) and \(1, 1, 2, 2\)"):
        sum_.forward([np.zeros(SHAPE), np.zeros((1, 1, 2, 2))])


def test_no_inputs_at_all_are_refused():
    with pytest.raises(ValueError, match="sum: no input came"):
        sum_.forward([])


def test_the_blocks_output_size_is_its_inputs_size():
    assert sum_.Sum().output_sizes([SHAPE, SHAPE]) == [SHAPE]
    with pytest.raises(ValueError, match="equal shapes are right"):
        sum_.Sum().output_sizes([SHAPE, (3, 5, 2, 2)])


def test_every_input_is_seen_one_pixel_at_a_time():
    assert [f.size for f in sum_.Sum().receptive_fields(3)] == [(1, 1)] * 3


def test_bytes_and_mixed_precisions_are_refused():
    x = np.zeros((4, 3, 2, 1))
    with pytest.raises(ValueError, match="sum: x1 is float64, x2 is float32; all float32"):
        sum_.forward([x, x.astype(np.float32)])
    with pytest.raises(ValueError, match="sum: x1 is uint8, x2 is uint8"):
        sum_.forward([x.astype(np.uint8)] * 2)

"""dagnet.layers.crop: the function and the block that crops to another variable's size."""

import numpy as np
import pytest

from dagnet.layers import array, crop, gradcheck
from tests import oracles

every_crop = pytest.mark.parametrize("sides", [(0, 0, 0, 0), (1, 2, 0, 3), (3, 0, 2, 2)])


@every_crop
def test_forward_and_backward_are_exactly_what_bare_loops_say(xp, rng, sides):
    x = rng.standard_normal((7, 8, 2, 2))
    y = crop.forward(xp.asarray(x), sides)
    dy = rng.standard_normal(y.shape)
    assert (array.to_numpy(y) == oracles.crop(x, sides)).all()
    dx = crop.backward(xp.asarray(x), sides, xp.asarray(dy))
    assert (array.to_numpy(dx) == oracles.crop_backward(x, sides, dy)).all()


@pytest.mark.parametrize("offset", [[0, 0], [1, 2], [9, 0]])
def test_backward_is_the_slope_of_forward(xp, rng, offset):
    x, reference = (xp.asarray(rng.standard_normal(shape)) for shape in ((6, 7, 2, 2), (3, 4, 1, 2)))
    gradcheck.check(crop.Crop(offset), [x, reference], [], rng, differentiable=["input 0"])


@pytest.mark.parametrize(
    ("offset", "sides"),
    [
        ([0, 0], (0, 3, 0, 3)),
        ([1, 2], (1, 2, 2, 1)),
        ([3, 3], (3, 0, 3, 0)),
        ([5, 9], (3, 0, 3, 0)),  # more than there is to take away
    ],
)
def test_the_block_takes_its_offset_at_the_top_left_and_the_rest_at_the_bottom_right(xp, rng, offset, sides):
    x, reference = xp.asarray(rng.standard_normal((6, 7, 2, 1))), xp.zeros((3, 4, 5, 1))
    (y,) = crop.Crop(offset).forward([x, reference], [])
    assert (y == crop.forward(x, sides)).all()


def test_the_second_input_has_no_derivative(xp):
    x, reference = xp.zeros((6, 7, 2, 1)), xp.zeros((3, 4, 5, 1))
    (dx, none), params = crop.Crop().backward([x, reference], [], [xp.ones((3, 4, 2, 1))])
    assert dx.shape == x.shape and none is None and params == []


def test_results_have_the_common_memory_order_and_the_inputs_dtype(xp, rng):
    x = xp.asarray(rng.standard_normal((6, 7, 2, 2)), np.float32)
    y = crop.forward(x, (1, 1, 2, 0))
    for made in (y, crop.backward(x, (1, 1, 2, 0), y)):
        assert made.dtype == np.float32
        assert made.transpose(3, 0, 1, 2).flags.c_contiguous


@pytest.mark.parametrize("sides", [(3, 3, 0, 0), (0, 0, 7, 0), (9, 9, 9, 9)])
def test_a_crop_that_leaves_nothing_is_refused(sides):
    with pytest.raises(ValueError, match=r"crop: x has 6 x 7 pixels and the crop .*, which leaves none"):
        crop.forward(np.zeros((6, 7, 1, 1)), sides)


def test_a_negative_crop_is_refused():
    with pytest.raises(ValueError, match="crop: crop"):
        crop.forward(np.zeros((6, 7, 1, 1)), (-1, 0, 0, 0))


def test_a_derivative_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"dy has shape \(1, 1, 1, 1\); y's shape \(5, 7, 1, 1\) is right"):
        crop.backward(np.zeros((6, 7, 1, 1)), (1, 0, 0, 0), np.zeros((1, 1, 1, 1)))


def test_an_input_smaller_than_its_reference_is_refused():
    with pytest.raises(
        ValueError, match="input 1 has 3 x 7 pixels and input 2 4 x 4; input 1 must be at least as large"
    ):
        crop.Crop().forward([np.zeros((3, 7, 1, 1)), np.zeros((4, 4, 1, 1))], [])


def test_the_blocks_output_has_the_references_height_and_width():
    assert crop.Crop([1, 1]).output_sizes([(6, 7, 2, 3), (3, 4, 5, 3)]) == [(3, 4, 2, 3)]


def test_the_field_is_shifted_by_the_offset_and_the_reference_has_none():
    field, none = crop.Crop([2, 3]).receptive_fields(2)
    assert (field.size, field.stride, field.offset) == ((1, 1), (1, 1), (3, 4))
    assert none is None

"""Pads, strides, sizes and receptive fields."""

import math

import numpy as np
import pytest

from dagnet.layers import geometry


@pytest.mark.parametrize(
    ("values", "four"),
    [
        (1, (1, 1, 1, 1)),
        ([1, 2], (1, 1, 2, 2)),
        ([1, 2, 3, 4], (1, 2, 3, 4)),
        (np.array([[1.0, 2, 3, 4]]), (1, 2, 3, 4)),
    ],
)
def test_one_two_or_four_numbers_make_a_pad(values, four):
    assert geometry.four(values, "pad") == four


def test_one_or_two_numbers_make_a_stride():
    assert geometry.pair(2, "stride") == (2, 2) and geometry.pair(np.array([2.0, 3.0]), "stride") == (2, 3)
    assert geometry.pair(np.array([[2, 3]], np.uint8), "stride") == (2, 3)
    with pytest.raises(ValueError, match=r"stride: it is \[1, 2, 3\]"):
        geometry.pair([1, 2, 3], "stride")


@pytest.mark.parametrize("values", ["wide", "2", math.nan, math.inf, None, [1, None], [1, [2, 3]], 2j])
def test_what_is_no_number_is_named(values):
    with pytest.raises(ValueError, match=r"^stride: it is .*; finite numbers are right$"):
        geometry.pair(values, "stride")


def test_of_a_large_array_that_is_not_finite_the_shape_is_told():
    with pytest.raises(ValueError, match=r"mean: it is an array of shape \(4, 4\) with NaN or infinity in it"):
        geometry.finite(np.full((4, 4), np.nan), "mean")


def test_windows_are_counted_as_floor_says():
    assert [geometry.slide(size, 3, 2, 0, 0, "x") for size in (3, 4, 5, 6, 7)] == [1, 1, 2, 2, 3]
    assert geometry.slide(7, geometry.extent(3, 2), 1, 1, 1, "x") == 5


def test_sizes_are_as_slide_counts_them_and_unknown_ones_stay_unknown():
    h, w, c, n = geometry.window_sizes((7, math.nan, 3, 2), (3, 3), (2, 2), (1, 1, 0, 0), "x")
    assert (h, c, n) == (4, 3, 2) and math.isnan(w)
    with pytest.raises(ValueError, match="x, horizontally: its window covers 3 pixels and the padded input has 2"):
        geometry.window_sizes((7, 2, 3, 2), (3, 3), (2, 2), (1, 1, 0, 0), "x")


def test_sizes_agree_as_far_as_they_are_known():
    assert geometry.agree((1, math.nan), (1, 2)) and geometry.agree((), ())
    assert not geometry.agree((1, math.nan), (2, 2)) and not geometry.agree((1,), (1, 2))


def test_a_chain_of_fields_is_what_vgg_16s_first_pool_sees():
    conv, pool = geometry.window_field((3, 3), (1, 1), (1, 1, 1, 1)), geometry.window_field((2, 2), (2, 2), (0,) * 4)
    field = conv.then(conv).then(pool)
    assert (field.size, field.stride, field.offset) == ((6, 6), (2, 2), (1.5, 1.5))


def test_fields_of_different_strides_have_no_union():
    a = geometry.window_field((3, 3), (1, 2), (0,) * 4)
    b = geometry.window_field((5, 5), (2, 2), (0,) * 4)
    both = a.united(b)
    assert math.isnan(both.size[0]) and math.isnan(both.stride[0])
    assert (both.size[1], both.stride[1], both.offset[1]) == (5, 2, 3)

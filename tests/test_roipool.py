"""dagnet.layers.roipool: bins, transforms, ties; against bare loops, finite differences and known regions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnet.layers import array, catalogue, gradcheck, roipool
from tests import oracles

every_method = pytest.mark.parametrize("method", ["max", "avg"])
ROIS = np.array(
    [[1, 1, 1, 10, 9], [2, 2, 3, 9, 7], [1, 4, 5, 4, 5], [2, 7, 6, 3, 2], [1, -3, 5, 4, 12], [2, 20, 1, 25, 9.0]]
).T
# Whole image, part, one pixel, corners exchanged, over the border, outside.


def distinct(rng, shape):
    """Values a good step apart, so that finite differences meet no tie."""
    return rng.permutation(np.prod(shape)).reshape(shape) * 0.1


@every_method
@pytest.mark.parametrize("subdivisions", [(1, 1), (2, 3), (6, 6), (9, 1)])
def test_backward_is_the_slope_of_forward(xp, rng, method, subdivisions):
    block = roipool.ROIPooling(method, subdivisions)
    x = distinct(rng, (9, 10, 2, 2))
    gradcheck.check(block, [xp.asarray(x), xp.asarray(ROIS)], [], rng, differentiable=["input 0"])


@every_method
@pytest.mark.parametrize("subdivisions", [(1, 1), (2, 3), (6, 6), (9, 1)])
@pytest.mark.parametrize(
    ("transform", "matrix"),
    [
        (1, ((1, 0, 0), (0, 1, 0))),
        (0.5, ((0.5, 0, 0.5), (0, 0.5, 0.5))),
        ((0.25, 2), ((0.25, 0, 0.75), (0, 2, -1))),  # horizontal, vertical
        (((0, 1, 0.4), (1.5, -0.5, 0)), ((0, 1, 0.4), (1.5, -0.5, 0))),
    ],
)
def test_forward_and_backward_agree_with_bare_loops_ties_included(xp, rng, method, subdivisions, transform, matrix):
    x = rng.integers(0, 3, (9, 10, 2, 2)).astype(float)  # few values: nearly every bin has several maxima
    options = {"method": method, "subdivisions": subdivisions, "transform": transform}
    y = roipool.forward(xp.asarray(x), xp.asarray(ROIS), **options)
    assert oracles.error(y, oracles.roipool(x, ROIS, method, subdivisions, matrix)) < 1e-15
    dy = rng.standard_normal(y.shape)
    dx = roipool.backward(xp.asarray(x), xp.asarray(ROIS), xp.asarray(dy), **options)
    assert oracles.error(dx, oracles.roipool_backward(x, ROIS, dy, method, subdivisions, matrix)) < 1e-14


@given(
    st.tuples(*[st.integers(1, 20)] * 2, st.integers(1, 2), st.integers(1, 3)),
    st.lists(st.tuples(st.integers(1, 3), *[st.integers(-3, 24)] * 4), max_size=4),
    st.tuples(*[st.integers(1, 7)] * 2),
    st.sampled_from(["max", "avg"]),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_regions_agree_with_bare_loops(size, regions, subdivisions, method):
    rng = np.random.default_rng(sum(size))
    x = rng.integers(-4, 3, size).astype(float)
    rois = np.array([(min(region[0], size[3]), *region[1:]) for region in regions], float).reshape(-1, 5).T
    y = roipool.forward(x, rois, method=method, subdivisions=subdivisions)
    dy = rng.standard_normal(y.shape)
    dx = roipool.backward(x, rois, dy, method=method, subdivisions=subdivisions)
    assert dx.shape == x.shape and y.shape == (*subdivisions, size[2], len(regions))
    if regions:
        assert oracles.error(y, oracles.roipool(x, rois, method, subdivisions)) < 1e-14
        assert oracles.error(dx, oracles.roipool_backward(x, rois, dy, method, subdivisions)) < 1e-13


def test_the_gradient_of_equal_maxima_goes_to_the_leftmost_then_topmost(xp):
    x = xp.asarray([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    dx = roipool.backward(x, xp.asarray([[1.0], [1], [1], [3], [3]]), xp.full((1, 1, 1, 1), 7.0))
    assert array.to_numpy(dx)[:, :, 0, 0].tolist() == [[0, 0, 0], [7, 0, 0], [0, 0, 0]]


def test_channels_taken_in_several_parts_give_what_they_give_at_once(xp, rng, monkeypatch):
    x = xp.asarray(rng.integers(0, 4, (6, 7, 5, 2)).astype(float))
    rois = xp.asarray([[1, 2, 2], [1, 2, 3], [1, 1, 2], [5, 7, 6], [6, 3, 6]], float)
    dy = xp.asarray(rng.standard_normal((2, 3, 5, 3)))
    whole = roipool.backward(x, rois, dy, subdivisions=(2, 3))
    monkeypatch.setattr(roipool, "PART", 2 * 18)  # two channels
    assert (roipool.backward(x, rois, dy, subdivisions=(2, 3)) == whole).all() and whole.any()


def test_halves_are_rounded_away_from_zero(xp):
    x = xp.arange(1.0, 7.0).reshape(1, 6, 1, 1)
    regions = xp.asarray([[1, 2.5, 1, 2.5, 1], [1, 3.5, 1, 3.5, 1], [1, -0.5, 1, -0.5, 1]]).T
    assert roipool.forward(x, regions).ravel().tolist() == [3, 4, 0]  # the last one is pixel -1
    halves = xp.asarray([[1.0], [-0.5], [1], [2.5], [1]])  # pixels -1 .. 3 as MATLAB counts, and not 0 .. 3
    assert roipool.forward(x, halves, subdivisions=(1, 5)).ravel().tolist() == [0, 0, 1, 2, 3]


@every_method
def test_an_empty_bin_gives_zero_and_takes_nothing(xp, method):
    x = xp.full((3, 3, 2, 1), -5.0)
    outside = xp.asarray([[1.0], [7], [7], [9], [9]])
    assert not roipool.forward(x, outside, method=method, subdivisions=2).any()
    assert not roipool.backward(x, outside, xp.ones((2, 2, 2, 1)), method=method, subdivisions=2).any()


@every_method
def test_not_a_number_is_passed_on_so_that_training_can_stop(xp, method):
    x = xp.ones((4, 4, 1, 1))
    x[2, 1] = np.nan
    whole = xp.asarray([[1.0], [1], [1], [4], [4]])
    assert xp.isnan(roipool.forward(x, whole, method=method)).all()


@every_method
@pytest.mark.parametrize("order", [lambda a: a.T.copy().T, array.channels_last, lambda a: a.copy()])
def test_any_memory_order_is_accepted_and_the_common_one_comes_back_in_the_same_dtype(xp, rng, method, order):
    x = order(xp.asarray(rng.standard_normal((9, 10, 3, 2)), np.float32))
    rois, before = xp.asarray(ROIS, np.float32), x.copy()
    y = roipool.forward(x, rois, method=method, subdivisions=2)
    dx = roipool.backward(x, rois, order(y), method=method, subdivisions=2)
    for made in (y, dx):
        assert made.dtype == np.float32
        assert made.transpose(3, 0, 1, 2).flags.c_contiguous
    assert (x == before).all() and (rois == xp.asarray(ROIS)).all()
    assert (y == roipool.forward(before, rois, method=method, subdivisions=2)).all()


def test_flattened_output_runs_over_rows_then_columns_then_channels(xp, rng):
    x, rois = xp.asarray(rng.standard_normal((9, 10, 3, 2))), xp.asarray(ROIS)
    block, plain = roipool.ROIPooling("max", [2, 4], flatten=True), roipool.ROIPooling("max", [2, 4])
    (y,), (z,) = block.forward([x, rois], []), plain.forward([x, rois], [])
    assert y.shape == (1, 1, 24, 6) and block.output_sizes([x.shape, (5, 6, 1, 1)]) == [y.shape]
    assert plain.output_sizes([x.shape, (5, 6, 1, 1)]) == [z.shape]
    assert (y[0, 0, 1 + 2 * 3 + 8 * 2] == z[1, 3, 2]).all()
    gradcheck.check(block, [xp.asarray(distinct(rng, (9, 10, 2, 2))), rois], [], rng, differentiable=["input 0"])


def test_the_regions_have_neither_derivative_nor_field(xp):
    x, rois = xp.zeros((9, 10, 3, 2)), xp.asarray(ROIS)
    block = roipool.ROIPooling()
    (dx, none), params = block.backward([x, rois], [], [xp.ones((6, 6, 3, 6))])
    assert dx.shape == x.shape and none is None and params == []
    seen, nothing = block.receptive_fields(2)
    assert np.isnan(seen.size).all() and nothing is None


def test_a_matrix_comes_back_from_a_file_as_it_was():
    matrix = np.array([[0.5, 0, 0.5], [0.1, 0.25, 0.75]])
    block = catalogue.from_matlab("dagnn.ROIPooling", {"transform": matrix, "subdivisions": np.array([[7.0, 5.0]])})
    written = catalogue.to_matlab(block)
    assert (written["transform"] == matrix).all() and written["subdivisions"] == [7, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sum"}, "roipool: method is 'sum'; 'max' or 'avg' is right"),
        ({"subdivisions": 0}, r"roipool: subdivisions: it is \[0, 0\]"),
        ({"transform": [1, 2, 3]}, r"roipool: transform has shape \(3,\)"),
        ({"rois": np.ones((4, 2))}, r"roipool: rois has shape \(4, 2\); \(5, K\)"),
        ({"rois": ROIS * 2}, "each region must name an image from 1 to 2 and four finite corners"),
        ({"rois": ROIS * np.array([[0, 1, 1, 1, 1]]).T}, "each region must name an image from 1 to 2 and four finite"),
        ({"rois": ROIS * np.array([[1, 1, 1, np.inf, 1]]).T}, "each region must name an image from 1 to 2 and four"),
        ({"rois": np.array([[1.5, 1, 1, 2, 2]]).T}, "each region must name an image from 1 to 2 and four finite"),
        ({"transform": np.nan}, "roipool: transform: it is nan; finite numbers are right"),
        ({"transform": "half"}, "roipool: transform: it is 'half'; finite numbers are right"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        roipool.forward(np.zeros((9, 10, 3, 2)), **({"rois": ROIS} | options))


def test_a_derivative_of_another_shape_and_wrong_dtypes_are_refused():
    x = np.zeros((9, 10, 3, 2))
    with pytest.raises(ValueError, match=r"dy has shape \(1, 1, 3, 2\); y's shape \(1, 1, 3, 6\) is right"):
        roipool.backward(x, ROIS, np.zeros((1, 1, 3, 2)))
    with pytest.raises(ValueError, match="roipool: x is uint8; all float32"):
        roipool.forward(x.astype(np.uint8), ROIS)
    with pytest.raises(ValueError, match="ROIPooling: method is 'median'"):
        roipool.ROIPooling("median")

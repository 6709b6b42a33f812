"""dagnet.layers.pool: windows, padding, ties; against bare loops, finite differences and known windows."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, pool, windows
from tests import oracles

pytestmark = pytest.mark.usefixtures("tier")

# (H, W, C, N), window, stride, pad
GEOMETRIES = [
    ((6, 8, 3, 2), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((7, 9, 2, 2), (2, 2), (2, 2), (0, 1, 0, 1)),  # VGG's pads at odd sizes
    ((8, 6, 2, 1), (2, 2), (2, 2), (0, 1, 0, 1)),  # and at even ones, where they are not reached
    ((8, 7, 2, 2), (3, 3), (2, 2), (1, 1, 1, 1)),
    ((9, 8, 1, 2), (3, 2), (2, 1), (1, 0, 1, 0)),
    ((6, 5, 2, 1), (3, 3), (1, 1), (2, 1, 0, 2)),
    ((5, 6, 2, 2), (3, 4), (3, 2), (2, 2, 3, 3)),
    ((9, 10, 1, 1), (2, 3), (4, 4), (0, 0, 0, 0)),  # pixels between the windows
    ((5, 6, 3, 2), (5, 6), (1, 1), (0, 0, 0, 0)),  # the whole image
    ((4, 5, 2, 1), (1, 2), (1, 3), (0, 0, 0, 1)),
    ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    ((5, 4, 2, 3), (1, 1), (2, 3), (0, 0, 0, 0)),  # subsampling
]
every_geometry = pytest.mark.parametrize(("shape", "window", "stride", "pad"), GEOMETRIES)
every_method = pytest.mark.parametrize("method", ["max", "avg"])


def distinct(xp, rng, shape):
    """Values a good step apart, so that finite differences meet no tie."""
    return xp.asarray(rng.permutation(np.prod(shape)).reshape(shape) * 0.1)


@every_geometry
@every_method
def test_forward_agrees_with_bare_loops(xp, rng, shape, window, stride, pad, method):
    x = rng.standard_normal(shape)
    y = pool.forward(xp.asarray(x), window, stride=stride, pad=pad, method=method)
    assert oracles.error(y, oracles.pool(x, window, stride, pad, method)) < (1e-15 if method == "avg" else 1e-300)


@every_geometry
@every_method
def test_backward_agrees_with_bare_loops_ties_included(xp, rng, shape, window, stride, pad, method):
    x = rng.integers(0, 3, shape).astype(float)  # few values: nearly every window has several maxima
    dy = rng.standard_normal(oracles.pool(x, window, stride, pad).shape)
    dx = pool.backward(xp.asarray(x), window, xp.asarray(dy), stride=stride, pad=pad, method=method)
    assert oracles.error(dx, oracles.pool_backward(x, window, dy, stride, pad, method)) < 1e-14


@every_geometry
@every_method
def test_backward_is_the_slope_of_forward(xp, rng, shape, window, stride, pad, method):
    block = pool.Pooling(method=method, pool_size=window, stride=stride, pad=pad)
    gradcheck.check(block, [distinct(xp, rng, shape)], [], rng)


def test_the_gradient_of_equal_maxima_goes_to_the_leftmost_then_topmost(xp):
    x = xp.asarray([[0.0, 1.0], [1.0, 1.0]])
    dx = pool.backward(x, 2, xp.full((1, 1), 7.0))
    assert array.to_numpy(dx)[:, :, 0, 0].tolist() == [[0, 0], [7, 0]]


@every_method
@pytest.mark.parametrize("part", [2 * 6 * 6 * 3 * 4, 1 * 6 * 3 * 4], ids=["two images", "a row or two"])
@pytest.mark.parametrize("stride", [1, 2])  # windows overlap, or lie side by side
def test_many_images_in_several_parts_give_what_each_gives_alone(xp, rng, method, part, stride, monkeypatch):
    x = array.channels_last(xp.asarray(rng.standard_normal((6, 6, 3, 5)), np.float32))
    dy = array.channels_last(xp.asarray(rng.standard_normal((6 // stride, 6 // stride, 3, 5)), np.float32))
    options = {"stride": stride, "pad": [0, 2 - stride, 0, 2 - stride], "method": method}
    each = [slice(n, n + 1) for n in range(5)]
    alone = [pool.backward(x[..., n], 2, dy[..., n], **options) for n in each]
    monkeypatch.setattr(windows, "PART_BYTES", part)
    dx = pool.backward(x, 2, dy, **options)
    assert all((dx[..., n] == one).all() for n, one in zip(each, alone, strict=True))


@every_method
@pytest.mark.parametrize("window", [1, 2])
def test_results_are_new_arrays_in_the_common_memory_order_and_dtype(xp, rng, method, window):
    x = array.channels_last(xp.asarray(rng.standard_normal((6, 8, 3, 2)), np.float32))
    y = pool.forward(x, window, stride=window, method=method)
    dx = pool.backward(x, window, y, stride=window, method=method)
    for made in (y, dx):
        assert made.dtype == np.float32
        assert made.transpose(3, 0, 1, 2).flags.c_contiguous
    before = x.copy()
    y += 1
    dx += 1
    assert (x == before).all()


@every_method
def test_arguments_are_left_as_they_were(xp, rng, method):
    x, dy = xp.asarray(rng.standard_normal((6, 8, 3, 2))), xp.asarray(rng.standard_normal((3, 4, 3, 2)))
    before = x.copy(), dy.copy()
    pool.backward(x, 2, dy, stride=2, method=method)
    pool.forward(x, 2, stride=2, method=method)
    assert (x == before[0]).all() and (dy == before[1]).all()


def test_padding_never_wins_and_never_counts(xp):
    x = xp.full((2, 2, 1, 1), -3.0)
    for method in ("max", "avg"):
        y = pool.forward(x, 2, stride=1, pad=1, method=method)
        assert y.shape == (3, 3, 1, 1)
        assert (y == -3).all()


def test_not_a_number_is_passed_on_so_that_training_can_stop(xp):
    assert xp.isnan(pool.forward(xp.asarray([[1.0, np.nan]]), (1, 2))).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 2, "pad": 2}, r"pool: pad is \[2, 2, 2, 2\] and the window 2 x 2; each pad must be smaller"),
        ({"pool": 0}, r"pool: the window: it is \[0, 0\]"),
        ({"pool": 2, "stride": 0}, "pool: stride"),
        ({"pool": (5, 1)}, "pool, vertically: its window covers 5 pixels and the padded input has 4"),
        ({"pool": (1, 4)}, "pool, horizontally"),
        ({"pool": 2, "method": "median"}, "pool: method is 'median'; 'max' or 'avg' is right"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pool.forward(np.zeros((4, 3, 1, 1)), **options)


def test_a_maximum_that_is_no_number_gives_nothing_back_and_minus_infinity_does(xp):
    x = xp.asarray([[1, np.nan, -np.inf, -np.inf]])
    dx = pool.backward(x, (1, 2), xp.asarray([[2.0, 3.0]]), stride=2)
    assert array.to_numpy(dx).ravel().tolist() == [0, 0, 3, 0]
    square = xp.asarray([[1, 2, -np.inf, -np.inf], [np.nan, 3, -np.inf, -np.inf]])
    dx = pool.backward(square, 2, xp.asarray([[2.0, 3.0]]), stride=2)
    assert array.to_numpy(dx)[:, :, 0, 0].tolist() == [[0, 0, 3, 0], [0, 0, 0, 0]]


def test_windows_of_more_pixels_than_a_byte_counts_find_their_maxima(xp, rng):
    x = distinct(xp, rng, (17, 20, 2, 1))
    dx = pool.backward(x, (17, 19), xp.ones((1, 2, 2, 1)), pad=0)
    assert (dx != 0).sum() in range(2, 5) and dx.sum() == 4
    assert (x[:, :19][dx[:, :19] != 0] >= x[:, 1:19].max(axis=(0, 1)).min()).all()


def test_the_block_keeps_where_the_maxima_were_only_where_backward_follows(rng):
    block, x = pool.Pooling(pool_size=[2, 2], stride=[2, 2]), rng.standard_normal((4, 4, 3, 1))
    for follow in (False, True, False):
        block.derivatives_follow = follow
        block.forward([x], [])
        assert (block._kept[0] is x) is follow
    block.derivatives_follow = True
    block.forward([x], [])
    block.backward([x], [], [np.ones((2, 2, 3, 1))])
    assert block._kept == (None, None)
    block.forward([x], [])
    block.reset()
    assert block._kept == (None, None)


def test_what_was_kept_for_other_data_is_not_used(rng):
    block, x = pool.Pooling(pool_size=[2, 2], stride=[2, 2]), rng.standard_normal((4, 4, 3, 1))
    block.derivatives_follow = True
    block.forward([x], [])
    block.forward([-x], [])  # a layer that shares the block, say
    dy = rng.standard_normal((2, 2, 3, 1))
    assert (block.backward([x], [], [dy])[0][0] == pool.backward(x, 2, dy, stride=2)).all()


def test_a_derivative_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"dy has shape \(4, 4, 1, 1\); y's shape \(2, 2, 1, 1\) is right"):
        pool.backward(np.zeros((4, 4, 1, 1)), 2, np.zeros((4, 4, 1, 1)), stride=2)


def test_the_block_refuses_an_unknown_method():
    with pytest.raises(ValueError, match="Pooling: method is 'sum'"):
        pool.Pooling(method="sum")


@every_geometry
def test_the_blocks_output_size_is_the_size_of_its_output(shape, window, stride, pad):
    block = pool.Pooling(pool_size=window, stride=stride, pad=pad)
    assert block.output_sizes([shape]) == [block.forward([np.zeros(shape)], [])[0].shape]


def test_the_blocks_receptive_field_is_its_window():
    (field,) = pool.Pooling(pool_size=[2, 3], stride=[2, 1], pad=[0, 1, 1, 1]).receptive_fields(1)
    assert (field.size, field.stride, field.offset) == ((2, 3), (2, 1), (1.5, 1))


@every_method
def test_bytes_and_mixed_precisions_are_refused(method):
    x = np.zeros((4, 4, 2, 1))
    with pytest.raises(ValueError, match="pool: x is uint8; all float32"):
        pool.forward(x.astype(np.uint8), 2, method=method)
    with pytest.raises(ValueError, match="pool: x is float64, dy is float32"):
        pool.backward(x, 4, np.zeros((1, 1, 2, 1), np.float32), method=method)

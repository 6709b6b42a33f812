"""dagnet.layers.conv: against bare loops, finite differences, parts of any size; what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnet.layers import array, conv, gradcheck, im2col, relu
from dagnet.layers import settings as preferences
from tests import oracles

# (H, W, C, N), (FH, FW, FC, K), stride, pad, dilate
GEOMETRIES = [
    ((5, 6, 3, 2), (3, 3, 3, 4), (1, 1), (1, 1, 1, 1), (1, 1)),  # VGG's
    ((5, 6, 3, 2), (1, 1, 3, 4), (1, 1), (0, 0, 0, 0), (1, 1)),
    ((7, 8, 2, 1), (3, 2, 2, 3), (2, 3), (1, 0, 0, 2), (1, 1)),
    ((9, 8, 2, 2), (3, 2, 2, 3), (1, 2), (2, 1, 0, 3), (2, 3)),
    ((8, 9, 1, 1), (2, 2, 1, 2), (3, 4), (0, 0, 0, 0), (2, 2)),
    ((6, 5, 6, 2), (2, 3, 2, 9), (1, 1), (1, 0, 1, 1), (1, 1)),  # three groups
    ((6, 5, 4, 1), (1, 1, 1, 4), (2, 1), (0, 0, 0, 0), (1, 1)),  # as many groups as channels
    ((3, 4, 2, 3), (3, 4, 2, 5), (1, 1), (0, 0, 0, 0), (1, 1)),  # fully connected
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    ((2, 2, 1, 1), (5, 5, 1, 1), (1, 1), (3, 3, 3, 3), (1, 1)),  # a window larger than the image
]
every_geometry = pytest.mark.parametrize(("size", "filters", "stride", "pad", "dilate"), GEOMETRIES)


def operands(rng, size, filters, dtype=float):
    return tuple(rng.standard_normal(s).astype(dtype) for s in (size, filters, (filters[3], 1)))


@every_geometry
def test_forward_agrees_with_bare_loops(xp, rng, size, filters, stride, pad, dilate):
    x, w, b = operands(rng, size, filters)
    y = conv.forward(*map(xp.asarray, (x, w, b)), stride=stride, pad=pad, dilate=dilate)
    assert oracles.error(y, oracles.conv(x, w, b.ravel(), stride, pad, dilate)) < 1e-13


@every_geometry
def test_backward_agrees_with_bare_loops(xp, rng, size, filters, stride, pad, dilate):
    x, w, b = operands(rng, size, filters)
    dy = rng.standard_normal(oracles.conv(x, w, b.ravel(), stride, pad, dilate).shape)
    ours = conv.backward(*map(xp.asarray, (x, w, b, dy)), stride=stride, pad=pad, dilate=dilate)
    theirs = oracles.conv_backward(x, w, b.ravel(), dy, stride, pad, dilate)
    for mine, oracle, shape in zip(ours, theirs, (size, filters, b.shape), strict=True):
        assert mine.shape == shape
        assert oracles.error(mine, oracle.reshape(shape)) < 1e-13


@every_geometry
@pytest.mark.parametrize("has_bias", [True, False])
def test_backward_is_the_slope_of_forward(xp, rng, size, filters, stride, pad, dilate, has_bias):
    block = conv.Conv(filters, has_bias=has_bias, pad=pad, stride=stride, dilate=dilate)
    x, w, b = map(xp.asarray, operands(rng, size, filters))
    gradcheck.check(block, [x], [w, b] if has_bias else [w], rng)


@given(
    st.tuples(*[st.integers(1, 9)] * 2, st.integers(1, 3), st.integers(1, 2)),
    st.tuples(*[st.integers(1, 3)] * 2, st.integers(1, 3)),
    st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(0, 2)] * 4),
    st.tuples(*[st.integers(1, 2)] * 2),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_geometry_that_fits_agrees_with_bare_loops(size, filters, stride, pad, dilate):
    rng = np.random.default_rng(sum(size))
    x, w, b = operands(rng, size, (*filters[:2], size[2], filters[2]))
    fits = all(
        (f - 1) * d + 1 <= s + p + q for f, d, s, p, q in zip(filters, dilate, size, pad[::2], pad[1::2], strict=False)
    )
    if not fits:
        with pytest.raises(ValueError, match="its window covers"):
            conv.forward(x, w, b, stride=stride, pad=pad, dilate=dilate)
        return
    y = conv.forward(x, w, b, stride=stride, pad=pad, dilate=dilate)
    assert oracles.error(y, oracles.conv(x, w, b.ravel(), stride, pad, dilate)) < 1e-13
    dy = rng.standard_normal(y.shape)
    ours = conv.backward(x, w, b, dy, stride=stride, pad=pad, dilate=dilate)
    theirs = oracles.conv_backward(x, w, b.ravel(), dy, stride, pad, dilate)
    assert max(oracles.error(m, o.reshape(m.shape)) for m, o in zip(ours, theirs, strict=True)) < 1e-13


@pytest.mark.parametrize("size_of_part", [1, 700, 3000, 10**9])
def test_parts_of_any_size_give_the_same(xp, rng, monkeypatch, size_of_part):
    x, w, b = map(xp.asarray, operands(rng, (6, 7, 2, 5), (3, 3, 2, 4)))
    dy = xp.asarray(rng.standard_normal((6, 7, 4, 5)))
    whole = [conv.forward(x, w, b, pad=1), *conv.backward(x, w, b, dy, pad=1)]
    monkeypatch.setattr(im2col, "PART_BYTES", size_of_part)
    monkeypatch.setattr(im2col, "LEAST_PIXELS", 1)
    parts = [conv.forward(x, w, b, pad=1), *conv.backward(x, w, b, dy, pad=1)]
    for a, c in zip(parts, whole, strict=True):
        assert oracles.error(a, array.to_numpy(c)) < 1e-13


@every_geometry
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("least", [1, 10**6])  # pixels that make a part: threads share pixels, or filters and channels
def test_any_number_of_threads_gives_the_same(rng, monkeypatch, size, filters, stride, pad, dilate, threads, least):
    monkeypatch.setattr(im2col, "LEAST_WORK", 1)
    monkeypatch.setattr(im2col, "LEAST_PIXELS", least)
    x, w, b = operands(rng, size, filters)
    options = {"stride": stride, "pad": pad, "dilate": dilate}
    one = conv.forward(x, w, b, **options)
    dy = rng.standard_normal(one.shape)
    right = [one, *conv.backward(x, w, b, dy, **options)]
    with preferences.using(threads=threads):
        shared = [conv.forward(x, w, b, **options), *conv.backward(x, w, b, dy, **options)]
        again = [conv.forward(x, w, b, **options), *conv.backward(x, w, b, dy, **options)]
    for a, c, r in zip(shared, again, right, strict=True):
        assert (a == c).all() and oracles.error(a, r) < 1e-13


@pytest.mark.parametrize(
    "order", [lambda a: a.T.copy().T, array.channels_last, lambda a: a[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]]
)
def test_any_memory_order_is_accepted_and_the_common_one_comes_back(xp, rng, order):
    x, w, b = operands(rng, (5, 6, 3, 2), (3, 3, 3, 4), np.float32)
    y = conv.forward(*map(xp.asarray, (x, w, b)), pad=1)
    again = conv.forward(*(order(a) if a.ndim == 4 else a for a in map(xp.asarray, (x, w, b))), pad=1)
    assert (y == again).all() and again.dtype == np.float32
    assert xp.shares_memory(array.base(again), again)


def test_each_group_of_filters_has_its_biases_at_all_of_many_pixels(xp, rng):
    x, b = xp.zeros((70, 70, 4, 1)), xp.asarray(rng.standard_normal(4))
    y = conv.forward(x, xp.zeros((1, 1, 2, 4)), b)
    assert (y == b[:, None]).all()


def test_arguments_are_never_written_to(xp, rng):
    given_ = [xp.asarray(a) for a in operands(rng, (5, 6, 3, 2), (3, 3, 3, 4))]
    before = [a.copy() for a in given_]
    y = conv.forward(*given_, pad=1)
    conv.backward(*given_, y, pad=1)
    assert all((a == b).all() for a, b in zip(given_, before, strict=True))


def test_empty_filters_stand_for_the_identity(xp, rng):
    x, b = xp.asarray(rng.standard_normal((5, 4, 3, 2))), xp.asarray([1.0, 2.0, 3.0])
    y = conv.forward(x, xp.empty((0, 0, 0, 0)), b, stride=2, pad=[1, 0, 0, 0])
    eye = xp.eye(3).reshape(1, 1, 3, 3)
    assert (y == conv.forward(x, eye, b, stride=2, pad=[1, 0, 0, 0])).all()


def test_no_images_make_no_pixels_and_derivatives_of_zero(xp):
    x, w, b = xp.ones((5, 6, 4, 0)), xp.ones((3, 3, 2, 6)), xp.ones((6, 1))
    y = conv.forward(x, w, b, stride=2)
    dx, dw, db = conv.backward(x, w, b, y, stride=2)
    assert y.shape == (2, 2, 6, 0) and dx.shape == x.shape
    assert dw.shape == w.shape and db.shape == b.shape and not dw.any() and not db.any()


def test_trailing_pixels_that_no_window_reaches_get_a_gradient_of_zero(xp):
    x, w = xp.ones((5, 5, 1, 1)), xp.ones((2, 2, 1, 1))
    dx, _, db = conv.backward(x, w, None, xp.ones((2, 2, 1, 1)), stride=2)
    assert db is None
    assert array.to_numpy(dx)[4].sum() == array.to_numpy(dx)[:, 4].sum() == 0


def test_a_conv_without_need_of_the_inputs_derivative_leaves_it_out(rng):
    block = conv.Conv([3, 3, 3, 4], pad=1)
    x, w, b = operands(rng, (5, 6, 3, 2), (3, 3, 3, 4))
    dy = rng.standard_normal((5, 6, 4, 2))
    block.needs_input_der = False
    der_inputs, der_params = block.backward([x], [w, b], [dy])
    assert der_inputs == [None] and len(der_params) == 2


@every_geometry
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_rectified_convolution_is_a_convolution_and_a_relu(xp, rng, size, filters, stride, pad, dilate, has_bias):
    x, w, b = map(xp.asarray, operands(rng, size, filters))
    b, options = b if has_bias else None, {"stride": stride, "pad": pad, "dilate": dilate}
    plain = conv.forward(x, w, b, **options)
    y = conv.forward(x, w, b, rectify=True, **options)
    assert oracles.error(y, array.to_numpy(relu.forward(plain))) < 1e-15
    dy = array.empty_like(y)
    dy[...] = xp.asarray(rng.standard_normal(y.shape))
    ders = conv.backward(x, w, b, dy, rectified=y, **options)
    for der, right in zip(ders, conv.backward(x, w, b, relu.backward(plain, dy), **options), strict=True):
        assert right is der is None or oracles.error(der, array.to_numpy(right)) < 1e-14


def test_initial_filters_have_matconvnets_deviation():
    w, b = conv.Conv([3, 3, 64, 128]).init_params(np.random.default_rng(0))
    assert w.dtype == b.dtype == np.float32 and not b.any() and b.shape == (128, 1)
    assert abs(w.std() / np.sqrt(2 / (9 * 64)) - 1) < 0.01


@pytest.mark.parametrize(
    ("size", "filters", "b", "options", "says"),
    [
        ((5, 5, 3, 1), (3, 3, 2, 4), 4, {}, "conv: w has shape (3, 3, 2, 4) and x has 3 channels"),
        ((5, 5, 6, 1), (3, 3, 2, 4), 4, {}, "the groups must divide its 4 filters"),
        ((5, 5, 3, 1), (3, 3, 3, 4), 3, {}, "conv: b has 3 values and w has 4 filters"),
        (
            (2, 5, 3, 1),
            (3, 3, 3, 4),
            4,
            {},
            "conv, vertically: its window covers 3 pixels and the padded input has 2 + 0 + 0",
        ),
        ((5, 5, 3, 1), (3, 3, 3, 4), 4, {"pad": -1}, "conv: pad: it is [-1"),
        ((5, 5, 3, 1), (3, 3, 3, 4), 4, {"pad": [1, 2, 3]}, "conv: pad: it is [1, 2, 3]"),
        ((5, 5, 3, 1), (3, 3, 3, 4), 4, {"stride": 0}, "conv: stride: it is [0, 0]"),
        ((5, 5, 3, 1), (3, 3, 3, 4), 4, {"stride": 1.5}, "whole numbers are right"),
        ((5, 5, 3, 1), (0, 0, 0, 0), 0, {"dilate": 2}, "identity filters"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(size, filters, b, options, says):
    with pytest.raises(ValueError) as caught:
        conv.forward(np.zeros(size), np.zeros(filters), np.zeros(b), **options)
    assert says in str(caught.value)


def test_mixed_precisions_and_a_wrong_dy_are_refused():
    x, w = np.zeros((5, 5, 3, 1)), np.zeros((3, 3, 3, 4))
    with pytest.raises(ValueError, match="conv: x is float64, w is float32"):
        conv.forward(x, w.astype(np.float32))
    with pytest.raises(ValueError, match="conv: x is uint8, w is uint8"):
        conv.forward(x.astype(np.uint8), w.astype(np.uint8))
    with pytest.raises(ValueError, match=r"conv: dy has shape \(5, 5, 4, 1\); y's shape \(3, 3, 4, 1\) is right"):
        conv.backward(x, w, None, np.zeros((5, 5, 4, 1)))

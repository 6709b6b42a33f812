"""dagnet.layers.convt: against bare loops and finite differences, as the adjoint of a convolution; what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagnet.layers import array, conv, convt, gradcheck, im2col
from dagnet.layers import settings as preferences
from tests import oracles

# (H, W, C, N), (FH, FW, K, C), upsample, crop, groups
GEOMETRIES = [
    ((3, 4, 2, 2), (4, 4, 2, 2), (2, 2), (1, 1, 1, 1), 1),  # the paper's: kernel 2s, stride s, crop s/2
    ((2, 3, 2, 1), (8, 8, 2, 2), (4, 4), (2, 2, 2, 2), 1),
    ((3, 4, 3, 2), (3, 2, 4, 3), (1, 1), (0, 0, 0, 0), 1),
    ((3, 4, 3, 1), (4, 5, 2, 3), (2, 3), (1, 0, 2, 1), 1),
    ((3, 3, 6, 2), (3, 3, 2, 6), (2, 2), (0, 1, 0, 1), 3),  # three groups
    ((3, 4, 2, 1), (2, 2, 1, 2), (3, 4), (0, 0, 0, 0), 1),  # pixels that no filter covers
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((4, 4, 3, 1), (4, 4, 1, 3), (2, 2), (1, 1, 1, 1), 3),  # matconvnet-fcn's: a filter a class
]
every_geometry = pytest.mark.parametrize(("size", "filters", "upsample", "crop", "groups"), GEOMETRIES)


def operands(rng, size, filters, groups, dtype=float):
    return tuple(rng.standard_normal(s).astype(dtype) for s in (size, filters, (filters[2] * groups, 1)))


def options(upsample, crop, groups):
    return {"upsample": upsample, "crop": crop, "num_groups": groups}


@every_geometry
def test_forward_agrees_with_bare_loops(xp, rng, size, filters, upsample, crop, groups):
    x, w, b = operands(rng, size, filters, groups)
    y = convt.forward(*map(xp.asarray, (x, w, b)), **options(upsample, crop, groups))
    assert oracles.error(y, oracles.convt(x, w, b.ravel(), upsample, crop, groups)) < 1e-13


@every_geometry
def test_backward_agrees_with_bare_loops(xp, rng, size, filters, upsample, crop, groups):
    x, w, b = operands(rng, size, filters, groups)
    dy = rng.standard_normal(oracles.convt(x, w, b.ravel(), upsample, crop, groups).shape)
    ours = convt.backward(*map(xp.asarray, (x, w, b, dy)), **options(upsample, crop, groups))
    theirs = oracles.convt_backward(x, w, b.ravel(), dy, upsample, crop, groups)
    for mine, oracle, shape in zip(ours, theirs, (size, filters, b.shape), strict=True):
        assert mine.shape == shape
        assert oracles.error(mine, oracle.reshape(shape)) < 1e-13


@every_geometry
@pytest.mark.parametrize("has_bias", [True, False])
def test_backward_is_the_slope_of_forward(xp, rng, size, filters, upsample, crop, groups, has_bias):
    block = convt.ConvTranspose(filters, has_bias=has_bias, **options(upsample, crop, groups))
    x, w, b = map(xp.asarray, operands(rng, size, filters, groups))
    gradcheck.check(block, [x], [w, b] if has_bias else [w], rng)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 5])
def test_any_number_of_threads_gives_the_same(rng, monkeypatch, threads, images):
    monkeypatch.setattr(im2col, "LEAST_WORK", 1)
    x, w, b = operands(rng, (5, 4, 4, images), (4, 4, 3, 4), 1)
    with preferences.using(threads=threads):
        y = convt.forward(x, w, b, upsample=2, crop=1)
    assert oracles.error(y, oracles.convt(x, w, b.ravel(), (2, 2), (1, 1, 1, 1), 1)) < 1e-13


@given(
    st.tuples(*[st.integers(1, 4)] * 2, st.integers(1, 3), st.integers(1, 2)),
    st.tuples(*[st.integers(1, 5)] * 2, st.integers(1, 3)),
    st.tuples(*[st.integers(1, 4)] * 2),
    st.tuples(*[st.integers(0, 2)] * 4),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_geometry_that_fits_agrees_with_bare_loops(size, filters, upsample, crop):
    rng = np.random.default_rng(sum(size))
    x, w, b = operands(rng, size, (*filters, size[2]), 1)
    made = [upsample[a] * (size[a] - 1) + filters[a] - crop[2 * a] - crop[2 * a + 1] for a in (0, 1)]
    if min(made) < 1:
        with pytest.raises(ValueError, match="a smaller crop is right"):
            convt.forward(x, w, b, upsample=upsample, crop=crop)
        return
    y = convt.forward(x, w, b, upsample=upsample, crop=crop)
    assert oracles.error(y, oracles.convt(x, w, b.ravel(), upsample, crop, 1)) < 1e-13
    dy = rng.standard_normal(y.shape)
    ours = convt.backward(x, w, b, dy, upsample=upsample, crop=crop)
    theirs = oracles.convt_backward(x, w, b.ravel(), dy, upsample, crop, 1)
    assert max(oracles.error(m, o.reshape(m.shape)) for m, o in zip(ours, theirs, strict=True)) < 1e-13


def test_it_is_the_adjoint_of_a_convolution(xp, rng):
    """sum(convt(x) * y) = sum(x * conv(y)) for all x and y."""
    x, w, _ = map(xp.asarray, operands(rng, (4, 5, 3, 2), (4, 3, 2, 3), 1))
    up = convt.forward(x, w, upsample=2, crop=[1, 0, 1, 1])
    y = xp.asarray(rng.standard_normal(up.shape))
    down = conv.forward(y, w, stride=2, pad=[1, 0, 1, 1])
    np.testing.assert_allclose(float((up * y).sum()), float((x * down).sum()), rtol=1e-12)


def test_pixels_that_no_filter_covers_get_the_bias_alone(xp):
    y = convt.forward(xp.ones((2, 2, 1, 1)), xp.ones((1, 1, 1, 1)), xp.asarray([5.0]), upsample=3)
    assert array.to_numpy(y)[:, :, 0, 0].tolist() == [[6, 5, 5, 6], [5, 5, 5, 5], [5, 5, 5, 5], [6, 5, 5, 6]]


def test_results_have_the_common_memory_order_and_dtype(xp, rng):
    x, w, b = map(xp.asarray, operands(rng, (3, 4, 2, 2), (4, 4, 2, 2), 1, np.float32))
    y = convt.forward(x, w, b, upsample=2, crop=1)
    dx, dw, db = convt.backward(x, w, b, y, upsample=2, crop=1)
    assert {a.dtype for a in (y, dx, dw, db)} == {np.dtype(np.float32)}


def test_there_is_a_bias_for_every_output_channel_of_every_group():
    w, b = convt.ConvTranspose([4, 4, 2, 6], num_groups=3).init_params(np.random.default_rng(0))
    assert w.shape == (4, 4, 2, 6) and b.shape == (6, 1)
    assert convt.ConvTranspose([4, 4, 2, 6], num_groups=3).output_sizes([(3, 3, 6, 1)]) == [(6, 6, 6, 1)]


def test_a_crop_that_leaves_nothing_has_no_size_and_an_unknown_size_stays_unknown():
    block = convt.ConvTranspose([2, 2, 1, 3], crop=2)
    with pytest.raises(ValueError, match="leaves an output of -1 x 2 pixels"):
        block.output_sizes([(2, 5, 3, 1)])
    ((h, w, c, n),) = block.output_sizes([(float("nan"), 5, 3, 1)])
    assert h != h and (w, c, n) == (2, 1, 1)


def test_no_images_make_no_pixels_and_derivatives_of_zero(xp):
    x, w, b = xp.ones((2, 3, 3, 0)), xp.ones((2, 2, 1, 3)), xp.ones(1)
    y = convt.forward(x, w, b, upsample=2)
    dx, dw, db = convt.backward(x, w, b, y, upsample=2)
    assert y.shape == (4, 6, 1, 0) and dx.shape == x.shape
    assert dw.shape == w.shape and not dw.any() and not db.any()


@pytest.mark.parametrize(
    ("filters", "b", "given_", "says"),
    [
        ((2, 2, 1, 2), 1, {}, "convt: w has shape (2, 2, 1, 2), x has 3 channels"),
        ((2, 2, 1, 3), 1, {"num_groups": 2}, "there are 2 groups"),
        ((2, 2, 2, 3), 1, {}, "convt: b has 1 values; 2 (one an output channel)"),
        ((2, 2, 1, 3), 1, {"crop": 2}, "leaves an output of"),
        ((2, 2, 1, 3), 1, {"upsample": 0}, "convt: upsample: it is [0, 0]"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(filters, b, given_, says):
    with pytest.raises(ValueError) as caught:
        convt.forward(np.zeros((2, 2, 3, 1)), np.zeros(filters), np.zeros(b), **given_)
    assert says in str(caught.value)

"""dagnet.layers.kernels.gpu.conv: the CUDA that ships, emulated or on a GPU, against the plain code; convt through it."""

import functools

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import conv as gpu_conv
from dagnet.layers.kernels.gpu import launch
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from dagnet.layers import array, conv, convt, settings
from tests import oracles, test_conv, test_convt


def plain(function, *args, **options):
    """What the layer file's own code gives."""
    with settings.using(fast=False):
        return function(*args, **options)


@pytest.fixture
def error(on_gpu):
    """error(x, w, b, **options): the largest error of the kernels' y, dx, dw and db, and of those of max(y, 0)."""
    return functools.partial(largest_error, on_gpu(conv))


def largest_error(gpu, x, w, b, **options):
    y = plain(conv.forward, x, w, b, **options)
    dy = np.random.default_rng(0).standard_normal(y.shape).astype(x.dtype)
    rectified = gpu.forward(x, w, b, rectify=True, **options)
    ours = [gpu.forward(x, w, b, **options), *gpu.backward(x, w, b, dy, **options), rectified]
    ours += gpu.backward(x, w, b, dy, rectified=rectified, **options)
    theirs = [y, *plain(conv.backward, x, w, b, dy, **options), np.maximum(y, 0)]
    theirs += plain(conv.backward, x, w, b, np.where(y > 0, dy, 0), **options)
    assert {a.dtype for a in ours if a is not None} == {x.dtype}
    return max(oracles.error(a, c) for a, c in zip(ours, theirs, strict=True) if a is not None and a.size)


@pytest.mark.parametrize("scratch", [1, 3000, 1 << 28])  # a pixel at a time, cut images, all at once
@test_conv.every_geometry
def test_kernels_give_the_plain_codes_numbers(error, rng, size, filters, stride, pad, dilate, scratch):
    with settings.using(scratch=scratch):
        assert error(*test_conv.operands(rng, size, filters), stride=stride, pad=pad, dilate=dilate) < 1e-13


@pytest.mark.parametrize(
    ("size", "filters"),
    [
        ((5, 6, 4, 2), (2, 2, 2, 4)),  # groups of two channels, which make a four together
        ((4, 5, 6, 2), (4, 5, 3, 4)),  # groups of filters as large as the image
    ],
)
def test_groups_are_kept_apart(error, rng, size, filters):
    assert error(*test_conv.operands(rng, size, filters)) < 1e-13


@given(
    st.tuples(*[st.integers(1, 9)] * 2, st.integers(1, 3)),
    st.sampled_from([(1, 1, 1), (3, 2, 1), (4, 4, 1), (8, 3, 1), (2, 1, 2), (4, 8, 2), (1, 2, 3)]),  # C/G, K/G, G
    st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.tuples(*[st.integers(1, 2)] * 2),
    st.sampled_from([500, 5000, 1 << 28]),
)
@hypothesis(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_geometry_gives_the_plain_codes_numbers(error, size, channels, window, stride, pad, dilate, scratch):
    h, w, n = size
    fc, kg, g = channels
    fits = [(f - 1) * d + 1 for f, d in zip(window, dilate, strict=True)]
    size = (max(h, fits[0] - pad[0] - pad[1], 1), max(w, fits[1] - pad[2] - pad[3], 1), fc * g, n)
    operands = test_conv.operands(np.random.default_rng(sum(size)), size, (*window, fc, kg * g))
    with settings.using(scratch=scratch):
        assert error(*operands, stride=stride, pad=pad, dilate=dilate) < 1e-13


def test_single_precision_stays_single_and_as_exact(error, rng):
    operands = test_conv.operands(rng, (9, 7, 8, 2), (3, 3, 8, 12), np.float32)
    assert error(*operands, pad=1) < 2e-6


@pytest.mark.parametrize("groups", [1, 2])
def test_windows_stay_within_the_scratch_and_fill_it(groups):
    plan = conv.Plan.of((40, 50, 8, 3), np.empty((3, 3, 8 // groups, 4)), None, 1, 1, 1)
    with settings.using(scratch=1_000_000):
        taken = gpu_conv._step(plan, 8) * 9 * 8 * 8
    assert 500_000 < taken <= 1_000_000


@pytest.mark.parametrize(
    "scratch", [60_000, 200_000, 1 << 28]
)  # parts with a rest, a last part that is short, one part
@pytest.mark.parametrize("filters", [(3, 3, 3, 4), (1, 1, 3, 4)])
def test_long_sums_of_a_small_dw_are_cut_into_shares(error, rng, scratch, filters):
    with settings.using(scratch=scratch):
        assert error(*test_conv.operands(rng, (31, 29, 3, 2), filters), pad=filters[0] // 2) < 1e-13


def test_shares_keep_a_gpu_busy_where_the_products_alone_do_not():
    assert launch.shares(1, 27, 64, 884_736) == launch.BUSY  # the paper's conv1_1
    assert launch.shares(1, 25_088, 4096, 864) == 1  # and its fc6
    assert launch.shares(1, 64, 2, 300) == 2  # each has something to add


def test_a_dw_wider_than_sums_can_be_is_not_cut(error, rng, monkeypatch):
    monkeypatch.delattr(launch, "shares")
    monkeypatch.setattr(gpu_conv.sums, "WIDEST", 11)
    x, w, _ = test_conv.operands(rng, (31, 29, 3, 2), (1, 1, 3, 4))
    assert error(x, w, None) < 1e-13


def test_a_last_part_too_short_for_shares_is_added_too(emulated, rng):
    columns, dy = rng.standard_normal((1, 3, 5)), rng.standard_normal((1, 3, 2))
    total = rng.standard_normal((4, 5, 2))
    right = total.sum(axis=0) + columns[0].T @ dy[0]
    gpu_conv._add_products(columns, dy, total, 1.0)
    np.testing.assert_allclose(total.sum(axis=0), right, rtol=1e-13)


@pytest.mark.parametrize("filters", [(1, 1, 6, 4), (1, 1, 3, 4), (4, 5, 6, 3)])
def test_filters_whose_windows_are_the_input_as_it_lies_need_no_scratch(error, rng, monkeypatch, filters):
    monkeypatch.delattr(gpu_conv, "_im2col")
    monkeypatch.delattr(gpu_conv, "_col2im")
    assert error(*test_conv.operands(rng, (4, 5, 6, 3), filters)) < 1e-13


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("options", [{}, {"stride": [2, 1]}, {"pad": [1, 0, 2, 1], "stride": 2}])
def test_empty_filters_move_pixels_alone(error, rng, channels, options):
    x, b = rng.standard_normal((5, 4, channels, 2)), rng.standard_normal(channels)
    for bias in (b, np.empty(0), None):
        assert error(x, np.empty((0, 0, 0, 0)), bias, **options) < 1e-14


def test_no_images_make_no_pixels_and_derivatives_of_zero(error):
    test_conv.test_no_images_make_no_pixels_and_derivatives_of_zero(np)
    for filters in ((1, 1, 6, 4), (1, 1, 3, 4), (4, 5, 6, 3)):  # windows as they lie
        assert error(np.ones((4, 5, 6, 0)), np.ones(filters), np.ones(filters[3])) == 0


def test_any_memory_order_and_any_address_is_accepted(error, rng):
    x, w, b = test_conv.operands(rng, (5, 6, 4, 2), (3, 3, 4, 8))
    shifted = np.empty(x.size + 1)[1:].reshape(2, 5, 6, 4)  # four numbers at a time would not lie on 16 bytes
    shifted[...] = array.base(x)
    for other in (np.asfortranarray(x), shifted.transpose(1, 2, 3, 0), x[::-1]):
        for filters in (w, np.asfortranarray(w), w[..., ::-1]):
            assert error(other, filters, b, pad=1) < 1e-13


def test_arguments_are_never_written_to(emulated, rng):
    given_ = [*test_conv.operands(rng, (5, 6, 4, 2), (3, 3, 4, 4)), rng.standard_normal((5, 6, 4, 2))]
    before = [a.copy() for a in given_]
    rectified = conv.forward(*given_[:3], pad=1, rectify=True)
    conv.backward(*given_, pad=1, rectified=rectified)
    assert all((a == b).all() for a, b in zip(given_, before, strict=True))


def test_a_rectified_convolution_passes_nan_on(on_gpu, rng):
    x, w, b = test_conv.operands(rng, (3, 3, 4, 1), (1, 1, 4, 4))
    x[1, 1, 2, 0] = np.nan
    y = on_gpu(conv).forward(x, w, b, rectify=True)
    assert np.isnan(y[1, 1]).all() and np.isnan(y).sum() == 4


@pytest.mark.parametrize("scratch", [1, 3000, 1 << 28])
@test_convt.every_geometry
def test_transposed_convolution_runs_through_the_kernels(on_gpu, rng, size, filters, upsample, crop, groups, scratch):
    x, w, b = test_convt.operands(rng, size, filters, groups)
    options = test_convt.options(upsample, crop, groups)
    y = plain(convt.forward, x, w, b, **options)
    dy = rng.standard_normal(y.shape)
    theirs = [y, *plain(convt.backward, x, w, b, dy, **options)]
    with settings.using(scratch=scratch):
        ours = [on_gpu(convt).forward(x, w, b, **options), *on_gpu(convt).backward(x, w, b, dy, **options)]
    assert max(oracles.error(a, c) for a, c in zip(ours, theirs, strict=True)) < 1e-13

"""dagnet.layers.kernels: pooling's fast twins against the plain code."""

import numpy as np
from dagnet.layers.kernels.gpu import pool as twins_of_gpu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagnet.layers import pool
from dagnet.layers import settings as choices

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def cases(draw):
    """x (N, H, W, C) with many ties, the windows' rows and columns, and a generator."""
    ph, pw = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    pad = [draw(st.integers(0, p - 1)) for p in (ph, ph, pw, pw)]
    h, w = draw(st.integers(max(1, ph - pad[0] - pad[1]), 9)), draw(st.integers(max(1, pw - pad[2] - pad[3]), 9))
    size = (h, w, draw(st.sampled_from([1, 2, 3, 4, 8, 21])), draw(st.integers(1, 2)))
    stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    x = rng.integers(-2, 3, size=(size[3], *size[:3])).astype(draw(st.sampled_from([np.float32, np.float64])))
    return x, pool._lines(size, (ph, pw), stride, pad, "max"), rng


def derivative_for(x, lines, rng):
    rows, columns = lines
    return rng.integers(-9, 9, (len(x), rows.positions, columns.positions, x.shape[3])).astype(x.dtype)


@few
@given(cases())
def test_maxima_and_where_they_are_agree_with_the_plain_code(twins, case):
    fast, (x, lines, rng) = twins("pool"), case
    y, index = fast.max_forward(x, *lines)
    dy = derivative_for(x, lines, rng)
    with choices.using(fast=False):
        right, places = pool._max_forward(x, *lines)
        dx = pool._max_backward(places, dy, *lines)
    assert (y == right).all() and (index == places).all()
    assert index.dtype == np.uint8
    assert (fast.max_backward(index, dy, *lines) == dx).all()


@few
@given(cases())
def test_means_and_their_derivatives_agree_with_the_plain_code(twins, case):
    fast, (x, lines, rng) = twins("pool"), case
    y, dy = fast.avg_forward(x, *lines), derivative_for(x, lines, rng)
    with choices.using(fast=False):
        assert np.allclose(y, pool._avg_forward(x, *lines), rtol=1e-6, atol=1e-6)
        dx = pool._avg_backward(dy, *lines)
    assert np.allclose(fast.avg_backward(dy, *lines), dx, rtol=1e-5, atol=1e-5)


def test_nan_is_passed_on_and_gives_nothing_back(twins):
    fast, x = twins("pool"), np.array([1, np.nan, 3, -np.inf, -np.inf, -np.inf], np.float32).reshape(1, 1, 6, 1)
    lines = pool._lines((1, 6, 1, 1), (1, 3), (1, 3), 0, "max")
    y, index = fast.max_forward(x, *lines)
    assert np.isnan(y.ravel()[0])
    assert y.ravel()[1] == -np.inf
    dx = fast.max_backward(index, np.full((1, 1, 2, 1), 5, np.float32), *lines)
    assert dx.ravel().tolist() == [0, 0, 0, 5, 0, 0]


def test_no_images_give_no_images(twins):
    fast, lines = twins("pool"), pool._lines((4, 4, 3, 0), 2, 2, 0, "max")
    y, index = fast.max_forward(np.empty((0, 4, 4, 3), np.float32), *lines)
    assert y.shape == index.shape == (0, 2, 2, 3)
    assert fast.max_backward(index, y, *lines).shape == (0, 4, 4, 3)


def test_the_largest_windows_have_a_byte_for_each_tap(twins, rng):
    fast, x = twins("pool"), rng.standard_normal((1, 17, 15, 1)).astype(np.float32)
    lines = pool._lines((17, 15, 1, 1), (17, 15), 1, 0, "max")
    x[0, 16, 14] = 9
    y, index = fast.max_forward(x, *lines)
    assert (y.item(), index.item()) == (9, 254)
    assert (fast.max_backward(index, y, *lines) == np.where(x == 9, 9, 0)).all()


def test_layers_run_through_the_gpus_kernels_and_keep_where_the_maxima_were(emulated, rng, monkeypatch):
    block = pool.Pooling(pool_size=[2, 2], stride=[2, 2])
    block.derivatives_follow, x = True, rng.standard_normal((5, 7, 3, 2)).transpose(1, 0, 2, 3)
    (y,) = block.forward([x], [])
    dy = rng.standard_normal(y.shape)
    monkeypatch.setattr(twins_of_gpu, "max_forward", None)  # not called again
    (dx,), _ = block.backward([x], [], [dy])
    with choices.using(fast=False):
        assert (y == pool.forward(x, 2, stride=2)).all()
        assert (dx == pool.backward(x, 2, dy, stride=2)).all()
    assert dx.dtype == y.dtype == x.dtype


def test_an_index_kept_for_another_input_is_not_used(emulated, rng):
    block = pool.Pooling(pool_size=[2, 2], stride=[2, 2])
    x, other = (rng.standard_normal((4, 4, 3, 1)) for _ in range(2))
    dy = rng.standard_normal((2, 2, 3, 1))
    block.derivatives_follow = True
    block.forward([other], [])
    (dx,), _ = block.backward([x], [], [dy])
    assert (dx == pool.backward(x, 2, dy, stride=2)).all()

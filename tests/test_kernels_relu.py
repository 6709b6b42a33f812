"""dagnet.layers.kernels: the ReLU's fast twins against the plain code."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagnet.layers import relu
from dagnet.layers import settings as choices

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
shapes = st.sampled_from([(1,), (3, 5), (2, 3, 4, 8), (7, 1, 2, 21), (1, 1, 1, 1), (0, 2, 2, 3), (5, 64)])
dtypes = st.sampled_from([np.float32, np.float64])


def drawn(rng, shape, dtype):
    x = rng.standard_normal(shape).astype(dtype)
    x[rng.random(shape) < 0.2] = 0
    return x


@few
@given(shapes, dtypes, st.sampled_from([0.0, 0.1, 1.5, -0.2]), st.integers(0, 99))
def test_both_ways_agree_with_the_plain_code(twins, shape, dtype, leak, seed):
    fast, rng = twins("relu"), np.random.default_rng(seed)
    x, dy = drawn(rng, shape, dtype), drawn(rng, shape, dtype)
    y, dx = fast.forward(x, leak), fast.backward(x, dy, leak)
    assert y.dtype == dx.dtype == dtype
    assert y.shape == dx.shape == shape
    assert np.array_equal(y, np.where(x > 0, x, dtype(leak) * x))
    assert np.array_equal(dx, np.where(x > 0, dy, dtype(leak) * dy))


def test_nan_and_infinities_are_the_plain_codes(twins):
    x = np.array([np.nan, np.inf, -np.inf, -1, -0.0], np.float32)
    for leak in (0.0, 0.5):
        with choices.using(fast=False):
            y = relu.forward(x, leak=leak).reshape(-1)
        assert np.array_equal(twins("relu").forward(x, leak), y, equal_nan=True)


@few
@given(st.sampled_from([1, 2, 31, 257, 9000]), st.sampled_from([1, 2, 3, 4, 21, 64, 1025]), dtypes, st.integers(0, 99))
def test_mask_and_bias_derivative_agree_with_the_plain_code(twins, rows, channels, dtype, seed):
    rng = np.random.default_rng(seed)
    dy, y = drawn(rng, (rows, channels), dtype), np.maximum(drawn(rng, (rows, channels), dtype), 0)
    kept, sums = twins("relu").masked(dy, y)
    assert np.array_equal(kept, np.where(y > 0, dy, 0))
    assert kept.dtype == sums.dtype == dtype
    assert np.allclose(sums, kept.sum(axis=0, dtype=float), rtol=0, atol=(1e-4 if dtype == np.float32 else 1e-12))


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_have_sums_too(twins, rows):
    dy, y = np.ones((rows, 3), np.float32), np.ones((rows, 3), np.float32)
    assert twins("relu").masked(dy, y)[1].tolist() == [rows] * 3


def test_layers_run_through_the_gpus_kernels(emulated, rng):
    x, dy = rng.standard_normal((5, 4, 3, 2)), rng.standard_normal((3, 5, 4, 2)).transpose(1, 2, 0, 3)
    with choices.using(fast=False):
        y, dx = relu.forward(x, leak=0.1), relu.backward(x, dy, leak=0.1)
    assert np.array_equal(relu.forward(x, leak=0.1), y)
    assert np.array_equal(relu.backward(x, dy, leak=0.1), dx)

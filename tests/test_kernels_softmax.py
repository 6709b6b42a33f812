"""dagnet.layers.kernels: the fast twins of softmax and its loss against the plain code."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagnet.layers import loss, softmax
from dagnet.layers import settings as choices

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
dtypes = st.sampled_from([np.float32, np.float64])
sizes = st.sampled_from(
    [(1, 1, 1, 1), (2, 3, 2, 2), (3, 1, 5, 1), (7, 5, 21, 2), (1, 2, 33, 3), (2, 2, 1000, 1), (2, 2, 3, 0)]
)


def close(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    return np.allclose(
        a, b, 0, (1e-5 if a.dtype == np.float32 else 1e-13) * (1 + abs(b).max(initial=0)), equal_nan=True
    )


@few
@given(sizes, dtypes, st.integers(0, 99))
def test_softmax_agrees_both_ways(fast, size, dtype, seed):
    rng = np.random.default_rng(seed)
    x, dy = (3 * rng.standard_normal(size)).astype(dtype), rng.standard_normal(size).astype(dtype)
    with choices.using(fast=False):
        y, dx = softmax.forward(x), softmax.backward(x, dy)
    assert close(fast(softmax).forward(x), y)
    assert close(fast(softmax).backward(x, dy), dx)


@few
@given(sizes, dtypes, st.booleans(), st.booleans(), st.integers(0, 99))
def test_the_loss_and_its_derivative_agree(fast, size, dtype, normalise, weighted, seed):
    rng = np.random.default_rng(seed)
    x = (9 * rng.standard_normal(size)).astype(dtype)
    kind = rng.choice([np.uint8, np.float32, np.int64]) if size[2] < 256 else np.int64
    c = rng.integers(0, size[2] + 1, (*size[:2], 1, size[3])).astype(kind)
    v = rng.random((1, size[1], 1, size[3])) if weighted else None
    options = {"normalise": normalise and size[3] > 0, "instance_weights": v}
    with choices.using(fast=False):
        plain = loss.forward_derived(x, c, **options)
    twin = fast(loss)
    y, dx = twin.forward_derived(x, c, **options)
    assert close(y, plain[0])
    assert close(dx, plain[1])
    assert twin.forward(x, c, **options) == y


@pytest.mark.parametrize(("labels", "weights"), [((0, 0, 2), None), ((1, 1, 2), (0, 0, 1))])
def test_an_infinite_loss_of_an_ignored_pixel_does_not_count(fast, labels, weights):
    x = np.array([[0, 0, 1], [np.inf, -np.inf, 2]], np.float32).T.reshape(3, 1, 2, 1)
    c, v = (None if a is None else np.array(a).reshape(3, 1, 1, 1) for a in (labels, weights))
    assert np.isclose(fast(loss).forward(x, c, instance_weights=v), np.log(1 + np.exp(-1)))


@pytest.mark.parametrize("label", [-1, 3, np.nan, -0.5, 2.5])
def test_a_label_out_of_range_makes_nan(on_gpu, label):
    c = np.array([1, label]).reshape(2, 1, 1, 1)
    y, dx = on_gpu(loss).forward_derived(np.zeros((2, 1, 2, 1)), c)
    assert np.isnan(y)
    assert np.isnan(dx[1]).all()
    assert np.isfinite(dx[0]).all()

"""dagnet.layers.kernels: local response normalisation's fast twins against the plain code."""

import numpy as np
import pytest

from dagnet.layers import lrn, settings


@pytest.mark.parametrize(
    "param", [(5, 1, 2e-5, 0.75), (1, 0.5, 0.1, 0.5), (4, 2, 0.3, 1.3), (30, 1, 0.1, 0.75)], ids=str
)
@pytest.mark.parametrize("size", [(1, 1, 1, 1), (3, 2, 7, 2), (2, 2, 300, 1), (2, 2, 3, 0)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_ways_agree_with_the_plain_code(on_gpu, rng, size, param, dtype):
    x, dy = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    with settings.using(fast=False):
        plain = lrn.forward(x, param=param), lrn.backward(x, dy, param=param)
    fast = on_gpu(lrn)
    for ours, theirs in zip((fast.forward(x, param=param), fast.backward(x, dy, param=param)), plain, strict=True):
        assert ours.dtype == theirs.dtype == dtype
        assert np.allclose(ours, theirs, 0, 1e-6 if dtype == np.float32 else 1e-13)

"""dagnet.layers.kernels: sums over rows."""

import numpy as np
import pytest


@pytest.mark.parametrize("channels", [1, 3, 64, 1030])
@pytest.mark.parametrize("rows", [0, 1, 512, 513, 17_001])
def test_columns_are_summed_up(twins, rng, rows, channels):
    for dtype in (np.float32, np.float64):
        x = rng.integers(-9, 10, (rows, channels)).astype(dtype)  # whole numbers, which any order sums to the same
        total = twins("sums").of_columns(x)
        assert total.dtype == dtype
        assert np.array_equal(total, x.sum(axis=0))

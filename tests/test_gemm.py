"""dagnet.layers.gemm: BLAS's products equal NumPy's in every order of the numbers."""

import numpy as np
import pytest

from dagnet.layers import gemm

SHAPES = [(1, 1, 1), (5, 7, 3), (64, 9, 130), (1, 40, 6), (40, 1, 6), (6, 5, 1)]


def ordered(a, order):
    """The values of a, with numbers side by side along rows, along columns, or in a part of a wider array."""
    if order == "columns":
        return a.copy(order="F")
    if order == "part":
        wide = np.full((a.shape[0] + 2, a.shape[1] + 3), np.nan, a.dtype)
        wide[1:-1, 2:-1] = a
        return wide[1:-1, 2:-1]
    if order == "part of columns":
        return ordered(a.T.copy(), "part").T
    return a.copy()


ORDERS = ["rows", "columns", "part", "part of columns"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beta", [0.0, 1.0, -0.5])
def test_products_equal_numpys_in_every_order(rng, dtype, shape, beta):
    m, k, n = shape
    a, b, c = (rng.standard_normal(s).astype(dtype) for s in [(m, k), (k, n), (m, n)])
    right = a.astype(float) @ b + beta * c
    for of_a in ORDERS:
        for of_b in ORDERS:
            for of_out in ORDERS:
                out = ordered(c, of_out)
                gemm.add(ordered(a, of_a), ordered(b, of_b), out, beta)
                assert np.allclose(out, right, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)


def test_with_beta_0_what_stood_there_does_not_matter(rng):
    a = rng.standard_normal((4, 3))
    assert np.allclose(gemm.add(a, a.T, np.full((4, 4), np.nan)), a @ a.T)
    assert (gemm.add(np.ones((4, 0)), np.ones((0, 4)), np.full((4, 4), 3.0), 1.0) == 3).all()
    assert (gemm.add(np.ones((4, 0)), np.ones((0, 4)), np.full((4, 4), np.nan)) == 0).all()


def test_what_does_not_fit_is_refused(rng):
    a = np.ones((4, 3))
    for wrong in [(a, a, np.ones((4, 3))), (a, a.T, np.ones((4, 3))), (a, a.T.astype(np.float32), np.ones((4, 4)))]:
        with pytest.raises(ValueError, match="gemm: a is"):
            gemm.add(*wrong)
    with pytest.raises(ValueError, match="side by side"):
        gemm.add(np.ones((8, 6))[::2, ::2], a.T, np.ones((4, 4)))
    records = np.ones(4, [("row", np.float64, 3), ("between", np.int32)])
    with pytest.raises(ValueError, match=r"strides \(28, 8\)"):  # from row to row there is no whole number of numbers
        gemm.add(records["row"], a.T, np.ones((4, 4)))

"""dagnet.layers.smoothl1: parabola and straight part, weights, the average over weights."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, smoothl1

SHAPE = (2, 3, 4, 2)


def data(xp, rng, dtype=np.float64):
    """x, x0, weights (some 0): distances on both sides of the join."""
    x, x0 = 2 * rng.standard_normal(SHAPE), rng.standard_normal(SHAPE)
    return [xp.asarray(a, dtype) for a in (x, x0, rng.uniform(0, 2, SHAPE) * rng.integers(0, 2, SHAPE))]


def loops(x, x0, v, dy, sigma):
    """y and dx by the docstring's sums."""
    y, dx = 0.0, np.zeros(SHAPE)
    for place in np.ndindex(SHAPE):
        d = float(x[place]) - float(x0[place])
        if abs(d) <= 1 / sigma**2:
            t, slope = sigma**2 * d**2 / 2, sigma**2 * d
        else:
            t, slope = abs(d) - 1 / (2 * sigma**2), 1.0 if d > 0 else -1.0
        y += v[place] * t
        dx[place] = dy * v[place] * slope
    return y, dx


@pytest.mark.parametrize("sigma", [1, 0.5, 3])
def test_backward_is_the_slope_of_forward(xp, rng, sigma):
    gradcheck.check(smoothl1.LossSmoothL1(sigma=sigma), data(xp, rng), [], rng)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("sigma", [1, 0.5, 3])
def test_forward_and_backward_are_the_sums_of_the_docstring(xp, rng, sigma, dtype, tolerance):
    x, x0, v = data(xp, rng, dtype)
    y, dx = smoothl1.forward(x, x0, v, sigma=sigma), smoothl1.backward(x, x0, v, 1.5, sigma=sigma)
    assert y.shape == () and y.dtype == dx.dtype == dtype
    theirs, ders = loops(*(array.to_numpy(a) for a in (x, x0, v)), 1.5, sigma)
    assert float(y) == pytest.approx(theirs, rel=tolerance)
    np.testing.assert_allclose(array.to_numpy(dx), ders, rtol=0, atol=tolerance * np.abs(ders).max())


def test_the_two_parts_join_without_a_step(xp):
    v = xp.ones((1, 1, 1, 1))
    for limit in (1.0, 0.25):
        at, after = (smoothl1.forward(v * d, 0 * v, v, sigma=limit**-0.5) for d in (limit, limit * (1 + 1e-9)))
        assert float(after) == pytest.approx(float(at)) == pytest.approx(limit / 2)


def test_the_average_is_over_the_weights_since_reset(xp, rng):
    block, total, weights = smoothl1.LossSmoothL1(), 0.0, 0.0
    for _ in range(2):
        x, x0, v = data(xp, rng)
        total += float(block.forward([x, x0, v], [])[0])
        weights += float(v.sum())
    assert float(block.average) == pytest.approx(total / weights)
    block.reset()
    assert (block.average, block.num_averaged) == (0, 0)
    block.ignore_average = True
    block.forward(data(xp, rng), [])
    assert block.num_averaged == 0


def test_without_any_weight_the_average_is_zero(xp, rng):
    x, x0, v = data(xp, rng)
    block = smoothl1.LossSmoothL1()
    block.forward([x, x0, 0 * v], [])
    assert float(block.average) == 0


def test_targets_and_weights_have_no_derivative(xp, rng):
    (dx, *others), ders = smoothl1.LossSmoothL1().backward(data(xp, rng), [], [1.0])
    assert dx.shape == SHAPE and others == [None, None] and ders == []


def test_the_result_has_our_memory_order_and_no_argument_is_written_to(xp, rng):
    arguments = data(xp, rng)
    before = [a.copy() for a in arguments]
    smoothl1.forward(*arguments)
    assert smoothl1.backward(*arguments).transpose(3, 0, 1, 2).flags.c_contiguous
    assert all((a == b).all() for a, b in zip(arguments, before, strict=True))


def test_what_does_not_fit_is_refused(rng):
    x, x0, v = data(np, rng)
    with pytest.raises(ValueError, match=r"smoothl1: x, x0 and the weights are .*\(1, 3, 4, 2\).*; three equal shapes"):
        smoothl1.forward(x, x0, v[:1])
    with pytest.raises(ValueError, match="smoothl1: x is float64, x0 is float32"):
        smoothl1.forward(x, x0.astype(np.float32), v)
    with pytest.raises(ValueError, match=r"smoothl1: dy has shape .*; one number is right"):
        smoothl1.backward(x, x0, v, v)
    with pytest.raises(ValueError, match="smoothl1: sigma is 0; a number above 0"):
        smoothl1.forward(x, x0, v, sigma=0)


def test_without_dy_and_sigma_both_are_one(xp, rng):
    x, x0, v = (xp.asarray(rng.standard_normal(SHAPE)) for _ in range(3))
    assert smoothl1.forward(x, x0, v) == smoothl1.forward(x, x0, v, sigma=1.0)
    assert (smoothl1.backward(x, x0, v) == smoothl1.backward(x, x0, v, 1.0, sigma=1.0)).all()


def test_targets_of_any_value_are_no_wrong_labels(rng):
    x, x0, v = data(np, rng)
    smoothl1.LossSmoothL1().check([x, x0 - 5, v])

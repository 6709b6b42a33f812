"""dagnet.layers.scale: multipliers and biases of every size that broadcasts, as parameters and as inputs."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, scale

SHAPE = (3, 4, 5, 2)
SIZES = [(1, 1, 5), (3, 4, 5, 2), (1, 4, 1, 2), (1, 1), (3, 1, 5, 1)]


def values(xp, rng, size, dtype=np.float64):
    return [xp.asarray(rng.standard_normal(s), dtype) for s in (SHAPE, size, size)]


def loops(x, multiplier, bias, dy):
    """y, dx, dmultiplier, dbias: each value of y hands on dy to the three that made it."""
    y, dx, dm, db = np.zeros(SHAPE), np.zeros(SHAPE), np.zeros(multiplier.shape), np.zeros(bias.shape)
    for place in np.ndindex(SHAPE):
        m = tuple(i if size > 1 else 0 for i, size in zip(place, multiplier.shape, strict=True))
        y[place] = x[place] * multiplier[m] + bias[m]
        dx[place] = dy[place] * multiplier[m]
        dm[m] += float(dy[place]) * float(x[place])
        db[m] += dy[place]
    return y, dx, dm, db


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_backward_agree_with_bare_loops(xp, rng, size, dtype, tolerance):
    x, multiplier, bias = values(xp, rng, size, dtype)
    dy = xp.asarray(rng.standard_normal(SHAPE), dtype)
    ours = [scale.forward(x, multiplier, bias), *scale.backward(x, multiplier, bias, dy)]
    for a, b in zip(ours[2:], (multiplier, bias), strict=True):
        assert a.shape == b.shape
    for a, b in zip(ours, loops(*(array.to_numpy(array.four_d(v)) for v in (x, multiplier, bias, dy))), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(array.to_numpy(array.four_d(a)), b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1))


@pytest.mark.parametrize("inputs", [1, 2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_backward_is_the_slope_of_forward_wherever_the_arguments_come_from(xp, rng, size, inputs):
    arguments = values(xp, rng, size)
    gradcheck.check(scale.Scale(), arguments[:inputs], arguments[inputs:], rng)
    gradcheck.check(scale.Scale(has_bias=False), arguments[: min(inputs, 2)], arguments[min(inputs, 2) : 2], rng)


def test_without_a_bias_nothing_is_added_and_there_is_no_derivative(xp, rng):
    x, multiplier, _ = values(xp, rng, (1, 1, 5))
    assert (scale.forward(x, multiplier) == x * multiplier[..., None]).all()
    assert scale.backward(x, multiplier, None, x)[2] is None


def test_multiplier_and_bias_may_have_different_sizes(xp, rng):
    x, multiplier, _ = values(xp, rng, (1, 1, 5))
    gradcheck.check(scale.Scale(), [x], [multiplier, xp.asarray(rng.standard_normal((3, 1, 1, 2)))], rng)


def test_results_have_our_memory_order_and_no_argument_is_written_to(xp, rng):
    x, multiplier, bias = values(xp, rng, (1, 1, 5))
    before = [a.copy() for a in (x, multiplier, bias)]
    for y in (scale.forward(x, multiplier, bias), scale.backward(x, multiplier, bias, x)[0]):
        assert y.transpose(3, 0, 1, 2).flags.c_contiguous
    assert all((a == b).all() for a, b in zip((x, multiplier, bias), before, strict=True))


def test_sizes_that_do_not_broadcast_and_mixed_precisions_are_refused(rng):
    x, multiplier, bias = values(np, rng, (1, 1, 5))
    with pytest.raises(
        ValueError, match=r"scale: the multiplier has shape \(1, 1, 4\); \(3, 4, 5, 2\), each of the sizes"
    ):
        scale.forward(x, multiplier[:, :, :4])
    with pytest.raises(ValueError, match=r"scale: the bias has shape \(3, 4, 5, 3\)"):
        scale.forward(x, multiplier, np.ones((3, 4, 5, 3)))
    with pytest.raises(ValueError, match="scale: x is float64, multiplier is float64, bias is float32"):
        scale.forward(x, multiplier, bias.astype(np.float32))
    with pytest.raises(ValueError, match="scale: x is float64, dy is float32"):
        scale.backward(x, multiplier, bias, x.astype(np.float32))
    with pytest.raises(ValueError, match=r"scale: dy has shape \(3, 4, 1, 2\); y's shape \(3, 4, 5, 2\) is right"):
        scale.backward(x, multiplier, bias, x[:, :, :1])


def test_a_wrong_number_of_arguments_is_refused(rng):
    x, multiplier, bias = values(np, rng, (1, 1, 5))
    with pytest.raises(ValueError, match=r"Scale: 2 inputs and parameters came; 3 \(x, multiplier, bias\) are right"):
        scale.Scale().forward([x], [multiplier])
    with pytest.raises(ValueError, match=r"Scale: 3 inputs and parameters came; 2 \(x, multiplier\) are right"):
        scale.Scale(has_bias=False).forward([x, multiplier], [bias])


def test_one_pixel_of_x_is_seen_and_none_of_the_other_inputs():
    fields = scale.Scale().receptive_fields(3)
    assert fields[0].size == (1, 1) and fields[1:] == [None, None]

"""dagnet.layers.bnorm: normalised channels, given moments, and the moments that the solver averages."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dagnet.layers import array, bnorm, gradcheck, parts

pytestmark = pytest.mark.usefixtures("tier")


def data(xp, rng, dtype=np.float64):
    """x (3, 4, 5, 2) with channels of very different mean and scale, and g, b, moments."""
    x = rng.standard_normal((3, 4, 5, 2)) * [[[[1], [10], [0.1], [1], [3]]]] + [[[[0], [100], [5], [-5], [0]]]]
    values = (x, rng.uniform(0.5, 2, (5, 1)), rng.standard_normal((5, 1)), rng.uniform(0.5, 2, (5, 2)))
    return [xp.asarray(v, dtype) for v in values]


def test_backward_is_the_slope_of_forward(xp, rng):
    x, g, b, moments = data(xp, rng)
    gradcheck.check(bnorm.BatchNorm(5), [x], [g, b, moments], rng, differentiable=["input 0", "param 0", "param 1"])


def loops(x, g, b, dy, epsilon):
    """y, dx, dg, db and moments by the docstring's sums, channel by channel."""
    y, dx, dg, db, moments = np.zeros(x.shape), np.zeros(x.shape), np.zeros(g.shape), np.zeros(b.shape), []
    for c in range(x.shape[2]):
        pixels = [(i, j, n) for i, j, n in np.ndindex(x.shape[0], x.shape[1], x.shape[3])]
        values = {(i, j, n): x[i, j, c, n] for i, j, n in pixels}
        m = len(pixels)
        mu = sum(values.values()) / m
        sigma = math.sqrt(sum((v - mu) ** 2 for v in values.values()) / m + epsilon)
        moments.append([mu, sigma])
        for i, j, n in pixels:
            y[i, j, c, n] = g[c, 0] * (values[i, j, n] - mu) / sigma + b[c, 0]
            db[c, 0] += dy[i, j, c, n]
            dg[c, 0] += dy[i, j, c, n] * (values[i, j, n] - mu) / sigma
        for i, j, n in pixels:
            xhat = (values[i, j, n] - mu) / sigma
            dx[i, j, c, n] = g[c, 0] / sigma * (dy[i, j, c, n] - db[c, 0] / m - xhat * dg[c, 0] / m)
    return y, dx, dg, db, np.array(moments)


def test_forward_and_backward_are_the_sums_of_the_docstring(xp, rng):
    x, g, b, _ = data(xp, rng)
    dy = xp.asarray(rng.standard_normal(x.shape))
    y, dx, dg, db, moments = loops(*(array.to_numpy(a) for a in (x, g, b, dy)), 1e-3)
    ours = [bnorm.forward(x, g, b, epsilon=1e-3)[0], *bnorm.backward(x, g, b, dy, epsilon=1e-3)]
    for a, theirs in zip(ours, (y, dx, dg, db, moments), strict=True):
        np.testing.assert_allclose(array.to_numpy(a), theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 40])
def test_parts_of_the_data_give_the_moments_and_derivatives_of_all_of_it(xp, rng, monkeypatch, channels, given):
    x, dy = (xp.asarray(rng.standard_normal((7, 9, channels, 5)) + 3) for _ in range(2))
    g, b = xp.asarray(rng.uniform(0.5, 2, channels)), xp.asarray(rng.standard_normal(channels))
    moments = xp.asarray(rng.uniform(0.5, 2, (channels, 2))) if given else None

    def results():
        return *bnorm.forward(x, g, b, moments=moments), *bnorm.backward(x, g, b, dy, moments=moments)

    whole = results()
    monkeypatch.setattr(parts, "PART_BYTES", 1000)
    monkeypatch.setattr(parts, "ROW", 64)
    for ours, theirs in zip(results(), whole, strict=True):
        assert xp.allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_a_first_pixel_far_from_the_rest_costs_single_precision_nothing(xp, rng):
    x = rng.standard_normal((40, 40, 2, 2)).astype(np.float32)
    x[0, 0, :, 0] = 1e4
    _, moments = bnorm.forward(xp.asarray(x), xp.ones(2, np.float32), xp.zeros(2, np.float32))
    assert np.allclose(array.to_numpy(moments)[:, 0], x.astype(np.float64).mean(axis=(0, 1, 3)), rtol=1e-6)
    assert np.allclose(array.to_numpy(moments)[:, 1], x.astype(np.float64).std(axis=(0, 1, 3)), rtol=1e-6)


def test_each_channel_comes_out_with_mean_b_and_deviation_g(xp, rng):
    x, g, b, _ = data(xp, rng)
    y, moments = bnorm.forward(array.channels_last(x), g, b, epsilon=0)
    assert xp.allclose(y.mean(axis=(0, 1, 3)), b[:, 0]) and xp.allclose(y.std(axis=(0, 1, 3)), g[:, 0])
    assert xp.allclose(moments[:, 0], x.mean(axis=(0, 1, 3))) and xp.allclose(moments[:, 1], x.std(axis=(0, 1, 3)))


def test_epsilon_is_inside_sigma_and_keeps_a_constant_channel_finite(xp):
    x, one = xp.full((3, 3, 1, 1), 7.0), xp.ones((1, 1))
    y, moments = bnorm.forward(x, one, one, epsilon=1e-4)
    assert moments.tolist() == [[7, pytest.approx(1e-2)]]
    assert (y == 1).all()


def test_a_mean_far_from_zero_costs_single_precision_nothing(xp, rng):
    x = xp.asarray(rng.standard_normal((64, 64, 2, 4)) + 1000, np.float32)
    _, moments = bnorm.forward(x, xp.ones(2, np.float32), xp.zeros(2, np.float32))
    assert xp.allclose(moments[:, 1], x.astype(np.float64).std(axis=(0, 1, 3)), rtol=1e-4)


def test_given_moments_are_taken_as_they_are(xp, rng):
    x, g, b, moments = data(xp, rng)
    mu, sigma = (moments[:, i].reshape(1, 1, 5, 1) for i in (0, 1))
    y, same = bnorm.forward(x, g, b, moments=moments, epsilon=1e9)
    assert xp.allclose(y, g[:, :, None].transpose(1, 2, 0)[..., None] * (x - mu) / sigma + b[:, 0].reshape(1, 1, 5, 1))
    assert same is moments


def test_test_mode_uses_the_third_parameter(xp, rng):
    x, g, b, moments = data(xp, rng)
    block = bnorm.BatchNorm(5)
    block.mode = "test"
    assert (block.forward([x], [g, b, moments])[0] == bnorm.forward(x, g, b, moments=moments)[0]).all()


@pytest.mark.parametrize("scale", [True, False])
def test_the_third_derivative_is_the_batchs_moments_times_its_images_where_the_solver_divides(xp, rng, scale):
    x, g, b, moments = data(xp, rng)
    block = bnorm.BatchNorm(5)
    block.scale_moments_by_images = scale
    block.forward([x], [g, b, moments])
    _, (dg, db, third) = block.backward([x], [g, b, moments], [xp.ones_like(x)])
    assert xp.allclose(third, bnorm.batch_moments(x, 1e-5) * (2 if scale else 1), rtol=1e-15)
    assert dg.shape == g.shape and db.shape == b.shape


def test_backward_does_without_forward_and_forgets_the_moments_of_the_last_batch(xp, rng):
    x, g, b, moments = data(xp, rng)
    block = bnorm.BatchNorm(5)
    block.derivatives_follow = True
    block.forward([x], [g, b, moments])
    block.backward([x], [g, b, moments], [x])
    (dx,), _ = block.backward([2 * x], [g, b, moments], [x])
    assert (dx == bnorm.backward(2 * x, g, b, x, epsilon=1e-5)[0]).all()


@pytest.mark.parametrize("follow", [True, False])
def test_moments_are_taken_for_the_data_that_they_are_of_alone(xp, rng, follow):
    x, g, b, moments = data(xp, rng)
    block = bnorm.BatchNorm(5)
    block.derivatives_follow = follow
    block.forward([x], [g, b, moments])
    block.forward([2 * x], [g, b, moments])  # a layer that shares the block, say
    (dx,), _ = block.backward([x], [g, b, moments], [x])
    assert (dx == bnorm.backward(x, g, b, x, epsilon=1e-5)[0]).all()


def test_single_precision_stays_single_and_no_argument_is_written_to(xp, rng):
    arguments = data(xp, rng, np.float32)
    before = [a.copy() for a in arguments]
    x, g, b, _ = arguments
    y, moments = bnorm.forward(x, g, b)
    results = [y, moments, *bnorm.backward(x, g, b, x)]
    assert all(r.dtype == np.float32 for r in results)
    assert all((a == c).all() for a, c in zip(arguments, before, strict=True))


def test_attach_has_the_moments_averaged():
    params = [SimpleNamespace(train_method="gradient", learning_rate=1.0) for _ in range(3)]
    bnorm.BatchNorm(5).attach(params)
    assert [(p.train_method, p.learning_rate) for p in params] == [("gradient", 1), ("gradient", 1), ("average", 0.1)]
    with pytest.raises(ValueError, match="it is given 2 parameters"):
        bnorm.BatchNorm(5).attach(params[:2])


def test_fresh_parameters_change_nothing_but_moments(rng):
    g, b, moments = bnorm.BatchNorm(4).init_params(rng)
    assert g.tolist() == [[1]] * 4 and b.tolist() == [[0]] * 4 and moments.tolist() == [[0, 0]] * 4
    assert g.dtype == b.dtype == moments.dtype == np.float32
    with pytest.raises(ValueError, match="num_channels is 0"):
        bnorm.BatchNorm().init_params(rng)


def test_parameters_that_do_not_fit_the_channels_are_refused(rng):
    x, g, b, moments = data(np, rng)
    with pytest.raises(ValueError, match="there are 4 multipliers and x has 5 channels"):
        bnorm.forward(x, g[:4], b)
    with pytest.raises(ValueError, match="there are 4 biases"):
        bnorm.backward(x, g, b[:4], x)
    with pytest.raises(ValueError, match=r"moments are \(2, 5\); \(5, 2\)"):
        bnorm.forward(x, g, b, moments=moments.T)


def test_bytes_and_mixed_precisions_are_refused(rng):
    x, g, b, moments = data(np, rng)
    with pytest.raises(ValueError, match="bnorm: x is uint8, g is float64"):
        bnorm.forward(x.astype(np.uint8), g, b)
    with pytest.raises(ValueError, match="moments is float32; all float32"):
        bnorm.forward(x, g, b, moments=moments.astype(np.float32))
    with pytest.raises(ValueError, match="dy is float32; all float32"):
        bnorm.backward(x, g, b, x.astype(np.float32))


def test_a_derivative_in_test_mode_has_nothing_of_an_earlier_batch(rng):
    batch, other, dy = (rng.standard_normal((3, 2, 4, 2)) for _ in range(3))
    params = [np.ones((4, 1)), np.zeros((4, 1)), np.ones((4, 2))]
    fresh, used = bnorm.BatchNorm(4), bnorm.BatchNorm(4)
    used.forward([other], params)
    ders = []
    for layer in (fresh, used):
        layer.mode = "test"
        layer.forward([batch], params)
        ders.append(layer.backward([batch], params, [dy])[0][0])
    np.testing.assert_array_equal(*ders)

"""dagnet.layers.pdist: every p, with and without its root, weighted, aggregated, against one x0 for all pixels."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, pdist
from tests import oracles

SHAPE = (3, 4, 5, 2)
POWERS = [0.5, 1, 1.5, 2, 3]


def data(xp, rng, shape=SHAPE, dtype=np.float64):
    """x, x0, and weights; the two differ by at least 0.1 everywhere, so that no slope jumps."""
    x0, sign = rng.standard_normal(shape), rng.choice([-1, 1], shape)
    x = x0 + sign * rng.uniform(0.1, 2, shape)
    return [xp.asarray(a, dtype) for a in (x, x0, rng.uniform(0, 2, (*shape[:2], 1, shape[3])))]


@pytest.mark.parametrize("aggregate", [False, True])
@pytest.mark.parametrize("no_root", [False, True])
@pytest.mark.parametrize("p", POWERS)
def test_backward_is_the_slope_of_forward(xp, rng, p, no_root, aggregate):
    layer = pdist.PDist(p=p, no_root=no_root, aggregate=aggregate)
    gradcheck.check(layer, data(xp, rng), [], rng, differentiable=["input 0", "input 1"])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("no_root", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("p", POWERS)
def test_forward_and_backward_agree_with_bare_loops(xp, rng, p, dtype, tolerance, no_root, weighted):
    x, x0, v = data(xp, rng, dtype=dtype)
    dy = xp.asarray(rng.standard_normal((3, 4, 1, 2)), dtype)
    options = {"no_root": no_root, "instance_weights": v if weighted else None}
    y, (dx, dx0) = pdist.forward(x, x0, p, **options), pdist.backward(x, x0, p, dy, **options)
    assert y.dtype == dx.dtype == dx0.dtype == dtype
    plain = [array.to_numpy(a) for a in (x, x0, v, dy)]
    weights = plain[2] if weighted else None
    assert oracles.error(y, oracles.pdist(plain[0], plain[1], p, no_root, weights)) < tolerance
    assert oracles.error(dx, oracles.pdist_backward(plain[0], plain[1], plain[3], p, no_root, weights)) < tolerance
    assert (dx0 == -dx).all()


def test_aggregate_is_the_sum_over_all_pixels_and_images(xp, rng):
    x, x0, v = data(xp, rng)
    total = pdist.forward(x, x0, 2, aggregate=True, instance_weights=v)
    assert total.shape == () and xp.allclose(total, pdist.forward(x, x0, 2, instance_weights=v).sum())
    dx, _ = pdist.backward(x, x0, 2, 1.5, aggregate=True, instance_weights=v)
    assert xp.allclose(dx, pdist.backward(x, x0, 2, xp.full((3, 4, 1, 2), 1.5), instance_weights=v)[0])


@pytest.mark.parametrize("size", [(1, 1, 5, 2), (1, 1, 5, 1), (3, 4, 5)])
def test_x0_may_be_repeated_and_gets_the_sum_of_what_it_was_used_for(xp, rng, size):
    x, _, v = data(xp, rng)
    x0 = xp.asarray(rng.standard_normal(size) + 5)
    gradcheck.check(pdist.PDist(), [x, x0, v], [], rng, differentiable=["input 0", "input 1"])
    full = xp.broadcast_to(array.four_d(x0), SHAPE).copy()
    assert (pdist.forward(x, x0, 2) == pdist.forward(x, full, 2)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("no_root", [False, True])
@pytest.mark.parametrize("p", POWERS)
def test_where_the_two_are_equal_the_derivative_is_zero(xp, p, no_root):
    x, x0 = xp.ones((1, 1, 3, 1)), xp.ones((1, 1, 3, 1))
    dx, dx0 = pdist.backward(x, x0, p, xp.ones((1, 1, 1, 1)), no_root=no_root)
    assert not dx.any() and not dx0.any()
    x0[0, 0, 0, 0] = -1  # one channel alone differs: the others' derivative is 0 still
    assert (pdist.backward(x, x0, p, xp.ones((1, 1, 1, 1)), no_root=no_root)[0][0, 0, 1:] == 0).all()


def test_epsilon_bounds_what_is_divided_by(xp):
    x, x0 = xp.full((1, 1, 1, 1), 1e-4), xp.zeros((1, 1, 1, 1))
    one = xp.ones((1, 1, 1, 1))
    assert float(pdist.backward(x, x0, 2, one, epsilon=1e-6)[0][0, 0, 0, 0]) == pytest.approx(0.1)
    assert float(pdist.backward(x, x0, 2, one, epsilon=1e-8)[0][0, 0, 0, 0]) == pytest.approx(1)
    tiny = pdist.backward(1e-8 * x, x0, 1.5, one, no_root=True)[0]  # no power below 0, no bound
    assert float(tiny[0, 0, 0, 0]) == pytest.approx(1.5e-6)
    assert float(pdist.backward(x, x0, 0.5, one, no_root=True, epsilon=1e-2)[0][0, 0, 0, 0]) == pytest.approx(5)


def test_the_average_is_over_images(xp, rng):
    block = pdist.PDist()
    total = 0.0
    for images in (2, 3):
        x, x0, v = data(xp, rng, (3, 4, 5, images))
        total += float(block.forward([x, x0, v], [])[0])
    assert block.num_averaged == 5 and float(block.average) == pytest.approx(total / 5)
    block.ignore_average = True
    block.forward([x, x0], [])
    assert block.num_averaged == 5


def test_weights_have_no_derivative_and_may_be_absent(xp, rng):
    x, x0, v = data(xp, rng)
    assert pdist.PDist().backward([x, x0, v], [], [1.0])[0][2] is None
    assert len(pdist.PDist().backward([x, x0], [], [1.0])[0]) == 2


def test_the_output_is_one_number_or_one_a_pixel():
    sizes = [SHAPE, SHAPE]
    assert pdist.PDist().output_sizes(sizes) == [(1, 1, 1, 2)]
    assert pdist.PDist(aggregate=False).output_sizes(sizes) == [(3, 4, 1, 2)]


def test_results_have_our_memory_order_and_no_argument_is_written_to(xp, rng):
    x, x0, v = data(xp, rng)
    before = [a.copy() for a in (x, x0, v)]
    y = pdist.forward(x, x0, 3, instance_weights=v)
    for a in (y, *pdist.backward(x, x0, 3, y, instance_weights=v)):
        assert a.transpose(3, 0, 1, 2).flags.c_contiguous
    assert all((a == b).all() for a, b in zip((x, x0, v), before, strict=True))


def test_what_does_not_fit_is_refused(rng):
    x, x0, v = data(np, rng)
    for call, message in [
        (lambda: pdist.forward(x, x0, 0), "p is 0; a number above 0"),
        (
            lambda: pdist.forward(x, x0[:2], 2),
            r"x0 has shape \(2, 4, 5, 2\); \(3, 4, 5, 2\), each of the sizes may be 1",
        ),
        (lambda: pdist.forward(x, x0.astype(np.float32), 2), "x is float64, x0 is float32"),
        (
            lambda: pdist.forward(x, x0, 2, instance_weights=x),
            r"instance_weights has shape .*; \(3, 4, 1, 2\), each of the sizes",
        ),
        (lambda: pdist.backward(x, x0, 2, v[:2]), r"dy has shape \(2, 4, 1, 2\); y's shape \(3, 4, 1, 2\) is right"),
        (lambda: pdist.backward(x, x0, 2, v, aggregate=True), r"dy has shape \(3, 4, 1, 2\); one number is right"),
    ]:
        with pytest.raises(ValueError, match=f"pdist: {message}"):
            call()


def test_negative_values_are_no_wrong_labels(rng):
    x, x0, v = data(np, rng)
    pdist.PDist().check([x, x0 - 5, v])

"""dagnet.layers.lrn: windows over channels, clipped at both ends."""

import math

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, lrn, parts
from tests import oracles, recorded

pytestmark = pytest.mark.usefixtures("tier")


@pytest.mark.parametrize("n", [1, 2, 5, 6, 30])
def test_backward_is_the_slope_of_forward(xp, rng, n):
    gradcheck.check(lrn.LRN([n, 2, 0.3, 0.75]), [xp.asarray(rng.standard_normal((2, 3, 7, 2)))], [], rng)


def loops(x, dy, n, kappa, alpha, beta):
    """y and dx by the docstring's sums, one number after the other."""
    y, dx = np.zeros(x.shape), np.zeros(x.shape)
    channels = x.shape[2]
    for i, j, k, image in np.ndindex(x.shape):
        window = range(max(0, k - math.floor((n - 1) / 2)), min(channels - 1, k + math.ceil((n - 1) / 2)) + 1)
        size = kappa + alpha * sum(x[i, j, q, image] ** 2 for q in window)
        y[i, j, k, image] = x[i, j, k, image] * size**-beta
        dx[i, j, k, image] += dy[i, j, k, image] * size**-beta
        for q in window:
            slope = -2 * alpha * beta * x[i, j, q, image] * x[i, j, k, image] * size ** (-beta - 1)
            dx[i, j, q, image] += dy[i, j, k, image] * slope
    return y, dx


@pytest.mark.parametrize("n", [1, 2, 5, 6, 30])
def test_forward_and_backward_are_the_sums_of_the_docstring(xp, rng, n):
    x, dy = rng.standard_normal((2, 3, 7, 2)), rng.standard_normal((2, 3, 7, 2))
    param = [n, 2, 0.3, 0.75]
    y, dx = loops(x, dy, *param)
    np.testing.assert_allclose(array.to_numpy(lrn.forward(xp.asarray(x), param=param)), y, rtol=1e-14)
    ours = array.to_numpy(lrn.backward(xp.asarray(x), xp.asarray(dy), param=param))
    np.testing.assert_allclose(ours, dx, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "param", [[5, 1, 2e-5, 0.75], [5, 2, 0.3, 0.75], [4, 1, 0.3, 0.5], [3, 0.5, 1, 1], [5, 1, 0.3, 0.6]]
)
def test_single_precision_is_a_millionth_from_the_sums(xp, rng, param):
    x, dy = (rng.standard_normal((2, 3, 7, 2)).astype(np.float32) for _ in range(2))
    y, dx = loops(x.astype(float), dy.astype(float), *param)
    assert oracles.error(lrn.forward(xp.asarray(x), param=param), y) < 1e-6
    assert oracles.error(lrn.backward(xp.asarray(x), xp.asarray(dy), param=param), dx) < 1e-6


def test_parts_of_the_data_give_what_all_of_it_gives(xp, rng, monkeypatch):
    x, dy = (xp.asarray(rng.standard_normal((7, 9, 6, 5))) for _ in range(2))
    y, dx = lrn.forward(x), lrn.backward(x, dy)
    monkeypatch.setattr(parts, "PART_BYTES", 1000)
    assert (lrn.forward(x) == y).all() and (lrn.backward(x, dy) == dx).all()


@pytest.mark.filterwarnings("error")
def test_without_kappa_the_gaps_between_pixels_divide_by_nothing(xp, rng):
    x = xp.asarray(rng.uniform(1, 2, (2, 3, 7, 2)))
    param = [5, 0, 1, 0.75]
    assert xp.isfinite(lrn.forward(x, param=param)).all() and xp.isfinite(lrn.backward(x, x, param=param)).all()


@pytest.mark.parametrize(
    ("n", "sums"), [(1, [1, 2, 4, 8]), (2, [3, 6, 12, 8]), (3, [3, 7, 14, 12]), (4, [7, 15, 14, 12])]
)
def test_a_window_holds_the_channels_around_its_own_and_of_an_even_one_more_after_it(xp, n, sums):
    x = xp.sqrt(xp.asarray([1.0, 2.0, 4.0, 8.0])).reshape(1, 1, 4, 1)
    y = lrn.forward(x, param=[n, 0, 1, 1])
    assert xp.allclose(y.ravel() * xp.asarray(sums), x.ravel())


def test_alpha_is_not_divided_by_n(xp):
    y = lrn.forward(xp.ones((1, 1, 5, 1)), param=[5, 1, 0.5, 1])
    assert float(y[0, 0, 2, 0]) == pytest.approx(1 / (1 + 0.5 * 5))


def test_single_precision_stays_single_and_no_argument_is_written_to(xp, rng):
    x = array.channels_last(xp.asarray(rng.standard_normal((3, 2, 6, 2)), np.float32))
    before = x.copy()
    assert lrn.forward(x).dtype == lrn.backward(x, x).dtype == np.float32
    assert (x == before).all()


def test_the_result_has_our_memory_order(xp, rng):
    x = xp.asarray(rng.standard_normal((3, 2, 6, 2)))
    for y in (lrn.forward(x), lrn.backward(x, x)):
        assert y.transpose(3, 0, 1, 2).flags.c_contiguous


@pytest.mark.parametrize("param", [[5, 1, 1], [0, 1, 1, 1], [2.5, 1, 1, 1]])
def test_a_param_that_is_not_n_kappa_alpha_beta_is_refused(param):
    with pytest.raises(ValueError, match="LRN: param is"):
        lrn.forward(np.ones((1, 1, 3, 1)), param=param)


def test_bytes_and_mixed_precisions_are_refused():
    x = np.zeros((4, 4, 2, 1))
    with pytest.raises(ValueError, match="LRN: x is uint8; all float32"):
        lrn.forward(x.astype(np.uint8))
    with pytest.raises(ValueError, match="LRN: x is float64, dy is float32"):
        lrn.backward(x, x.astype(np.float32))


@pytest.mark.parametrize("dtype", ["single", "double"])
def test_with_its_approximate_power_matconvnets_numbers_come_out_to_their_last_digits(dtype):
    """So it is the power alone by which they differ from ours: windows, factors and the derivative are the same."""
    tolerance = {"single": 2e-6, "double": 1e-13}[dtype]
    cases = [
        case
        for case in recorded.load("master/ops_norm.mat")
        if (case["op"], case["dtype"]) == ("vl_nnnormalize", dtype)
    ]
    assert cases
    for case in cases:
        x, param, dy = array.four_d(case["in"]["x"]), case["in"]["param"].ravel(), array.four_d(case["dzdy"])
        assert recorded.distance(oracles.approximate_lrn(x, param), case["out"]["y"]) <= tolerance, case["name"]
        assert recorded.distance(oracles.approximate_lrn_backward(x, dy, param), case["der"]["dx"]) <= tolerance, case[
            "name"
        ]

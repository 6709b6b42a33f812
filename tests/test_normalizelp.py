"""dagnet.layers.normalizelp: norms along any dimensions, given or its own."""

import numpy as np
import pytest

from dagnet.layers import array, block, gradcheck, normalizelp
from tests import oracles

SHAPE = (2, 3, 4, 2)
WAYS = [(2, (3,)), (4, (3,)), (2, (1, 2)), (2, (4, 1)), (4, (1, 2, 3, 4))]


class Normalise(block.Layer):
    """The function as a block, for gradcheck."""

    def __init__(self, **options):
        self.options = options

    def forward(self, inputs, params):
        return [normalizelp.forward(inputs[0], **self.options)[0]]

    def backward(self, inputs, params, der_outputs):
        return [normalizelp.backward(inputs[0], der_outputs[0], **self.options)], []


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize(("p", "dimensions"), WAYS)
def test_forward_and_backward_agree_with_bare_loops(xp, rng, p, dimensions, dtype, tolerance):
    x, dy = (rng.standard_normal(SHAPE).astype(dtype) for _ in range(2))
    options = {"p": p, "epsilon": 0.1, "dimensions": dimensions}
    y, norms = normalizelp.forward(xp.asarray(x), **options)
    dx = normalizelp.backward(xp.asarray(x), xp.asarray(dy), **options)
    assert y.dtype == norms.dtype == dx.dtype == dtype
    for ours, theirs in zip((y, norms), oracles.normalizelp(x, **options), strict=True):
        assert oracles.error(ours, theirs) < tolerance
    assert oracles.error(dx, oracles.normalizelp_backward(x, dy, **options)) < tolerance


@pytest.mark.parametrize(("p", "dimensions"), WAYS)
def test_backward_is_the_slope_of_forward(xp, rng, p, dimensions):
    gradcheck.check(Normalise(p=p, dimensions=dimensions), [xp.asarray(rng.standard_normal(SHAPE))], [], rng)


def test_spatial_stands_for_the_first_two_dimensions(xp, rng):
    x = xp.asarray(rng.standard_normal(SHAPE))
    ours, theirs = normalizelp.forward(x, spatial=True), normalizelp.forward(x, dimensions=[1, 2])
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))


def test_given_norms_are_taken_as_they_are(xp, rng):
    x, dy = (xp.asarray(rng.standard_normal(SHAPE)) for _ in range(2))
    y, norms = normalizelp.forward(x)
    assert (normalizelp.forward(x, norms=2 * norms, epsilon=9)[0] == y / 2).all()
    assert (normalizelp.backward(x, dy, norms=norms, epsilon=9) == normalizelp.backward(x, dy)).all()


def test_results_have_our_memory_order_and_no_argument_is_written_to(xp, rng):
    x = xp.asarray(rng.standard_normal(SHAPE))
    before = x.copy()
    for y in (*normalizelp.forward(x), normalizelp.backward(x, x)):
        assert y.transpose(3, 0, 1, 2).flags.c_contiguous
    assert (x == before).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 3}, "p is 3; an even number"),
        ({"p": 0}, "p is 0; an even number"),
        ({"dimensions": [0]}, r"dimensions are \[0\]; some of 1, 2, 3, 4"),
        ({"dimensions": []}, r"dimensions are \[\]"),
        ({"norms": np.ones((2, 3, 4, 2))}, r"norms are \(2, 3, 4, 2\); \(2, 3, 1, 2\) is right"),
        ({"norms": np.ones((2, 3, 1, 2), np.float32)}, "x is float64, norms is float32"),
    ],
)
def test_what_is_no_norm_is_refused(options, message):
    with pytest.raises(ValueError, match=f"normalizelp: {message}"):
        normalizelp.forward(np.ones(SHAPE), **options)


def test_a_batch_of_one_may_come_without_its_last_dimension(xp, rng):
    x = xp.asarray(rng.standard_normal(SHAPE))
    assert (normalizelp.forward(x[..., 0])[0] == normalizelp.forward(array.four_d(x[..., 0]))[0]).all()

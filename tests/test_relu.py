"""dagnet.layers.relu: against bare loops and finite differences, from the input and from the output."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, relu
from tests import oracles

pytestmark = pytest.mark.usefixtures("tier")
SHAPE = (4, 5, 3, 2)
every_leak = pytest.mark.parametrize("leak", [0, 0.1, 1.5, -0.2])


def away_from_zero(rng):
    x = rng.standard_normal(SHAPE)
    return np.where(np.abs(x) < 0.01, 0.5, x)


@every_leak
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_agrees_with_bare_loops(xp, rng, leak, dtype):
    x = rng.standard_normal(SHAPE).astype(dtype)
    y = relu.forward(xp.asarray(x), leak=leak)
    assert y.dtype == dtype
    assert oracles.error(y, oracles.relu(x, leak)) < (1e-7 if dtype == np.float32 else 1e-15)


@every_leak
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backward_agrees_with_bare_loops(xp, rng, leak, dtype):
    x, dy = (rng.standard_normal(SHAPE).astype(dtype) for _ in range(2))
    dx = relu.backward(xp.asarray(x), xp.asarray(dy), leak=leak)
    assert dx.dtype == dtype
    assert oracles.error(dx, oracles.relu_backward(x, dy, leak)) < (1e-7 if dtype == np.float32 else 1e-15)


@every_leak
@pytest.mark.parametrize("short", [True, False])
def test_backward_is_the_slope_of_forward(xp, rng, leak, short):
    gradcheck.check(relu.ReLU(use_short_circuit=short, leak=leak), [xp.asarray(away_from_zero(rng))], [], rng)


@pytest.mark.parametrize("leak", [0, 0.1])
def test_the_output_serves_backward_as_well_as_the_input(xp, rng, leak):
    x, dy = (xp.asarray(rng.standard_normal(SHAPE)) for _ in range(2))
    y = relu.forward(x, leak=leak)
    assert (relu.backward(x, dy, leak=leak) == relu.backward(y, dy, leak=leak)).all()


def test_without_a_leak_values_and_derivatives_are_exact(xp, rng):
    x, dy = (xp.asarray(rng.standard_normal(SHAPE), np.float32) for _ in range(2))
    x[0] = 0
    assert (relu.forward(x) == xp.where(x > 0, x, 0)).all()
    assert (relu.backward(x, dy) == xp.where(x > 0, dy, 0)).all()


def test_at_zero_the_slope_is_the_leak(xp):
    x, dy = xp.zeros((1, 1, 1, 1)), xp.full((1, 1, 1, 1), 2.0)
    assert relu.backward(x, dy, leak=0.25).item() == 0.5
    assert relu.backward(x, dy).item() == 0


def test_the_memory_order_of_the_input_is_kept(xp, rng):
    x = array.channels_last(xp.asarray(rng.standard_normal(SHAPE)))
    for made in (relu.forward(x), relu.forward(x, leak=0.1), relu.backward(x, x), relu.backward(x, x, leak=0.1)):
        assert made.strides == x.strides


@every_leak
def test_arguments_are_left_as_they_were(xp, rng, leak):
    x, dy = (xp.asarray(rng.standard_normal(SHAPE)) for _ in range(2))
    before = x.copy(), dy.copy()
    relu.forward(x, leak=leak)
    relu.backward(x, dy, leak=leak)
    assert (x == before[0]).all() and (dy == before[1]).all()


@pytest.mark.parametrize(
    ("block", "uses"),
    [
        (relu.ReLU(), "outputs"),
        (relu.ReLU(leak=0.1), "outputs"),
        (relu.ReLU(leak=-0.1), "inputs"),  # the sign of y no longer tells the sign of x
        (relu.ReLU(use_short_circuit=False), "inputs"),
    ],
)
def test_the_block_asks_for_its_output_where_that_suffices(block, uses):
    assert block.backward_uses == uses


def test_the_block_leaves_sizes_and_fields_alone():
    assert relu.ReLU().output_sizes([(4, 5, 3, 2)]) == [(4, 5, 3, 2)]
    (field,) = relu.ReLU().receptive_fields(1)
    assert (field.size, field.stride, field.offset) == ((1, 1), (1, 1), (1, 1))


def test_bytes_and_mixed_precisions_are_refused():
    x = np.zeros((4, 4, 2, 1))
    with pytest.raises(ValueError, match="relu: x is uint8; all float32"):
        relu.forward(x.astype(np.uint8))
    with pytest.raises(ValueError, match="relu: x is float64, dy is float32"):
        relu.backward(x, x.astype(np.float32))

"""dagnet.layers.gradcheck: it passes what is right and names what is wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

from dagnet.layers import block, gradcheck


@dataclass
class Scaled(block.Layer):
    """y = w * x^2, whose derivatives can be spoilt: one element of dx, all of dw, or dw's shape."""

    wrong: str = ""

    def forward(self, inputs, params):
        return [params[0] * inputs[0] ** 2]

    def backward(self, inputs, params, der_outputs):
        dx = 2 * inputs[0] * params[0] * der_outputs[0]
        dw = (inputs[0] ** 2 * der_outputs[0]).sum().reshape(1)
        if self.wrong == "dx":
            dx[1, 2] *= 1.001
        if self.wrong == "nan":
            dx[0, 1] = np.nan
        if self.wrong == "dw":
            dw = None
        if self.wrong == "shape":
            dw = dw.reshape(1, 1)
        return [dx], [dw]


class Exponential(block.Layer):
    """y = exp(x), differentiated from its output."""

    backward_uses = "outputs"

    def forward(self, inputs, params):
        return [np.exp(inputs[0])]

    def backward(self, inputs, params, der_outputs):
        return [inputs[0] * der_outputs[0]], []


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 3)) + 3


def test_right_derivatives_pass_and_the_worst_error_is_returned(x, rng):
    assert 0 < gradcheck.check(Scaled(), [x], [np.array([2.0])], rng) < 1e-8


def test_one_wrong_element_is_named_with_both_values(x, rng):
    with pytest.raises(gradcheck.GradientError, match=r"for input 0 is off by .* most at \(1, 2\): backward says"):
        gradcheck.check(Scaled("dx"), [x], [np.array([2.0])], rng)


def test_a_larger_tolerance_lets_it_pass(x, rng):
    assert 1e-5 < gradcheck.check(Scaled("dx"), [x], [np.array([2.0])], rng, tolerance=1e-2) < 1e-2


def test_nan_is_an_error(x, rng):
    with pytest.raises(gradcheck.GradientError, match=r"input 0 is off by nan"):
        gradcheck.check(Scaled("nan"), [x], [np.array([2.0])], rng)


def test_a_derivative_of_another_shape_is_an_error(x, rng):
    with pytest.raises(gradcheck.GradientError, match=r"for param 0 has shape \(1, 1\); \(1,\) is right"):
        gradcheck.check(Scaled("shape"), [x], [np.array([2.0])], rng)


def test_a_missing_derivative_is_an_error_only_where_it_is_asked_for(x, rng):
    gradcheck.check(Scaled("dw"), [x], [np.array([2.0])], rng)
    with pytest.raises(gradcheck.GradientError, match="no derivative for param 0"):
        gradcheck.check(Scaled("dw"), [x], [np.array([2.0])], rng, differentiable=["param 0"])


def test_what_is_not_asked_for_is_not_looked_at(x, rng):
    gradcheck.check(Scaled("dx"), [x], [np.array([2.0])], rng, differentiable=["param 0"])


def test_a_block_that_derives_from_its_outputs_is_given_them(x, rng):
    gradcheck.check(Exponential(), [x], [], rng)


def test_an_array_without_elements_has_no_error(rng):
    assert gradcheck.check(Exponential(), [np.zeros((0, 3))], [], rng) == 0


def test_single_precision_is_refused(x, rng):
    with pytest.raises(ValueError, match="input 0 is float32; float64 is right"):
        gradcheck.check(Scaled(), [x.astype(np.float32)], [np.array([2.0])], rng)


def test_a_forward_that_draws_anew_is_no_corner_but_an_error(rng):
    """Its slopes to the left and to the right differ however small the step, as on a corner."""
    for noise in (1.0, 1e-9):
        with pytest.raises(gradcheck.GradientError, match="forward gives other outputs when it runs again"):
            examined(lambda x, noise=noise: x + noise * rng.standard_normal(x.shape), [1, 2], [1, 1])


# -- corners


def examined(f, x, der):
    """What examine finds of f, whose outputs are the values of one array, with all weights 1."""
    x = np.asarray(x, float)
    der = np.asarray(der, float)
    return gradcheck.examine(lambda v: [f(v)], x, der, [np.ones(f(x).shape)])


def test_what_lies_between_the_slopes_at_a_corner_is_right():
    for der in (0, 0.3, 1):
        found = examined(lambda x: np.maximum(x, 0), [0, 2, -3], [der, 1, 0])
        assert (found.checked, found.corners, found.wrong) == (3, 1, [])


def test_the_error_is_that_of_places_on_no_corner():
    assert examined(lambda x: np.maximum(x, 0), [0, 2], [1, 1]).error < 1e-9
    assert examined(lambda x: np.maximum(x, 0), [0, 2], [1, 1.25]).error == pytest.approx(0.25)


def test_what_lies_outside_is_wrong_and_both_slopes_are_told():
    (wrong,) = examined(lambda x: np.maximum(x, 0), [0, 2], [1.1, 1]).wrong
    assert (wrong.place, wrong.der) == ((0,), 1.1) and abs(wrong.left) < 1e-9 and abs(wrong.right - 1) < 1e-9


@pytest.mark.parametrize("beside", [3e-6, 3e-7, -3e-6])
def test_beside_a_corner_the_slope_of_its_own_side_is_right(beside):
    slope = float(beside > 0)
    assert examined(lambda x: np.maximum(x, 0), [beside, 2], [slope, 1]).corners == 1
    assert examined(lambda x: np.maximum(x, 0), [beside, 2], [1 - slope, 1]).wrong


def test_where_outputs_meet_several_corners_each_may_take_a_side_of_its_own():
    weights = np.array([1.0, -1.0])
    x, der = np.zeros(1), np.ones(1)  # as if the first took its right slope and the second its left one
    found = gradcheck.examine(lambda v: [np.maximum(np.repeat(v, 2), 0)], x, der, [weights])
    assert (found.corners, found.wrong) == (1, [])


def test_a_wrong_derivative_is_not_excused_by_a_small_corner():
    found = examined(lambda x: x + 1e-3 * abs(x), [0, 2], [1.2, 1.001])
    assert [wrong.place for wrong in found.wrong] == [(0,)]


def test_rounding_of_large_outputs_is_no_error_and_hides_none_of_its_own_size():
    x = np.array([1.0, 2.0])
    assert not examined(lambda v: v + 1e8, x, [1, 1]).wrong
    assert examined(lambda v: v + 1e8, x, [1.1, 1]).wrong


def test_the_places_named_are_looked_at_and_no_others(rng):
    x = rng.standard_normal((3, 4))
    der = np.cos(x)
    der[1, 1] += 1
    outputs, weights = lambda v: [np.sin(v)], [np.ones(x.shape)]
    assert not gradcheck.examine(outputs, x, der, weights, places=[(0, 0), (2, 3)]).wrong
    assert gradcheck.examine(outputs, x, der, weights, places=[(1, 1)]).wrong

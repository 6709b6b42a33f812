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


def test_single_precision_is_refused(x, rng):
    with pytest.raises(ValueError, match="input 0 is float32; float64 is right"):
        gradcheck.check(Scaled(), [x.astype(np.float32)], [np.array([2.0])], rng)

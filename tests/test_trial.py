"""dagnet.layers.trial: a block that breaks the contract is named before any slope is looked at."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from dagnet.layers import block, gradcheck, trial


@dataclass
class Squared(block.Layer):
    """y = w * x^2, spoilt in one way."""

    how: str = ""

    def forward(self, inputs, params):
        x, y = inputs[0], params[0] * inputs[0] ** 2
        if self.how == "forward in place":
            x[x < 0] = 0
        return {"no list": y, "single": [y.astype(np.float32)], "number": [1.5]}.get(self.how, [y])

    def backward(self, inputs, params, der_outputs):
        dy = der_outputs[0]
        if self.how == "backward in place":
            dy *= 2
        dx, dw = 2 * params[0] * inputs[0] * dy, (inputs[0] ** 2 * dy).sum().reshape(1)
        return {
            "one list": [dx],
            "bare": (dx, dw),
            "too many": ([dx, None], [dw]),
            "too few": ([dx], []),
            "single derivative": ([dx.astype(np.float32)], [dw]),
        }.get(self.how, ([dx], [dw]))


BROKEN = {
    "forward in place": "forward writes to input 0; a new array is right",
    "backward in place": "backward writes to der_output 0; a new array is right",
    "no list": "forward returns a ndarray; a list of arrays is right",
    "single": "output 0 is float32; float64, as the inputs are, is right",
    "number": "output 0 is float; float64, as the inputs are, is right",
    "one list": "backward does not return two lists; the inputs' derivatives and the parameters' are right",
    "bare": "backward does not return two lists; the inputs' derivatives and the parameters' are right",
    "too many": "backward returns 2 derivatives for 1 input; one each, or None, is right",
    "too few": "backward returns 0 derivatives for 1 param; one each, or None, is right",
    "single derivative": "the derivative for input 0 is float32; float64, as it is, is right",
}


def tried(how: str, rng) -> trial.Trial:
    return trial.Trial(Squared(how), [rng.standard_normal((2, 3))], [np.array([2.0])], rng)


def test_a_right_block_has_its_derivatives_and_outputs_by_name(rng):
    of = tried("", rng)
    x = of.arrays["input 0"]
    assert of.differentiable() == ["input 0", "param 0"]
    np.testing.assert_array_equal(of.derivative("input 0"), 4 * x * of.projection[0])
    np.testing.assert_array_equal(of.outputs_of("input 0")(x + 1)[0], 2 * (x + 1) ** 2)
    np.testing.assert_array_equal(of.outputs_of("param 0")(np.array([3.0]))[0], 3 * x**2)


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_contract_is_told_in_a_sentence(how, rng):
    with pytest.raises(trial.GradientError, match=re.escape(BROKEN[how])):
        tried(how, rng).derivative("input 0")
    with pytest.raises(gradcheck.GradientError, match=re.escape(BROKEN[how])):
        gradcheck.check(Squared(how), [rng.standard_normal((2, 3))], [np.array([2.0])], rng)


def test_nan_that_stays_nan_is_not_written_to(rng):
    trial.Trial(Squared(), [np.array([[np.nan, 1.0]])], [np.array([2.0])], rng)


def test_where_inputs_are_single_outputs_may_be_too(rng):
    trial.Trial(Squared(), [np.ones((2, 3), np.float32)], [np.ones(1, np.float32)], rng)

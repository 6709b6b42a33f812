"""dagnet.layers.attribute_losses: thresholds, margins, far scores. (test_loss.py holds all formulas to loops and slopes.)"""

import numpy as np
import pytest

from dagnet.layers import loss


def test_an_error_is_what_lies_at_the_threshold_or_on_the_wrong_side(xp):
    x, c = xp.asarray([0.4, 0.6, 0.5, 0.5]).reshape(4, 1), xp.asarray([1.0, 1.0, 1.0, -1.0]).reshape(4, 1)
    assert loss.forward(x, c, loss="binaryerror", threshold=0.5) == 3
    assert loss.forward(x, c, loss="binaryerror") == 1


@pytest.mark.filterwarnings("error")
def test_logistic_does_not_overflow(xp):
    x, c = (
        xp.asarray([-1e4, 1e4, -1e4, 1e4], np.float32).reshape(4, 1),
        xp.asarray([1.0, 1.0, -1.0, -1.0]).reshape(4, 1),
    )
    assert float(loss.forward(x, c, loss="logistic")) == 2e4
    assert loss.backward(x, c, loss="logistic").ravel().tolist() == [-1, 0, 0, 1]


@pytest.mark.parametrize(("x", "c"), [(1.0, 1.0), (-1.0, -1.0)])
def test_at_a_margin_of_one_a_hinge_has_no_slope(xp, x, c):
    x, c = xp.full((1, 1, 1, 1), x), xp.full((1, 1, 1, 1), c)
    assert loss.forward(x, c, loss="hinge") == 0 and loss.backward(x, c, loss="hinge") == 0

"""dagnet.layers.class_losses: equal scores, far scores, few classes. (test_loss.py holds all formulas to loops and slopes.)"""

import numpy as np
import pytest

from dagnet.layers import loss


def test_classerror_counts_the_pixels_whose_highest_score_is_elsewhere(xp):
    x = xp.asarray([[3.0, 1.0, 2.0], [1.0, 2.0, 2.0], [0.0, 1.0, 9.0]]).reshape(3, 1, 3, 1)
    assert (
        loss.forward(x, xp.asarray([[1.0], [3.0], [0.0]]), loss="classerror") == 1
    )  # of two equals the first is found
    assert not loss.backward(x, xp.asarray([[1.0], [3.0], [0.0]]), loss="classerror").any()


def test_topkerror_counts_the_pixels_whose_class_is_not_among_the_highest(xp):
    x = xp.asarray([[3.0, 1.0, 2.0], [1.0, 2.0, 2.0], [5.0, 5.0, 5.0]]).reshape(3, 1, 3, 1)
    for c, top_k, errors in [((3, 1, 1), 1, 2), ((3, 1, 1), 2, 1), ((2, 1, 3), 2, 3), ((2, 1, 3), 3, 0)]:
        c = xp.asarray(c, float).reshape(3, 1)  # of equal scores the first are the higher ones
        assert loss.forward(x, c, loss="topkerror", top_k=top_k) == errors
    c = xp.asarray([[1.0], [3.0], [2.0]])
    assert loss.forward(x, c, loss="topkerror", top_k=1) == loss.forward(x, c, loss="classerror") == 2


@pytest.mark.parametrize("top_k", [0, 6, 1.5])
def test_more_of_the_highest_than_there_are_classes_is_refused(rng, top_k):
    x, c = rng.standard_normal((3, 4, 5, 2)), rng.integers(0, 6, (3, 4, 1, 2))
    with pytest.raises(ValueError, match=rf"topkerror's top_k is {top_k} and there are 5 classes; .* 1\.\.5 is right"):
        loss.forward(x, c, loss="topkerror", top_k=top_k)


def test_a_loss_of_two_classes_cannot_take_the_default_top_k():
    with pytest.raises(ValueError, match="top_k is 5 and there are 2 classes"):
        loss.Loss("topkerror").forward([np.ones((3, 4, 2, 2)), np.ones(2)], [])


def test_one_class_alone_has_no_rival(xp):
    x, c = xp.full((1, 1, 1, 1), 3.0), xp.ones((1, 1, 1, 1))
    assert loss.forward(x, c, loss="mshinge") == 0 and loss.backward(x, c, loss="mshinge") == 0


def test_scores_of_thousands_do_not_overflow(xp):
    x = xp.asarray([5000.0, -5000.0, 4999.0], np.float32).reshape(1, 1, 3, 1)
    assert float(loss.forward(x, xp.asarray([3.0]))) == pytest.approx(1 + np.log1p(np.exp(-1)), rel=1e-6)
    assert xp.isfinite(loss.backward(x, xp.asarray([2.0]))).all()


@pytest.mark.parametrize(("own", "slope"), [(0.999, -1), (1.0, 0)])
def test_at_a_margin_of_one_mhinge_and_mshinge_have_no_slope(xp, own, slope):
    x, c = xp.asarray([own, 0.0]).reshape(1, 1, 2, 1), xp.ones((1, 1, 1, 1))
    assert loss.backward(x, c, loss="mhinge").ravel().tolist() == [slope, 0]
    assert loss.backward(x, c, loss="mshinge").ravel().tolist() == [slope, -slope]


def test_of_equal_rivals_the_first_is_pushed_down(xp):
    x, c = xp.asarray([1.0, 1.5, 1.5]).reshape(1, 1, 3, 1), xp.ones((1, 1, 1, 1))
    assert loss.backward(x, c, loss="mshinge").ravel().tolist() == [-1, 1, 0]


def test_the_slope_of_log_is_bounded_by_that_at_a_hundred_millionth(xp):
    x = xp.asarray([0.0, 1e-9, 1e-8, 0.5]).reshape(1, 1, 1, 4)
    slopes = loss.backward(x, xp.ones(4), loss="log")
    assert xp.allclose(slopes.ravel(), xp.asarray([-1e8, -1e8, -1e8, -2.0]), rtol=1e-12)

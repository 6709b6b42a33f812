"""dagnet.layers.loss: the losses, their labels and weights, and the block that reports their average."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, loss
from tests import oracles

SHAPE = (3, 4, 5, 2)


def scores(xp, rng, dtype=np.float64, shape=SHAPE):
    """Above 0, so that they suit the loss "log" too."""
    return array.channels_last(xp.asarray(rng.uniform(0.1, 2, shape), dtype))


def labels(xp, rng, dtype=np.float64, shape=(3, 4, 1, 2)):
    """0 (ignore) to 5."""
    return xp.asarray(rng.integers(0, SHAPE[2] + 1, shape), dtype)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [(3, 4, 1, 2), (1, 1, 1, 2)])
@pytest.mark.parametrize("name", ["softmaxlog", "log"])
def test_backward_is_the_slope_of_forward(xp, rng, name, size, weighted, normalise):
    opts = ["instanceWeights", xp.asarray(rng.uniform(0, 2, (3, 4, 1, 2)))] if weighted else []
    block = loss.Loss(name, opts=opts, normalise=normalise)
    gradcheck.check(block, [scores(xp, rng), labels(xp, rng, shape=size)], [], rng)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", list(loss.LOSSES))
def test_forward_and_backward_are_the_sums_of_the_docstring(xp, rng, name, weighted):
    x, c = scores(xp, rng), labels(xp, rng)
    v = xp.asarray(rng.uniform(0, 2, (3, 4, 1, 2))) if weighted else None
    plain_x, plain_c, plain_v = (a if a is None else array.to_numpy(a) for a in (x, c, v))
    y = oracles.loss(plain_x, plain_c, name, plain_v)
    dx = oracles.loss_backward(plain_x, plain_c, 1.5, name, plain_v)
    assert float(loss.forward(x, c, loss=name, instance_weights=v)) == pytest.approx(y, rel=1e-14)
    ours = array.to_numpy(loss.backward(x, c, 1.5, loss=name, instance_weights=v))
    np.testing.assert_allclose(ours, dx, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["softmaxlog", "log"])
def test_ignored_pixels_change_nothing_and_get_no_derivative(xp, rng, name):
    x, c = scores(xp, rng), labels(xp, rng)
    c[0] = 0
    before = loss.forward(x, c, loss=name)
    x[0] = 0  # where log is infinite
    with np.errstate(divide="ignore"):
        assert loss.forward(x, c, loss=name) == before
    assert (loss.backward(x, c, loss=name)[0] == 0).all()


def test_an_image_whose_pixels_are_all_ignored_gives_zero(xp, rng):
    x, c = scores(xp, rng), xp.zeros((3, 4, 1, 2))
    assert loss.forward(x, c) == 0
    assert not loss.backward(x, c).any()


def test_one_label_an_image_serves_all_its_pixels(xp, rng):
    x = scores(xp, rng)
    each = xp.broadcast_to(xp.asarray([2.0, 5.0]), (3, 4, 1, 2))
    for c in (xp.asarray([2, 5]), xp.asarray([[[[2.0, 5.0]]]])):
        assert loss.forward(x, c) == loss.forward(x, each)
        assert (loss.backward(x, c) == loss.backward(x, each)).all()


def test_normalise_divides_by_the_images_ignored_ones_too(xp, rng):
    x, c = scores(xp, rng), labels(xp, rng)
    c[..., 1] = 0
    assert loss.forward(x, c, normalise=True) == loss.forward(x, c) / 2
    assert xp.allclose(loss.backward(x, c, normalise=True), loss.backward(x, c) / 2, rtol=1e-15)


def test_classerror_counts_the_pixels_whose_highest_score_is_elsewhere(xp):
    x = xp.asarray([[3.0, 1.0, 2.0], [1.0, 2.0, 2.0], [0.0, 1.0, 9.0]]).reshape(3, 1, 3, 1)
    assert (
        loss.forward(x, xp.asarray([[1.0], [3.0], [0.0]]), loss="classerror") == 1
    )  # of two equals the first is found
    assert not loss.backward(x, xp.asarray([[1.0], [3.0], [0.0]]), loss="classerror").any()


def test_scores_of_thousands_do_not_overflow(xp):
    x = xp.asarray([5000.0, -5000.0, 4999.0], np.float32).reshape(1, 1, 3, 1)
    assert float(loss.forward(x, xp.asarray([3.0]))) == pytest.approx(1 + np.log1p(np.exp(-1)), rel=1e-6)
    assert xp.isfinite(loss.backward(x, xp.asarray([2.0]))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(loss.LOSSES))
def test_dtype_and_shape_in_are_dtype_and_shape_out_and_no_argument_is_written_to(xp, rng, name, dtype):
    x, c, v = scores(xp, rng, dtype), labels(xp, rng, np.uint8), xp.ones((1, 1, 1, 2))
    before = x.copy()
    y, dx = loss.forward(x, c, loss=name, instance_weights=v), loss.backward(x, c, 2.0, loss=name, instance_weights=v)
    assert y.shape == () and dx.shape == x.shape
    assert y.dtype == dx.dtype == dtype
    assert (x == before).all()


def test_a_batch_of_one_may_come_without_its_last_dimension(xp, rng):
    x, c = scores(xp, rng), labels(xp, rng)
    assert loss.backward(x[..., 0], c[:, :, 0, 0]).shape == (3, 4, 5)
    assert loss.forward(x[..., 0], c[:, :, 0, 0]) == loss.forward(x[..., :1], c[..., :1])


def test_softmaxloss_takes_weights_from_the_second_channel(xp, rng):
    x, c, v = scores(xp, rng), labels(xp, rng), xp.asarray(rng.uniform(0, 1, (3, 4, 1, 2)))
    both = xp.concatenate([c, v], axis=2)
    assert loss.softmaxloss(x, both) == loss.forward(x, c, instance_weights=v)
    assert (loss.softmaxloss_backward(x, both, 3.0) == loss.backward(x, c, 3.0, instance_weights=v)).all()
    assert loss.softmaxloss(x, c, normalise=True) == loss.forward(x, c, normalise=True)


def test_softmaxloss_refuses_labels_of_three_channels(rng):
    with pytest.raises(ValueError, match="softmaxloss: labels have 3 channels"):
        loss.softmaxloss(scores(np, rng), np.ones((3, 4, 3, 2)))


@pytest.mark.parametrize("value", [6, -1, 1.5, 255, np.nan])
def test_a_label_out_of_range_is_named_with_its_place(rng, value):
    x, c = scores(np, rng), labels(np, rng)
    c[2, 1, 0, 1] = value
    message = rf"a label is {value:g}, at image 1, row 2, column 1 .*1\.\.5 are right for 5 classes"
    for call in (loss.forward, loss.backward):
        with pytest.raises(ValueError, match=message):
            call(x, c)


@pytest.mark.gpu
def test_on_the_gpu_a_label_out_of_range_gives_nan():
    xp = pytest.importorskip("cupy")
    x, c = xp.ones(SHAPE), xp.full((3, 4, 1, 2), 6.0)
    assert xp.isnan(loss.forward(x, c)) and xp.isnan(loss.backward(x, c)).all()
    with pytest.raises(ValueError, match="a label is 6"):
        loss.check_labels(c, 5)


def test_labels_and_weights_of_another_size_are_refused(rng):
    x = scores(np, rng)
    with pytest.raises(ValueError, match=r"labels are \(4, 3, 1, 2\).*right are \(3, 4, 1, 2\)"):
        loss.forward(x, np.ones((4, 3, 1, 2)))
    with pytest.raises(ValueError, match=r"instance weights are \(3, 4, 2\); right is \(3, 4, 1, 2\)"):
        loss.forward(x, np.ones((3, 4, 1, 2)), instance_weights=np.ones((3, 4, 2)))


def test_an_unknown_loss_is_named_with_those_known(rng):
    with pytest.raises(ValueError, match="'sotfmaxlog' is not known; one of softmaxlog, log, classerror"):
        loss.forward(scores(np, rng), np.ones(2), loss="sotfmaxlog")


def test_opts_override_the_block(rng):
    x, c = scores(np, rng), labels(np, rng)
    block = loss.Loss("softmaxlog", opts=["Loss", "log", "NORMALISE", np.False_, "topK", 3], normalise=True)
    (y,) = block.forward([x, c], [])
    assert y == loss.forward(x, c, loss="log")


def test_opts_that_vl_nnloss_does_not_have_are_refused():
    with pytest.raises(ValueError, match="opts names 'weight'"):
        loss.options(["weight", 1])
    with pytest.raises(ValueError, match="opts has 1 elements"):
        loss.options(["topK"])


@pytest.mark.parametrize("normalise", [False, True])
def test_average_is_the_mean_over_all_pixels_since_reset(xp, rng, normalise):
    block = loss.Loss(normalise=normalise)
    total = 0.0
    for _ in range(3):
        x, c = scores(xp, rng), labels(xp, rng)
        block.forward([x, c], [])
        total += float(loss.forward(x, c))
    assert block.num_averaged == 3 * 3 * 4 * 2
    assert float(block.average) == pytest.approx(total / block.num_averaged, rel=1e-12)
    block.reset()
    assert (block.average, block.num_averaged) == (0, 0)


def test_ignore_average_leaves_the_average_alone(rng):
    block = loss.Loss(ignore_average=True)
    block.forward([scores(np, rng), labels(np, rng)], [])
    assert (block.average, block.num_averaged) == (0, 0)


def test_labels_have_no_derivative(rng):
    (dx, dc), ders = loss.Loss().backward([scores(np, rng), labels(np, rng)], [], [1.0])
    assert dx.shape == SHAPE and dc is None and ders == []


def test_a_loss_counts_one_number_an_image_and_has_no_receptive_field():
    block = loss.Loss()
    assert block.output_sizes([(3, 4, 5, 2), (3, 4, 1, 2)]) == [(1, 1, 1, 2)]
    assert all(np.isnan(field.size).all() for field in block.receptive_fields(2))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_labels_may_be_of_any_type_of_number(xp, rng, dtype):
    x, c = scores(xp, rng, np.float32), labels(xp, rng)
    assert loss.forward(x, c.astype(dtype)) == loss.forward(x, c)
    assert loss.backward(x, c.astype(dtype)).dtype == np.float32


def test_scores_that_are_no_floats_are_refused(rng):
    x, c = np.zeros(SHAPE, np.uint8), labels(np, rng)
    for function in (loss.forward, loss.backward):
        with pytest.raises(ValueError, match="loss: x is uint8; all float32"):
            function(x, c)

"""dagnet.layers.loss: the ten losses, their weights, and the block that reports their average."""

import numpy as np
import pytest

from dagnet.layers import array, gradcheck, loss
from tests import oracles

SHAPE = (3, 4, 5, 2)
OF_CLASSES = [name for name, rule in loss.LOSSES.items() if not rule.of_attributes]
OF_ATTRIBUTES = [name for name, rule in loss.LOSSES.items() if rule.of_attributes]
SLOPED = [name for name, rule in loss.LOSSES.items() if rule.slope]
OPTIONS = {"topkerror": {"top_k": 2}, "binaryerror": {"threshold": 0.4}}


def scores(xp, rng, dtype=np.float64, shape=SHAPE, highest=2):
    """Above 0, so that they suit the loss "log" too."""
    return array.channels_last(xp.asarray(rng.uniform(0.1, highest, shape), dtype))


def labels(xp, rng, dtype=np.float64, shape=(3, 4, 1, 2)):
    """0 (ignore) to 5."""
    return xp.asarray(rng.integers(0, SHAPE[2] + 1, shape), dtype)


def attributes(xp, rng, dtype=np.float64, shape=SHAPE):
    """-1, 0 (ignore) and 1."""
    return xp.asarray(rng.integers(-1, 2, shape), dtype)


@pytest.fixture(params=["one part", "many parts"])
def parts(request, monkeypatch):
    if request.param == "many parts":
        monkeypatch.setattr("dagnet.layers.labels.PART_BYTES", 2 * 4 * 5 * 8)  # two rows of an image


def data(xp, rng, name, dtype=np.float64):
    """x, c and weights for the loss of that name; binarylog wants probabilities."""
    x = scores(xp, rng, dtype, highest=0.9 if name == "binarylog" else 2)
    c = (attributes if name in OF_ATTRIBUTES else labels)(xp, rng, dtype)
    return x, c, xp.asarray(rng.uniform(0, 2, c.shape), dtype)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SLOPED)
def test_backward_is_the_slope_of_forward(xp, tier, rng, parts, name, weighted, normalise):
    x, c, v = data(xp, rng, name)
    block = loss.Loss(name, opts=["instanceWeights", v] if weighted else [], normalise=normalise)
    gradcheck.check(block, [x, c], [], rng)


@pytest.mark.parametrize("name", [name for name in SLOPED if name in OF_CLASSES])
def test_backward_is_the_slope_of_forward_with_one_label_an_image(xp, rng, name):
    gradcheck.check(loss.Loss(name), [scores(xp, rng), labels(xp, rng, shape=(1, 1, 1, 2))], [], rng)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", list(loss.LOSSES))
def test_forward_and_backward_are_the_sums_of_the_docstring(xp, tier, rng, parts, name, weighted):
    x, c, v = data(xp, rng, name)
    v = v if weighted else None
    plain_x, plain_c, plain_v = (a if a is None else array.to_numpy(a) for a in (x, c, v))
    options = OPTIONS.get(name, {})
    y = oracles.loss(plain_x, plain_c, name, plain_v, **options)
    dx = oracles.loss_backward(plain_x, plain_c, 1.5, name, plain_v)
    assert y > 0
    assert float(loss.forward(x, c, loss=name, instance_weights=v, **options)) == pytest.approx(y, rel=1e-14)
    ours = array.to_numpy(loss.backward(x, c, 1.5, loss=name, instance_weights=v, **options))
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", OF_ATTRIBUTES)
def test_ignored_attributes_change_nothing_and_get_no_derivative(xp, rng, name):
    x, c, _ = data(xp, rng, name)
    c[:, :, 1] = 0
    before = loss.forward(x, c, loss=name)
    x[:, :, 1] = 0.5  # where binarylog's own formula divides by 0
    assert loss.forward(x, c, loss=name) == before
    assert (loss.backward(x, c, loss=name)[:, :, 1] == 0).all()


@pytest.mark.parametrize("name", list(loss.LOSSES))
def test_labels_that_are_all_ignored_give_zero(xp, rng, name):
    x, c, _ = data(xp, rng, name)
    assert loss.forward(x, 0 * c, loss=name, top_k=2) == 0
    assert not loss.backward(x, 0 * c, loss=name).any()


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(loss.LOSSES))
def test_dtype_and_shape_in_are_dtype_and_shape_out_and_no_argument_is_written_to(xp, rng, name, dtype):
    x, c, _ = data(xp, rng, name, dtype)
    c, v = c.astype(np.int16), xp.ones((1, 1, 1, 2))
    before = x.copy(), c.copy(), v.copy()
    y = loss.forward(x, c, loss=name, instance_weights=v, top_k=2)
    dx = loss.backward(x, c, 2.0, loss=name, instance_weights=v)
    assert y.shape == () and dx.shape == x.shape
    assert y.dtype == dx.dtype == dtype
    assert all((a == b).all() for a, b in zip((x, c, v), before, strict=True))


def test_a_batch_of_one_may_come_without_its_last_dimension(xp, rng):
    x, c = scores(xp, rng), labels(xp, rng)
    assert loss.backward(x[..., 0], c[:, :, 0, 0]).shape == (3, 4, 5, 1)
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


def test_an_unknown_loss_is_named_with_those_known(rng):
    with pytest.raises(ValueError, match="'sotfmaxlog' is not known; one of softmaxlog, log, mhinge"):
        loss.forward(scores(np, rng), np.ones(2), loss="sotfmaxlog")


def test_opts_override_the_block(rng):
    x, c = scores(np, rng), labels(np, rng)
    block = loss.Loss("softmaxlog", opts=["Loss", "topkerror", "NORMALISE", np.False_, "topK", 3], normalise=True)
    (y,) = block.forward([x, c], [])
    assert y == loss.forward(x, c, loss="topkerror", top_k=3)
    assert loss.options(["threshold", 0.5, "classWeights", [1, 2]]) == {"threshold": 0.5}  # MatConvNet uses it nowhere


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
    assert float(block.average) == pytest.approx(total / float(block.num_averaged), rel=1e-12)
    block.reset()
    assert (block.average, block.num_averaged) == (0, 0)


def test_ignore_average_leaves_the_average_alone(rng):
    block = loss.Loss(ignore_average=True)
    block.forward([scores(np, rng), labels(np, rng)], [])
    assert (block.average, block.num_averaged) == (0, 0)


@pytest.mark.parametrize("name", list(loss.LOSSES))
def test_a_block_checks_the_labels_that_its_loss_wants(rng, name):
    x, c, _ = data(np, rng, name)
    block = loss.Loss("softmaxlog", opts=["loss", name])
    block.check([x, c])
    c[1, 2, 0, 1] = -2
    with pytest.raises(ValueError, match="a label is -2, at image 1, row 1, column 2"):
        block.check([x, c])


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


def test_without_dy_the_derivative_is_that_of_the_loss_itself(xp, rng):
    x, c = scores(xp, rng), labels(xp, rng)
    assert (loss.backward(x, c) == loss.backward(x, c, 1.0)).all()
    assert (loss.softmaxloss_backward(x, c) == loss.backward(x, c)).all()


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("name", ["softmaxlog", "hinge"])
def test_a_block_derives_from_what_it_kept_as_from_the_inputs_alone(xp, tier, rng, name, normalise):
    block, (x, c, v) = loss.Loss(name, opts=["threshold", 0.0], normalise=normalise), data(xp, rng, name)
    block.opts += ["instanceWeights", v]
    y = {}
    for follow in (True, False):
        block.derivatives_follow = follow
        (y[follow],) = block.forward([x, c], [])
        assert (block._kept is not None) is (follow and name == "softmaxlog")
        for dy in (1.5, xp.full((1, 1, 1, 1), 1.5)):
            (dx, none), _ = block.backward([x, c], [], [dy])
            right = loss.backward(x, c, 1.5, loss=name, instance_weights=v, normalise=normalise)
            assert none is None and oracles.error(dx, array.to_numpy(right)) < 1e-15
        assert block._kept is None
    assert oracles.error(y[True], array.to_numpy(y[False])) < 1e-15


def test_what_was_kept_for_other_inputs_is_not_used(xp, tier, rng):
    block, (x, c, _), (other, labels, _) = loss.Loss(), data(xp, rng, "log"), data(xp, rng, "log")
    block.derivatives_follow = True
    for inputs in ([other, c], [x, labels]):
        block.forward(inputs, [])
        (dx, _), _ = block.backward([x, c], [], [1.0])
        assert (dx == loss.backward(x, c)).all()
    block.forward([x, c], [])
    block.reset()
    assert block._kept is None

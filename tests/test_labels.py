"""dagnet.layers.labels: what labels may be, and what the losses get of them."""

from dataclasses import replace

import numpy as np
import pytest

from dagnet.layers import labels, loss, settings

SHAPE = (3, 4, 5, 2)


def prepared(x, c, of_attributes, weights):
    """What prepare makes of one part that is everything."""
    (part,) = labels.parts(x, c, of_attributes, weights)
    return labels.prepare(part, of_attributes)


@pytest.mark.parametrize(("fast", "part"), [(False, labels.PART_BYTES), (False, 1), (True, 1)])
@pytest.mark.parametrize("value", [6, -1, 1.5, 255, np.nan])
def test_a_class_out_of_range_is_named_with_its_place(rng, monkeypatch, value, fast, part):
    monkeypatch.setattr(labels, "PART_BYTES", part)
    monkeypatch.setattr(settings, "_current", replace(settings.current(), fast=fast))
    c = rng.integers(0, 6, (3, 4, 1, 2)).astype(float)
    c[2, 1, 0, 1] = value
    message = rf"a label is {value:g}, at image 1, row 2, column 1 .*1\.\.5 are right for 5 classes"
    for call in (loss.forward, loss.backward):
        with pytest.raises(ValueError, match=message):
            call(np.ones(SHAPE), c)


@pytest.mark.parametrize("value", [2, -2, 0.5, np.nan])
def test_an_attribute_that_is_not_plus_or_minus_one_is_named_with_its_place(rng, value):
    c = rng.integers(-1, 2, SHAPE).astype(float)
    c[2, 1, 3, 1] = value
    message = rf"a label is {value:g}, at image 1, row 2, column 1, channel 3 .*; \+1 or -1 is right for an attribute"
    for call in (loss.forward, loss.backward):
        with pytest.raises(ValueError, match=message):
            call(np.ones(SHAPE), c, loss="hinge")


@pytest.mark.parametrize(("name", "size"), [("softmaxlog", (3, 4, 1, 2)), ("hinge", SHAPE)])
def test_on_the_gpu_a_label_out_of_range_gives_nan(gpu, name, size):
    x, c = gpu.ones(SHAPE), gpu.full(size, 6.0)
    assert gpu.isnan(loss.forward(x, c, loss=name)) and gpu.isnan(loss.backward(x, c, loss=name)).all()
    with pytest.raises(ValueError, match="a label is 6"):
        labels.check(c, 5, name == "hinge")


def test_pixels_come_image_by_image_and_classes_from_zero(xp):
    x = xp.arange(24.0).reshape(2, 2, 3, 2)
    c = xp.asarray([[[[1, 0]], [[2, 3]]], [[[3, 1]], [[0, 2]]]])
    scores, classes, weights = prepared(x, c, False, None)
    assert classes.tolist() == [0, 1, 2, 0, 0, 2, 0, 1]
    assert weights.tolist() == [1, 1, 1, 0, 0, 1, 1, 1]
    assert (scores[1] == x[:, :, 1].transpose(2, 0, 1).ravel()).all()


def test_attributes_come_channel_by_channel_in_the_scores_type(xp, rng):
    x, c = xp.ones(SHAPE, np.float32), xp.asarray(rng.integers(-1, 2, SHAPE), np.int8)
    _, attributes, weights = prepared(x, c, True, xp.full((3, 4), 2.0))
    assert attributes.dtype == weights.dtype == np.float32
    assert (attributes == c.transpose(2, 3, 0, 1).reshape(5, -1)).all()
    assert (weights == 2 * abs(attributes)).all()


def test_labels_and_weights_of_another_size_are_refused():
    x = np.ones(SHAPE)
    for c, name, right in [
        (np.ones((4, 3, 1, 2)), "softmaxlog", r"\(3, 4, 1, 2\), one a pixel, or 2, one an image"),
        (np.ones((3, 4, 1, 2)), "hinge", r"\(3, 4, 5, 2\), one a pixel and attribute"),
        (np.ones(2), "hinge", r"\(3, 4, 5, 2\), one a pixel and attribute"),
        (np.ones(SHAPE), "log", r"\(3, 4, 1, 2\), one a pixel, or 2, one an image"),
    ]:
        with pytest.raises(ValueError, match=rf"labels are \({c.shape[0]},.*right for these scores are {right}"):
            loss.forward(x, c, loss=name)
    with pytest.raises(
        ValueError, match=r"loss: instance_weights has shape \(3, 4, 2\); \(3, 4, 1, 2\), each of the sizes"
    ):
        loss.forward(x, np.ones((3, 4, 1, 2)), instance_weights=np.ones((3, 4, 2)))
    with pytest.raises(ValueError, match=r"loss: instance_weights has shape \(5,\); \(3, 4, 5, 2\), each of the sizes"):
        loss.forward(x, np.ones(SHAPE), loss="hinge", instance_weights=np.ones(5))


@pytest.mark.parametrize("part", [1, 3 * 4 * 5 * 8, 10**6])
@pytest.mark.parametrize("c", [np.ones(2), np.ones((3, 4, 1, 2))])
def test_parts_hold_each_pixel_once_with_its_label_and_weight(rng, monkeypatch, part, c):
    monkeypatch.setattr(labels, "PART_BYTES", part)
    met, v = np.zeros((3, 4, 1, 2)), rng.random((1, 4, 1, 2))
    for x, c_part, weights, rows, images in labels.parts(np.ones(SHAPE), c, False, v):
        assert x.shape[:2] == c_part.shape[:2] == weights.shape[:2]
        met[rows, :, :, images] += weights
    assert (met == v).all()

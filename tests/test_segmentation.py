"""dagnet.layers.segmentation: every image counts the same, and accuracies come from one confusion matrix."""

import numpy as np
import pytest

from dagnet.layers import gradcheck, loss, segmentation
from tests.conftest import golden_file
from tests.test_golden import assert_agrees, load


def pictures(xp, rng):
    """Scores of two classes for two images, of which the second has three labelled pixels only."""
    x, c = xp.asarray(rng.standard_normal((4, 5, 2, 2))), xp.asarray(rng.integers(1, 3, (4, 5, 1, 2)), np.float64)
    c[1:, :, :, 1] = 0
    c[0, 3:, :, 1] = 0
    return x, c


def test_backward_is_the_slope_of_forward(xp, tier, rng):
    gradcheck.check(segmentation.SegmentationLoss(), [*pictures(xp, rng)], [], rng)


def test_an_image_counts_as_the_mean_over_its_labelled_pixels_and_one_more(xp, tier, rng):
    x, c = pictures(xp, rng)
    (y,) = segmentation.SegmentationLoss().forward([x, c], [])
    sums = [float(loss.forward(x[..., n : n + 1], c[..., n : n + 1])) for n in (0, 1)]
    assert float(y) == pytest.approx(sums[0] / 21 + sums[1] / 4, rel=1e-14)


def test_the_loss_averages_over_images(xp, rng):
    block = segmentation.SegmentationLoss()
    total = sum(float(block.forward([*pictures(xp, rng)], [])[0]) for _ in range(3))
    assert block.num_averaged == 6
    assert float(block.average) == pytest.approx(total / 6, rel=1e-14)


@pytest.mark.parametrize("dtype", ["single", "double"])
@pytest.mark.parametrize("release", ["beta18", "beta25", "master"])
def test_loss_and_accuracy_agree_with_matconvnet_fcn(xp, release, dtype):
    seg = load(golden_file(f"releases/{release}/segloss_{dtype}.mat"))["seg"]
    x, c = xp.asarray(seg.vars.prediction), xp.asarray(seg.vars.label)
    tolerance = {"single": 2e-6, "double": 1e-13}[dtype]

    objective = segmentation.SegmentationLoss(normalise=release == "master")
    assert_agrees(objective.forward([x, c], [])[0], seg.vars.objective, tolerance, "objective")
    (dx, _), _ = objective.backward([x, c], [], [xp.asarray(seg.vars_der.objective)])
    assert_agrees(dx, seg.vars_der.prediction, tolerance, "derivative of prediction")

    accuracy = segmentation.SegmentationAccuracy(n_classes=21)  # hard-wired there; the net has 3
    assert_agrees(accuracy.forward([x, c], [])[0], seg.vars.acc, 1e-13, "accuracy")


def test_accuracies_are_those_counted_by_hand(xp):
    c = xp.asarray([[1.0, 1.0, 1.0, 2.0, 2.0, 0.0]]).reshape(1, 6, 1, 1)
    found = xp.asarray([[1, 1, 2, 2, 1, 1]]).reshape(1, 6, 1, 1)
    x = xp.concatenate([found == 1, found == 2], axis=2).astype(np.float32)
    block = segmentation.SegmentationAccuracy()
    (y,) = block.forward([x, c], [])
    assert block.confusion.tolist() == [[2, 1], [1, 1]]
    assert y.tolist() == pytest.approx([3 / 5, (2 / 3 + 1 / 2) / 2, (2 / 4 + 1 / 3) / 2], rel=1e-15)
    assert block.average is y and block.num_averaged == 5


def test_the_confusion_matrix_is_counted_pixel_by_pixel(xp, rng):
    x, c = rng.standard_normal((4, 5, 3, 2)), rng.integers(0, 4, (4, 5, 1, 2))
    counts = np.zeros((3, 3), int)
    for i, j, n in np.ndindex(4, 5, 2):
        if c[i, j, 0, n] > 0:
            counts[c[i, j, 0, n] - 1, x[i, j, :, n].argmax()] += 1
    assert segmentation.confusion(xp.asarray(x), xp.asarray(c), 3).tolist() == counts.tolist()


@pytest.mark.parametrize("label", [-1, 4, np.nan])
def test_on_the_gpu_a_label_out_of_range_is_ignored(gpu, rng, label):
    x, c = gpu.asarray(rng.standard_normal((4, 5, 3, 2))), gpu.ones((4, 5, 1, 2))
    c[1, 2, 0, 0] = label
    assert segmentation.confusion(x, c, 3).sum() == 39


def test_accuracies_are_of_all_pixels_since_reset(xp, rng):
    (x1, c1), (x2, c2) = pictures(xp, rng), pictures(xp, rng)
    block = segmentation.SegmentationAccuracy()
    block.forward([x1, c1], [])
    (both,) = block.forward([x2, c2], [])
    at_once = segmentation.SegmentationAccuracy().forward(
        [xp.concatenate([x1, x2], 3), xp.concatenate([c1, c2], 3)], []
    )[0]
    assert both.tolist() == at_once.tolist()
    block.reset()
    assert block.forward([x2, c2], [])[0].tolist() != both.tolist()


def test_without_a_labelled_pixel_accuracies_are_zero(xp):
    (y,) = segmentation.SegmentationAccuracy().forward([xp.ones((2, 2, 3, 1)), xp.zeros((2, 2, 1, 1))], [])
    assert y.tolist() == [0, 0, 0]


def test_classes_that_only_n_classes_knows_count_as_missed(xp, rng):
    x, c = pictures(xp, rng)
    (two,) = segmentation.SegmentationAccuracy().forward([x, c], [])
    (many,) = segmentation.SegmentationAccuracy(n_classes=21).forward([x, c], [])
    assert many.tolist() == pytest.approx([float(two[0]), float(two[1]) * 2 / 21, float(two[2]) * 2 / 21], rel=1e-14)


def test_one_label_an_image_is_refused_where_pixels_are_weighed(rng):
    with pytest.raises(ValueError, match=r"SegmentationLoss: labels are \(2, 1, 1, 1\)"):
        segmentation.SegmentationLoss().forward([pictures(np, rng)[0], np.ones(2)], [])


def test_an_accuracy_has_no_derivative(rng):
    x, c = pictures(np, rng)
    assert segmentation.SegmentationAccuracy().backward([x, c], [], [np.ones(3)]) == ([None, None], [])


def test_labels_and_scores_that_do_not_fit_are_refused(rng):
    x, c = pictures(np, rng)
    block = segmentation.SegmentationAccuracy()
    with pytest.raises(ValueError, match=r"labels are \(3, 5, 1, 2\)"):
        block.forward([x, c[:3]], [])
    with pytest.raises(ValueError, match="a label is 3, at image 0, row 1, column 2"):
        c[1, 2, 0, 0] = 3
        block.forward([x, c], [])
    with pytest.raises(ValueError, match="at most n_classes = 1"):
        segmentation.SegmentationAccuracy(n_classes=1).forward([x, c], [])

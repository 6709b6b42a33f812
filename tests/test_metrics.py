"""The five scores by both rules, and Otsu's threshold."""

import numpy as np
import pytest

from dagnet.evaluation import metrics, otsu
from dagnet.evaluation.metrics import Scores, mean, scores

SKIN, LESION = np.zeros((3, 4), np.uint8), np.full((3, 4), 255, np.uint8)
HALF = np.repeat(np.array([[255, 255, 0, 0]], np.uint8), 3, axis=0)  # 6 of 12 pixels


def test_scores_are_the_ratios_of_counted_pixels():
    prediction = np.array([[255, 255, 255, 0], [255, 0, 0, 0]], np.uint8)
    truth = np.array([[255, 255, 0, 255], [0, 0, 0, 0]], np.uint8)
    # TP 2, FP 2, FN 1, TN 3
    assert scores(prediction, truth) == Scores(SE=2 / 3, SP=3 / 5, AC=5 / 8, JA=2 / 5, DI=4 / 7, TJ=0.0)


@pytest.mark.parametrize("rule", ["2017", "current"])
def test_a_perfect_mask_scores_one_everywhere(rule):
    assert scores(HALF, HALF, rule) == Scores(1, 1, 1, 1, 1, 1)


@pytest.mark.parametrize(("rule", "undefined"), [("2017", None), ("current", 1.0)])
def test_a_ratio_of_nothing_is_none_in_2017_and_one_today(rule, undefined):
    assert scores(SKIN, SKIN, rule) == Scores(SE=undefined, SP=1, AC=1, JA=undefined, DI=undefined, TJ=undefined)
    assert scores(HALF, SKIN, rule) == Scores(SE=undefined, SP=0.5, AC=0.5, JA=0, DI=0, TJ=0)
    assert scores(HALF, LESION, rule) == Scores(SE=0.5, SP=undefined, AC=0.5, JA=0.5, DI=2 / 3, TJ=0)
    assert scores(LESION, LESION, rule) == Scores(SE=1, SP=undefined, AC=1, JA=1, DI=1, TJ=1)


@pytest.mark.parametrize("rule", ["2017", "current"])
def test_128_is_skin_and_129_is_lesion(rule):
    assert scores(np.full((3, 4), 128, np.uint8), HALF, rule) == scores(SKIN, HALF, rule)
    assert scores(np.full((3, 4), 129, np.uint8), HALF, rule) == scores(LESION, HALF, rule)


def test_the_thresholded_jaccard_is_the_jaccard_from_065_on():
    truth = np.arange(100).reshape(10, 10) < 100
    for lesion, expected in ((64, 0.0), (65, 0.65), (66, 0.66)):
        assert expected == scores(np.arange(100).reshape(10, 10) < lesion, truth).TJ


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 100), (0, 128), (7, 90)])
def test_the_rule_of_2017_takes_the_larger_of_two_values_in_a_truth_for_lesion(low, high):
    odd = np.where(HALF > 0, high, low).astype(np.uint8)
    assert scores(HALF, odd) == scores(HALF, HALF)


def test_a_truth_of_one_value_is_empty_only_where_that_is_zero_in_2017():
    assert scores(HALF, np.full((3, 4), 9, np.uint8)) == scores(HALF, LESION)
    assert scores(HALF, np.full((3, 4), 9, np.uint8), "current") == scores(HALF, SKIN, "current")


def test_a_truth_of_three_values_is_an_error_in_2017_and_cut_at_128_today():
    grey = np.array([[0, 100, 200, 255]] * 3, np.uint8)
    with pytest.raises(ValueError, match=r"truth: it has more than two values, from 0 to 255"):
        scores(HALF, grey)
    assert scores(HALF, grey, "current") == scores(HALF, grey > 128, "current")


def test_bool_masks_score_like_0_and_255():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 20, 30)) > 0.4
    assert scores(a, b) == scores(a * np.uint8(255), b * np.uint8(255))


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (HALF[:2], HALF, r"prediction is \(2, 4\) and the truth \(3, 4\)"),
        (HALF[:, :, None], HALF, r"prediction: shape is \(3, 4, 1\); a mask is \(height, width\)"),
        (HALF / 255, HALF, r"prediction: dtype is float64"),
        (HALF // 255, HALF, r"prediction: the largest value is 1; a mask of integers is 0 and 255"),
        (HALF[:0], HALF[:0], r"prediction: shape is \(0, 4\)"),
    ],
)
def test_what_is_no_mask_is_refused_in_one_sentence(prediction, truth, message):
    with pytest.raises(ValueError, match=message):
        scores(prediction, truth)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"rule is '2018'"):
        scores(HALF, HALF, "2018")


def test_the_mean_leaves_out_images_where_a_score_is_none_for_that_score_alone():
    none = scores(SKIN, SKIN)
    both = mean([none, scores(HALF, LESION)])
    assert both == Scores(SE=0.5, SP=1, AC=0.75, JA=0.5, DI=2 / 3, TJ=0)
    assert mean([none, none]).JA is None
    assert mean([]) == Scores(*[None] * 6)


def test_scores_agree_with_the_challenges_own_package():
    challenge = pytest.importorskip("isic_challenge_scoring.metrics")
    confusion = pytest.importorskip("isic_challenge_scoring.confusion")
    rng = np.random.default_rng(2)
    masks = [rng.integers(0, 256, (9, 11), dtype=np.uint8) for _ in range(30)]
    masks += [np.full((9, 11), v, np.uint8) for v in (0, 128, 129, 255)]
    for prediction in masks:
        for truth in masks[::3] + masks[-4:]:
            matrix = confusion.create_binary_confusion_matrix(truth > 128, prediction > 128)
            expected = Scores(
                SE=challenge.binary_sensitivity(matrix),
                SP=challenge.binary_specificity(matrix),
                AC=challenge.binary_accuracy(matrix),
                JA=challenge.binary_jaccard(matrix),
                DI=challenge.binary_dice(matrix),
                TJ=challenge.binary_threshold_jaccard(matrix),
            )
            assert scores(prediction, truth, "current") == expected


def otsu_by_trying_every_threshold(grey: np.ndarray) -> np.ndarray:
    """The mask of least variance within the two classes: Otsu's own definition, as a bare loop."""
    within = {
        t: (grey <= t).mean() * grey[grey <= t].var() + (grey > t).mean() * grey[grey > t].var()
        for t in range(int(grey.min()), int(grey.max()))
    }
    return grey <= min(within, key=lambda t: (round(within[t], 9), t))


def test_otsu_splits_where_the_variance_within_the_classes_is_least():
    rng = np.random.default_rng(3)
    for _ in range(10):
        grey = rng.normal(rng.choice([60, 170], (40, 40)), 25).clip(0, 255).astype(np.uint8)
        assert np.array_equal(otsu.segment(grey), otsu_by_trying_every_threshold(grey))


def test_otsu_finds_the_dark_disc_on_bright_skin():
    y, x = np.mgrid[:60, :80]
    disc = (y - 30) ** 2 + (x - 40) ** 2 < 15**2
    image = np.where(disc[:, :, None], (90, 60, 50), (220, 170, 150)).astype(np.uint8)
    assert np.array_equal(otsu.segment(image), disc)
    assert np.array_equal(otsu.segment(image[:, :, 0]), disc)


def test_otsu_finds_no_lesion_in_an_image_of_one_grey():
    assert not otsu.segment(np.full((5, 5, 3), 77, np.uint8)).any()


def test_otsu_refuses_what_is_no_8_bit_image():
    with pytest.raises(ValueError, match=r"otsu: image is float64 \(4, 4\)"):
        otsu.segment(np.zeros((4, 4)))


def test_the_names_are_the_fields_of_scores():
    assert tuple(Scores.__dataclass_fields__) == metrics.NAMES

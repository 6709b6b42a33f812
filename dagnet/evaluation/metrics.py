"""The five scores of the ISIC 2017 challenge for one mask, and their mean over many.

With lesion as the positive class, and TP, TN, FP, FN counted over the pixels of one image:

    SE  sensitivity     TP / (TP + FN)
    SP  specificity     TN / (TN + FP)
    AC  accuracy        (TP + TN) / (TP + TN + FP + FN)
    JA  Jaccard index   TP / (TP + FP + FN)                 the challenge ranks by the mean of this one
    DI  Dice            2 TP / (2 TP + FP + FN)
    TJ  thresholded JA  JA where JA >= 0.65, else 0         not a score of 2017: the ranking of 2018 and after

What a score is where its denominator is zero, and which truth masks are accepted, is the rule:

                                   "2017"                             "current"
    SE where the truth is empty    None                               1
    SP where the truth is full     None                               1
    JA, DI where both are empty    None                               1
    truth of other values          two values: larger is lesion,      above 128 is lesion
    than 0 and 255                 more: an error

Source    isic-challenge-scoring, as of 2017-03 ("2017": the paper's time) and as of 2025 ("current")
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Rule = Literal["2017", "current"]
NAMES = ("SE", "SP", "AC", "JA", "DI", "TJ")


@dataclass(frozen=True)
class Scores:
    """The scores of one image, or their means. None: not defined (see the table above)."""

    SE: float | None
    SP: float | None
    AC: float | None
    JA: float | None
    DI: float | None
    TJ: float | None


def scores(prediction: np.ndarray, truth: np.ndarray, rule: Rule = "2017") -> Scores:
    """Scores of one predicted mask against the true one.

    prediction, truth: (H, W) of one size, bool, or integers where a value above 128 is lesion.
    ValueError: sizes differ, a mask is no such array, holds 0 and 1 as integers, or has values that the
    rule does not accept.
    """
    if rule not in ("2017", "current"):
        raise ValueError(f'scores: rule is {rule!r}; it must be "2017" or "current"')
    predicted = is_lesion(prediction, "prediction")
    true = is_lesion(_corrected(truth) if rule == "2017" else truth, "truth")
    if predicted.shape != true.shape:
        raise ValueError(f"scores: the prediction is {predicted.shape} and the truth {true.shape}; they must be equal")
    tp = int(np.count_nonzero(predicted & true))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(true)) - tp
    tn = true.size - tp - fp - fn
    undefined = None if rule == "2017" else 1.0
    ja = tp / (tp + fp + fn) if tp + fp + fn else undefined
    return Scores(
        SE=tp / (tp + fn) if tp + fn else undefined,
        SP=tn / (tn + fp) if tn + fp else undefined,
        AC=(tp + tn) / true.size,
        JA=ja,
        DI=2 * tp / (2 * tp + fp + fn) if tp + fp + fn else undefined,
        TJ=ja if ja is None or ja >= 0.65 else 0.0,
    )


def mean(per_image: Iterable[Scores]) -> Scores:
    """The unweighted mean of each score over the images.

    An image where a score is None is left out of that score's mean alone (the challenge published no rule for its own
    averaging); a score that no image has stays None.
    """
    rows = list(per_image)
    columns = {name: [value for row in rows if (value := getattr(row, name)) is not None] for name in NAMES}
    return Scores(**{name: float(np.mean(values)) if values else None for name, values in columns.items()})


def is_lesion(mask: np.ndarray, name: str = "mask") -> np.ndarray:
    """(H, W) bool: where a mask is lesion. `name` is what an error calls it."""
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"{name}: shape is {mask.shape}; a mask is (height, width), single channel")
    if mask.dtype == bool:
        return mask
    if not np.issubdtype(mask.dtype, np.integer):
        raise ValueError(f"{name}: dtype is {mask.dtype}; a mask is bool, or integers 0 and 255")
    if mask.max() == 1:  # by the challenge's rule an empty mask, which nobody means who writes ones
        raise ValueError(f"{name}: the largest value is 1; a mask of integers is 0 and 255 (pass mask.astype(bool))")
    return mask > 128


def _corrected(truth: np.ndarray) -> np.ndarray:
    """A truth mask by the rule of 2017: the larger of its two values is lesion; so is a single one that is not 0."""
    if truth.dtype == bool or truth.size == 0:
        return truth
    low, high = truth.min(), truth.max()
    if np.any((truth != low) & (truth != high)):
        raise ValueError(f"truth: it has more than two values, from {low} to {high}; it must hold 0 and 255")
    return truth == high if high > 0 else truth

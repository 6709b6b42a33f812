"""Loss and accuracy of a segmentation (matconvnet-fcn's SegmentationLoss and SegmentationAccuracy).

Shapes    x, dx (H, W, C, N) scores; c (H, W, 1, N) labels 1..C, 0 means: ignore; y one number
SegmentationLoss      vl_nnloss with instance weights v_n = 1 / (1 + number of labelled pixels of image n): however many of its
                      pixels are labelled, an image counts as (nearly) the mean over them. The 1 is matconvnet-fcn's.
SegmentationAccuracy  M[a, b] = how many pixels of label a, since reset, have their highest score at b. With hits_k = M[k, k],
                      truth_k = sum_b M[k, b], found_k = sum_a M[a, k], y is
                        pixel accuracy   sum_k hits_k / sum_ab M[a, b]
                        mean accuracy    mean_k hits_k / max(1, truth_k)
                        mean IU          mean_k hits_k / max(1, truth_k + found_k - hits_k)
                      It has no derivative.
Source    SegmentationLoss.m and SegmentationAccuracy.m of matconvnet-fcn, commit b5f38359
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import array, labels, loss, threads
from .array import Array


def instance_weights(c: Array, dtype: Any = np.float32) -> Array:
    """v (1, 1, 1, N) from the labels c."""
    rows = (array.base(array.four_d(c)) > 0).sum(axis=(2, 3))  # first, since a GPU gives each sum one block of threads
    labelled = rows.sum(axis=1)
    return (1 / (labelled + 1.0)).astype(dtype).reshape(1, 1, 1, -1)


def confusion(x: Array, c: Array, classes: int) -> Array:
    """M (classes, classes), as above; row: label, column: the class of the highest score, the first of equals.

    Raises ValueError for labels of another size than the scores' pixels and, on the CPU, for a label out of range; on the GPU
    such pixels are ignored.
    """
    xp = array.module_of(x, c)
    x, c = array.four_d(x), array.four_d(c)
    h, w, k, n = x.shape
    if c.shape != (h, w, 1, n):
        raise ValueError(
            f"SegmentationAccuracy: labels are {c.shape} and scores {x.shape}; ({h}, {w}, 1, {n}) is right"
        )
    if k > classes:
        raise ValueError(f"SegmentationAccuracy: scores have {k} channels; at most n_classes = {classes} are right")

    def count(part: labels.Part) -> Array:
        c, x = part.c, part.x
        if xp is np:
            labels.check(c, classes, first=(part.rows.start, part.images.start))
        c = xp.where((c >= 0) & (c <= classes), c, 0)  # no others may be counted, which nobody looks for on the GPU
        truth = c.transpose(2, 3, 0, 1).reshape(-1).astype(np.int64)
        found = xp.ascontiguousarray(x.transpose(2, 3, 0, 1)).argmax(axis=0).reshape(-1)
        return array.counts(truth * classes + found, (classes + 1) * classes)

    counts = sum(threads.run(count, [(part,) for part in labels.parts(x, c, False, None)]))
    return counts[classes:].reshape(classes, classes)  # the first row: ignored pixels


def scores(matrix: Array) -> Array:
    """[pixel accuracy, mean accuracy, mean IU] (3,), from a confusion matrix."""
    xp = array.module_of(matrix)
    hits, truth, found = xp.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return xp.stack(
        [
            hits.sum() / xp.maximum(1, matrix.sum()),
            (hits / xp.maximum(1, truth)).mean(),
            (hits / xp.maximum(1, truth + found - hits)).mean(),
        ]
    )


@dataclass
class SegmentationLoss(loss.Loss):
    """A Loss in which every image counts the same; its average is the mean over images. As there, opts are not read.

    With `normalise` (master) the average is too small by the batch size, as it is where matconvnet-fcn runs on master.
    """

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from the scores and labels."""
        x, c = inputs
        y = self._value(x, c)
        self._average(y, array.four_d(x).shape[3])
        return [y]

    def _options(self, x: Array, c: Array) -> dict[str, Any]:
        came, size = array.four_d(c).shape, array.four_d(x).shape
        if came[3] != size[3]:
            raise ValueError(
                f"SegmentationLoss: labels are {came} and scores {size}; right is ({size[0]}, {size[1]}, 1, {size[3]})"
            )
        return {"loss": self.loss, "normalise": self.normalise, "instance_weights": instance_weights(c, x.dtype)}


@dataclass
class SegmentationAccuracy(loss.Loss):
    """Inputs: scores and labels. Output and average: [pixel accuracy, mean accuracy, mean IU] since reset.

    n_classes   how many classes the means are over: the scores' channels unless given. matconvnet-fcn has 21 hard-wired, so
                that its means over the classes come out 2/21 of the truth for two classes; 21 gives its numbers.
    confusion   the matrix M so far; num_averaged counts its pixels
    """

    n_classes: int | None = field(default=None, metadata={"optional": True})

    def reset(self) -> None:
        """Forget the counts."""
        super().reset()
        self.confusion: Array | None = None

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """The three scores of all pixels since reset."""
        x, c = inputs
        counts = confusion(x, c, self.n_classes or array.four_d(x).shape[2])
        total = counts if self.confusion is None else self.confusion + counts
        self.confusion = array.kept(self.confusion, total)
        y = scores(self.confusion)
        self.average = array.kept(self.average, y)
        self.num_averaged = array.kept(self.num_averaged, self.confusion.sum())
        return [y]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """None, None: an accuracy has no derivative."""
        return [None, None], []

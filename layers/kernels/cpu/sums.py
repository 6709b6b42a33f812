"""Sums over rows in compiled loops: in double precision, in parts whose sums are added in their order."""

from collections.abc import Callable

import numpy as np

from ... import parts, threads
from . import loops

WIDE = 256  # numbers that a row has at least


def of_columns(rows: np.ndarray) -> np.ndarray:
    """The sums (C,) of rows (pixels, C)."""
    return by_parts(_add, rows)


def by_parts(loop: Callable[..., None], *arrays: np.ndarray) -> np.ndarray:
    """The sums (C,) that loop(*part, sums) adds up over the parts of arrays (pixels, C), in the arrays' dtype.

    Of few channels several pixels make a row, so that the loop has many numbers side by side.
    """
    pixels, channels = arrays[0].shape
    side = max(1, WIDE // max(1, channels))
    whole = pixels - pixels % side
    cut = parts.of([a[:whole].reshape(-1, side * channels) for a in arrays])
    sums, rest = np.zeros((len(cut), side * channels)), np.zeros(channels)
    threads.run(loop, [(*part, total) for part, total in zip(cut, sums, strict=True)])
    loop(*(a[whole:] for a in arrays), rest)
    return (sums.sum(axis=0).reshape(side, channels).sum(axis=0) + rest).astype(arrays[0].dtype)


@loops.compiled
def _add(rows, sums):  # noqa: ANN001, ANN202  # numba infers types
    for pixel in range(len(rows)):
        for k in range(rows.shape[1]):
            sums[k] += rows[pixel, k]

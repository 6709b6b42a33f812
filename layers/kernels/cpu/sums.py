"""Sums over rows in compiled loops: in double precision, in parts whose sums are added in their order."""

from collections.abc import Callable

import numpy as np

from ... import parts, threads
from . import loops


def of_columns(rows: np.ndarray) -> np.ndarray:
    """The sums (C,) of rows (pixels, C)."""
    return by_parts(_add, rows)


def by_parts(loop: Callable[..., None], *arrays: np.ndarray) -> np.ndarray:
    """The sums (C,) that loop(*part, sums) adds up over the parts of arrays (pixels, C), in the arrays' dtype."""
    cut = parts.of(arrays)
    sums = np.zeros((len(cut), arrays[0].shape[1]))
    threads.run(loop, [(*part, total) for part, total in zip(cut, sums, strict=True)])
    return sums.sum(axis=0).astype(arrays[0].dtype)


@loops.compiled
def _add(rows, sums):  # noqa: ANN001, ANN202  # numba infers types
    for pixel in range(len(rows)):
        for k in range(rows.shape[1]):
            sums[k] += rows[pixel, k]

"""Sums over rows on the GPU, the same bits in every run: blocks of threads add parts of the rows, others their results.

How the rows are parted follows from the shape alone.
"""

from typing import NamedTuple

from ... import array
from ...array import Array
from . import launch

PARTS = (
    512  # at most: with four blocks a processor a large GPU's memory is busy; few enough to be added by one more block
)
LEAST = 32  # rows that a thread is to add
LAST = (16, 16)  # the block that adds the parts
WIDEST = 65_535 * LAST[0]  # columns that of_columns can take: blocks stand along y, where a grid has so many


class Parts(NamedTuple):
    """How a kernel adds up rows in parts: its grid and block, and how many rows a block takes."""

    grid: tuple[int, int]
    block: tuple[int, int]
    each: int


def parts(rows: int, width: int) -> Parts:
    """The parts of so many rows of `width` values; one at least, so that no rows have a sum too."""
    (_, places), block = launch.plane(rows, width)
    each = max(LEAST * block[1], -(-rows // PARTS))
    return Parts((max(1, -(-rows // each)), places), block, each)


def of_columns(x: Array) -> Array:
    """The sums of the columns of x (rows, C): C numbers of x's dtype, WIDEST at most."""
    width = x.shape[1] // launch.step(x)
    if len(x) > PARTS:
        x = _added(x, parts(len(x), width))
    return _added(x, Parts(*last(width), len(x)))[0]


def last(width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The grid and block of a kernel that adds up the parts of `width` sums."""
    return (1, -(-width // LAST[0])), LAST


def _added(x: Array, cut: Parts) -> Array:
    sums = array.module_of(x).empty((cut.grid[0], x.shape[1]), x.dtype)
    args = (x, sums, len(x), x.shape[1], cut.each, launch.step(x, sums))
    launch.kernel("sums", "column_sums", x.dtype)(cut.grid, cut.block, args)
    return sums

"""How much a script may do: it cannot run for ever, nor fill the memory.

Work is counted in instructions: one for a statement, a call or an operator, and one more for each thousand elements it touches,
which take about as long.
Memory is that of the arrays that live; every operation asks for room before it makes one.
"""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .failures import LimitReached

TINY = 4096  # bytes: arrays below are not followed; the limit on instructions bounds how many there are
PER_INSTRUCTION = 1000  # elements
OBJECT = 64  # bytes, at least, that a value in a cell takes
NESTED = 100  # cells and structs in one another: far deeper ones cannot be freed, as C's stack is used for it


@dataclass(frozen=True)
class Limits:
    """instructions; memory in bytes; recursion: calls within calls."""

    instructions: int = 4_000_000
    memory: int = 4 << 30
    recursion: int = 200


class Budget:
    """What a run has left of its limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left: float = limits.instructions
        self.held = 0
        self._followed: set[int] = set()

    def spend(self, instructions: float = 1) -> None:
        """Raises LimitReached where nothing is left."""
        self.left -= instructions
        if self.left < 0:
            raise LimitReached(
                f"the script takes more than {self.limits.instructions:,} instructions; "
                f"Limits(instructions=...) allows more"
            )

    def room(self, shape: Sequence[int], itemsize: int | np.dtype = 8) -> None:
        """Spends what an array of that shape costs, its elements' size being in bytes or their dtype's.

        Raises LimitReached where it has no room beside those that live.
        """
        if isinstance(itemsize, np.dtype):
            itemsize = OBJECT if itemsize.kind == "O" else itemsize.itemsize
        count = prod(int(n) for n in shape if n)  # a sum of an empty array has elements where that has none
        if self.held + count * itemsize > self.limits.memory:
            sizes = "x".join(str(n) for n in shape)
            raise LimitReached(
                f"a {sizes} array has no room: the script's arrays may take {self.limits.memory:,} bytes; "
                f"Limits(memory=...) allows more"
            )
        self.spend(count / PER_INSTRUCTION)

    def follow(self, value: Any) -> None:
        """Counts an array as living until it is gone."""
        if not isinstance(value, np.ndarray):
            return
        while isinstance(value.base, np.ndarray):
            value = value.base
        if value.nbytes < TINY or id(value) in self._followed:
            return
        self.held += value.nbytes
        self._followed.add(id(value))
        weakref.finalize(value, self._forget, id(value), value.nbytes).atexit = False

    def _forget(self, name: int, size: int) -> None:
        self._followed.discard(name)
        self.held -= size


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def within(budget: Budget) -> Iterator[Budget]:
    """What is done inside is paid from that budget."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def room(shape: Sequence[int], itemsize: int | np.dtype = 8) -> None:
    """Asks the budget of the run for room; outside a run there is always room."""
    if budget := _current.get():
        budget.room(shape, itemsize)


def spend(instructions: float) -> None:
    """Pays from the budget of the run."""
    if budget := _current.get():
        budget.spend(instructions)

"""One pool of threads for all that is shared among cores, with BLAS held to one thread meanwhile.

Two pools side by side, ours and BLAS's, would wait for each other: there BLAS computes alone what it is given, and what is
large is cut above it. NumPy and BLAS let go of the interpreter's lock while they work, so that Python's threads serve.
"""

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

from . import settings


def count() -> int:
    """How many threads share the work."""
    return settings.current().threads


def run(work: Callable[..., Any], parts: Iterable[tuple[Any, ...]]) -> list[Any]:
    """[work(*part) for part in parts], by as many threads as count() says, BLAS held to one meanwhile."""
    parts = list(parts)
    results: list[Any] = [None] * len(parts)
    numbers = iter(range(len(parts)))  # each thread takes the next: a slow one holds nobody up

    def take() -> None:
        for i in numbers:
            results[i] = work(*parts[i])

    with blas_alone():
        helpers = [_pool(count()).submit(take) for _ in range(min(count(), len(parts)) - 1)]
        try:
            take()
        finally:
            for _ in numbers:  # after an error, or Ctrl-C, there are some: nobody is to begin them
                pass
            waited = [helper for helper in helpers if not helper.cancel()]  # who has not begun has nothing left to do
            for helper in waited:
                helper.exception()  # none may work on when this returns, not even where another has failed
        for helper in waited:
            helper.result()
    return results


def slices(length: int, count: int, multiple: int = 1) -> list[slice]:
    """0 to length in so many slices of about one size (fewer where there would be empty ones), cut at multiples of a number."""
    count = max(count, 1)
    cuts = sorted({min((length * i // count + multiple - 1) // multiple * multiple, length) for i in range(count + 1)})
    return [slice(*ends) for ends in itertools.pairwise(cuts)]


@contextmanager
def blas_alone() -> Iterator[None]:
    """Hold BLAS to one thread in the whole process; the last to leave gives it back what it had."""
    _blas.hold()
    try:
        yield
    finally:
        _blas.release()


class _Blas:
    """The BLAS libraries of NumPy and SciPy, and how many threads they had before the first that holds them."""

    def __init__(self) -> None:
        self.lock, self._holders = threading.Lock(), 0
        self._before: list[tuple[Any, int]] = []

    def hold(self) -> None:
        with self.lock:
            if not self._holders:
                self._before = [(library, library.get_num_threads()) for library in _libraries()]
                for library, had in self._before:
                    if had != 1:
                        library.set_num_threads(1)
            self._holders += 1

    def release(self) -> None:
        with self.lock:
            self._holders -= 1
            if not self._holders:
                for library, had in self._before:
                    if had != 1:
                        library.set_num_threads(had)


_blas = _Blas()


@functools.cache
def _libraries() -> list[Any]:
    import scipy.linalg.cython_blas  # noqa: F401  # SciPy's own BLAS must be there to be found

    return ThreadpoolController().select(user_api="blas").lib_controllers


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "dagnet")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not live on in a forked process,
    # where nobody would open a lock that one of them held
    os.register_at_fork(
        before=_blas.lock.acquire, after_in_parent=_blas.lock.release, after_in_child=_blas.lock.release
    )

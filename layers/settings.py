"""What a user may choose about how the work is done: threads, exactness, the fast kernels, the GPU's precision.

Settings hold for the process. None of them changes what is computed, only the rounding and the speed. With the same settings
on the same machine a run gives the same bits again: work is cut, and its sums are added, by the number of threads, not by who
is first.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Precision = Literal["float32", "tf32"]


def _threads_of_environment() -> int:
    """As many as this process may use cores, or fewer where the environment holds BLAS to fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = (os.environ.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    return min([cores, *(int(number) for number in allowed if number.isdigit() and int(number))])


@dataclass(frozen=True)
class Settings:
    """The choices; change() and using() set them.

    threads     on the CPU; at first as many as cores, or what OMP_NUM_THREADS or OPENBLAS_NUM_THREADS allows
    exact       convolutions by matrix products alone (no Winograd, whose rounding error is larger)
    fast        use the kernels that numba compiles, where numba is installed
    precision   of matrix products on the GPU: "float32", or "tf32" (about 3 decimal digits), which is never chosen by itself
    scratch     bytes that a convolution on the GPU may take for its windows
    """

    threads: int = field(default_factory=_threads_of_environment)
    exact: bool = False
    fast: bool = True
    precision: Precision = "float32"
    scratch: int = 256 << 20

    def __post_init__(self) -> None:
        for name in ("threads", "scratch"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"settings: {name} is {value!r}; a whole number from 1 is right")
        for name in ("exact", "fast"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"settings: {name} is {getattr(self, name)!r}; True or False is right")
        if self.precision not in get_args(Precision):
            raise ValueError(f"settings: precision is {self.precision!r}; 'float32' or 'tf32' is right")


_current = Settings()


def current() -> Settings:
    """The settings that hold now."""
    return _current


def change(**choices: Any) -> None:
    """Change some of the settings, by their names. Raises ValueError for an unknown name or a value that is not right."""
    global _current
    known = Settings.__dataclass_fields__
    if unknown := [name for name in choices if name not in known]:
        raise ValueError(f"settings: there is no {unknown[0]!r}; there are {', '.join(known)}")
    _current = replace(_current, **choices)


@contextmanager
def using(**choices: Any) -> Iterator[None]:
    """Change some of the settings for a while: `with settings.using(exact=True): ...`. Raises ValueError as change does."""
    global _current
    before = _current
    change(**choices)
    try:
        yield
    finally:
        _current = before

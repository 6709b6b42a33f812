"""How every loop for the CPU is compiled: by numba, at its first use, kept on disk, with a word to the user while it lasts.

numba keeps code for as long as the file of the function stays the same, and looks at no other file: what a compiled function
calls stands in its own file.
"""

import sys
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A decorator: the function as machine code for the types it is called with, let go of the interpreter's lock.

    options are numba.njit's, fastmath={"contract"} say. Divisions by zero give inf or NaN, as in NumPy. The code is kept beside
    the source or, where that folder is not writable, in the user's cache; where neither is, for this process only.
    """
    if function is None:
        return lambda decorated: compiled(decorated, **options)
    options = {"nogil": True, "error_model": "numpy", **options}
    try:
        loop = numba.njit(function, cache=True, **options)
    except RuntimeError:  # numba finds no folder for its cache
        loop = numba.njit(function, **options)
        word.kept = False
    word.loops.add(loop)
    return loop


class _Word(event.Listener):
    """Says once in a process that our loops are being compiled; loading them from the cache takes no time worth a word."""

    def __init__(self) -> None:
        self.loops: set[Any] = set()
        self.said = False
        self.kept = True  # whether the next process finds the code

    def on_start(self, event: Any) -> None:
        if not self.said and event.data["dispatcher"] in self.loops:
            self.said = True
            how = (
                "once; the first run takes some seconds more"
                if self.kept
                else "in every run, some seconds, as it may write neither beside them nor to the user's cache; a folder in "
                "NUMBA_CACHE_DIR that it may write is right"
            )
            print(f"dagnet: numba compiles the fast kernels {how}", file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        """Nothing: the work that called says when it is done."""


word = _Word()
event.register("numba:compile", word)

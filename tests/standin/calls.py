"""The border between the stand-in and NumPy: what may cross it, and in what memory order results come back."""

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

waits: Counter[str] = Counter()  # how often the host had to wait for the device, by what it waited in
NUMBERS = (bool, int, float, complex, np.generic)  # which operators and ufuncs take beside arrays
recorders: list[Callable[..., None]] = []  # told of each call: name, arguments, keywords, result


class Held:
    """What all arrays of the stand-in are: a NumPy array, `_held`, that only this package may touch."""

    __slots__ = ("__weakref__", "_held")
    _held: np.ndarray


def wait(what: str) -> None:
    """Notes that the host waits here for the device."""
    waits[what] += 1


def inside(value: Any) -> Any:
    """What NumPy is to compute with. Raises TypeError for an array of NumPy's: CuPy mixes with none."""
    if isinstance(value, Held):
        return value._held
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)(map(inside, value))
    return value


def arrays_in(values: Iterable[Any]) -> list[np.ndarray]:
    """The arrays among arguments, inside."""
    found = []
    for value in values:
        if isinstance(value, Held):
            found.append(value._held)
        elif isinstance(value, list | tuple):
            found += arrays_in(value)
    return found


class Parameters:
    """What a function takes, from a string of cupy14.json."""

    def __init__(self, who: str, text: str) -> None:
        self.who = who
        parts = [part for part in text.split(", ") if part]
        by_place = list(itertools.takewhile(lambda part: not part.startswith("*"), parts))
        self.most = len([part for part in by_place if part != "/"])
        if any(part.startswith("*") and part.strip("*") and not part.startswith("**") for part in parts):
            self.most = sys.maxsize
        self.any_name = any(part.startswith("**") for part in parts)
        named = parts[parts.index("/") + 1 :] if "/" in parts else parts
        self.names = frozenset(part.rstrip("=") for part in named if not part.startswith("*"))

    def check(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Raises TypeError for a keyword that CuPy lacks, or too many arguments; NumPy will for too few."""
        if len(args) > self.most:
            raise TypeError(f"{self.who} takes {self.most} arguments and {len(args)} came")
        if kwargs and not self.any_name and (wrong := kwargs.keys() - self.names):
            raise TypeError(f"{self.who} got an unexpected keyword argument {sorted(wrong)[0]!r}")


def run(
    name: str,
    function: Callable,
    args: tuple,
    kwargs: Mapping[str, Any],
    *,
    keeps_order: bool = False,
    this: Any = None,
) -> Any:
    """What NumPy's function makes of the arguments, as the stand-in's; `this` is the array whose method it is.

    A view of an argument stays one. All else is in C order, unless it keeps its order.
    """
    given = arrays_in((this, *args, *kwargs.values()))
    out = kwargs.get("out")
    out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if out is not None and not isinstance(out, Held):
        raise TypeError(f"Unsupported type {type(out)}")
    with np.errstate(all="ignore"):  # CuPy warns of no overflow
        made = function(*inside(args), **({key: inside(value) for key, value in kwargs.items()} if kwargs else {}))
    result = out if out is not None else outside(made, given, keeps_order)
    for tell in recorders:
        tell(name, args if this is None else (this, *args), kwargs, result)
    return result


def outside(made: Any, given: list[np.ndarray], keeps_order: bool = False) -> Any:
    """What NumPy made as the stand-in's: arrays and numbers of NumPy's become arrays on the device."""
    if isinstance(made, np.generic):
        return wrap(made)
    if isinstance(made, np.ndarray):
        if not (keeps_order or made.flags.c_contiguous or any(np.may_share_memory(made, a) for a in given)):
            made = made.copy()
        return wrap(made)
    if isinstance(made, list | tuple):
        return type(made)(outside(one, given, keeps_order) for one in made)
    return made


def wrap(values: Any) -> Any:
    """NumPy's values as an array of the stand-in's; arrays.py puts its own here."""
    raise NotImplementedError

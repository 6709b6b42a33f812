"""Calls that the stand-in was given, given to CuPy itself: does it take them, and do its results lie in memory as here?

Writing    with writing(path): ...      each call to the stand-in inside, once, as a line of JSON: shapes and dtypes, no values
Replaying  python -m tests.standin.replay PATH      on CuPy without a device; prints what differs, a line each
A result is compared by shape, dtype and strides, a call by whether CuPy makes the host wait where the stand-in counts it.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import calls, modules

LAID = "array"  # how an array's place in JSON begins
NOT_HERE = ("matmul", "einsum", "ndarray.dot")  # cuBLAS is loaded, which a machine without a GPU may lack
LOOK_AT_VALUES = ("unravel_index", "bincount", "shares_memory", "nonzero", "ndarray.nonzero")  # which there are none of


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Writes the calls inside the block to a file."""
    lines: dict[str, None] = {}

    def tell(name: str, args: tuple, kwargs: dict, result: Any) -> None:
        told = [
            name,
            _described(list(args)),
            {key: _described(value) for key, value in kwargs.items()},
            _described(result),
        ]
        lines[json.dumps(told)] = None

    calls.recorders.append(tell)
    try:
        yield
    finally:
        calls.recorders.remove(tell)
        path.write_text("\n".join(lines) + "\n")


def _described(value: Any) -> Any:
    if type(value).__name__ == "ndarray":
        kind = "numpys" if isinstance(value, np.ndarray) else LAID
        return [kind, value.dtype.str, list(value.shape), list(value.strides)]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(_described, value)]
    if isinstance(value, slice):
        return ["slice", *map(_described, (value.start, value.stop, value.step))]
    if isinstance(value, np.generic):
        return ["number", value.dtype.str]
    if isinstance(value, np.dtype | type):
        return ["dtype", np.dtype(value).str]
    return "..." if value is Ellipsis else ["as it is", value]


def _made(told: Any) -> Any:
    if told == "...":
        return ...
    kind, *rest = told
    if kind in (LAID, "numpys"):
        return _laid(kind, *rest)
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](map(_made, rest))
    if kind == "slice":
        return slice(*map(_made, rest))
    return {"number": lambda: np.dtype(rest[0]).type(1), "dtype": lambda: np.dtype(rest[0])}.get(
        kind, lambda: rest[0]
    )()


def _laid(kind: str, dtype: str, shape: list[int], strides: list[int]) -> Any:
    """An array of CuPy's, or NumPy's, with those strides, somewhere inside a larger one."""
    xp = importlib.import_module("cupy" if kind == LAID else "numpy")
    steps = [stride * (length - 1) for stride, length in zip(strides, shape, strict=True) if length]
    before, after = -sum(step for step in steps if step < 0), sum(step for step in steps if step > 0)
    size = np.dtype(dtype).itemsize
    room = xp.zeros((before + after) // size + 1, dtype)
    return xp.lib.stride_tricks.as_strided(room[before // size :], tuple(shape), tuple(strides))


def _comparable(told: Any) -> Any:
    """Without strides that say nothing: along one number, or of no numbers."""
    if isinstance(told, list) and told and told[0] == LAID:
        _, dtype, shape, strides = told
        return [
            dtype,
            shape,
            [s for s, length in zip(strides, shape, strict=True) if length > 1] if 0 not in shape else [],
        ]
    return list(map(_comparable, told[1:])) if isinstance(told, list) and told[0] in ("list", "tuple") else told


def _call(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    import cupy

    if name == "getitem":
        return args[0][args[1]]
    if name == "setitem":
        args[0][args[1]] = args[2]
        return None
    if name.startswith("ndarray."):
        return getattr(args[0], name.removeprefix("ndarray."))(*args[1:], **kwargs)
    if name.startswith("Generator."):
        return getattr(cupy.random.default_rng(0), name.removeprefix("Generator."))(*args, **kwargs)
    owner: Any = cupy
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part) if hasattr(owner, part) else importlib.import_module(f"{owner.__name__}.{part}")
    return getattr(owner, last)(*args, **kwargs)


def differences(path: Path) -> Iterator[str]:
    """What CuPy does otherwise than the file says."""
    from . import nodevice

    for line in path.read_text().splitlines():
        name, args, kwargs, expected = json.loads(line)
        if name in NOT_HERE or name in LOOK_AT_VALUES:
            continue
        nodevice.copies_to_host.clear()
        try:
            result = _call(name, _made(args), {key: _made(value) for key, value in kwargs.items()})
        except Exception as error:
            yield f"{line}: CuPy raises {type(error).__name__}: {error}"
            continue
        if bool(nodevice.copies_to_host) != _waits(name, args):
            yield f"{line}: CuPy {'makes' if nodevice.copies_to_host else 'does not make'} the host wait"
        came = _described(result)
        if expected[0] in (LAID, "list", "tuple") and _comparable(came) != _comparable(expected):
            yield f"{line}: CuPy gives {came}"


def _waits(name: str, args: list[Any]) -> bool:
    """Whether the stand-in counts it."""
    if name in ("getitem", "setitem"):
        return '"array", "|b1"' in json.dumps(args[2])  # a mask
    return name.removeprefix("ndarray.") in modules.ALWAYS_WAIT or (name == "where" and len(args) == 2)


if __name__ == "__main__":
    for found in differences(Path(sys.argv[1])):
        print(found, flush=True)
    os._exit(0)  # CuPy would now give back to the device what it never had

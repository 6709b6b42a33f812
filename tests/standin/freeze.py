"""What CuPy has, written down once: its names, its functions' keywords, its ufuncs' types (cupy14.json).

    python -m tests.standin.freeze        where CuPy 14 can be imported; a GPU is not needed

The stand-in follows that file, so that CI needs no CuPy; test_standin.py compares the two where CuPy is.
A function's parameters are one string: "a, axis=, *, out=": `=` may be left out, `*` by name alone from here on.
"""

import importlib
import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("cupy14.json")
MODULES = ("linalg", "lib.stride_tricks", "random")  # beside cupy itself


def frozen() -> dict[str, Any]:
    """What the file says."""
    return json.loads(FILE.read_text())


def taken() -> dict[str, Any]:
    """What the file should say, from the CuPy that is installed."""
    import cupy

    names = [name for name in dir(cupy) if not name.startswith("_")]
    ufuncs = {name: getattr(cupy, name) for name in names if isinstance(getattr(cupy, name), cupy.ufunc)}
    return {
        "version": cupy.__version__.split(".")[0],
        "numpys": [name for name in names if getattr(cupy, name) is getattr(np, name, cupy)],
        "ufuncs": {name: [f.nin, f.nout, " ".join(f.types)] for name, f in ufuncs.items()},
        "functions": _functions(cupy),
        "others": [name for name in names if name not in ufuncs and not _is_function(getattr(cupy, name))],
        "methods": _methods(cupy.ndarray),
        "attributes": [name for name in _public(cupy.ndarray) if not callable(getattr(cupy.ndarray, name))],
        "special": sorted(name for name in dir(cupy.ndarray) if re.fullmatch("__[a-z]+__", name)),
        "generator": _methods(cupy.random.Generator),
        **{name: _functions(importlib.import_module(f"cupy.{name}")) for name in MODULES},
    }


def _functions(module: ModuleType) -> dict[str, str]:
    return {name: _parameters(getattr(module, name)) for name in _public(module) if _is_function(getattr(module, name))}


def _methods(cls: type) -> dict[str, str]:
    found = {name: getattr(cls, name) for name in _public(cls)}
    return {
        name: _parameters(method).removeprefix("self, ").removeprefix("self")
        for name, method in found.items()
        if callable(method)
    }


def _public(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def _is_function(thing: Any) -> bool:
    return callable(thing) and not isinstance(thing, type) and type(thing).__name__ != "ufunc"


def _parameters(function: Any) -> str:
    """The parameters, without types and defaults; of Cython's functions the docstring's first line has them."""
    try:
        text = str(inspect.signature(function).replace(return_annotation=inspect.Signature.empty))
    except (TypeError, ValueError):
        found = re.match(r"[\w.]*\w(\(.*\))", (function.__doc__ or "").strip().split("\n")[0])
        text = found[1] if found else "(*args, **kwargs)"
    return ", ".join(_parameter(part) for part in _split(text[1 : text.rindex(")")]))


def _split(text: str) -> list[str]:
    """At commas outside brackets and quotes."""
    parts = re.findall(
        r"(?:[^,(\[{'\"]|\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\]|\{[^}]*\}|'[^']*'|\"[^\"]*\")+", text
    )
    return [part.strip() for part in parts if part.strip()]


def _parameter(text: str) -> str:
    name, default, _ = text.partition("=")
    name = name.split(":")[0].split()[-1]
    return name + ("=" if default else "")


if __name__ == "__main__":
    FILE.write_text(json.dumps(taken(), indent=1) + "\n")
    print(f"{FILE} written")

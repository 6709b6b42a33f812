"""What disp and a statement without a semicolon write: close to MATLAB's `format short`, for people to read."""

from typing import Any

import numpy as np

from . import printf
from .handle import Handle
from .values import (
    Anonymous,
    FunctionHandle,
    String,
    class_of,
    codes,
    dims,
    fields_of,
    is_cell,
    is_char,
    is_struct,
    numel,
)

LINES = 200  # of an array, before it is only named


def shown(name: str, value: Any) -> str:
    """`name = value`, as a statement without a semicolon writes it."""
    written = disp(value)
    return (
        f"{name} = {written}\n"
        if ("\n" not in written and numel(value) == 1) or is_char(value)
        else f"{name} =\n{written}\n"
    )


def disp(value: Any) -> str:
    """The value without its name."""
    if isinstance(value, String):
        return value.value
    if is_char(value):
        return "\n".join("".join(map(chr, line)) for line in codes(value).tolist())
    if isinstance(value, Anonymous):
        return value.node.text
    if isinstance(value, FunctionHandle):
        return f"@{value.name}"
    if isinstance(value, Handle) or (numel(value) > LINES * 20):
        return f"{dims(value)} {class_of(value)}"
    if is_struct(value):
        if not isinstance(value, dict):
            return f"{dims(value)} struct array with fields: {', '.join(fields_of(value))}"
        return "\n".join(f"    {field}: {_short(v)}" for field, v in value.items())
    if is_cell(value):
        table = value.reshape((value.shape[0], -1), order="F") if value.size else value
        return (
            "\n".join("    " + "    ".join("{" + _short(v) + "}" for v in line) for line in table)
            or f"{dims(value)} cell"
        )
    return _numbers(value)


def _short(value: Any) -> str:
    if is_char(value) and not isinstance(value, str):
        return f"{dims(value)} char"
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, (np.ndarray,)) and value.dtype.kind in "biuf" and value.ndim == 2 and 0 < value.size <= 10:
        return printf.mat2str(value, 5)
    if isinstance(value, (String, Anonymous, FunctionHandle)):
        return disp(value)
    return f"{dims(value)} {class_of(value)}"


def _numbers(value: np.ndarray) -> str:
    if not value.size:
        return "" if value.shape == (0, 0) else f"{dims(value)} empty {class_of(value)} matrix"
    if value.dtype.kind == "c":
        return "\n".join(" ".join(f"{x:.4g}" for x in line) for line in value.reshape(value.shape[0], -1))
    table = value.reshape((value.shape[0], -1), order="F")
    finite = table[np.isfinite(table)] if table.dtype.kind == "f" else table
    whole = table.dtype.kind != "f" or bool((finite == np.floor(finite)).all())
    width = 0 if value.size == 1 else 6 if whole else 10
    if whole:
        longest = max(len(printf.number_text(x, "d")) for x in table.ravel().tolist())
        width = 0 if value.size == 1 else max(width, longest + 3)
        return "\n".join("".join(printf.number_text(x, "d", "", width) for x in line) for line in table.tolist())
    small = np.abs(finite[finite != 0])
    fixed = small.size == 0 or (small.max() < 1000 and small.min() >= 0.001)
    kind, digits = ("f", 4) if fixed else ("g", 5)
    return "\n".join("".join(printf.number_text(x, kind, "", width, digits) for x in line) for line in table.tolist())

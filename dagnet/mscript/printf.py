"""sprintf, fprintf and num2str, with MATLAB's rules.

The format is used again until the arguments are through; it ends at the first conversion for which nothing is left. Arrays
count as their elements; a char array is one argument for %s. A number with a fraction turns %d and %i into %e, and %s and %c as
well; a text's characters are numbers for %d. Escapes are those of C.

Source   MATLAB's documentation, "sprintf", "num2str", "int2str", "mat2str"
"""

import re
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import limits
from .failures import MatlabError, NotSupported
from .values import String, class_of, codes, is_char, is_number_like, normal, numbers, shape, text

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\"}
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", re.DOTALL)
CONVERSION = re.compile(
    r"%(?P<flags>[-+ 0#]*)(?P<width>\*|\d*)(?:\.(?P<precision>\*|-?\d*))?(?P<size>[lhtb]?)(?P<kind>.)", re.DOTALL
)
WIDEST = 10_000  # characters that one conversion may take


def escaped(template: str) -> str:
    """The template with \\n and its like as the characters that they stand for."""

    def character(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] == "x":
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
        return ESCAPES.get(code, found[0])

    return ESCAPE.sub(character, template)


def sprintf(template: str, args: Sequence[Any]) -> str:
    """The text of a format and its arguments. Raises MatlabError for arguments that are neither numbers nor text."""
    pieces = _pieces(template)
    waiting = _Arguments(args)
    if not waiting.left or not any(isinstance(p, re.Match) for p in pieces):  # conversions of nothing write nothing
        return "".join(p for p in pieces if isinstance(p, str))
    written: list[str] = []
    total = 0
    while waiting.left:
        for piece in pieces:
            if isinstance(piece, str):
                written.append(piece)
                continue
            if not waiting.left:
                return "".join(written)
            written.append(_converted(piece, waiting))
            total += len(written[-1])
        limits.room((1, total), 4)
    return "".join(written)


def _pieces(template: str) -> list[Any]:
    """The literal texts and conversions of a format, escapes done."""
    pieces: list[Any] = []
    at = 0
    for found in CONVERSION.finditer(template):
        pieces.append(escaped(template[at : found.start()]))
        at = found.end()
        if found["kind"] == "%":
            pieces.append("%")
        elif found["kind"] not in "diufeEgGxXoscaA" or found["size"] in ("t", "b"):
            raise NotSupported(f"the conversion {found[0]!r} in a format is not known here")
        else:
            pieces.append(found)
    pieces.append(escaped(template[at:]))
    return [p for p in pieces if p != ""]


class _Arguments:
    """The elements that wait: numbers, and whole texts, which fall into characters where a number is asked for."""

    def __init__(self, args: Sequence[Any]) -> None:
        self.left: deque[Any] = deque()
        for arg in args:
            if isinstance(arg, String):
                self.left.append(arg.value)
            elif is_char(arg):
                whole = "".join(chr(c) for c in codes(arg).ravel(order="F").tolist())
                self.left += [whole] if whole else []
            elif is_number_like(arg):
                limits.room(arg.shape, np.dtype(object))
                self.left += numbers(arg).ravel(order="F").tolist()
            else:
                raise MatlabError(
                    f"Function is not defined for '{class_of(arg)}' inputs: a format takes numbers and texts.",
                    "MATLAB:printf:invalidInputType",
                )

    def take(self) -> Any:
        return self.left.popleft()

    def take_number(self, who: str) -> int:
        value = self.take() if self.left else 0
        if isinstance(value, str) or value != int(value):
            raise MatlabError(f"{who}: a whole number is right for *, {value!r} came")
        return int(value)


def _converted(found: re.Match[str], waiting: _Arguments) -> str:
    flags, kind = found["flags"], found["kind"]
    width = waiting.take_number("sprintf") if found["width"] == "*" else int(found["width"] or 0)
    precision: int | None = None
    if found["precision"] is not None:
        precision = waiting.take_number("sprintf") if found["precision"] == "*" else int(found["precision"] or 0)
    if max(abs(width), abs(precision or 0)) > WIDEST:
        raise MatlabError(f"sprintf: a width of {WIDEST} characters at most is right")
    if width < 0:
        flags, width = flags + "-", -width
    value = waiting.take() if waiting.left else ""
    if isinstance(value, str):
        return _of_text(value, kind, flags, width, precision, waiting)
    return number_text(value, kind, flags, width, precision)


def _of_text(value: str, kind: str, flags: str, width: int, precision: int | None, waiting: _Arguments) -> str:
    if kind == "s":
        return _padded(value if precision is None else value[: max(precision, 0)], flags, width)
    if kind == "c" and len(value) >= 1:
        if len(value) > 1:
            waiting.left.appendleft(value[1:])
        return _padded(value[0], flags, width)
    waiting.left.extendleft(float(ord(c)) for c in reversed(value[1:]))
    return number_text(float(ord(value[0])), kind, flags, width, precision) if value else ""


def number_text(value: Any, kind: str, flags: str = "", width: int = 0, precision: int | None = None) -> str:
    """One number in one conversion."""
    limits.spend(1)
    if isinstance(value, complex):
        raise NotSupported("a complex number in a format is not known here")
    value = int(value) if isinstance(value, bool) else value
    finite = isinstance(value, int) or (value == value and abs(value) != float("inf"))
    if not finite:
        sign = "-" if value < 0 else "+" if "+" in flags else ""
        name = "NaN" if value != value else "Inf"
        return _padded(("" if value != value else sign) + name, flags.replace("0", ""), width)
    whole = isinstance(value, int) or value == int(value)
    if kind in "sc":
        if whole and value >= 0:
            return _padded(chr(int(value)), flags, width)
        return _padded(_shortest(value, precision), flags, width)
    if kind in "diuxXoc" and not whole:
        kind = "e"
    if kind in "xXou" and value < 0:
        kind = "d"
    if kind in "diuxXo":
        value, kind = int(value), "d" if kind in "iu" else kind
    spec = (
        "%"
        + "".join(dict.fromkeys(flags))
        + (str(width) if width else "")
        + ("" if precision is None else f".{precision}")
        + kind
    )
    return spec % value


def _shortest(value: float, precision: int | None) -> str:
    return f"{value:.{6 if precision is None else precision}e}"


def _padded(written: str, flags: str, width: int) -> str:
    return written.ljust(width) if "-" in flags else written.rjust(width)


# numbers as texts


def num2str(value: Any, form: Any = None) -> Any:
    """num2str(x), num2str(x, digits), num2str(x, format)"""
    if is_char(value) or isinstance(value, String):
        return value
    if not is_number_like(value):
        raise MatlabError("Input to num2str must be numeric.", "MATLAB:num2str:nonNumericInput")
    if value.dtype.kind == "c":
        raise NotSupported("num2str of a complex number is not known here")
    limits.spend(value.size)
    table = value.reshape((value.shape[0], -1), order="F") if value.size else value
    if form is not None and (is_char(form) or isinstance(form, String)):
        return rows([sprintf(text(form, "num2str"), [line.reshape(1, -1)]) for line in table])
    if not value.size:
        return ""
    finite = (
        np.abs(value[np.isfinite(value)].astype(np.float64)) if value.dtype.kind == "f" else np.abs(value.astype(float))
    )
    largest = float(finite.max()) if finite.size else 0.0
    if form is not None:
        digits = int(numbers(form).item())
        if value.size == 1:
            return sprintf(f"%.{digits}g", [value]).strip()
        return _columns(table, f"%{digits + 7}.{digits}g")
    whole = value.dtype.kind in "iub" or bool((value[np.isfinite(value)] == np.floor(value[np.isfinite(value)])).all())
    if whole:
        if value.size == 1:
            return sprintf("%d" if largest < 1e15 or value.dtype.kind != "f" else "%.15g", [value])
        digits = int(np.floor(np.log10(largest))) + 1 if largest > 0 else 1
        digits = max(digits + int((table.astype(float) < 0).any()), 1)
        if not np.isfinite(value.astype(float)).all():
            digits = max(digits, 3)
        return _columns(table, f"%{digits + 2}d")
    digits = int(np.floor(np.log10(largest))) if largest > 0 else 0
    digits = min(max(digits + 5, 5), 16)
    if value.size == 1:
        return sprintf(f"%.{digits}g", [value])
    return _columns(table, f"%{digits + 7 + int((value < 0).any())}.{digits}g")


def _columns(table: np.ndarray, form: str) -> Any:
    lines = ["".join(sprintf(form, [np.array([[x]])]) for x in line) for line in table]
    lead = min(len(line) - len(line.lstrip()) for line in lines)
    return rows([line[lead:].rstrip() if len(lines) == 1 else line[lead:] for line in lines])


def rows(lines: Sequence[str]) -> Any:
    """A char array of these rows, blanks at the ends of the shorter ones."""
    if not lines:
        return ""
    width = max(len(line) for line in lines)
    limits.room((len(lines), width), 4)
    if len(lines) == 1:
        return lines[0]
    return normal(
        np.array([[ord(c) for c in line.ljust(width)] for line in lines], np.uint32)
        .reshape(len(lines), width)
        .view("U1")
    )


def mat2str(value: Any, digits: int = 15) -> str:
    """mat2str(x, digits)"""
    if is_char(value):
        lines = ["'" + "".join(map(chr, line)).replace("'", "''") + "'" for line in codes(value).tolist()] or ["''"]
        return lines[0] if len(lines) == 1 else "[" + ";".join(lines) + "]"
    if not is_number_like(value) or value.dtype.kind == "c" or value.ndim > 2:
        raise MatlabError("mat2str: a matrix of real numbers, logicals or chars is right.")

    def one(x: Any) -> str:
        if value.dtype == bool:
            return "true" if x else "false"
        return number_text(
            float(x) if value.dtype.kind == "f" else int(x), "g" if value.dtype.kind == "f" else "d", "", 0, digits
        )

    limits.spend(value.size)
    if value.size == 1:
        return one(value.item())
    if not value.size:
        return f"zeros({shape(value)[0]},{shape(value)[1]})"
    return "[" + ";".join(" ".join(one(x) for x in line) for line in value.tolist()) + "]"


def int2str(value: Any) -> Any:
    """int2str(x)"""
    if not is_number_like(value):
        raise MatlabError("int2str: numbers are right.")
    found = numbers(value)
    return num2str(np.sign(found) * np.floor(np.abs(found) + 0.5) if found.dtype.kind == "f" else found)

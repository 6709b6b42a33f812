"""Texts: comparing, joining, cutting, and numbers as texts. Where MATLAB takes a cell of texts, so do these."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import limits, operators, printf
from ..failures import MatlabError
from ..values import (
    String,
    cell,
    codes,
    empty,
    is_cell,
    is_char,
    is_text,
    logical,
    number,
    numbers,
    numel,
    row,
    shape,
    text,
    texts,
    whole,
)
from .table import builtin, pure

if TYPE_CHECKING:
    from ..interpreter import Interpreter

BLANKS = " \t\n\v\f\r\0"


def each(value: Any, function: Callable[[str], Any], who: str) -> Any:
    """function of a text, or of each text in a cell."""
    if is_cell(value):
        return cell([each(item, function, who) for item in value.ravel(order="F")], value.shape)
    return function(text(value, who))


# comparisons


def _comparison(name: str, equal: Callable[[Any, Any, int], bool]) -> None:
    def one(a: Any, b: Any, count: int) -> bool:
        if not (is_char(a) or isinstance(a, String)) or not (is_char(b) or isinstance(b, String)):
            return False
        if not is_text(a) or not is_text(b):
            return bool(shape(a) == shape(b) and (codes(a) == codes(b)).all()) if is_char(a) and is_char(b) else False
        return equal(text(a, name), text(b, name), count)

    def called(a: Any, b: Any, count: Any = None) -> Any:
        n = 0 if count is None else whole(count, name)
        if is_cell(a) and is_cell(b) and numel(a) != 1 and numel(b) != 1:
            if a.shape != b.shape:
                raise MatlabError(f"{name}: the cells must be of one size.")
            pairs = zip(a.ravel(order="F"), b.ravel(order="F"), strict=True)
            return np.array([one(x, y, n) for x, y in pairs], bool).reshape(a.shape, order="F")
        if is_cell(a) and is_cell(b) and numel(a) == 1:
            a = a.item()
        elif is_cell(a) and is_cell(b):
            b = b.item()
        if is_cell(b):
            a, b = b, a
        if is_cell(a):
            return np.array([one(x, b, n) for x in a.ravel(order="F")], bool).reshape(a.shape, order="F")
        return logical(one(a, b, n))

    pure(name)(called)


_comparison("strcmp", lambda a, b, n: a == b)
_comparison("strcmpi", lambda a, b, n: a.lower() == b.lower())
_comparison("strncmp", lambda a, b, n: len(a) >= n <= len(b) and a[:n] == b[:n])
_comparison("strncmpi", lambda a, b, n: len(a) >= n <= len(b) and a[:n].lower() == b[:n].lower())


def _holding(name: str, function: Callable[[str, str], bool]) -> None:
    def called(value: Any, pattern: Any) -> Any:
        patterns = texts(pattern, name)
        if is_cell(value):
            items = texts(value, name)
            return np.array([any(function(t, p) for p in patterns) for t in items], bool).reshape(
                value.shape, order="F"
            )
        return logical(any(function(text(value, name), p) for p in patterns))

    pure(name)(called)


_holding("startsWith", str.startswith)
_holding("endsWith", str.endswith)
_holding("contains", lambda t, p: p in t)


@pure("validatestring")
def validatestring(value: Any, choices: Any, *where: Any) -> Any:
    asked = text(value, "validatestring")
    found = [c for c in texts(choices, "validatestring") if c.lower().startswith(asked.lower())]
    exact = [c for c in found if c.lower() == asked.lower()]
    if len(exact or found) != 1:
        raise MatlabError(
            f"Expected input to match one of these values: {', '.join(texts(choices, 'validatestring'))}. The input, "
            f"'{asked}', did not match any of the valid values.",
            "MATLAB:unrecognizedStringChoice",
        )
    return (exact or found)[0]


# changes


def _changing(name: str, function: Callable[[str], str]) -> None:
    def called(value: Any) -> Any:
        if is_char(value) and not isinstance(value, str):
            return (
                printf.rows([function("".join(map(chr, line))) for line in codes(value).tolist()])
                if numel(value)
                else value
            )
        if not is_cell(value) and not is_text(value):
            raise MatlabError(f"{name}: a text or a cell of texts is right.", "MATLAB:invalidInput")
        changed = each(value, function, name)
        return String(changed) if isinstance(value, String) else changed

    pure(name)(called)


_changing("upper", str.upper)
_changing("lower", str.lower)
_changing("strtrim", lambda t: t.strip(BLANKS))
_changing("deblank", lambda t: t.rstrip(BLANKS))


@pure("strrep")
def strrep(value: Any, old: Any, new: Any) -> Any:
    before, after = text(old, "strrep"), text(new, "strrep")

    def replaced(words: str) -> str:
        limits.room((1, len(words) + words.count(before or " ") * len(after)), 4)
        return words.replace(before, after) if before else words

    return each(value, replaced, "strrep")


@pure("strcat")
def strcat(*values: Any) -> Any:
    """Joined without the blanks at the ends of char arrays; with a cell among them, element by element, blanks kept."""
    cells = [v for v in values if is_cell(v)]
    if cells:
        size = next((c.shape for c in cells if c.size != 1), (1, 1))
        count = int(np.prod(size))
        columns = [texts(v, "strcat") * (count if not is_cell(v) or numel(v) == 1 else 1) for v in values]
        if any(len(c) != count for c in columns):
            raise MatlabError("strcat: the cells must be of one size.")
        limits.room((1, sum(len(t) for c in columns for t in c)), 4)
        return cell(["".join(parts) for parts in zip(*columns, strict=True)], size)
    if all(is_text(v) for v in values):
        kept = "".join(
            v.value if isinstance(v, String) else v.rstrip(BLANKS) if isinstance(v, str) else "" for v in values
        )
        return String(kept) if any(isinstance(v, String) for v in values) else kept
    return operators.concatenated([v for v in values if numel(v)], 1)


@pure("strjoin")
def strjoin(value: Any, delimiter: Any = " ") -> Any:
    parts = texts(value, "strjoin") if is_cell(value) else [text(value, "strjoin")]
    between = printf.escaped(text(delimiter, "strjoin"))
    limits.room((1, sum(map(len, parts)) + len(between) * len(parts)), 4)
    return between.join(parts)


@pure("strsplit")
def strsplit(value: Any, delimiter: Any = None, *options: Any) -> Any:
    """At each delimiter (blanks without one); several in a row count as one, unless 'CollapseDelimiters' is false."""
    delimiters = [" "] if delimiter is None else [printf.escaped(t) for t in texts(delimiter, "strsplit")]
    collapse = True
    for name, given in zip(options[::2], options[1::2], strict=False):
        if text(name, "strsplit").lower() != "collapsedelimiters":
            raise MatlabError(f"strsplit: the option {text(name, 'strsplit')!r} is not known here")
        collapse = bool(numbers(given).item())
    words = text(value, "strsplit")
    limits.spend(len(words) / 10)
    parts, at, start = [], 0, 0
    while at < len(words):
        found = max((d for d in delimiters if d and words.startswith(d, at)), key=len, default=None)
        if found is None:
            at += 1
            continue
        parts.append(words[start:at])
        at += len(found)
        while collapse and (
            again := max((d for d in delimiters if d and words.startswith(d, at)), key=len, default=None)
        ):
            at += len(again)
        start = at
    return cell([*parts, words[start:]])


@builtin("strtok")
def strtok(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    words = text(args[0], "strtok")
    ends = text(args[1], "strtok") if len(args) > 1 else BLANKS
    start = next((i for i, c in enumerate(words) if c not in ends), len(words))
    stop = next((i for i in range(start, len(words)) if words[i] in ends), len(words))
    return [words[start:stop], words[stop:]]


@pure("strfind")
def strfind(value: Any, pattern: Any, *options: Any) -> Any:
    wanted = text(pattern, "strfind")

    def places(words: str) -> Any:
        found = [i + 1.0 for i in range(len(words) - len(wanted) + 1) if words.startswith(wanted, i)] if wanted else []
        return row(found) if found else empty()

    return each(value, places, "strfind")


@pure("blanks")
def blanks(count: Any) -> Any:
    limits.room((1, whole(count, "blanks")), 4)
    return " " * whole(count, "blanks")


@pure("strvcat")
def strvcat(*values: Any) -> Any:
    return printf.rows([t for v in values for t in texts(v, "strvcat") if t])


@pure("strjust")
def strjust(value: Any, side: Any = "right") -> Any:
    words = text(value, "strjust")
    kinds = {"right": str.rjust, "left": str.ljust, "center": str.center}
    return kinds[text(side, "strjust")](words.strip(), len(words))


def _characters(name: str, function: Callable[[str], bool]) -> None:
    def called(value: Any) -> Any:
        if not is_char(value):
            return np.zeros(shape(value), bool)
        found = codes(value)
        return np.array([function(chr(c)) for c in found.ravel().tolist()], bool).reshape(found.shape)

    pure(name)(called)


_characters("isspace", lambda c: c in " \t\n\v\f\r")
_characters("isletter", str.isalpha)


@pure("isstrprop")
def isstrprop(value: Any, kind: Any) -> Any:
    tests = {
        "alpha": str.isalpha,
        "digit": str.isdigit,
        "alphanum": str.isalnum,
        "upper": str.isupper,
        "lower": str.islower,
        "wspace": str.isspace,
    }
    found = codes(value)
    test = tests[text(kind, "isstrprop")]
    return np.array([test(chr(c)) for c in found.ravel().tolist()], bool).reshape(found.shape)


# numbers and texts


@pure("sprintf")
def sprintf(template: Any, *values: Any) -> Any:
    written = printf.sprintf(text(template, "sprintf"), values)
    return String(written) if isinstance(template, String) else written


pure("num2str")(printf.num2str)
pure("int2str")(printf.int2str)


@pure("mat2str")
def mat2str(value: Any, digits: Any = None, *more: Any) -> Any:
    return printf.mat2str(value, 15 if digits is None or is_text(digits) else whole(digits, "mat2str"))


@pure("str2double")
def str2double(value: Any) -> Any:
    def parsed(item: Any) -> float:
        if not is_text(item):
            return np.nan
        words = text(item, "str2double").strip().replace(",", "").replace("d", "e").replace("D", "e")
        try:
            return np.nan if "_" in words else float(words)
        except ValueError:
            return np.nan

    if is_cell(value):
        return np.array([parsed(item) for item in value.ravel(order="F")]).reshape(value.shape, order="F")
    return number(parsed(value))


@pure("str2num")
def str2num(value: Any) -> Any:
    """Numbers, in brackets or not; expressions are not evaluated."""
    words = text(value, "str2num").strip().strip("[]")
    try:
        lines = [[float(part) for part in line.replace(",", " ").split()] for line in words.split(";")]
        return np.array([line for line in lines if line]) if any(lines) else empty()
    except ValueError:
        raise MatlabError(
            f"str2num: numbers are right, {text(value, 'str2num')!r} came: texts are not evaluated"
        ) from None


@pure("dec2bin")
def dec2bin(value: Any, length: Any = None) -> Any:
    return _digits(value, "b", length, "dec2bin")


@pure("dec2hex")
def dec2hex(value: Any, length: Any = None) -> Any:
    return _digits(value, "X", length, "dec2hex")


def _digits(value: Any, base: str, length: Any, who: str) -> str:
    least = 0 if length is None else whole(length, who)
    limits.room((1, least))
    return format(whole(value, who), base).rjust(least, "0")


pure("bin2dec")(lambda value: number(int(text(value, "bin2dec"), 2)))
pure("hex2dec")(lambda value: number(int(text(value, "hex2dec"), 16)))


@pure("isvarname")
def isvarname(value: Any) -> Any:
    words = text(value, "isvarname") if is_text(value) else ""
    return logical(words.isidentifier() and words.isascii() and not words.startswith("_"))


@pure("newline")
def newline() -> Any:
    return "\n"


@pure("regexptranslate")
def regexptranslate(kind: Any, value: Any) -> Any:
    if text(kind, "regexptranslate") != "escape":
        raise MatlabError("regexptranslate: 'escape' is right")
    return "".join("\\" + c if c in "$^.*+?|()[]{}\\" else c for c in text(value, "regexptranslate"))

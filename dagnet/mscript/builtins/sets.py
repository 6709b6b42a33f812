"""unique, ismember, union, intersect, setdiff: of numbers and of cells of texts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import operators
from ..failures import NotSupported
from ..values import cell, chars, is_cell, is_char, is_text, logical, number, numel, shape, text, texts
from .table import builtin

if TYPE_CHECKING:
    from ..interpreter import Interpreter


def _keys(value: Any, who: str) -> list[Any]:
    if is_cell(value):
        return texts(value, who)
    return operators.operand(value, who).ravel(order="F").tolist()


def _words(args: list[Any], who: str) -> list[str]:
    words = [text(a, who).lower() for a in args]
    if "rows" in words or "legacy" in words:
        raise NotSupported(f"{who} by rows, or as it was once, is not known here")
    return words


def _made(keys: list[Any], like: Any, column: bool) -> Any:
    size = (len(keys), 1) if column else (1, len(keys))
    if is_cell(like):
        return cell(keys, size)
    array = np.array(keys, np.float64).reshape(size)
    if is_char(like):
        return chars(array.astype(np.uint32))
    return array.astype(like.dtype)


def _is_row(*values: Any) -> bool:
    """Whether the result lies in a row: where all that came with several elements do."""
    return all(shape(v)[0] == 1 and len(shape(v)) == 2 for v in values)


def _column(*values: Any) -> bool:
    return not _is_row(*values)


def _places(found: list[int]) -> np.ndarray:
    return np.array(found, float).reshape(-1, 1) + 1.0


@builtin("unique")
def unique(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """[c, ia, ic] = unique(a, 'stable' | 'first' | 'last')"""
    words = _words(args[1:], "unique")
    keys = _keys(args[0], "unique")
    first: dict[Any, int] = {}
    for i, key in enumerate(keys):
        if "last" in words or key not in first or key != key:
            first[key if key == key else (i,)] = i  # each NaN is one of its own
    order = sorted(first.values(), key=lambda i: i if "stable" in words else _sorting(keys[i]))
    found = [keys[i] for i in order]
    lookup = {keys[i]: n for n, i in enumerate(order)}
    like = args[0]
    column = _column(like) or (is_cell(like) and shape(like)[0] != 1)
    made = np.zeros(shape(like)) if not keys and not is_cell(like) else _made(found, like, column)
    return [made, _places(order), _places([lookup[k] for k in keys])]


def _sorting(key: Any) -> Any:
    return (key != key, key) if not isinstance(key, str) else key


@builtin("ismember")
def ismember(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """[is, where] = ismember(a, set): of a text in a cell of texts, of texts, of numbers."""
    _words(args[2:], "ismember")
    value, among = args[:2]
    if is_cell(among):
        places: dict[Any, int] = {}
        for i, item in enumerate(among.ravel(order="F")):
            if is_text(item):
                places.setdefault(text(item, "ismember"), i + 1)
        if is_cell(value):
            found = [places.get(t, 0) for t in texts(value, "ismember")]
            where = np.array(found, float).reshape(value.shape, order="F")
            return [where > 0, where]
        place = places.get(text(value, "ismember"), 0)
        return [logical(place > 0), number(place)]
    numbers_in: dict[Any, int] = {}
    for i, key in enumerate(_keys(among, "ismember")):
        numbers_in.setdefault(key, i + 1)
    if is_cell(value):
        value = cell([value]) if not is_char(among) else value
        found = [int(t == text(among, "ismember")) for t in texts(value, "ismember")]
    else:
        found = [numbers_in.get(k, 0) if k == k else 0 for k in _keys(value, "ismember")]
    where = np.array(found, float).reshape(shape(value), order="F")
    return [where > 0, where]


def _of_two(name: str, keep: Any) -> None:
    def called(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
        words = _words(args[2:], name)
        a, b = args[:2]
        a = cell([a]) if is_cell(b) and is_text(a) else a
        b = cell([b]) if is_cell(a) and is_text(b) else b
        first, second = _keys(a, name), _keys(b, name)
        keys = keep(first, second)
        if "stable" not in words:
            keys = sorted(keys, key=_sorting)
        like = a if numel(a) or is_cell(a) else b
        rows = [v for v in ((a,) if name == "setdiff" else (a, b)) if numel(v)]
        made = _made(
            keys, like, bool(rows) and not any(_is_row(v) for v in rows) if name != "union" else _column(*rows)
        )
        return [
            made,
            _places([first.index(k) for k in keys if k in first]),
            _places([second.index(k) for k in keys if k in second]),
        ]

    builtin(name)(called)


_of_two("union", lambda a, b: list(dict.fromkeys([*a, *b])))
_of_two("intersect", lambda a, b: [k for k in dict.fromkeys(a) if k in set(b)])
_of_two("setdiff", lambda a, b: [k for k in dict.fromkeys(a) if k not in set(b)])
_of_two(
    "setxor", lambda a, b: [*(k for k in dict.fromkeys(a) if k not in b), *(k for k in dict.fromkeys(b) if k not in a)]
)

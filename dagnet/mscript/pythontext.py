"""Python source for values: laid out so that `ruff format` leaves it as it is, whatever its line length from 88 on.

What fits in 88 columns stands in one line; of what does not, each part has a line of its own, with a comma at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from dagnet.files import matvalues

WIDTH = 88
SHORT = 10  # a list of more numbers is packed into lines, or told by its runs
MOST_NUMBERS = 2000


@dataclass
class Group:
    """Parts between brackets: a call, a list, a dict; each part has words before it: `pad=` or `"name": `."""

    opening: str
    parts: list[tuple[str, "Text"]]
    closing: str

    def __str__(self) -> str:
        return f"{self.opening}{', '.join(f'{before}{part}' for before, part in self.parts)}{self.closing}"


Text = str | Group


def call(name: str, *args: Text, **keywords: Text) -> Group:
    """name(args, keyword=...)"""
    return Group(f"{name}(", [*(("", a) for a in args), *((f"{n}=", v) for n, v in keywords.items())], ")")


def listed(parts: Sequence[Text]) -> Group:
    """[parts]"""
    return Group("[", [("", part) for part in parts], "]")


def laid_out(before: str, text: Text, after: str = "", indent: int = 4) -> list[str]:
    """The lines of a statement, or of a part of one."""
    line = f"{' ' * indent}{before}{text}{after}"
    if len(line) <= WIDTH or isinstance(text, str) or not text.parts:
        return [line]
    lines = [f"{' ' * indent}{before}{text.opening}"]
    for words, part in text.parts:
        lines += laid_out(words, part, ",", indent + 4)
    return [*lines, f"{' ' * indent}{text.closing}{after}"]


def quoted(text: str) -> str:
    """A text as ruff quotes it."""
    shown = repr(text)
    if shown[0] == "'" and '"' not in text:
        return f'"{shown[1:-1]}"'
    return shown


def number(value: Any) -> str:
    """A number in Python's shortest form; NaN and infinity by name."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    return repr(value)


@dataclass
class Writer:
    """Renders values; long lists of numbers are put into variables of their own, `hoisted` before the statement."""

    where: str = ""
    hoisted: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)

    def value(self, value: Any, exact: bool = False) -> Text:
        """A value of dagnet's or of MATLAB's. Raises ValueError for what has no short form.

        exact   MATLAB's arrays stay arrays: within a cell or a struct array nobody makes them of lists again
        """
        if isinstance(value, str):
            return quoted(value)
        if value is None or isinstance(value, (bool, np.bool_, int, float, np.number)):
            return number(value)
        if isinstance(value, dict):
            return Group("{", [(f"{quoted(n)}: ", self.value(v, exact)) for n, v in value.items()], "}")
        if isinstance(value, (list, tuple)):
            return self._sequence(list(value))
        if isinstance(value, np.ndarray) and value.dtype == object:
            return self._cell(value, exact)
        if isinstance(value, np.ndarray):
            return self.array(value, plain=not exact)
        if isinstance(value, matvalues.StructArray):
            self.imports.add("from dagnet.files import matvalues")
            records = listed([self.value(record, exact=True) for record in value.records])
            return call("matvalues.struct", self.value(list(value.fields)), self.value(list(value.shape)), records)
        raise ValueError(f"{self.where}: {matvalues.describe(value)} cannot be said in Python; a .mat file can hold it")

    def array(self, value: np.ndarray, plain: bool = True) -> Text:
        """An array; where `plain`, a lone double is a number, a row of them a list, and [] is None, as in a net's meta."""
        constant = bool(value.size) and bool((value == value.flat[0]).all())
        if value.size > MOST_NUMBERS and not constant:
            raise ValueError(
                f"{self.where}: {value.size:,} numbers are too many for Python's text; a .mat file holds them"
            )
        double = plain and value.dtype == np.float64
        if double and value.shape == (0, 0):
            return "None"
        if (double or (plain and value.dtype == bool)) and value.shape == (1, 1):
            return number(value.item())
        if double and value.ndim == 2 and value.shape[0] == 1 and value.size:
            return self._sequence(value.ravel().tolist())
        self.imports.add("import numpy as np")
        kind = "bool" if value.dtype == bool else "str" if value.dtype.kind == "U" else f"np.{value.dtype.name}"
        if constant and value.dtype.kind != "U":
            makes = {0: "np.zeros", 1: "np.ones"}.get(value.flat[0])
            shape = _tuple(value.shape)
            return call(makes, shape, kind) if makes else call("np.full", shape, number(value.flat[0]), kind)
        made = call("np.array", self._sequence(value.ravel().tolist()), kind)
        made.closing = f").reshape{_tuple(value.shape)}" if value.ndim > 1 else ")"
        return made

    def _sequence(self, items: list[Any]) -> Text:
        """A list; of numbers that repeat, [*[0.1] * 30, *[0.01] * 10]."""
        if not all(isinstance(v, (int, float)) for v in items):
            return listed([self.value(item) for item in items])
        if len(items) <= SHORT:
            return listed([number(v) for v in items])
        runs = [(key, len(list(run))) for key, run in groupby(items)]
        if len(runs) < len(items) / 2:
            return listed([f"*[{number(key)}] * {count}" if count > 1 else number(key) for key, count in runs])
        return self.packed([number(v) for v in items], "numbers")

    def packed(self, shown: list[str], variable: str) -> str:
        """The name of a variable that holds these, which is written before the statement, many in a line."""
        taken = sum(line.startswith(f"    {variable}") for line in self.hoisted)
        name = f"{variable}_{taken + 1}" if taken else variable
        lines = [""]
        for text in shown:
            if len(lines[-1]) + len(text) + 2 > WIDTH - 8:
                lines.append("")
            lines[-1] += f"{text}, "
        self.hoisted += ["    # fmt: off", f"    {name} = ["]
        self.hoisted += [f"        {line.rstrip()}" for line in lines] + ["    ]", "    # fmt: on"]
        return name

    def _cell(self, value: np.ndarray, exact: bool) -> Text:
        items = list(value.ravel(order="F"))
        row = value.ndim == 2 and value.shape[0] == 1
        if row and not exact and not all(isinstance(v, np.ndarray) and v.dtype != object for v in items):
            return listed([self.value(item) for item in items])
        self.imports.add("from dagnet.files import matvalues")
        made = call("matvalues.row", listed([self.value(item, exact=True) for item in items]))
        if not row and value.shape != (0, 0):
            made.closing = f').reshape({_tuple(value.shape)}, order="F")'
        return made


def _tuple(shape: Sequence[int]) -> str:
    return f"({', '.join(str(n) for n in shape)}{',' if len(shape) == 1 else ''})"

"""A table written as text for a terminal, for LaTeX, or as comma-separated values.

A table is what MatConvNet prints: a label a row and, beside the labels, a column a layer (or variable, or parameter).
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan

from . import facts

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}


@dataclass
class Table:
    """labels (R), columns of R cells each, and after how many rows a rule stands."""

    labels: list[str]
    columns: list[list[str]]
    rules: Sequence[int] = (1,)

    def rows(self) -> list[list[str]]:
        """The rows, each with its label first."""
        return [list(row) for row in zip(self.labels, *self.columns, strict=True)]

    def wrapped(self, width: int) -> Iterator["Table"]:
        """The same table in pieces of at most that many columns besides the labels."""
        for start in range(0, len(self.columns), width):
            yield Table(self.labels, self.columns[start : start + width], self.rules)


def text(tables: Sequence[Table], form: str, width: int) -> str:
    """The tables one below the other, as "ascii", "latex" or "csv", in pieces of at most `width` columns (csv: whole).

    Raises ValueError for another format, and for a width below 1.
    """
    check(form)
    if width < 1:
        raise ValueError(f"max_num_columns: it is {width}; at least 1 is right")
    whole = form == "csv"
    pieces = [piece for table in tables for piece in ([table] if whole else table.wrapped(width)) if table.columns]
    return "\n\n".join(FORMATS[form](piece) for piece in pieces)


def check(form: str, *others: str) -> None:
    """Raises ValueError for what is neither a format of tables nor one of the others."""
    if form not in (known := [*FORMATS, *others]):
        raise ValueError(f"format: it is {form!r}; one of {', '.join(known)} is right")


def memory(size: float) -> str:
    """Bytes as MatConvNet writes them: 7KB; ? where unknown."""
    if isnan(size):
        return "?"
    number, unit = facts.scaled(size)
    return f"{number:.0f}{unit}"


def _ascii(table: Table) -> str:
    """Cells flush right between bars."""
    rows = table.rows()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["".join(f"{cell:>{width}}|" for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "".join("-" * width + "|" for width in widths)
    for after in sorted(table.rules, reverse=True):
        lines.insert(after, rule)
    return "\n".join(lines)


def _latex(table: Table) -> str:
    """A tabular with a line for each row."""
    lines = [f"\\begin{{tabular}}{{|r|{'c|' * len(table.columns)}}}", r"\hline"]
    for number, row in enumerate(table.rows(), 1):
        lines.append(" & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\")
        if number in table.rules:
            lines.append(r"\hline")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"])


def _csv(table: Table) -> str:
    """Quoted where a cell needs it."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table.rows())
    return out.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[Table], str]] = {"ascii": _ascii, "latex": _latex, "csv": _csv}

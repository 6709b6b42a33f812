"""All that would not run in a script, found without running it: unknown functions and constructs, what is refused.

A name is known where it is a variable of its function, a function of the script or of a file beside it (these are looked into
as well), a builtin, or defined. What only a run can tell (sizes, fields, which branch is taken) is not looked at,
nor what stands in `if 0`.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from . import names, refused
from . import syntax as tree
from .builtins import table
from .failures import NotMatlab, Place, Refused
from .library import Library, unknown

NEVER = (tree.Number("0"),)  # if 0, ..., end


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that would not run: where, what it is called ('' for a construct), and why.

    `guarded`: it stands in a download step, which is only taken where the file is not there.
    """

    place: Place
    name: str
    why: str
    guarded: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.why}" + (" (only where that file is not there)" if self.guarded else "")


def check(path: str | os.PathLike, define: Mapping[str, str | Callable[..., Any]] | None = None) -> list[Finding]:
    """What would not run in the file at that path and in those that it calls, in their order; empty if all is known.

    Raises OSError if the file cannot be read, ImportError without the extra `matlab`, ValueError for a wrong definition.
    """
    library = Library(define, Path(path).parent)
    waiting, seen, found = [Path(path)], set(), []
    while waiting:
        file_path = waiting.pop(0)
        if file_path.resolve() in seen:
            continue
        seen.add(file_path.resolve())
        try:
            file = library.parsed(file_path)
        except NotMatlab as error:
            found.append(Finding(error.place or Place(str(file_path), 1, ""), "", error.message))
            continue
        for function in _functions(file):
            for item in _in_function(function, library):
                if isinstance(item, Finding):
                    found.append(item)
                else:
                    waiting.append(item)
    return found


def _functions(file: tree.File) -> Iterator[tree.Function]:
    waiting = [*([file.script] if file.script else []), *file.functions.values()]
    while waiting:
        function = waiting.pop(0)
        yield function
        waiting[:0] = function.nested.values()


def _in_function(function: tree.Function, library: Library) -> Iterator[Finding | Path]:
    """What would not run in one function, and the files that it calls."""
    variables = names.made(function)
    blocks = frozenset(id(arg) for arg in names.block_arguments(function.body))
    outer = function.outer
    while outer is not None:
        variables |= names.made(outer)
        outer = outer.outer
    loads = any(isinstance(n, tree.Evaluate) and names.calls(n.value, {"load"}) for n in names.nodes(function.body))
    told = set()
    for use in _uses(function.body, frozenset(variables)):
        place = Place(function.file.path, use.line, function.file.text_of(use.line))
        if use.construct:
            yield Finding(place, "", f"{use.construct} is not known here")
            continue
        dotted = [".".join((use.name, *use.fields[:n])) for n in range(len(use.fields), -1, -1)]
        if use.name not in refused.REASONS and any(d in library.defined or table.find(d) for d in dotted):
            continue
        try:
            called = library.find(use.name, function)
        except Refused as error:
            yield Finding(place, use.name, error.message, use.guarded)
            continue
        except NotMatlab as error:
            yield Finding(error.place or place, "", error.message)
            continue
        if isinstance(called, tree.Function):
            yield Path(called.file.path)
        elif called is None and use.node in blocks:  # a custom block, which is kept by its name
            continue
        elif called is None and (use.name, use.line) not in told and not loads:
            told.add((use.name, use.line))
            yield Finding(place, use.name, unknown(dotted[0]).message)


@dataclasses.dataclass(frozen=True)
class _Use:
    """A name that is no variable, with the fields that follow it; or a construct that is not known."""

    name: str
    line: int
    fields: tuple[str, ...] = ()
    construct: str = ""
    guarded: bool = False
    node: int = 0  # its id


def _uses(part: Any, variables: frozenset[str], guarded: bool = False) -> Iterator[_Use]:
    if isinstance(part, tuple):
        for item in part:
            yield from _uses(item, variables, guarded)
    elif isinstance(part, tree.Unsupported):
        yield _Use("", part.line, construct=part.what)
    elif isinstance(part, tree.FunctionRef):
        first, *fields = part.name.split(".")
        if first not in variables:
            yield _Use(first, part.line, tuple(fields), guarded=guarded)
    elif isinstance(part, tree.Lambda):
        yield from _uses(part.body, variables | set(part.parameters), guarded)
    elif isinstance(part, tree.If):
        for condition, body in part.branches:
            if condition in NEVER:
                continue
            yield from _uses(condition, variables, guarded)
            yield from _uses(body, variables, guarded or bool(refused.download(condition, body)))
        yield from _uses(part.otherwise, variables, guarded)
    elif dataclasses.is_dataclass(part):
        if isinstance(part, tree.Chain) and isinstance(part.base, str) and part.base not in variables:
            steps = takewhile(lambda s: isinstance(s, tree.Field) and isinstance(s.name, str), part.steps)
            yield _Use(part.base, part.line, tuple(s.name for s in steps), guarded=guarded, node=id(part))  # type: ignore[union-attr, misc]
        for field in dataclasses.fields(part):
            yield from _uses(getattr(part, field.name), variables, guarded)

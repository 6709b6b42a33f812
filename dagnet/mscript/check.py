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

from . import names, refused, training
from . import syntax as tree
from .builtins import table
from .failures import NotMatlab, Place, Refused
from .library import Library, unknown

NEVER = (tree.Number("0"),)  # if 0, ..., end
GUARDED = "only where that file is not there"
LEFT_OUT = "left out: the network does not hang on it"
UNCALLED = "only in {name}, which nothing here calls"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that would not run: where, what it is called ('' for a construct), and why.

    `condition`: why it may keep nothing from running. It stands in a download step, or is left out as data for a training
    (training.dispensable), or in a function that nothing calls; '' where it will stop the script.
    """

    place: Place
    name: str
    why: str
    condition: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.why}" + (f" ({self.condition})" if self.condition else "")


def check(path: str | os.PathLike, define: Mapping[str, str | Callable[..., Any]] | None = None) -> list[Finding]:
    """What would not run in the file at that path and in those that it calls, in their order; empty if all is known.

    Raises OSError if the file cannot be read, ImportError without the extra `matlab`, ValueError for a wrong definition.
    """
    library = Library(define, Path(path).parent)
    waiting, seen, found = [(Path(path), "")], set(), []
    while waiting:
        waiting.sort(key=lambda item: bool(item[1]))  # what is called for certain comes first
        file_path, condition = waiting.pop(0)
        if file_path.resolve() in seen:
            continue
        seen.add(file_path.resolve())
        try:
            file = library.parsed(file_path)
        except NotMatlab as error:
            found.append(Finding(error.place or Place(str(file_path), 1, ""), "", error.message))
            continue
        reached = _reached(file, condition)
        for function in _functions(file):
            for item in _in_function(
                function, library, reached.get(function.name, UNCALLED.format(name=function.name))
            ):
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


def _reached(file: tree.File, condition: str) -> dict[str, str]:
    """The functions that are called when the file's main one is, and each one's condition."""
    own = {function.name: function for function in _functions(file)}
    found: dict[str, str] = {}
    waiting = [(file.main.name, condition)]
    while waiting:
        waiting.sort(key=lambda item: bool(item[1]))
        name, condition = waiting.pop(0)
        if name not in own or name in found:
            continue
        found[name] = condition
        waiting += [(use.name, condition or use.condition) for use in _uses_in(own[name])]
        waiting += [(t.value, condition) for t in names.nodes(own[name].body) if isinstance(t, tree.Text)]
    return found


def _in_function(function: tree.Function, library: Library, condition: str) -> Iterator[Finding | tuple[Path, str]]:
    """What would not run in one function, and the files that it calls; what it does is under that condition."""
    variables = names.made(function)
    blocks = frozenset(id(arg) for arg in names.block_arguments(function.body))
    outer = function.outer
    while outer is not None:
        variables |= names.made(outer)
        outer = outer.outer
    loads = any(isinstance(n, tree.Evaluate) and names.calls(n.value, {"load"}) for n in names.nodes(function.body))
    told = set()
    for use in _uses_in(function, frozenset(variables)):
        why = condition or use.condition
        place = Place(function.file.path, use.line, function.file.text_of(use.line))
        if use.construct:
            yield Finding(place, "", f"{use.construct} is not known here", why)
            continue
        dotted = [".".join((use.name, *use.fields[:n])) for n in range(len(use.fields), -1, -1)]
        if use.name not in refused.REASONS and any(d in library.defined or table.find(d) for d in dotted):
            continue
        try:
            called = library.find(use.name, function)
        except Refused as error:
            yield Finding(place, use.name, error.message, why)
            continue
        except NotMatlab as error:
            yield Finding(error.place or place, "", error.message, why)
            continue
        if isinstance(called, tree.Function):
            yield Path(called.file.path), why
        elif called is None and use.node in blocks:  # a custom block, which is kept by its name
            continue
        elif called is None and (use.name, use.line) not in told and not loads:
            told.add((use.name, use.line))
            yield Finding(place, use.name, unknown(dotted[0]).message, why)


@dataclasses.dataclass(frozen=True)
class _Use:
    """A name that is no variable, with the fields that follow it; or a construct that is not known."""

    name: str
    line: int
    fields: tuple[str, ...] = ()
    construct: str = ""
    condition: str = ""
    node: int = 0  # its id


def _uses_in(function: tree.Function, variables: frozenset[str] = frozenset()) -> Iterator[_Use]:
    """What a function's statements use: those that a training can do without under that condition."""
    free, _ = training.dispensable(function)
    trainers = training.trainers(function.body)
    for statement in function.body:
        yield from _uses(statement, variables, trainers, LEFT_OUT if id(statement) in free else "")


def _uses(part: Any, variables: frozenset[str], trainers: frozenset[str], condition: str) -> Iterator[_Use]:
    if isinstance(part, tuple):
        for item in part:
            yield from _uses(item, variables, trainers, condition)
    elif isinstance(part, tree.Unsupported):
        yield _Use("", part.line, construct=part.what, condition=condition)
    elif isinstance(part, tree.FunctionRef):
        first, *fields = part.name.split(".")
        if first not in variables:
            yield _Use(first, part.line, tuple(fields), condition=condition)
    elif isinstance(part, tree.Lambda):
        yield from _uses(part.body, variables | set(part.parameters), trainers, condition)
    elif isinstance(part, tree.If):
        for asked, body in part.branches:
            if asked in NEVER:
                continue
            yield from _uses(asked, variables, trainers, condition)
            guard = GUARDED if refused.download(asked, body) else ""
            yield from _uses(body, variables, trainers, condition or guard)
        yield from _uses(part.otherwise, variables, trainers, condition)
    elif dataclasses.is_dataclass(part):
        if isinstance(part, tree.Chain) and isinstance(part.base, str):
            if part.base not in variables:
                steps = takewhile(lambda s: isinstance(s, tree.Field) and isinstance(s.name, str), part.steps)
                dotted = tuple(s.name for s in steps)  # type: ignore[union-attr]
                yield _Use(part.base, part.line, dotted, condition=condition, node=id(part))
            if part.base in trainers and part.steps:
                whole, part = part, training.of_network(part)
                yield from _uses(whole.steps[0], variables, trainers, condition or LEFT_OUT)
        for field in dataclasses.fields(part):
            yield from _uses(getattr(part, field.name), variables, trainers, condition)

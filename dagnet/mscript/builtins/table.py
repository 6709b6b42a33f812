"""The table of what a script can call by name.

A builtin takes the interpreter, the values of its arguments, and how many outputs are wanted (0: a statement of its own), and
returns its outputs, of which there may be more than are wanted. `@builtin("zeros")` enters it; `@pure("floor")` enters a Python
function of values that returns one value. Dotted names ("dagnn.DagNN.fromSimpleNN") are names like others.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..failures import MatlabError

if TYPE_CHECKING:
    from ..interpreter import Interpreter

Builtin = Callable[["Interpreter", list[Any], int], list[Any]]

TABLE: dict[str, Builtin] = {}

# Each is asked for a name that is not in the table, and may know it: "dagnn.TheirBlock".
RESOLVERS: list[Callable[[str], Builtin | None]] = []


def builtin(*names: str) -> Callable[[Builtin], Builtin]:
    """Enters a function under these names."""

    def enter(function: Builtin) -> Builtin:
        for name in names:
            TABLE[name] = function
        return function

    return enter


def pure(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enters a function of values alone, which returns one value, under these names."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        least = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
        most = float("inf") if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(parameters)

        def called(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
            if not least <= len(args) <= most:
                raise MatlabError(
                    f"{names[0]}: {'not enough' if len(args) < least else 'too many'} input arguments, {len(args)} came.",
                    "MATLAB:minrhs" if len(args) < least else "MATLAB:maxrhs",
                )
            return [function(*args)]

        for name in names:
            TABLE[name] = called
        return function

    return enter


def find(name: str) -> Builtin | None:
    """The builtin of that name, or None."""
    if name in TABLE:
        return TABLE[name]
    return next((found for ask in RESOLVERS if (found := ask(name))), None)

"""The table of what a script can call by name.

A builtin takes the interpreter, the values of its arguments, and how many outputs are wanted (0: a statement of its own), and
returns its outputs, of which there may be more than are wanted. `@builtin("zeros")` enters it. Dotted names
("dagnn.DagNN.fromSimpleNN") are names like others.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..interpreter import Interpreter

Builtin = Callable[["Interpreter", list[Any], int], list[Any]]

TABLE: dict[str, Builtin] = {}

# Each is asked for a dotted name that is not in the table, and may know it: "dagnn.TheirBlock".
RESOLVERS: list[Callable[[str], Builtin | None]] = []


def builtin(*names: str) -> Callable[[Builtin], Builtin]:
    """Enters a function under these names."""

    def enter(function: Builtin) -> Builtin:
        for name in names:
            TABLE[name] = function
        return function

    return enter


def find(name: str) -> Builtin | None:
    """The builtin of that name, or None."""
    if name in TABLE or "." not in name:
        return TABLE.get(name)
    return next((found for ask in RESOLVERS if (found := ask(name))), None)

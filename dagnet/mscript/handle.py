"""Objects that a script holds by reference: a DagNN, a block, a containers.Map. What the interpreter asks of them.

    net.layers                   get("layers")
    net.layers = v               set("layers", v)
    net.layers(5).block.pad = 1  v = get("layers"); in v, block is a Handle: block.set("pad", 1); then set("layers", v)
    net.addLayer(a, b)           call("addLayer", [a, b], 0)            since "addLayer" is in methods()
    addLayer(net, a, b)          the same
    map('key'), map('key') = v   index(["key"]), assign_index(["key"], v)

A struct array that get() gives is a value: it is changed in a copy, which set() is then given whole. Assigning a Handle to a
second variable makes no copy of it, as in MATLAB.
"""

from collections.abc import Collection
from typing import Any

from .failures import MatlabError


class Handle:
    """An object of a MATLAB class. Each method here raises MatlabError until a class has its own."""

    class_name = "handle"

    def is_a(self, class_name: str) -> bool:
        """What MATLAB's isa() answers."""
        return class_name in (self.class_name, "handle")

    def methods(self) -> Collection[str]:
        """The names that call() takes."""
        return ()

    def properties(self) -> Collection[str]:
        """The names that get() takes, in MATLAB's order; isprop() asks for them."""
        return ()

    def shape(self) -> tuple[int, ...]:
        """What size() answers."""
        return (1, 1)

    def get(self, name: str) -> Any:
        """The property of that name."""
        raise _missing(f"{self.class_name} has no property '{name}'")

    def set(self, name: str, value: Any) -> None:
        """Gives the property of that name another value."""
        raise _missing(f"{self.class_name} has no property '{name}' that can be set")

    def call(self, name: str, args: list[Any], nargout: int) -> list[Any]:
        """The outputs of the method of that name; nargout is 0 where a statement takes none."""
        raise _missing(f"{self.class_name} has no method '{name}'")

    def index(self, args: list[Any]) -> Any:
        """What object(args) means."""
        raise _missing(f"{self.class_name} cannot be indexed")

    def assign_index(self, args: list[Any], value: Any) -> None:
        """What object(args) = value means."""
        raise _missing(f"{self.class_name} cannot be indexed")


def _missing(message: str) -> MatlabError:
    return MatlabError(message, "MATLAB:noSuchMethodOrField")

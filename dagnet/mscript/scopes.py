"""The variables of one call of a function."""

from collections.abc import Iterator
from typing import Any, Optional

from . import names, syntax


class Frame:
    """One call: its variables, how many arguments came and how many outputs are wanted.

    Global and persistent names live elsewhere: `links` says where. A nested function's frame shares the outer function's
    variables, but for its own parameters and outputs. An anonymous function's frame knows the one that it was written in.
    """

    def __init__(
        self, function: syntax.Function, outer: Optional["Frame"] = None, nargin: int = 0, nargout: int = 0
    ) -> None:
        self.function = function
        self.nargin = nargin
        self.nargout = nargout
        self.variables: dict[str, Any] = {}
        self.links: dict[str, dict[str, Any]] = {}
        self.outer = outer
        self.written_in: Frame | None = None
        self._shared: frozenset[str] = frozenset()
        if outer is not None:
            own = {*function.parameters, *function.outputs}
            self._shared = (names.mentioned(outer.function) | outer._shared) - own

    def _home(self, name: str) -> dict[str, Any]:
        if name in self.links:
            return self.links[name]
        if self.outer is not None and name in self._shared:
            return self.outer._home(name)
        return self.variables

    def __contains__(self, name: str) -> bool:
        return name in self._home(name)

    def __getitem__(self, name: str) -> Any:
        return self._home(name)[name]

    def get(self, name: str) -> Any:
        """The variable of that name; None where there is none."""
        return self._home(name).get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._home(name)[name] = value

    def __delitem__(self, name: str) -> None:
        self._home(name).pop(name, None)
        self.links.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        yield from self.variables
        yield from self.links

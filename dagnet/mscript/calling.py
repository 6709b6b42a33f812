"""Calls: by name, by handle, of anonymous functions; the frame that is running."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import library, limits, names
from . import syntax as tree
from .failures import LimitReached, MatlabError, ScriptError
from .handle import Handle
from .scopes import Frame
from .values import Anonymous, FunctionHandle, cell, class_of, dims, text

NOTHING = tree.Function("", (), (), (), tree.File("", []), 0)  # what runs before anything does


class Caller(ABC):
    """Calls functions. The evaluator, which knows what expressions are worth, is built on it."""

    library: library.Library
    budget: limits.Budget

    def __init__(self) -> None:
        self.frame = Frame(NOTHING)
        self.depth = 0
        self.ends: list[tuple[Any, int, int]] = []  # what `end` counts: the indexed value, which index, of how many

    @abstractmethod
    def values(self, node: tree.Expression, nargout: int = 1) -> list[Any]:
        """All the values of an expression; nargout is what a call in it is asked for."""

    @abstractmethod
    def call_function(self, function: tree.Function, args: list[Any], nargout: int, around: Frame | None) -> list[Any]:
        """The outputs of a script's own function; `around` is the frame of the function in which it is nested."""

    def handle_of(self, name: str) -> FunctionHandle:
        """@name, in the scope of the function that is running."""
        found = self.library.find(name, self.frame.function)
        own = found if isinstance(found, tree.Function) else None
        return FunctionHandle(name, own, self._frame_around(own) if own and own.outer else None)

    def call_named(self, name: str, args: list[Any], nargout: int = 1) -> list[Any]:
        """The outputs of the function of that name; an object's own methods come first.

        Raises NotSupported for a name that is not known, Refused for one that is refused.
        """
        owner = next((a for a in args if isinstance(a, Handle) and name in a.methods()), None)
        if owner is not None and self.library.local(name, self.frame.function) is None:
            return owner.call(name, [a for a in args if a is not owner], nargout)[: max(1, nargout)]
        found = self.library.find(name, self.frame.function)
        if found is None:
            if name in names.made(self.frame.function):
                raise MatlabError(f"Unrecognized function or variable '{name}'.", "MATLAB:UndefinedFunction")
            raise library.unknown(name)
        if isinstance(found, tree.Function):
            return self.call_function(found, args, nargout, self._frame_around(found))
        if name in self.library.defined:
            return library.to_values(found(*args))[: max(1, nargout)]
        try:
            outputs = found(self, args, nargout)[: max(1, nargout)]  # type: ignore[call-arg, arg-type]
        except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
            given = ", ".join(f"{dims(a)} {class_of(a)}" for a in args) or "no arguments"
            raise ScriptError(f"{name}: it does not take what came ({given})") from error
        for output in outputs:
            self.budget.follow(output)
        return outputs

    def call(self, function: Any, args: list[Any], nargout: int = 1) -> list[Any]:
        """The outputs of a handle, an anonymous function, or of the function of that name."""
        if isinstance(function, Anonymous):
            return self._call_anonymous(function, args, nargout)
        if isinstance(function, FunctionHandle):
            if function.function is not None:
                return self.call_function(function.function, args, nargout, function.frame)
            return self.call_named(function.name, args, nargout)
        return self.call_named(text(function, "a function"), args, nargout)

    def _frame_around(self, function: tree.Function) -> Frame | None:
        """The frame of the outer function that a nested one shares."""
        frame: Frame | None = self.frame if function.outer else None
        while frame is not None:
            frame = frame.written_in or frame
            if frame.function is function.outer:
                return frame
            frame = frame.outer
        return None

    def _call_anonymous(self, function: Anonymous, args: list[Any], nargout: int) -> list[Any]:
        parameters = function.node.parameters
        frame = Frame(function.frame.function, nargin=len(args), nargout=nargout)
        frame.written_in = function.frame
        frame.variables |= function.captured
        self.bind(frame, parameters, args)
        with self.entered(frame):
            return self.values(function.node.body, nargout)

    def bind(self, frame: Frame, parameters: Sequence[str], args: list[Any]) -> None:
        """Gives the parameters their values. Raises MatlabError where there are too many."""
        rest = bool(parameters) and parameters[-1] == "varargin"
        fixed = parameters[:-1] if rest else parameters
        if len(args) > len(fixed) and not rest:
            raise MatlabError(
                f"Too many input arguments: {len(args)} came, {len(fixed)} at most are right.", "MATLAB:TooManyInputs"
            )
        for name, value in zip(fixed, args, strict=False):
            if name != "~":
                frame.variables[name] = value
        if rest:
            left = args[len(fixed) :]
            frame.variables["varargin"] = cell(left, (1, len(left)) if left else (0, 0))

    @contextmanager
    def entered(self, frame: Frame) -> Iterator[None]:
        """While inside, that frame is the running one. Raises LimitReached for too deep a recursion."""
        limit = self.budget.limits.recursion
        if self.depth >= limit:
            raise LimitReached(f"calls within calls are deeper than {limit}; Limits(recursion=...) allows more")
        before = self.frame, self.ends
        self.frame, self.ends, self.depth = frame, [], self.depth + 1
        try:
            yield
        finally:
            (self.frame, self.ends), self.depth = before, self.depth - 1

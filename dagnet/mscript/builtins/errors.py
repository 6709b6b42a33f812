"""error, warning, rethrow, assert, MException, and the checks of arguments."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import printf
from ..failures import MatlabError, Place
from ..handle import Handle
from ..values import String, is_struct, is_text, number, text, truth
from .table import builtin

if TYPE_CHECKING:
    from ..interpreter import Interpreter


class MException(Handle):
    """What catch gives: err.message, err.identifier, err.stack."""

    class_name = "MException"

    def __init__(self, message: str, identifier: str, place: Place | None) -> None:
        self.message = message
        self.identifier = identifier
        self.place = place

    def is_a(self, class_name: str) -> bool:
        return class_name == "MException"

    def properties(self) -> tuple[str, ...]:
        return ("identifier", "message", "cause", "stack")

    def methods(self) -> tuple[str, ...]:
        return ("rethrow", "throw", "getReport", "addCause")

    def get(self, name: str) -> Any:
        if name in ("message", "identifier"):
            return getattr(self, name)
        if name == "stack":
            file, line = (self.place.file, self.place.line) if self.place else ("", 0)
            return {"file": file, "name": file.rpartition("/")[2].removesuffix(".m"), "line": number(line)}
        if name == "cause":
            return np.empty((0, 0), object)
        return super().get(name)

    def call(self, name: str, args: list[Any], nargout: int) -> list[Any]:
        if name in ("rethrow", "throw"):
            raise self.error()
        if name == "getReport":
            return [f"Error: {self.message}"]
        return [self]

    def error(self) -> MatlabError:
        """What raising it again raises."""
        error = MatlabError(self.message, self.identifier, self.place)
        error.thrown = self
        return error


def is_identifier(words: str) -> bool:
    """Whether it is an error's identifier, 'toolbox:what'."""
    parts = words.split(":")
    return len(parts) > 1 and all(
        p and (p[0].isalpha()) and p.replace("_", "").replace("-", "").isalnum() for p in parts
    )


def message_of(args: list[Any], who: str) -> tuple[str, str]:
    """The message and identifier that error's and warning's arguments make.

    One text alone is taken as it is, unless an identifier stands before it or values come after it.
    """
    first = text(args[0], who)
    if len(args) > 1 and is_identifier(first):
        return printf.sprintf(text(args[1], who), args[2:]), first
    if len(args) > 1:
        return printf.sprintf(first, args[1:]), ""
    return first, ""


@builtin("error")
def error(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if not args:
        raise MatlabError("Not enough input arguments.", "MATLAB:minrhs")
    if is_struct(args[0]):
        raise MatlabError(text(args[0].get("message", ""), "error"), text(args[0].get("identifier", ""), "error"))
    if isinstance(args[0], MException):
        raise args[0].error()
    if len(args) == 1 and is_text(args[0]) and not text(args[0], "error"):
        return []
    raise MatlabError(*message_of(args, "error"))


@builtin("rethrow", "throw")
def rethrow(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return error(interpreter, args, nargout)


@builtin("MException")
def exception(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    identifier, template = text(args[0], "MException"), text(args[1], "MException")
    return [MException(printf.sprintf(template, args[2:]), identifier, None)]


@builtin("warning")
def warning(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """Written, but for warning('off', ...) and its like, which change nothing that a network's definition shows."""
    if args and is_text(args[0]) and text(args[0], "warning").lower() in ("on", "off", "query", "error"):
        return [{"identifier": "all", "state": "on"}] if nargout else []
    if args and not is_struct(args[0]):
        message, identifier = message_of(args, "warning")
        if message:
            interpreter.state["lastwarn"] = (message, identifier)
            interpreter.write(f"Warning: {message}\n")
    return []


@builtin("lastwarn")
def lastwarn(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return list(interpreter.state.get("lastwarn", ("", "")))


@builtin("lasterr")
def lasterr(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    caught = interpreter.state.get("lasterr")
    return [caught.message, caught.identifier] if caught else ["", ""]


@builtin("assert")
def check(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if truth(args[0]):
        return []
    if len(args) > 1:
        raise MatlabError(*message_of(args[1:], "assert"))
    raise MatlabError("Assertion failed.", "MATLAB:assertion:failed")


@builtin("narginchk")
def narginchk(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    least, most = (float(a.item()) for a in args)
    if interpreter.frame.nargin < least:
        raise MatlabError("Not enough input arguments.", "MATLAB:narginchk:notEnoughInputs")
    if interpreter.frame.nargin > most:
        raise MatlabError("Too many input arguments.", "MATLAB:narginchk:tooManyInputs")
    return []


@builtin("isstring")
def isstring(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [np.array([[isinstance(args[0], String)]])]

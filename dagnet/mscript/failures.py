"""Why a script stopped, and where: the file, the line, and the line's own text.

MatlabError    what MATLAB itself would have raised; the only one that a script's try ... catch sees
NotSupported   a function or construct that dagnet does not know
Refused        what no script may do here: write files, start processes, reach the network, evaluate text
LimitReached   more instructions, memory or recursion than a definition of a network needs
NotMatlab      text that is not MATLAB
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """A line of a script."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: `{self.text}`"


class ScriptError(ValueError):
    """A script cannot go on. `message` says why, `place` where: the innermost line, once the interpreter knows it."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class MatlabError(ScriptError):
    """An error that MATLAB would have raised too, with its identifier ('' if it has none)."""

    def __init__(self, message: str, identifier: str = "", place: Place | None = None) -> None:
        super().__init__(message, place)
        self.identifier = identifier
        self.thrown: Any = None  # the MException that a script rethrows


class NotSupported(ScriptError):
    """Something that dagnet does not know. `name` is the function's, '' for a construct."""

    def __init__(self, message: str, name: str = "", place: Place | None = None) -> None:
        super().__init__(message, place)
        self.name = name


class Refused(ScriptError):
    """Something that dagnet does on no script's behalf."""


class LimitReached(ScriptError):
    """The script wants more than it is allowed."""


class NotMatlab(ScriptError):
    """The text cannot be parsed."""

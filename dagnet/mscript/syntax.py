"""The syntax tree of a script: what the parser makes and the interpreter runs.

A chain is everything that starts with a name or a value and goes on with (...), {...}, .name, .(expression): a variable that
is indexed, a call, or both; only a run tells. Every statement and chain knows its line, counted from 1.
"""

from dataclasses import dataclass, field
from typing import Any, Union


@dataclass(frozen=True)
class Number:
    text: str


@dataclass(frozen=True)
class Text:
    value: str
    double: bool = False  # between double quotes: MATLAB's class string


@dataclass(frozen=True)
class Colon:
    pass


@dataclass(frozen=True)
class End:
    pass


@dataclass(frozen=True)
class Paren:
    args: tuple["Expression", ...]


@dataclass(frozen=True)
class Brace:
    args: tuple["Expression", ...]


@dataclass(frozen=True)
class Field:
    name: Any  # a text, or the expression of s.(expression)


Step = Paren | Brace | Field


@dataclass(frozen=True)
class Chain:
    base: Any  # a name, or the expression that stands in parentheses
    steps: tuple[Step, ...]
    line: int


@dataclass(frozen=True)
class Unary:
    operator: str
    operand: "Expression"


@dataclass(frozen=True)
class Postfix:
    operator: str
    operand: "Expression"


@dataclass(frozen=True)
class Binary:
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True)
class ShortCircuit:
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True)
class Range:
    start: "Expression"
    step: Union["Expression", None]
    stop: "Expression"


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple["Expression", ...], ...]


@dataclass(frozen=True)
class CellLiteral:
    rows: tuple[tuple["Expression", ...], ...]


@dataclass(frozen=True)
class Lambda:
    parameters: tuple[str, ...]
    body: "Expression"
    text: str


@dataclass(frozen=True)
class FunctionRef:
    name: str
    line: int


@dataclass(frozen=True)
class Unsupported:
    """A construct that the interpreter does not have; running it raises NotSupported."""

    what: str
    line: int


Expression = (
    Number
    | Text
    | Colon
    | End
    | Chain
    | Unary
    | Postfix
    | Binary
    | ShortCircuit
    | Range
    | Matrix
    | CellLiteral
    | Lambda
    | FunctionRef
    | Unsupported
)


@dataclass(frozen=True)
class Assign:
    targets: tuple[Chain | None, ...]  # None is ~
    value: Expression
    several: bool  # the targets stand in brackets
    shown: bool  # no semicolon after it
    line: int


@dataclass(frozen=True)
class Delete:
    """x(3) = []"""

    target: Chain
    shown: bool
    line: int


@dataclass(frozen=True)
class Evaluate:
    value: Expression
    shown: bool
    line: int


@dataclass(frozen=True)
class If:
    branches: tuple[tuple[Expression, "Block"], ...]
    otherwise: "Block"
    line: int


@dataclass(frozen=True)
class For:
    target: Chain
    values: Expression
    body: "Block"
    line: int


@dataclass(frozen=True)
class While:
    condition: Expression
    body: "Block"
    line: int


@dataclass(frozen=True)
class Switch:
    subject: Expression
    cases: tuple[tuple[Expression, "Block"], ...]
    otherwise: "Block"
    line: int


@dataclass(frozen=True)
class Try:
    body: "Block"
    name: str | None
    handler: "Block"
    line: int


@dataclass(frozen=True)
class Jump:
    kind: str  # break, continue, return
    line: int


@dataclass(frozen=True)
class Declare:
    kind: str  # global, persistent
    names: tuple[str, ...]
    line: int


Statement = Assign | Delete | Evaluate | If | For | While | Switch | Try | Jump | Declare | Unsupported
Block = tuple[Statement, ...]


@dataclass
class Function:
    """name is '' for a script's own statements. `nested` are the functions within it, which share its variables."""

    name: str
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    body: Block
    file: "File"
    line: int
    nested: dict[str, "Function"] = field(default_factory=dict)
    outer: Union["Function", None] = None
    mentioned: frozenset[str] | None = None  # see names.mentioned
    dispensable: tuple[frozenset[int], frozenset[str]] | None = None  # see training.dispensable


@dataclass
class File:
    """A parsed file: its first function, or its statements, is what the file's name calls."""

    path: str
    lines: list[str]
    functions: dict[str, Function] = field(default_factory=dict)
    script: Function | None = None

    @property
    def main(self) -> Function:
        return self.script or next(iter(self.functions.values()))

    def text_of(self, line: int) -> str:
        return self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""

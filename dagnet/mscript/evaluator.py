"""Expressions: what they are worth.

Most expressions have one value; c{:}, s.f of a struct array, and calls give lists of them, which arguments and brackets take in
whole (comma-separated lists).
"""

import re
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from . import blocks, indexing, library, names, operators, refused, training
from . import syntax as tree
from .builtins import table
from .calling import Caller
from .failures import MatlabError, NotSupported, Place, Refused, ScriptError
from .handle import Handle
from .values import (
    COLON,
    Anonymous,
    FunctionHandle,
    String,
    cell,
    class_of,
    is_char,
    is_text,
    number,
    numel,
    shape,
    text,
    truth,
)


class Evaluator(Caller):
    """Evaluates expressions in the frame of the call that is running. The interpreter is built on it."""

    def __init__(self) -> None:
        super().__init__()
        self._captured: dict[int, set[str]] = {}
        self._kinds: dict[type, Callable[[Any, int], list[Any]]] = {
            tree.Number: lambda node, _: [_number(node.text)],
            tree.Text: lambda node, _: [String(node.value) if node.double else node.value],
            tree.Colon: lambda node, _: [COLON],
            tree.End: lambda node, _: [self._end()],
            tree.Chain: self._chain,
            tree.Unary: lambda node, _: [self._operated(operators.PREFIX[node.operator], node.operand)],
            tree.Postfix: lambda node, _: [self._operated(operators.POSTFIX[node.operator], node.operand)],
            tree.Binary: self._binary,
            tree.ShortCircuit: self._short_circuit,
            tree.Range: self._range,
            tree.Matrix: self._matrix,
            tree.CellLiteral: self._cell,
            tree.Lambda: self._lambda,
            tree.FunctionRef: lambda node, _: [self.handle_of(node.name)],
            tree.Unsupported: self._unsupported,
        }

    def values(self, node: tree.Expression, nargout: int = 1) -> list[Any]:
        return self._kinds[type(node)](node, nargout)

    def one(self, node: tree.Expression) -> Any:
        """The one value of an expression. Raises MatlabError where it has none."""
        found = self.values(node)
        if not found:
            raise MatlabError("This expression has no value where one is right.", "MATLAB:maxlhs")
        return found[0]

    # operators and literals

    def _operated(self, function: Callable[[Any], Any], operand: tree.Expression) -> Any:
        self.budget.spend()
        return function(self.one(operand))

    def _binary(self, node: tree.Binary, _: int) -> list[Any]:
        self.budget.spend()
        result = operators.binary(node.operator, self.one(node.left), self.one(node.right))
        self.budget.follow(result)
        return [result]

    def _short_circuit(self, node: tree.ShortCircuit, _: int) -> list[Any]:
        self.budget.spend()
        left = self._decided(self.one(node.left), node.operator)
        if left == (node.operator == "||"):
            return [np.array([[left]])]
        return [np.array([[self._decided(self.one(node.right), node.operator)]])]

    def _decided(self, value: Any, name: str) -> bool:
        if numel(value) != 1 and not isinstance(value, Handle):
            raise MatlabError(
                f"Operands to the logical {name} operator must be convertible to logical scalar values; a "
                f"{'x'.join(map(str, shape(value)))} {class_of(value)} came.",
                "MATLAB:nonLogicalConditional",
            )
        return truth(value)

    def _range(self, node: tree.Range, _: int) -> list[Any]:
        self.budget.spend()
        step = number(1) if node.step is None else self.one(node.step)
        start = self.one(node.start)
        return [operators.colon(start, step, self.one(node.stop))]

    def _matrix(self, node: tree.Matrix, _: int) -> list[Any]:
        self.budget.spend()
        rows = [[v for part in row for v in self.values(part)] for row in node.rows]
        joined = [operators.concatenated(row, 1) for row in rows if row]
        if not joined:
            return [np.zeros((0, 0))]
        if len(joined) > 1 and all(is_char(r) for r in joined):
            _check_rows(joined)
        result = operators.concatenated(joined, 0)
        self.budget.follow(result)
        return [result]

    def _cell(self, node: tree.CellLiteral, _: int) -> list[Any]:
        """{a, b; c, d}; a cell among the parts becomes an element, an empty one as well."""
        self.budget.spend()
        rows = [[v for part in row for v in self.values(part)] for row in node.rows]
        rows = [row for row in rows if row]
        if not rows:
            return [np.empty((0, 0), object)]
        return [operators.concatenated([cell(row) for row in rows], 0)]

    def _lambda(self, node: tree.Lambda, _: int) -> list[Any]:
        if id(node) not in self._captured:
            self._captured[id(node)] = names.used(node.body) - set(node.parameters)
        captured = {name: self.frame[name] for name in self._captured[id(node)] if name in self.frame}
        return [Anonymous(node, captured, self.frame)]

    def _unsupported(self, node: tree.Unsupported, _: int) -> list[Any]:
        raise NotSupported(f"{node.what} is not known here", place=self.place(node.line))

    def _end(self) -> Any:
        if not self.ends:
            raise MatlabError("end stands for no index here.")
        value, position, count = self.ends[-1]
        sizes = (0, 0) if value is None else shape(value)
        if count == 1:
            return number(prod(sizes))
        if position < count - 1:
            return number(sizes[position] if position < len(sizes) else 1)
        return number(prod(sizes[position:]))

    # chains: variables, indices, fields, calls

    def arguments(self, args: Sequence[tree.Expression], of: Any = None, indexed: bool = True) -> list[Any]:
        """The values between parentheses or braces; `end` in them counts `of`, the value that is indexed."""
        if not indexed:
            return [":" if v is COLON else v for arg in args for v in self.values(arg)]
        found = []
        for k, arg in enumerate(args):
            self.ends.append((of, k, len(args)))
            try:
                found += self.values(arg)
            finally:
                self.ends.pop()
        return found

    def place(self, line: int) -> Place:
        file = self.frame.function.file
        return Place(file.path, line, file.text_of(line))

    def _chain(self, node: tree.Chain, nargout: int) -> list[Any]:
        try:
            return self._unplaced_chain(node, nargout)
        except ScriptError as error:
            error.place = error.place or self.place(node.line)
            raise

    def _unplaced_chain(self, node: tree.Chain, nargout: int) -> list[Any]:
        self.budget.spend()
        base, steps = node.base, node.steps
        if not isinstance(base, str):
            found, at = [self.one(base)], 0
        elif base in self.frame:
            found, at = [self.frame[base]], 0
        else:
            found, at = self._called(base, steps, nargout)
        while at < len(steps):
            if len(found) != 1:
                raise MatlabError(
                    f"Expected one output from a curly brace or dot indexing expression, but there were {len(found)} results.",
                    "MATLAB:index:expected_one_output_from_expression",
                )
            found, at = self._step(found[0], steps, at, nargout)
        return found

    def _step(self, value: Any, steps: tuple[tree.Step, ...], at: int, nargout: int) -> tuple[list[Any], int]:
        """The values after the step at that place, and the place of the next."""
        step = steps[at]
        if isinstance(value, Handle):
            return self._handle_step(value, steps, at, nargout)
        if isinstance(step, tree.Field):
            return indexing.field(value, self.name_of(step)), at + 1
        if isinstance(value, (FunctionHandle, Anonymous)) and isinstance(step, tree.Paren):
            wanted = nargout if at + 1 == len(steps) else 1
            given = step.args[:1] if getattr(value, "name", "") in training.TRAINERS else step.args
            return self.call(value, self.arguments(given, indexed=False), wanted), at + 1
        args = self.arguments(step.args, value)
        if isinstance(step, tree.Brace):
            return indexing.contents(value, args), at + 1
        result = indexing.read(value, args)
        self.budget.follow(result)
        return [result], at + 1

    def _handle_step(self, value: Handle, steps: tuple[tree.Step, ...], at: int, nargout: int) -> tuple[list[Any], int]:
        step = steps[at]
        if isinstance(step, tree.Brace):
            raise MatlabError(f"Brace indexing is not supported for variables of this type ({class_of(value)}).")
        if isinstance(step, tree.Paren):
            return [value.index(self.arguments(step.args, value))], at + 1
        name = self.name_of(step)
        if name not in value.methods():
            return [value.get(name)], at + 1
        if name == "addLayer" and at + 1 < len(steps) and isinstance(call := steps[at + 1], tree.Paren):
            args, after = [v for k, arg in enumerate(call.args) for v in self._layer_part(k, arg)], at + 2
        else:
            args, after = self._taken(steps, at + 1)
        wanted = nargout if after == len(steps) else 1
        return value.call(name, args, wanted)[: max(1, wanted)], after

    def _layer_part(self, position: int, arg: tree.Expression) -> list[Any]:
        """An argument of addLayer, whose second can be nothing but a block: so a name that nobody knows is a block's there."""
        if position != 1 or not names.is_plain_call(arg) or arg.base in self.frame or arg.base in refused.REASONS:
            return self.arguments([arg], indexed=False)
        if self.library.find(arg.base, self.frame.function) is not None:
            return self.arguments([arg], indexed=False)
        return blocks.constructor(arg.base)(self, self._taken(arg.steps, 0)[0], 1)  # type: ignore[arg-type]

    def _taken(self, steps: tuple[tree.Step, ...], at: int) -> tuple[list[Any], int]:
        """The arguments of a call whose parentheses, if there are any, stand at that place."""
        if at < len(steps) and isinstance(step := steps[at], tree.Paren):
            return self.arguments(step.args, indexed=False), at + 1
        return [], at

    def name_of(self, step: tree.Field) -> str:
        return step.name if isinstance(step.name, str) else text(self.one(step.name), "a field's name")

    def _called(self, name: str, steps: tuple[tree.Step, ...], nargout: int) -> tuple[list[Any], int]:
        """What a chain that starts with a function's name gives: dotted names, as long as they are known, are one name."""
        dots = 0
        while dots < len(steps) and isinstance(step := steps[dots], tree.Field) and isinstance(step.name, str):
            dots += 1
        for count in range(dots, 0, -1):
            dotted = ".".join([name, *(s.name for s in steps[:count])])  # type: ignore[union-attr, misc]
            if dotted in self.library.defined or table.find(dotted):
                name, at = dotted, count
                break
        else:
            at = 0
            if dots and self.library.find(name, self.frame.function) is None:
                name = ".".join([name, *(s.name for s in steps[:dots])])  # type: ignore[union-attr, misc]
                raise library.unknown(name)
        if name in refused.EXPLAINED and at < len(steps) and isinstance(steps[at], tree.Paren):
            self._explain(name, steps[at].args)  # type: ignore[union-attr]
        if name in training.TRAINERS and at < len(steps) and isinstance(step := steps[at], tree.Paren):
            args, after = self.arguments(step.args[:1], indexed=False), at + 1  # the data are not asked for
        else:
            args, after = self._taken(steps, at)
        return self.call_named(name, args, nargout if after == len(steps) else 1), after

    def _explain(self, name: str, args: Sequence[tree.Expression]) -> None:
        """Raises Refused, saying what a download asks for, unless the script has a function of that name."""
        try:
            self.library.find(name, self.frame.function)
        except Refused:
            given = self.arguments(args, indexed=False)
            raise Refused(refused.message(name, [text(v, name) for v in given if is_text(v)])) from None


def _number(text: str) -> np.ndarray:
    lower = text.lower()
    if lower[:2] in ("0x", "0b"):
        if re.search(r"[su]\d+$", lower):
            raise NotSupported(f"the number {text} with a class in its name is not known here")
        value = int(lower, 0)
        kind = next(t for t in (np.uint8, np.uint16, np.uint32, np.uint64) if value <= np.iinfo(t).max)
        return np.array([[value]], kind)
    if lower[-1] in "ij":
        return np.array([[complex(0, float(lower[:-1].replace("d", "e")))]])
    return number(float(lower.replace("d", "e")))


def _check_rows(rows: list[Any]) -> None:
    lengths = {shape(r)[1] for r in rows if shape(r) != (0, 0)}
    if len(lengths) > 1:
        raise MatlabError(
            "Dimensions of arrays being concatenated are not consistent: the rows of a char array have "
            f"{' and '.join(str(n) for n in sorted(lengths))} characters.",
            "MATLAB:catenate:dimensionMismatch",
        )

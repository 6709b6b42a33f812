"""Functions as values: cellfun arrayfun structfun feval func2str str2func, and what a function asks about its own call."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..failures import MatlabError, NotSupported, Refused
from ..values import (
    Anonymous,
    FunctionHandle,
    cell,
    chars,
    class_of,
    elements,
    is_cell,
    is_number_like,
    is_text,
    number,
    numbers,
    numel,
    shape,
    text,
    truth,
)
from .table import builtin

if TYPE_CHECKING:
    from ..interpreter import Interpreter


def _options(args: list[Any], who: str) -> tuple[list[Any], bool, Any]:
    """The arrays, whether the outputs are uniform, and the handler of errors."""
    uniform, handler = True, None
    while len(args) > 2 and is_text(args[-2]):
        name = text(args[-2], who).lower()
        if len(name) > 2 and "uniformoutput".startswith(name):
            uniform = truth(args[-1])
        elif len(name) > 2 and "errorhandler".startswith(name):
            handler = args[-1]
        else:
            break
        args = args[:-2]
    return args, uniform, handler


def _mapped(
    interpreter: "Interpreter",
    who: str,
    function: Any,
    items: list[list[Any]],
    size: tuple[int, ...],
    nargout: int,
    options: Any,
) -> list[Any]:
    """function of the k-th of each list, for each k, as outputs of that size."""
    uniform, handler = options
    if len({len(i) for i in items}) > 1:
        raise MatlabError(f"{who}: all the inputs must have the same size.", "MATLAB:" + who + ":dimensionMismatch")
    found: list[list[Any]] = []
    for k, args in enumerate(zip(*items, strict=True)):
        try:
            outputs = interpreter.call(function, list(args), nargout)
        except MatlabError as error:
            if handler is None:
                raise
            said = {"identifier": error.identifier, "message": error.message, "index": number(k + 1)}
            outputs = interpreter.call(handler, [said, *args], nargout)
        if len(outputs) < nargout:
            raise MatlabError(f"{who}: the function has {len(outputs)} outputs, {nargout} are wanted.", "MATLAB:maxlhs")
        found.append(outputs)
    count = max(nargout, 1 if found and all(found) else 0)
    columns = [[outputs[j] for outputs in found] for j in range(count)]
    if not found:
        columns = [[] for _ in range(max(1, nargout))]
    return [_uniform(column, size, who) if uniform else cell(column, size) for column in columns]


def _uniform(column: list[Any], size: tuple[int, ...], who: str) -> Any:
    if not column:
        return np.zeros(size)
    for k, value in enumerate(column):
        if not is_number_like(value) or numel(value) != 1:
            raise MatlabError(
                f"{who}: Non-scalar in Uniform output, at index {k + 1}, output 1: a {'x'.join(map(str, shape(value)))} "
                f"{class_of(value)}. Set 'UniformOutput' to false.",
                f"MATLAB:{who}:NotAScalarOutput",
            )
    kinds = {class_of(v) for v in column}
    if len(kinds) > 1:
        raise MatlabError(
            f"{who}: the outputs are of the classes {' and '.join(sorted(kinds))}; with 'UniformOutput' they must be of one.",
            f"MATLAB:{who}:MismatchInOutputType",
        )
    flat = np.concatenate([numbers(v).ravel() for v in column]).reshape(size, order="F")
    return chars(flat.astype(np.uint32)) if kinds == {"char"} else flat


@builtin("cellfun")
def cellfun(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    args, *options = _options(args, "cellfun")
    function, cells = args[0], args[1:]
    if is_text(function) and text(function, "cellfun") == "isclass":
        cells, function = cells[:1], FunctionHandle("isa")
    for value in cells:
        if not is_cell(value):
            raise MatlabError(f"cellfun: Input #2 expected to be a cell array, was {class_of(value)} instead.")
    items = [list(c.ravel(order="F")) for c in cells]
    return _mapped(interpreter, "cellfun", function, items, cells[0].shape, nargout, options)


@builtin("arrayfun")
def arrayfun(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    args, *options = _options(args, "arrayfun")
    arrays = args[1:]
    return _mapped(interpreter, "arrayfun", args[0], [elements(a) for a in arrays], shape(arrays[0]), nargout, options)


@builtin("structfun")
def structfun(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    args, uniform, handler = _options(args, "structfun")
    if not isinstance(args[1], dict):
        raise MatlabError("structfun: a scalar struct is right.")
    values = list(args[1].values())
    found = _mapped(interpreter, "structfun", args[0], [values], (len(values), 1), nargout, (uniform, handler))
    if uniform:
        return found
    return [dict(zip(args[1], column.ravel(order="F"), strict=True)) for column in found]


@builtin("feval")
def feval(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return interpreter.call(args[0], args[1:], nargout)


@builtin("func2str")
def func2str(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    function = args[0]
    return [function.node.text if isinstance(function, Anonymous) else function.name]


@builtin("str2func")
def str2func(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    name = text(args[0], "str2func").strip()
    if name.startswith("@") and not name[1:].strip().isidentifier():
        raise Refused("str2func of a text with an expression is refused: it evaluates text; write @(...) itself")
    return [interpreter.handle_of(name.lstrip("@").strip())]


@builtin("nargin")
def nargin(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if args:
        raise NotSupported("nargin of another function is not known here")
    return [number(interpreter.frame.nargin)]


@builtin("nargout")
def nargout_(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if args:
        raise NotSupported("nargout of another function is not known here")
    return [number(interpreter.frame.nargout)]


@builtin("clear", "clearvars")
def clear(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    names = [text(a, "clear") for a in args]
    everything = not names or names[0] in ("all", "-all", "variables")
    for name in list(interpreter.frame) if everything else names:
        if name.endswith("*"):
            for known in [n for n in interpreter.frame if n.startswith(name[:-1])]:
                del interpreter.frame[known]
        else:
            del interpreter.frame[name]
    return []

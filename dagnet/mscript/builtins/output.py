"""What a script prints, and what has no effect here: figures, setup, timing."""

import time
from typing import TYPE_CHECKING, Any

from .. import printf
from ..failures import MatlabError
from ..printing import disp
from ..values import number, numbers, row, text
from .table import builtin

if TYPE_CHECKING:
    from ..interpreter import Interpreter


@builtin("fprintf")
def fprintf(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """fprintf(format, ...), fprintf(1, format, ...); into files it is refused, as fopen is."""
    if args and not isinstance(args[0], str) and len(args) > 1:
        if numbers(args[0]).item() not in (1, 2):
            raise MatlabError(
                "Invalid file identifier. Use fopen to generate a valid file identifier.", "MATLAB:FileIO:InvalidFid"
            )
        args = args[1:]
    written = printf.sprintf(text(args[0], "fprintf"), args[1:])
    interpreter.write(written)
    return [number(len(written))] if nargout else []


@builtin("disp", "display")
def show(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    interpreter.write(disp(args[0]) + "\n")
    return []


@builtin("tic")
def tic(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    interpreter.state["tic"] = time.monotonic()
    return [number(interpreter.state["tic"])] if nargout else []


@builtin("toc")
def toc(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    elapsed = time.monotonic() - interpreter.state.get("tic", time.monotonic())
    if not nargout:
        interpreter.write(f"Elapsed time is {elapsed:.6f} seconds.\n")
    return [number(elapsed)]


@builtin("cputime", "now")
def clock_number(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [number(time.monotonic())]


@builtin("clock")
def clock(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [row(time.localtime()[:6])]


@builtin("version")
def version(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return ["9.3.0 (dagnet)"]


@builtin("verLessThan")
def ver_less_than(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    ours, asked = (9, 3), tuple(int(p) for p in text(args[1], "verLessThan").split(".")[:2])
    return [numbers(number(ours < asked)) != 0]


def _nothing(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [number(1)] if nargout else []


for _name in (
    *(
        "clc",
        "close",
        "figure",
        "clf",
        "hold",
        "drawnow",
        "format",
        "more",
        "beep",
        "pause",
        "fflush",
        "axis",
        "colormap",
    ),
    *(
        "title",
        "xlabel",
        "ylabel",
        "subplot",
        "plot",
        "legend",
        "grid",
        "set",
        "imagesc",
        "imshow",
        "image",
        "colorbar",
    ),
    *("rmpath", "path", "rehash", "vl_setup", "gpuDevice", "profile"),
):
    builtin(_name)(_nothing)

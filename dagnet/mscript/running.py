"""run(): a function or script of a .m file, called from Python."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from .failures import MatlabError, NotSupported
from .interpreter import Interpreter
from .library import to_values
from .limits import Limits


def run(
    path: str | os.PathLike,
    function: str | None = None,
    *args: Any,
    define: Mapping[str, str | Callable[..., Any]] | None = None,
    weights: str | os.PathLike | None = None,
    seed: int = 0,
    nargout: int = 1,
    limits: Limits | None = None,
    output: TextIO | None = None,
) -> Any:
    """What a function of the file returns: a value of dagnet.files.matvalues, a network; for nargout > 1, a tuple.

    path      the .m file; functions in files beside it are found
    function  the name of one of its functions; None is its first, or the script that it is. A script gives the variable `net`,
              or where there is none, all its variables as a dict
    args      numbers, texts, lists of numbers, or MATLAB's values
    define    name: a Python function or "module:function", for what the script calls and is not known here
    weights   the .mat file that stands for the one that the script loads and that is not there
    seed      of the script's random numbers
    output    where the script prints; None is standard output

    Raises ScriptError (MatlabError, NotSupported, Refused, LimitReached, NotMatlab), with the file, the line and its text.
    """
    path = Path(path)
    interpreter = Interpreter(
        path.parent,
        define=define,
        weights=Path(weights) if weights is not None else None,
        seed=seed,
        limits=limits,
        output=output,
    )
    file = interpreter.library.parsed(path)
    if function is not None and function not in file.functions:
        known = ", ".join(file.functions) or "none"
        raise NotSupported(f"{path} has no function {function!r}; it has {known}", function)
    called = file.main if function is None else file.functions[function]
    if called.name == "" and args:
        raise ValueError(f"{path} is a script, which takes no arguments; {len(args)} came")
    values = [value for arg in args for value in (to_values(arg) if not isinstance(arg, tuple) else [arg])]
    if called.name == "":
        variables = interpreter.run_script(called)
        return variables.get("net", variables)
    found = interpreter.run(called, values, nargout)
    if len(found) < nargout:
        raise MatlabError(f"{called.name} gives {len(found)} values, {nargout} are wanted", "MATLAB:unassignedOutputs")
    return found[0] if nargout == 1 else tuple(found)

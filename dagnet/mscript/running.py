"""run(): a function or script of a .m file, called from Python; execute(): for the network that it defines."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from dagnet.dagnn import DagNN
from dagnet.layers import block, catalogue
from dagnet.simplenn import SimpleNN

from . import matconvnet_api, parser, syntax
from .blocks import described
from .draws import Draw
from .failures import MatlabError, NotSupported
from .interpreter import Interpreter
from .library import to_values
from .limits import Limits
from .training import Trains

Define = Mapping[str, str | Callable[..., Any]]
CALL = "--call"  # what an error's place names as its file


def run(
    path: str | os.PathLike,
    function: str | None = None,
    *args: Any,
    define: Define | None = None,
    weights: str | os.PathLike | None = None,
    seed: int = 0,
    nargout: int = 1,
    limits: Limits | None = None,
    output: TextIO | None = None,
) -> Any:
    """What a function of the file returns: a DagNN, a SimpleNN, or a value of dagnet.files.matvalues; for nargout > 1, a tuple.

    path      the .m file; functions in files beside it are found
    function  the name of one of its functions; None is its first, or the script that it is. A script gives the variable `net`,
              or where there is none, all its variables as a dict
    args      numbers, texts, lists of numbers, networks, or MATLAB's values
    define    name: a Python function or "module:function", for what the script calls and is not known here; for a block of your
              own, its class, which is entered into the catalogue
    weights   the .mat file that stands for the one that the script loads and that is not there
    seed      of the script's random numbers
    output    where the script prints; None is standard output

    Warns where a block is of a type that nobody registered, and is kept by its name; and where the script would train its
    network (cnn_train, cnn_train_dag): there it ends, and gives the network. What such a function does for its data and
    cannot do here (training.dispensable) is left out, with a warning each.
    Raises ScriptError (MatlabError, NotSupported, Refused, LimitReached, NotMatlab), with the file, the line and its text.
    """
    interpreter = _interpreter(path, define, weights, seed, limits, output)
    file = interpreter.library.parsed(path)
    if function is not None and function not in file.functions:
        known = ", ".join(file.functions) or "none"
        raise NotSupported(f"{path} has no function {function!r}; it has {known}", function)
    called = file.main if function is None else file.functions[function]
    if called.name == "" and args:
        raise ValueError(f"{path} is a script, which takes no arguments; {len(args)} came")
    given = [matconvnet_api.argument(arg, interpreter) for arg in args]
    values = [value for arg in given for value in (to_values(arg) if not isinstance(arg, tuple) else [arg])]
    found = _outcome(interpreter, called, values, nargout)
    if len(found) < nargout:
        raise MatlabError(f"{called.name} gives {len(found)} values, {nargout} are wanted", "MATLAB:unassignedOutputs")
    results = [matconvnet_api.result(value, interpreter) for value in found[: max(1, nargout)]]
    return results[0] if nargout == 1 else tuple(results)


@dataclass(frozen=True)
class Executed:
    """The network that a file defines, the .mat files that were loaded for it, and what was drawn at random."""

    network: DagNN | SimpleNN
    loaded: list[Path]
    draws: list[Draw]


def execute(
    path: str | os.PathLike,
    call: str | None = None,
    *,
    define: Define | None = None,
    weights: str | os.PathLike | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    output: TextIO | None = None,
) -> Executed:
    """The network that the file defines; `call` is MATLAB's text of what to call, such as "f(64, 'name', value)".

    Without it the file's first function is called without arguments, or the file is run as the script that it is.
    The rest is as of run. Raises MatlabError, too, where what came is no network.
    """
    interpreter = _interpreter(path, define, weights, seed, limits, output)
    file = interpreter.library.parsed(path)
    found = _outcome(interpreter, file.main if call is None else _asked(call, file))
    value = next(iter(found), None)
    network = matconvnet_api.result(value, interpreter)
    if not isinstance(network, DagNN | SimpleNN):
        came = "nothing" if value is None else described(value)
        raise MatlabError(
            f"{path}: {call or file.main.name or 'the script'} gave {came}; a DagNN or a SimpleNN is right"
        )
    return Executed(network, list(interpreter.loaded), interpreter.random.draws)


def _asked(call: str, file: syntax.File) -> syntax.Function:
    """A script of that call alone, in the file's scope."""
    asked = parser.parse_text(f"net = {call} ;\n", CALL)
    if asked.script is None or len(asked.script.body) != 1 or asked.functions:
        raise NotSupported(f"{CALL}: it is {call!r}; one call, such as \"f(64, 'name', 1)\", is right")
    asked.functions.update(file.functions)
    (statement,) = asked.script.body
    assert isinstance(statement, syntax.Assign)
    value = statement.value
    own = file.functions.get(value.base) if isinstance(value, syntax.Chain) and isinstance(value.base, str) else None
    if own is not None and not own.outputs:  # it gives nothing, but may train a network
        asked.script.body = (syntax.Evaluate(value, False, statement.line),)
    return asked.script


def _interpreter(
    path: str | os.PathLike,
    define: Define | None,
    weights: str | os.PathLike | None,
    seed: int,
    limits: Limits | None,
    output: TextIO | None,
) -> Interpreter:
    found = Path(weights) if weights is not None else None
    made = Interpreter(Path(path).parent, define=define, weights=found, seed=seed, limits=limits, output=output)
    for name, what in list(made.library.defined.items()):
        if isinstance(what, type) and issubclass(what, block.Layer):
            catalogue.register(name, what)
            del made.library.defined[name]
    return made


def _outcome(
    interpreter: Interpreter, called: syntax.Function, args: Sequence[Any] = (), nargout: int = 1
) -> list[Any]:
    """What a function returns; of a script its `net`, or all variables; the network where it would be trained."""
    try:
        if called.name:
            return interpreter.run(called, list(args), nargout if called.outputs else 0)
        variables = interpreter.run_script(called)
        return [variables.get("net", variables)]
    except Trains as stop:
        warnings.warn(str(stop), stacklevel=3)
        return [stop.network]
    finally:
        for error in interpreter.left_out:
            warnings.warn(f"{error}; left out, since the network does not hang on it", stacklevel=3)

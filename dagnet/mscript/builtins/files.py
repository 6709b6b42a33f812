"""Paths, what is there, and load: only .mat files are read, and nothing is written."""

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dagnet.files import matfile

from ..failures import MatlabError, Refused
from ..syntax import Function
from ..values import is_cell, logical, number, text, texts
from .table import TABLE, builtin, pure

if TYPE_CHECKING:
    from ..interpreter import Interpreter


@pure("fullfile")
def fullfile(*parts: Any) -> Any:
    words = [w for p in parts if (w := text(p, "fullfile"))]
    joined = "/".join(w.rstrip("/") if i + 1 < len(words) else w for i, w in enumerate(words))
    while "//" in joined:
        joined = joined.replace("//", "/")
    return "/" + joined.lstrip("/") if words and words[0].startswith("/") else joined


@builtin("fileparts")
def fileparts(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """[folder, name, extension] = fileparts(path)"""
    path = text(args[0], "fileparts")
    folder, slash, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    return [folder if folder or not slash else "/", stem, dot + extension]


@builtin("mfilename")
def mfilename(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    path = Path(interpreter.frame.function.file.path)
    if args and text(args[0], "mfilename") == "fullpath":
        return [str(path.resolve().with_suffix(""))]
    return ["" if args else path.stem]


def _plain(interpreter: "Interpreter", name: str) -> Path | None:
    return next((f / name for f in (Path(), interpreter.folder) if name and (f / name).exists()), None)


def found(interpreter: "Interpreter", name: str) -> Path | None:
    """The file of that name, looked for here and beside the script; for a .mat that is not there, the weights."""
    path = _plain(interpreter, name)
    stands_in = path is None and interpreter.weights is not None and PurePosixPath(name).suffix == ".mat"
    if stands_in and interpreter.state.setdefault("weights for", name) == name:
        return interpreter.weights
    return path


@builtin("exist")
def exist(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """1 a variable, 2 a file, 5 a function of ours, 7 a folder, 0 nothing."""
    name = text(args[0], "exist")
    kind = text(args[1], "exist") if len(args) > 1 else ""
    if kind in ("", "var") and name in interpreter.frame:
        return [number(1)]
    if kind in ("", "file", "dir") and name:
        path = found(interpreter, name) if PurePosixPath(name).suffix == ".mat" or kind else _plain(interpreter, name)
        if path is not None and path.is_dir():
            return [number(7)]
        if path is not None and kind != "dir":
            return [number(2)]
    if kind in ("", "builtin", "file"):
        known = name in TABLE or name in interpreter.library.defined
        try:
            function = interpreter.library.find(name, interpreter.frame.function)
        except Refused:
            function = None
        if isinstance(function, Function):
            return [number(2)]
        if known and kind != "file":
            return [number(5)]
        if known and name.startswith("vl_"):
            return [number(2)]
    return [number(0)]


@builtin("isfile")
def isfile(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    path = found(interpreter, text(args[0], "isfile"))
    return [logical(path is not None and path.is_file())]


@builtin("isdir", "isfolder")
def isfolder(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    path = found(interpreter, text(args[0], "isfolder"))
    return [logical(path is not None and path.is_dir())]


@builtin("load")
def load(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """s = load(file, names...) gives a struct; load(file) alone makes variables. Only .mat files.

    Raises MatlabError for a file that is not there, Refused for what is no .mat file.
    """
    name, *wanted = texts(args[0], "load") + [text(a, "load") for a in args[1:]]
    wanted = [w for w in wanted if w not in ("-mat", "-struct")]
    if any(w.startswith("-") for w in wanted):
        raise Refused(f"load with {next(w for w in wanted if w.startswith('-'))} is refused: only .mat files are read")
    if PurePosixPath(name).suffix not in (".mat", ""):
        raise Refused(f"load is refused for {name!r}: only .mat files are read")
    path = found(interpreter, name) or found(interpreter, f"{name}.mat")
    if path is None:
        raise MatlabError(
            f"Unable to read file '{name}': it is not there; put it there, or name it with --weights.",
            "MATLAB:load:couldNotReadFile",
        )
    variables = matfile.read(path, wanted or None)
    interpreter.loaded[path] = _layer_fields(variables)
    for value in variables.values():
        interpreter.budget.follow(value)
    if nargout:
        return [dict(variables)]
    for variable, value in variables.items():
        interpreter.frame[variable] = value
    return []


def _layer_fields(variables: dict[str, Any]) -> set[str]:
    """The names of fields that layers of SimpleNNs in a file have: files hold more than MatConvNet reads, and that may stay."""
    nets = [variables, *(value for value in variables.values() if isinstance(value, dict))]
    cells = [net["layers"] for net in nets if is_cell(net.get("layers"))]
    return {name for cell in cells for layer in cell.flat if isinstance(layer, dict) for name in layer}


@builtin("addpath")
def addpath(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """Functions in these folders can be called from now on."""
    for arg in args:
        for folder in str(text(arg, "addpath")).split(os.pathsep) if not is_cell(arg) else texts(arg, "addpath"):
            for root in (Path(), interpreter.folder):
                interpreter.library.add_folder(root / folder)
    return []


@pure("genpath")
def genpath(folder: Any) -> Any:
    return text(folder, "genpath")


pure("filesep")(lambda: "/")
pure("pathsep")(lambda: ":")
pure("isunix")(lambda: logical(True))
pure("ispc")(lambda: logical(False))
pure("ismac")(lambda: logical(False))
pure("isdeployed")(lambda: logical(False))


@builtin("pwd", "vl_rootnn")
def pwd(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """The script's folder stands for both."""
    return [str(interpreter.folder)]

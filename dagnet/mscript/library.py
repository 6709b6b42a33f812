"""Where a function's name leads: what the caller defined, the script's own functions, the files beside it, the builtins."""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import blocks, parser, refused, syntax, training
from .builtins import table
from .failures import NotSupported

Defined = Callable[..., Any]


class Library:
    """Finds functions by name, reading each file once.

    define   what stands in for names that are not known: a Python function, or "module:function". It takes MATLAB's values
             (dagnet.files.matvalues) and returns one, or a tuple of them; numbers and lists of numbers are right too
    folder   the script's own, whose other files it may call
    """

    def __init__(self, define: Mapping[str, str | Defined] | None, folder: Path) -> None:
        self.defined = {name: _resolved(name, what) for name, what in (define or {}).items()}
        self.folders = [folder]
        self._files: dict[Path, syntax.File] = {}
        self._looked_for: dict[tuple[str, str], Path | None] = {}

    def parsed(self, path: str | os.PathLike) -> syntax.File:
        """The file at that path. Raises NotMatlab or OSError."""
        key = Path(path).resolve()
        if key not in self._files:
            self._files[key] = parser.parse(path)
        return self._files[key]

    def add_folder(self, folder: str | os.PathLike) -> None:
        """Files in that folder can be called from now on, after those beside the script."""
        if Path(folder).is_dir() and Path(folder) not in self.folders:
            self.folders.append(Path(folder))
            self._looked_for.clear()

    def find(
        self, name: str, function: syntax.Function | None = None
    ) -> syntax.Function | Defined | table.Builtin | None:
        """What that name calls inside `function`; None if nothing.

        MatConvNet's own names (vl_..., dagnn..., cnn_train, blocks) are dagnet's even where their files lie beside the script;
        any other class there is that of a block, which is kept by its name. Raises Refused for what no script may do.
        """
        if name in self.defined:
            return self.defined[name]
        local = self.local(name, function)
        if local is not None:
            return local
        refused.check(name)
        ours = table.find(name)
        if ours is not None and (
            name.startswith(("vl_", "dagnn")) or name not in table.TABLE or name in training.TRAINERS
        ):
            return ours
        beside = self._beside(name, function)
        return blocks.constructor(name) if beside and _is_class(beside) else beside or ours

    def local(self, name: str, function: syntax.Function | None) -> syntax.Function | None:
        """The function of that name in the file of `function`, nested ones of `function` and of those around it first."""
        within = function
        while within is not None:
            if name in within.nested:
                return within.nested[name]
            within = within.outer
        return function.file.functions.get(name) if function else None

    def _beside(self, name: str, function: syntax.Function | None) -> syntax.Function | None:
        """The function of the file of that name; each folder is asked once for each name."""
        key = (name, function.file.path if function else "")
        if key not in self._looked_for:
            own = [Path(function.file.path).parent] if function else []
            paths = [
                p
                for f in [*own, *self.folders]
                for p in (f / "private" / f"{name}.m", f / f"{name}.m")
                if name.isidentifier()
            ]
            self._looked_for[key] = next((p for p in paths if p.is_file()), None)
        path = self._looked_for[key]
        return self.parsed(path).main if path else None


def _is_class(function: syntax.Function) -> bool:
    """Whether a file's statements are the definition of a class."""
    return any(isinstance(part, syntax.Unsupported) and part.what == "classdef" for part in function.body)


def unknown(name: str) -> NotSupported:
    """The error for a name that is neither a variable nor a function."""
    return NotSupported(
        f"{name!r} is neither a variable nor a function that is known here; "
        f"--define {name}=module:function (in Python: define={{{name!r}: function}}) supplies it",
        name,
    )


def _resolved(name: str, what: str | Defined) -> Defined:
    if callable(what):
        return what
    module, colon, attribute = what.partition(":")
    if not colon:
        raise ValueError(f"define: {what!r} came for {name}; module:function is right")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"define: {what!r} for {name} cannot be had: {error}") from None


def to_values(result: Any) -> list[Any]:
    """What a defined function returned, as outputs."""
    outputs = result if isinstance(result, tuple) else () if result is None else (result,)
    return [_value(output) for output in outputs]


def _value(output: Any) -> Any:
    if isinstance(output, (bool, int, float, complex, np.number, np.bool_)):
        return np.array(
            [[output]], np.result_type(output) if not isinstance(output, int) or isinstance(output, bool) else float
        )
    if isinstance(output, (list, np.ndarray)) and np.ndim(output) < 2:
        array = np.asarray(output)
        return np.atleast_2d(array.astype(float) if array.dtype.kind in "iu" and isinstance(output, list) else array)
    return output

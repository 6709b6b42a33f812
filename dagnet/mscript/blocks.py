"""MatConvNet's blocks in a script, by reference; and how values pass between a script and dagnet's functions.

Source    MatConvNet manual, 3.2; matlab/+dagnn/Layer.m, Filter.m of 1.0-beta25
"""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from dagnet import matconvnet
from dagnet.files import matvalues
from dagnet.layers import array, block, catalogue
from dagnet.matconvnet.views import bare

from . import limits, values
from .builtins.randoms import Stream
from .builtins.table import Builtin
from .failures import MatlabError
from .handle import Handle

FILTERS = ("pad", "stride")  # the properties that dagnn.Filter gives to the blocks derived from it


def foreseen(who: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Calls a function of dagnet's; what it refuses becomes an error of the script's."""
    try:
        return function(*args, **keywords)
    except (ValueError, TypeError, LookupError, RuntimeError, NotImplementedError) as error:
        if isinstance(error, MatlabError):
            raise
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        said = "; ".join([text, *getattr(error, "__notes__", ())])
        raise MatlabError(said if said.startswith(who) else f"{who}: {said}") from error


def seen(value: Any) -> Any:
    """A value of dagnet's as a script sees it: numbers double, lists of them rows, other lists cells."""
    if value is None:
        return values.empty()
    if isinstance(value, (bool, np.bool_)):
        return values.logical(bool(value))
    if isinstance(value, (int, float)):
        return values.number(value)
    if isinstance(value, dict):
        return {name: seen(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):
            return values.row(value)
        return values.cell([seen(v) for v in value], None if value else (0, 0))
    return values.normal(array.to_numpy(value)) if hasattr(value, "dtype") and value.dtype != object else value


def plain(value: Any) -> Any:
    """A script's value as dagnet's functions take it: cells are lists, a lone number is a number, rows of numbers are lists."""
    if isinstance(value, values.String):
        return value.value
    if values.is_cell(value):
        return [plain(item) for item in value.ravel(order="F")]
    if values.is_char(value):
        return values.text(value, "an argument")
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        if value.size == 1:
            only = value.item()
            return int(only) if isinstance(only, float) and only.is_integer() else only
        return matconvnet.calling.numbers(value) if value.ndim == 2 and 1 in value.shape else value
    return value.block if isinstance(value, Block) else value


class Block(Handle):
    """A block: its properties under MATLAB's names, checked as they are set. `of` is dagnet's own."""

    def __init__(self, of: block.Layer, random: Stream) -> None:
        self.block = of
        self.random = random

    @property
    def class_name(self) -> str:  # type: ignore[override]  # it is the block's
        """dagnn.Conv; a custom block's own name."""
        return catalogue.name_of(self.block)

    def is_a(self, class_name: str) -> bool:
        """Of this class or one that it is derived from."""
        if class_name in (self.class_name, "dagnn.Layer", "handle"):
            return True
        if class_name in ("dagnn.Filter", "dagnn.ElementWise"):
            filters = all(hasattr(self.block, name) for name in FILTERS)
            return filters == (class_name == "dagnn.Filter")
        return class_name in catalogue.known() and matconvnet.dagnn.isa(self.block, class_name)

    def methods(self) -> Collection[str]:
        """Those that need no data."""
        return ("initParams", "getOutputSizes", "reset", "save")

    def properties(self) -> Collection[str]:
        """MATLAB's names."""
        known = self.block.fields if isinstance(self.block, catalogue.Unknown) else self._fields()
        return tuple(known)

    def get(self, name: str) -> Any:
        """A property as MATLAB has it."""
        if isinstance(self.block, catalogue.Unknown):
            return self.block.fields[self._known(name)]
        return seen(getattr(self.block, self._fields()[self._known(name)].name))

    def set(self, name: str, value: Any) -> None:
        """The block's own rules for the property hold: a pad of 1 becomes four."""
        if isinstance(self.block, catalogue.Unknown):
            self.block.fields[self._known(name)] = value
            return
        field = self._fields()[self._known(name)].name
        given = {n: getattr(self.block, f.name) for n, f in self._fields().items()} | {name: plain_property(value)}
        made = foreseen(self.class_name, catalogue.from_matlab, self.class_name, given)
        setattr(self.block, field, getattr(made, field))

    def call(self, name: str, args: list[Any], nargout: int) -> list[Any]:
        """One of methods()."""
        if name == "save":
            return [{name: self.get(name) for name in self.properties()}]
        if name == "reset":
            self.block.reset()
            return []
        if name == "getOutputSizes":
            sizes = [(*matconvnet.calling.numbers(size), 1, 1, 1)[:4] for size in matvalues.items(args[0])]
            made = foreseen(self.class_name, self.block.output_sizes, sizes)
            return [values.cell([values.row(size) for size in made])]
        ask_room(self.block)
        drawn = foreseen(self.class_name, self.block.init_params, self.random.generator())
        return [values.cell([seen(self.random.noted("initParams", value)) for value in drawn])]

    def _fields(self) -> dict[str, Any]:
        return catalogue.matlab_fields(type(self.block))

    def _known(self, name: str) -> str:
        if name not in self.properties():
            listed = ", ".join(self.properties()) or "none"
            raise MatlabError(f"{self.class_name}: it has no property '{name}'; {listed} are right")
        return name


def ask_room(its_block: block.Layer) -> None:
    """Raises LimitReached where a block's parameters have no room: its size says how large they become."""
    limits.room(getattr(its_block, "size", ()), np.dtype(np.float32))
    limits.room((getattr(its_block, "num_channels", 0), 4), np.dtype(np.float32))


def plain_property(value: Any) -> Any:
    """A value for a block's property: texts as str, cells of values as they are, which the catalogue understands."""
    return plain(value) if isinstance(value, values.String) or values.is_cell(value) else value


def constructor(name: str) -> Builtin:
    """What makes blocks of that type in a script."""
    return lambda run, args, nargout: [made(name, args, run.random)]


def made(matlab_type: str, args: list[Any], random: Stream) -> Block:
    """The block of that type from names and values; of a type that nobody registered, one that is kept by name."""
    who = f"{matlab_type}(...)"
    if matlab_type in catalogue.known():
        given = [plain_property(value) for value in args]
        return Block(bare(foreseen(who, matconvnet.dagnn.constructor(matlab_type), *given)), random)
    return Block(catalogue.Unknown(matlab_type, named(who, values.cell(args)) if args else {}), random)


def named(who: str, given: Any) -> dict[str, Any]:
    """{'input', x, ...}"""
    cell = matvalues.items(given) if values.is_cell(given) else [None]
    names, found = cell[::2], cell[1::2]
    if len(names) != len(found) or not all(isinstance(name, str) for name in names):
        raise MatlabError(f"{who}: a cell of names and values in turn is right")
    return dict(zip(names, found, strict=True))


def described(value: Any) -> str:
    if value is None:
        return "nothing"
    return values.class_of(value) if isinstance(value, Handle) else f"a {values.dims(value)} {values.class_of(value)}"

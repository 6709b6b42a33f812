"""dagnet's objects under MATLAB's names: net.params(3).learningRate, net.layers(1).block.hasBias, counted from 1."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from dagnet.graph import LayerRecord, Param, Var
from dagnet.layers import block, catalogue

from .calling import stream

T = TypeVar("T")
Derived = Mapping[str, Callable[[T], Any]]  # fields that MATLAB's object has and ours does not, by how they are found

# What the graph depends on is changed by the net's methods alone: MATLAB's "layers(3).inputs = ..." needs a rebuild after it.
METHODS = {
    (LayerRecord, "name"): "renameLayer",
    (LayerRecord, "inputs"): "setLayerInputs",
    (LayerRecord, "outputs"): "setLayerOutputs",
    (LayerRecord, "params"): "setLayerParams",
    (Var, "name"): "renameVar",
    (Param, "name"): "renameParam",
}


class View:
    """An object whose fields are read and set under MATLAB's names: learningRate is its learning_rate.

    A block's are set as its constructor would: pad = 1 makes [1, 1, 1, 1]. Its initParams takes no argument, as MATLAB's.
    A name that it does not have raises AttributeError, where Python itself would make a new field without a word.
    """

    __slots__ = ("_derived", "_object")

    def __init__(self, of: Any, derived: Derived | None = None) -> None:
        object.__setattr__(self, "_object", of)
        object.__setattr__(self, "_derived", derived or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's own questions, which a View that is being copied is asked too
            raise AttributeError(name)
        if name in self._derived:
            return self._derived[name](self._object)
        if name == "initParams" and isinstance(self._object, block.Layer):
            return lambda: self._object.init_params(stream())
        return seen(getattr(self._object, self._field(name)))

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._field(name)
        if method := METHODS.get((type(self._object), field)):
            raise AttributeError(f"{name} is not set by hand; net.{method} is right")
        if isinstance(self._object, block.Layer) and name in catalogue.matlab_fields(type(self._object)):
            catalogue.set_property(self._object, name, value)
        else:
            setattr(self._object, field, bare(value))

    def __copy__(self) -> "View":
        return View(copy.copy(self._object), self._derived)

    def __deepcopy__(self, memo: dict[int, Any]) -> "View":
        return View(copy.deepcopy(self._object, memo), self._derived)

    def __repr__(self) -> str:
        return f"View({self._object!r})"

    def _field(self, name: str) -> str:
        if isinstance(self._object, block.Layer) and name in (named := catalogue.matlab_fields(type(self._object))):
            return named[name].name
        field = snake_case(name)
        if field not in dir(self._object):
            fields = getattr(self._object, "__slots__", None) or vars(self._object)
            names = [*(catalogue.camel_case(n) for n in fields if not n.startswith("_")), *self._derived]
            raise AttributeError(
                f"{type(self._object).__name__}: it has no field {name!r}; one of {', '.join(names)} is right"
            )
        return field


def snake_case(name: str) -> str:
    """learningRate as Python writes it: learning_rate."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda m: f"_{m[0].lower()}", name)


def seen(value: Any) -> Any:
    """A block as a View of it; anything else as it is."""
    return View(value) if isinstance(value, block.Layer) else value


def bare(value: Any) -> Any:
    """What a View shows; anything else as it is."""
    return value._object if isinstance(value, View) else value


class Numbered(Mapping[str, T], Generic[T]):
    """A net's layers, vars or params: by name as in dagnet, table["conv1"], and by MATLAB's number, table(1)."""

    def __init__(self, table: Mapping[str, T], kind: str, derived: Derived | None = None) -> None:
        self._table = table
        self._kind = kind
        self._derived = derived

    def __getitem__(self, name: str) -> T:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __call__(self, index: Any) -> Any:
        """The View of the entry of that number from 1 on, -1 being the last one (MATLAB's end); a list for several, or for ":".

        Raises IndexError for other numbers, and for NaN, which getVarIndex and its like give for names that are not there.
        """
        if isinstance(index, str):
            if index != ":":
                raise IndexError(
                    f"net.{self._kind}({index!r}): a number is right; by name it is net.{self._kind}[{index!r}]"
                )
            index = range(1, len(self) + 1)
        if np.ndim(index):
            return [self(i) for i in index]
        whole = int(index) if index == index and int(index) == index else 0
        if not 1 <= abs(whole) <= len(self):
            known = f"1 to {len(self)}, or -1 for the last," if self else "none, since there are none,"
            raise IndexError(f"net.{self._kind}({index}): {known} is right (NaN: the net has no such name)")
        return View(list(self._table.values())[whole - 1 if whole > 0 else whole], self._derived)

    def index(self, name: str | Sequence[str]) -> Any:
        """The number, from 1 on, of a name; NaN where it is not there; for a list of names, a list."""
        if not isinstance(name, str):
            return [self.index(one) for one in name]
        return list(self._table).index(name) + 1 if name in self._table else float("nan")

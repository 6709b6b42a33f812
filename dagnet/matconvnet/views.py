"""dagnet's objects under MATLAB's names: net.params(3).learningRate, net.layers(1).block.hasBias, counted from 1."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from dagnet.graph import LayerRecord, Param, Var
from dagnet.layers import block, catalogue

T = TypeVar("T")

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

    A name that it does not have raises AttributeError, where Python itself would make a new field without a word.
    """

    __slots__ = ("_object",)

    def __init__(self, of: Any) -> None:
        object.__setattr__(self, "_object", of)

    def __getattr__(self, name: str) -> Any:
        return seen(getattr(self._object, self._field(name)))

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._field(name)
        if method := METHODS.get((type(self._object), field)):
            raise AttributeError(f"{name} is not set by hand; net.{method} is right")
        setattr(self._object, field, bare(value))

    def __deepcopy__(self, memo: dict[int, Any]) -> "View":
        return View(copy.deepcopy(self._object, memo))

    def __repr__(self) -> str:
        return f"View({self._object!r})"

    def _field(self, name: str) -> str:
        if name.startswith("_"):  # Python's own questions, which a View that is being copied is asked too
            raise AttributeError(name)
        if isinstance(self._object, block.Layer) and name in (named := catalogue.matlab_fields(type(self._object))):
            return named[name].name
        field = snake_case(name)
        if field not in dir(self._object):
            names = [catalogue.camel_case(n) for n in vars(self._object) if not n.startswith("_")]
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

    def __init__(self, table: Mapping[str, T], kind: str) -> None:
        self._table = table
        self._kind = kind

    def __getitem__(self, name: str) -> T:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __call__(self, index: float | Sequence[float]) -> Any:
        """The View of the entry of that number from 1 on, -1 being the last one (MATLAB's end); for a list of them, a list.

        Raises IndexError for other numbers, and for NaN, which getVarIndex and its like give for names that are not there.
        """
        if isinstance(index, Sequence):
            return [self(i) for i in index]
        whole = int(index) if index == index and int(index) == index else 0
        if not 1 <= abs(whole) <= len(self):
            known = f"1 to {len(self)}, or -1 for the last," if self else "none, since there are none,"
            raise IndexError(f"net.{self._kind}({index}): {known} is right (NaN: the net has no such name)")
        return View(list(self._table.values())[whole - 1 if whole > 0 else whole])

    def index(self, name: str | Sequence[str]) -> Any:
        """The number, from 1 on, of a name; NaN where it is not there; for a list of names, a list."""
        if not isinstance(name, str):
            return [self.index(one) for one in name]
        return list(self._table).index(name) + 1 if name in self._table else float("nan")

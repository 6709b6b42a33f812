"""The graph of a DagNN: layers, variables, parameters, their names, and the order in which layers run.

Source    matlab/+dagnn/@DagNN/rebuild.m, addLayer.m, renameVar.m of 1.0-beta25
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from dagnet.layers.array import Array
from dagnet.layers.block import Layer

T = TypeVar("T")


class Table(dict[str, T], Generic[T]):
    """A dict by name, in order of first mention, whose KeyError says what it holds and which name was near."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __missing__(self, name: str) -> T:
        near = difflib.get_close_matches(str(name), self, n=3)
        hint = f"; near are {', '.join(near)}" if near else ""
        raise KeyError(f"the net has no {self.kind} '{name}'{hint}")


@dataclass(slots=True)  # slots: a misspelt field is an error, where Python would make a new one without a word
class LayerRecord:
    """A block with its place in the graph: the names of its inputs, outputs and parameters, in the block's order.

    in_file   as it stood in the file that it was loaded from, see files.netfile
    """

    name: str
    block: Layer
    inputs: list[str]
    outputs: list[str]
    params: list[str]
    in_file: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


class Var:
    """A variable: what flows between layers.

    value, der   array (H, W, C, N), or None where there is none yet; asking for one that was freed to save memory raises
                 RuntimeError saying by which layer, and how to keep it
    precious     True keeps value and der whatever net.conserve_memory says
    fanin        how many layers make it (0: an input of the net);  fanout: how many read it (0: an output of the net)
    in_file      as it stood in the file that it was loaded from, see files.netfile
    """

    __slots__ = ("fanin", "fanout", "freed", "held", "in_file", "name", "precious")

    def __init__(self, name: str, precious: bool = False) -> None:
        self.name = name
        self.precious = precious
        self.fanin = self.fanout = 0
        self.in_file: dict[str, Any] = {}
        self.held: dict[str, Array | None] = {"value": None, "der": None}  # what execution uses, without the questions
        self.freed: dict[str, str] = {}  # "value" | "der" -> the layer after which it was freed

    def __repr__(self) -> str:
        value = self.held["value"]
        return f"Var({self.name!r}, {'no value' if value is None else value.shape}, precious={self.precious})"

    def _get(self, what: str) -> Array | None:
        if what in self.freed:
            raise RuntimeError(
                f"the {what} of variable '{self.name}' was freed {self.freed[what]} to save memory; set "
                f"net.vars['{self.name}'].precious = True (or net.conserve_memory = False) before eval to keep it"
            )
        return self.held[what]

    def put(self, what: str, array: Array | None) -> None:
        """Hold a new value or der (`what` names which)."""
        self.held[what] = array
        self.freed.pop(what, None)

    def free(self, what: str, when: str) -> None:
        """Let a value or der go, remembering when, for the error that tells of it."""
        if self.held[what] is not None:
            self.held[what] = None
            self.freed[what] = when

    def pass_over(self, what: str, when: str) -> None:
        """Hold no value or der, since none was made, remembering why as free does."""
        self.held[what] = None
        self.freed[what] = when

    @property
    def value(self) -> Array | None:
        """The value; raises RuntimeError where it was freed."""
        return self._get("value")

    @value.setter
    def value(self, array: Array | None) -> None:
        self.put("value", array)

    @property
    def der(self) -> Array | None:
        """The derivative; raises RuntimeError where it was freed."""
        return self._get("der")

    @der.setter
    def der(self, array: Array | None) -> None:
        self.put("der", array)


@dataclass(slots=True)
class Param:
    """A parameter, with what training needs to know of it.

    learning_rate, weight_decay  factors on the training's own;  train_method "gradient", or "average" for moments
    fanout                       how many layers use it (their derivatives are added)
    in_file                      as it stood in the file that it was loaded from, see files.netfile
    """

    name: str
    value: Array | None = None
    der: Array | None = None
    learning_rate: float = 1.0
    weight_decay: float = 1.0
    train_method: str = "gradient"
    fanout: int = 0
    in_file: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass
class Graph:
    """Layers, variables and parameters by name. Edits go through its methods, which keep the counts and the order right."""

    layers: Table[LayerRecord] = field(default_factory=lambda: Table("layer"))
    vars: Table[Var] = field(default_factory=lambda: Table("variable"))
    params: Table[Param] = field(default_factory=lambda: Table("parameter"))
    order: list[str] = field(default_factory=list)

    def add(self, record: LayerRecord) -> None:
        """Add a layer; its variables and parameters appear with their first mention.

        Raises ValueError where the name is taken or the layer closes a cycle.
        """
        if record.name in self.layers:
            raise ValueError(f"layer '{record.name}': the net has a layer of that name; a new name is right")
        self.layers[record.name] = record
        try:
            self.rebuild()
        except ValueError:
            del self.layers[record.name]
            self.rebuild()
            raise
        record.block.join(record.name)
        record.block.attach([self.params[p] for p in record.params])

    def remove(self, names: Iterable[str]) -> None:
        """Remove layers, and the variables and parameters that no layer mentions any more.

        Raises KeyError for a name that the net does not have; then all layers stay.
        """
        records = [self.layers[name] for name in names]  # all are found before the first one goes
        for record in records:
            self.layers.pop(record.name, None)
        self.rebuild()

    def connect(self, layer: str, what: str, names: Sequence[str]) -> None:
        """Give a layer other inputs, outputs or params (`what` names which)."""
        record = self.layers[layer]
        before = getattr(record, what)
        setattr(record, what, list(names))
        try:
            self.rebuild()
        except ValueError:
            setattr(record, what, before)
            self.rebuild()
            raise

    def rename(self, table: Table, old: str, new: str) -> None:
        """Rename in place. A variable given the name of another one is merged with it: so layers are spliced out.

        Raises ValueError, and changes nothing, where the name of a layer or parameter is taken or a merger closes a cycle.
        """
        entry = table[old]
        if old == new:
            return
        if new in table and table is not self.vars:
            raise ValueError(f"{table.kind} '{old}': the net has a {table.kind} '{new}' already; another name is right")
        fields = {"layer": (), "variable": ("inputs", "outputs"), "parameter": ("params",)}[table.kind]
        changes: list[tuple[LayerRecord, dict[str, Any]]] = [
            (record, {what: [new if n == old else n for n in getattr(record, what)] for what in fields})
            for record in self.layers.values()
        ]
        execution_order({record.name: replace(record, **names) for record, names in changes})
        entries = [e for e in table.values() if not (e is entry and new in table)]
        if new not in table:
            entry.name = new
        table.clear()
        table.update((e.name, e) for e in entries)
        for record, names in changes:
            for what, value in names.items():
                setattr(record, what, value)
        self.rebuild()

    def rebuild(self) -> None:
        """Make the counts, the execution order, and the lists of variables and parameters agree with the layers.

        Raises ValueError where layers form a cycle.
        """
        self.order = execution_order(self.layers)
        for var in self.vars.values():
            var.fanin = var.fanout = 0
        for param in self.params.values():
            param.fanout = 0
        for record in self.layers.values():
            for name in record.inputs:
                self._mention(self.vars, name, Var).fanout += 1
            for name in record.outputs:
                self._mention(self.vars, name, Var).fanin += 1
            for name in record.params:
                self._mention(self.params, name, Param).fanout += 1
        for name in [v.name for v in self.vars.values() if not v.fanin + v.fanout]:
            del self.vars[name]
        for name in [p.name for p in self.params.values() if not p.fanout]:
            del self.params[name]

    @staticmethod
    def _mention(table: Table[T], name: str, make: Callable[[str], T]) -> T:
        if name not in table:
            table[name] = make(name)
        return table[name]


def execution_order(layers: dict[str, LayerRecord]) -> list[str]:
    """The layers' names in MatConvNet's order: by the longest path to a sink, longest first, else as defined.

    Backward runs it in reverse, which fixes the order in which derivatives are summed, and so their last bits.
    Raises ValueError where layers form a cycle, naming them.
    """
    readers: dict[str, list[str]] = {}
    for name, record in layers.items():
        for var in record.inputs:
            readers.setdefault(var, []).append(name)
    after = {name: {r for var in record.outputs for r in readers.get(var, ())} for name, record in layers.items()}
    before: dict[str, list[str]] = {name: [] for name in layers}
    for name, nexts in after.items():
        for n in nexts:
            before[n].append(name)
    path: dict[str, int] = {}
    waiting = {name: len(nexts) for name, nexts in after.items()}
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        name = ready.pop()
        path[name] = 1 + max((path[n] for n in after[name]), default=-1)
        for previous in before[name]:
            waiting[previous] -= 1
            if not waiting[previous]:
                ready.append(previous)
    if len(path) < len(layers):
        loop = [name for name in layers if name not in path]
        raise ValueError(f"layers {', '.join(loop)}: they form a cycle, and a DagNN has none")
    return sorted(layers, key=lambda name: -path[name])

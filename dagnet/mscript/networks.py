"""MatConvNet's dagnn.DagNN in a script, by reference.

net.layers, net.vars and net.params are struct arrays that a script sees by value; what it assigns to them goes into the net.
Where a script edits layers(i).inputs and the like by hand, the net's order follows with the next method that rebuilds it, as in
MatConvNet, and at the script's end.
Source    MatConvNet manual, 3.2; matlab/+dagnn/@DagNN of 1.0-beta25
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from dagnet import matconvnet
from dagnet.files import fields, matvalues
from dagnet.graph import LayerRecord, Param, Var
from dagnet.layers import catalogue

from . import values
from .blocks import Block, ask_room, described, foreseen, named, plain, seen
from .builtins.randoms import Stream
from .failures import MatlabError, NotSupported
from .handle import Handle


class Net(Handle):
    """A DagNN: `net` is MatConvNet's of dagnet.matconvnet."""

    class_name = "dagnn.DagNN"

    def __init__(self, net: matconvnet.dagnn.DagNN, random: Stream) -> None:
        self.net = net
        self.random = random

    def methods(self) -> Collection[str]:
        """Those that build, ask and print."""
        return (*_METHODS, *_PLAIN_METHODS)

    def properties(self) -> Collection[str]:
        """MATLAB's, as far as they concern a definition."""
        return ("layers", "vars", "params", "meta", *_SETTINGS)

    # -- properties

    def get(self, name: str) -> Any:
        """layers, vars and params are struct arrays."""
        if name == "layers":
            return _structs(_LAYER, [self._layer(record) for record in self.net.layers.values()])
        if name == "vars":
            return _structs(_VAR, [_var(v) for v in self.net.vars.values()])
        if name == "params":
            return _structs(_PARAM, [_param(p) for p in self.net.params.values()])
        if name == "meta":
            return self.net.meta or values.empty()
        if name in _SETTINGS:
            return seen(getattr(self.net, name))
        raise MatlabError(f"a DagNN has no property '{name}'; {', '.join(self.properties())} are right")

    def set(self, name: str, value: Any) -> None:
        """What differs from what get() gives goes into the net."""
        if name == "meta":
            self.net.meta = foreseen("net.meta", fields.meta_of, {"meta": value}, "net")
        elif name in ("layers", "vars", "params"):
            try:
                records = matvalues.structs(value)
            except TypeError as error:
                raise MatlabError(f"net.{name}: {error}") from error
            {"layers": self._set_layers, "vars": self._set_vars, "params": self._set_params}[name](records)
        elif name in _SETTINGS and name != "device":
            foreseen(f"net.{name}", setattr, self.net, name, plain(value))
        else:
            raise MatlabError(f"a DagNN has no property '{name}' that can be set")

    def _layer(self, record: LayerRecord) -> dict[str, Any]:
        places: dict[str, Any] = {"inputs": self.net.vars, "outputs": self.net.vars, "params": self.net.params}
        names = {what: getattr(record, what) for what in places}
        indexes = {f"{what[:-1]}Indexes": values.row(table.index(names[what])) for what, table in places.items()}
        cells = {what: values.cell(found, None if found else (0, 0)) for what, found in names.items()}
        times = {"forwardTime": values.empty(), "backwardTime": values.empty()}
        return {"name": record.name} | cells | indexes | times | {"block": Block(record.block, self.random)}

    def _set_layers(self, given: list[dict[str, Any]]) -> None:
        graph = self.net._graph
        by_block = {id(record.block): record for record in graph.layers.values()}
        made: dict[str, tuple[LayerRecord, dict[str, Any]]] = {}
        for i, new in enumerate(given, 1):
            where = f"net.layers({i})"
            if not isinstance(new.get("block"), Block):
                raise MatlabError(
                    f"{where}.block is {described(new.get('block'))}; a block such as dagnn.ReLU() is right"
                )
            name, its_block = values.text(new["name"], f"{where}.name"), new["block"].block
            record = dict.get(graph.layers, name) or by_block.get(id(its_block))
            names = {what: values.texts(new[what], f"{where}.{what}") for what in ("inputs", "outputs", "params")}
            _only(where, new, _LAYER, self._layer(record) if record else {}, ("name", "block", *names))
            if name in made:
                raise MatlabError(f"{where}: the net has a layer of the name '{name}' already")
            record = record or LayerRecord(name, its_block, [], [], [])
            made[name] = record, {"name": name, "block": its_block, **names}
        graph.layers.clear()
        for name, (record, changes) in made.items():
            graph.layers[name] = replace(record, **changes)

    def _set_vars(self, given: list[dict[str, Any]]) -> None:
        for i, (var, new) in enumerate(self._pairs("vars", given), 1):
            _only(f"net.vars({i})", new, _VAR, _var(var), ("precious", "value", "der"))
            var.precious = values.truth(new["precious"])
            for what in ("value", "der"):
                if new[what] is not var.held[what]:
                    var.put(what, new[what] if values.numel(new[what]) else None)

    def _set_params(self, given: list[dict[str, Any]]) -> None:
        for i, (param, new) in enumerate(self._pairs("params", given), 1):
            where = f"net.params({i})"
            _only(where, new, _PARAM, _param(param), ("value", "der", "learningRate", "weightDecay", "trainMethod"))
            for what in ("value", "der"):
                if new[what] is not getattr(param, what):
                    setattr(param, what, foreseen(where, fields.parameter, new[what], f"{where}.{what}"))
            param.learning_rate = values.scalar(new["learningRate"], f"{where}.learningRate")
            param.weight_decay = values.scalar(new["weightDecay"], f"{where}.weightDecay")
            param.train_method = values.text(new["trainMethod"], f"{where}.trainMethod")

    def _pairs(self, kind: str, given: list[dict[str, Any]]) -> list[tuple[Any, dict[str, Any]]]:
        """The net's vars or params beside what is assigned to them, which has the same names."""
        table: Any = {"vars": self.net.vars, "params": self.net.params}[kind]
        names = [values.text(new["name"], f"net.{kind}.name") for new in given]
        if names != list(table):
            raise MatlabError(
                f"net.{kind}: they are renamed by net.rename{kind[:-1].capitalize()}, and come and go with their layers"
            )
        return list(zip(table.values(), given, strict=True))

    # -- methods

    def call(self, name: str, args: list[Any], nargout: int) -> list[Any]:
        """One of methods()."""
        if name in _METHODS:
            return _METHODS[name](self, args)
        result = foreseen(name, getattr(self.net, name), *(plain(value) for value in args))
        if isinstance(result, list) and name.endswith(("Index", "Order")):
            return [values.row(result)]
        return [] if result is None else [seen(result)]

    def rebuilt(self) -> matconvnet.dagnn.DagNN:
        """The net, whose order and counts agree with its layers."""
        foreseen("net.rebuild", self.net._graph.rebuild)
        return self.net


# ---------------------------------------------------------------- methods


def _add_layer(self: Net, args: list[Any]) -> list[Any]:
    if len(args) < 4:
        raise MatlabError("addLayer: (name, block, inputs, outputs, params) is right")
    name, its_block = values.text(args[0], "addLayer: the layer's name"), args[1]
    if not isinstance(its_block, Block):
        raise MatlabError(f"addLayer '{name}': {described(its_block)} came; a block such as dagnn.ReLU() is right")
    names = [values.texts(value, f"addLayer '{name}'") if values.numel(value) else [] for value in args[2:5]]
    foreseen(f"addLayer '{name}'", self.net.addLayer, name, its_block.block, *names, *map(plain, args[5:]))
    return []


def _init_params(self: Net, args: list[Any]) -> list[Any]:
    net = self.rebuilt()
    layers = []
    for name, record in net.layers.items():
        if not isinstance(record.block, catalogue.Unknown):
            ask_room(record.block)
            layers.append(name)
        elif record.params:
            raise MatlabError(
                f"initParams: layer '{name}' is of the class {record.block.matlab_type}, which is not known here; only that "
                f"knows how its parameters begin; --define {record.block.matlab_type}=module:Class supplies it"
            )
    foreseen("initParams", net.init_params, self.random.generator(), layers)
    for param in self.net.params.values():
        if param.value is not None:
            self.random.noted("initParams", param.value)
    return []


def _rebuild(self: Net, args: list[Any]) -> list[Any]:
    self.rebuilt()
    return []


def _get(self: Net, kind: str, args: list[Any]) -> list[Any]:
    """getLayer, getVar, getParam: the structs at indices or of names."""
    table: Any = {"layers": self.net.layers, "vars": self.net.vars, "params": self.net.params}[kind]
    asked = plain(args[0])
    found = []
    for one in asked if isinstance(asked, list) else [asked]:
        index = table.index(one) if isinstance(one, str) else one
        if not (isinstance(index, int) and 1 <= index <= len(table)):
            raise MatlabError(f"net.{kind} has no {one!r}")
        found.append(values.elements(self.get(kind))[index - 1])
    return [matvalues.struct_array(tuple(found[0]), found)] if found else [values.empty()]


def _sizes(self: Net, args: list[Any]) -> list[Any]:
    given = {name: matconvnet.calling.numbers(size) for name, size in named("getVarSizes", args[0]).items()}
    found = foreseen("getVarSizes", self.rebuilt().get_var_sizes, given)
    return [values.cell([values.row(size) for size in found.values()])]


def _fields(self: Net, args: list[Any]) -> list[Any]:
    found = foreseen("getVarReceptiveFields", self.rebuilt().getVarReceptiveFields, plain(args[0]))
    names = ("size", "stride", "offset")
    rows = [{n: values.empty() if f is None else values.row(getattr(f, n)) for n in names} for f in found]
    return [_structs(names, rows)]


def _eval(self: Net, args: list[Any]) -> list[Any]:
    raise NotSupported("net.eval is not known here: a script defines a network, which dagnet evaluates")


def _print(self: Net, args: list[Any]) -> list[Any]:
    sizes = [] if not args or values.is_text(args[0]) else [named("print", args[0])]
    sizes = [{name: matconvnet.calling.numbers(size) for name, size in given.items()} for given in sizes]
    foreseen("print", self.rebuilt().print, *sizes, *map(plain, args[1:] if sizes else args))
    return []


def _copy(self: Net, args: list[Any]) -> list[Any]:
    return [Net(self.rebuilt().copy(), self.random)]  # type: ignore[arg-type]  # copy keeps the class


_METHODS: dict[str, Callable[[Net, list[Any]], list[Any]]] = {
    "addLayer": _add_layer,
    "initParams": _init_params,
    "rebuild": _rebuild,
    "getLayer": lambda self, args: _get(self, "layers", args),
    "getVar": lambda self, args: _get(self, "vars", args),
    "getParam": lambda self, args: _get(self, "params", args),
    "getVarSizes": _sizes,
    "getVarReceptiveFields": _fields,
    "eval": _eval,
    "print": _print,
    "copy": _copy,
    "saveobj": lambda self, args: [self.rebuilt().saveobj()],
}
# These take and give nothing but names and numbers.
_PLAIN_METHODS = (
    "removeLayer",
    "setLayerInputs",
    "setLayerOutputs",
    "setLayerParams",
    "renameLayer",
    "renameVar",
    "renameParam",
    "getLayerIndex",
    "getVarIndex",
    "getParamIndex",
    "getInputs",
    "getOutputs",
    "getLayerExecutionOrder",
    "reset",
    "move",
)
_SETTINGS = ("mode", "conserveMemory", "accumulateParamDers", "device")


# ---------------------------------------------------------------- struct arrays

_LAYER = (
    *("name", "inputs", "outputs", "params", "inputIndexes", "outputIndexes", "paramIndexes"),
    *("forwardTime", "backwardTime", "block"),
)
_VAR = ("name", "value", "der", "fanin", "fanout", "precious")
_PARAM = ("name", "value", "der", "fanout", "trainMethod", "learningRate", "weightDecay")


def _var(var: Var) -> dict[str, Any]:
    held = {what: values.empty() if value is None else value for what, value in var.held.items()}
    counts = {"fanin": values.number(var.fanin), "fanout": values.number(var.fanout)}
    return {"name": var.name} | held | counts | {"precious": values.logical(var.precious)}


def _param(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "value": values.empty() if param.value is None else values.normal(param.value),
        "der": values.empty() if param.der is None else values.normal(param.der),
        "fanout": values.number(param.fanout),
        "trainMethod": param.train_method,
        "learningRate": values.number(param.learning_rate),
        "weightDecay": values.number(param.weight_decay),
    }


def _structs(names: tuple[str, ...], records: list[dict[str, Any]]) -> Any:
    return matvalues.struct_array(names, records)


def _only(
    where: str, new: dict[str, Any], known: tuple[str, ...], now: dict[str, Any], settable: tuple[str, ...]
) -> None:
    """Raises MatlabError where a field is set that has no meaning, or that follows from others."""
    for name, value in new.items():
        if name not in known:
            raise MatlabError(f"{where} has no field '{name}'; {', '.join(settable)} can be set")
        if name not in settable and now and name != "name" and not values.same(value, now[name]):
            raise MatlabError(f"{where}.{name} cannot be set; it follows from the layers")

"""MatConvNet's functions in a script: dagnn.*, vl_argparse, vl_simplenn_*; and what network a script's value is.

Source    MatConvNet manual, 3; vl_argparse.m, vl_simplenn_tidy.m, vl_simplenn_display.m of 1.0-beta25
"""

import warnings
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from dagnet import matconvnet, simplelayers, summary
from dagnet.dagnn import DagNN
from dagnet.files import fields, matvalues
from dagnet.files import simplenn as files
from dagnet.layers import catalogue
from dagnet.simplenn import SimpleNN

from . import values
from .blocks import constructor, described, foreseen, named, plain, seen
from .builtins.table import RESOLVERS, Builtin, builtin
from .failures import MatlabError, NotSupported, Refused
from .networks import Net
from .training import TRAINERS, Trains

if TYPE_CHECKING:
    from .interpreter import Interpreter

# What layers of a SimpleNN have whatever their type; the last ones only in old files.
LAYER_FIELDS = {
    *("type", "name", "weights", "learningRate", "weightDecay", "precious", "opts", "size", "class"),
    *("filters", "biases", "momentum", "filtersLearningRate", "biasesLearningRate"),
    *("filtersWeightDecay", "biasesWeightDecay"),
}


# ---------------------------------------------------------------- what a script's value is


def result(value: Any, run: "Interpreter") -> Any:
    """What a script gives, once it has ended: of a DagNN and of a SimpleNN's struct the network, else the value itself."""
    if isinstance(value, Net):
        net = value.rebuilt()
        fields.pad_filters(net)
        net.meta = kept(net.meta, "net.meta")
        for record in net.layers.values():
            if isinstance(record.block, catalogue.Unknown):
                record.block.fields = kept(record.block.fields, f"layer '{record.name}'")
        fields.warn_of_unknown(net, "net")
        own = DagNN()
        own.__dict__.update(net.__dict__)
        return own
    if isinstance(value, dict) and values.is_cell(value.get("layers")):
        return _noted(tidied(kept(value, "net"), run))
    return value


def _noted(net: SimpleNN) -> SimpleNN:
    """The network, of whose layers of unknown types a warning tells."""
    known = {*simplelayers.KINDS, *catalogue.known(), "custom"}
    unknown = [f"{layer['type']} (layer {layer['name']})" for layer in net.layers if layer["type"] not in known]
    if unknown:
        warnings.warn(f"net: kept but not runnable, as their types are not known: {', '.join(unknown)}", stacklevel=2)
    return net


def argument(value: Any, run: "Interpreter") -> Any:
    """A network of dagnet's as a script takes it: a copy, which the script may change."""
    if isinstance(value, DagNN):
        return Net(matconvnet.dagnn.DagNN.loadobj(value), run.random)
    return struct_of(value) if isinstance(value, SimpleNN) else value


def kept(value: Any, where: str) -> Any:
    """The value as a file can hold it: of functions and objects their names, of which a warning tells."""
    if isinstance(value, dict):
        return {name: kept(v, f"{where}.{name}") for name, v in value.items()}
    if isinstance(value, matvalues.StructArray):
        return matvalues.StructArray(value.fields, value.shape, [kept(record, where) for record in value.records])
    if values.is_cell(value):
        return values.cell([kept(item, where) for item in value.ravel(order="F")], value.shape)
    if isinstance(value, values.String):
        return value.value
    if isinstance(value, values.Function):
        name = value.name if isinstance(value, values.FunctionHandle) else "(...)"
        warnings.warn(f"{where} is the function @{name}, of which its name is kept", stacklevel=2)
        return f"@{name}"
    if isinstance(value, values.Handle):
        raise MatlabError(f"{where} is an object of class {value.class_name}, which a network's file cannot hold")
    return value


def tidied(net: Any, run: "Interpreter") -> SimpleNN:
    """vl_simplenn_tidy's result. Raises MatlabError for what is no SimpleNN, and for options that no layer of the type has.

    Fields that came with a file are no such options.
    """
    passive = LAYER_FIELDS.union(*run.loaded.values())
    if not isinstance(net, dict):
        raise MatlabError(f"vl_simplenn_tidy: {described(net)} came; the struct of a SimpleNN is right")
    chain = foreseen("vl_simplenn_tidy", files.tidy, net)
    for i, layer in enumerate(chain.layers, 1):
        kind = simplelayers.KINDS.get(layer["type"])
        if kind is None:
            continue
        right = [*kind.properties, *kind.defaults]
        if wrong := [name for name in layer if name not in passive and name not in right]:
            raise MatlabError(
                f"net.layers{{{i}}} '{layer['name']}': a layer of type {layer['type']} has no option '{wrong[0]}'; "
                f"{', '.join(dict.fromkeys(right)) or 'none'} are right"
            )
    return chain


def struct_of(net: SimpleNN) -> dict[str, Any]:
    """The struct of a SimpleNN as a script sees it."""
    return {"layers": values.cell([seen(layer) for layer in net.layers]), "meta": seen(net.meta)}


# ---------------------------------------------------------------- dagnn.*


@builtin("dagnn.DagNN")
def _dagnn(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [Net(matconvnet.dagnn.DagNN(), run.random)]


@builtin("dagnn.DagNN.fromSimpleNN")
def _from_simplenn(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    chain, options = tidied(kept(args[0], "net"), run), [plain(value) for value in args[1:]]
    with warnings.catch_warnings():  # of blocks that are not known the end of the script tells
        warnings.simplefilter("ignore")
        return [Net(foreseen("fromSimpleNN", matconvnet.dagnn.DagNN.fromSimpleNN, chain, *options), run.random)]


@builtin("dagnn.DagNN.loadobj")
def _loadobj(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    given = args[0]
    if isinstance(given, Net):
        return [given]
    if values.is_text(given):
        given = run.call("load", [given], 1)[0]
    if isinstance(given, dict) and "layers" not in given and "net" in given:
        raise MatlabError("loadobj: the struct has a field net; loadobj(s.net) is right")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [Net(foreseen("loadobj", matconvnet.dagnn.DagNN.loadobj, given), run.random)]


def _known_block(name: str) -> Builtin | None:
    """What makes blocks of a type that is registered, and under dagnn. of any type at all, which is then kept by its name."""
    if name in catalogue.known() or (name.startswith("dagnn.") and name.count(".") == 1):
        return constructor(name)
    return None


RESOLVERS.append(_known_block)


# ---------------------------------------------------------------- vl_*


@builtin("vl_argparse")
def _argparse(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if len(args) < 2 or not isinstance(args[0], dict):
        raise MatlabError("vl_argparse: (opts, args), a struct and a cell, is right")
    given = matvalues.items(args[1]) if values.is_cell(args[1]) else [args[1]] if values.numel(args[1]) else []
    words = [item.value if isinstance(item, values.String) else item for item in given]
    flags = [values.text(flag, "vl_argparse") for flag in args[2:]]
    found = foreseen("vl_argparse", matconvnet.vl_argparse, args[0], words, *flags, rest=nargout > 1)
    return [found[0], values.cell(found[1], None if found[1] else (0, 0))] if nargout > 1 else [found]


@builtin("vl_simplenn_tidy")
def _tidy(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return [struct_of(tidied(args[0], run))]


@builtin("vl_simplenn_move")
def _move(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    if values.text(args[1], "vl_simplenn_move") != "cpu":
        raise NotSupported("vl_simplenn_move: a network is defined on the CPU; dagnet train moves it to the GPU")
    return [args[0]]


@builtin("vl_simplenn_display")
def _display(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """Prints the table; or returns info, whose dataSize (4xL+1) and receptive fields scripts look at, and the table."""
    options = named("vl_simplenn_display", values.cell(args[1:])) if args[1:] else {}
    chosen = {name.lower(): value for name, value in options.items()}
    net = foreseen("vl_simplenn_display", lambda: SimpleNN(_layers(args[0]), args[0].get("meta", {}) or {}))
    size = matconvnet.calling.numbers(chosen["inputsize"]) if "inputsize" in chosen else _input_size(net.meta)
    info = _info(net, size, plain(chosen.get("batchsize", values.number(1))))
    if nargout == 1:
        return [info]
    known = {"format": "format", "maxnumcolumns": "max_num_columns"}
    keywords = {ours: plain(chosen[name]) for name, ours in known.items() if name in chosen}
    text = foreseen("vl_simplenn_display", summary.display, net, input_size=size and size[:3], **keywords)
    if nargout == 0:
        run.write(f"{text}\n")
    return [info, text] if nargout else []


def _layers(net: Any) -> list[dict[str, Any]]:
    """The layers as they are, whose weights are not copied."""
    layers = [dict(layer) for layer in matvalues.items(net["layers"])]
    for layer in layers:
        layer["weights"] = matvalues.items(layer.get("weights", values.empty()))
    return layers


def _input_size(meta: dict[str, Any]) -> list[int] | None:
    """meta.inputSize, or meta.normalization.imageSize, where one is there."""
    normalization = meta.get("normalization")
    inner = normalization if isinstance(normalization, dict) else {}
    found = inner.get("imageSize", meta.get("inputSize"))
    return None if found is None else matconvnet.calling.numbers(found)


def _info(net: SimpleNN, size: list[int] | None, batch: int) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dag = foreseen("vl_simplenn_display", files.from_simplenn, net)
    first = [*(size or [])[:3], *[np.nan] * 3][:3]
    sizes, fields_seen = [[*first, batch]], []
    if dag.layers:
        found = foreseen("vl_simplenn_display", dag.get_var_sizes, {"x0": tuple(sizes[0])})
        sizes += [list(found[record.outputs[0]]) for record in dag.layers.values()]
        reach = dag.get_var_receptive_fields("x0")
        fields_seen = [reach[record.outputs[0]] for record in dag.layers.values()]
    columns = {
        f"receptiveField{what.capitalize()}": [[1.0, 1.0]]
        + [[np.nan] * 2 if field is None else list(getattr(field, what)) for field in fields_seen]
        for what in ("size", "offset", "stride")
    }
    return {name: np.array(rows, float).T for name, rows in {**columns, "dataSize": sizes}.items()}


@builtin("vl_setupnn", "vl_compilenn")
def _setup(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return []  # dagnet stands in MatConvNet's place


@builtin("run")
def _run(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    path = PurePath(values.text(args[0], "run"))
    if path.stem != "vl_setupnn":
        raise Refused(
            f"run is refused: of the script {path} nothing is known beforehand; a function of its own is right"
        )
    return []


@builtin(*TRAINERS)
def _trains(run: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    raise Trains(args[0])

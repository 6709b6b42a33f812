"""MatConvNet's package +dagnn: the class DagNN with camelCase methods, and a constructor for every block.

    net = dagnn.DagNN()
    net.addLayer("conv1", dagnn.Conv("size", [3, 3, 3, 64], "pad", 1), "input", "x1", ["conv1f", "conv1b"])
    net.params(net.getParamIndex("conv1f")).learningRate = 0.1
    net.eval(["input", x, "label", c], ["objective", 1])           # MATLAB: net.eval({'input', x, ...}, {'objective', 1})

Lists of names and values may be dicts as well. Layers, vars and params are counted from 1, net.layers(-1) is MATLAB's
net.layers(end), and net.layers["conv1"] is dagnet's own access by name. A DagNN is a dagnet.DagNN too: whatever takes one of
those takes it, and what that one does differently from MatConvNet (its docstrings say so) holds here as well.
Source    MatConvNet manual, 3.2; matlab/+dagnn/@DagNN of 1.0-beta25
"""

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import dagnet
from dagnet import summary
from dagnet.files import netfile, simplenn
from dagnet.graph import LayerRecord, Param, Var
from dagnet.layers import block, bnorm, catalogue, geometry
from dagnet.simplenn import SimpleNN
from dagnet.training import profile

from .calling import current_release, numbers, pairs, stream
from .views import Numbered, View, bare

Names = str | Sequence[str]

# The options of print: MatConvNet's name, and summary.report's.
PRINT: dict[str, Any] = {
    "All": "all",
    "Layers": "layers",
    "Parameters": "params",
    "Variables": "vars",
    "Dependencies": "dependencies",
    "Memory": "memory",
    "Format": "format",
    "MaxNumColumns": "max_num_columns",
}
Pairs = Mapping[str, Any] | Sequence[Any] | None  # {"input": x} or ["input", x]


class DagNN(dagnet.DagNN):
    """dagnet.DagNN under MatConvNet's names. Losses and BatchNorm follow the release that is in force as layers are added."""

    @property
    def layers(self) -> Numbered[LayerRecord]:  # type: ignore[override]  # it reads as the base's Table does
        """layers(i), or layers["conv1"]."""
        indexes = {
            "inputIndexes": lambda layer: self.vars.index(layer.inputs),
            "outputIndexes": lambda layer: self.vars.index(layer.outputs),
            "paramIndexes": lambda layer: self.params.index(layer.params),
        }
        return Numbered(self._graph.layers, "layers", indexes)

    @property
    def vars(self) -> Numbered[Var]:  # type: ignore[override]
        """vars(i), or vars["x1"]."""
        return Numbered(self._graph.vars, "vars")

    @property
    def params(self) -> Numbered[Param]:  # type: ignore[override]
        """params(i), or params["conv1f"]."""
        return Numbered(self._graph.params, "params")

    @property
    def conserveMemory(self) -> bool:
        """conserve_memory."""
        return self.conserve_memory

    @conserveMemory.setter
    def conserveMemory(self, value: bool) -> None:
        self.conserve_memory = bool(value)

    @property
    def accumulateParamDers(self) -> bool:
        """accumulate_param_ders."""
        return self.accumulate_param_ders

    @accumulateParamDers.setter
    def accumulateParamDers(self, value: bool) -> None:
        self.accumulate_param_ders = bool(value)

    def __setattr__(self, name: str, value: Any) -> None:
        """As Python does it; but a name that a DagNN does not have raises AttributeError, as in MATLAB."""
        if not (name.startswith("_") or hasattr(self, name) or name in vars(dagnet.DagNN())):
            raise AttributeError(f"net: it has no property {name!r}; conserveMemory, mode, meta or the like is right")
        super().__setattr__(name, value)

    # -- editing

    def add_layer(self, name: str, block: Any, inputs: Names, outputs: Names, params: Names = ()) -> None:
        """As in dagnet.DagNN; the block comes from a constructor of this module, or is one: in MATLAB dagnn.ReLU is ReLU()."""
        block = bare(block() if inspect.isfunction(block) else block)
        super().add_layer(name, block, inputs, outputs, params)
        release = profile.apply(self, current_release().name)
        if isinstance(block, bnorm.BatchNorm):
            self.params[params[2]].learning_rate = release.moments_rate

    def addLayer(self, name: str, block: Any, inputs: Names, outputs: Names, params: Names = (), *options: Any) -> None:
        """add_layer. The option skipRebuild has no effect: the order is made anew with each layer."""
        pairs("addLayer", options, {"skipRebuild": False})
        self.add_layer(name, block, inputs, outputs, params)

    def removeLayer(self, names: Names) -> None:
        """remove_layer."""
        self.remove_layer(names)

    def setLayerInputs(self, layer: str, inputs: Names) -> None:
        """set_layer_inputs."""
        self.set_layer_inputs(layer, inputs)

    def setLayerOutputs(self, layer: str, outputs: Names) -> None:
        """set_layer_outputs."""
        self.set_layer_outputs(layer, outputs)

    def setLayerParams(self, layer: str, params: Names) -> None:
        """set_layer_params."""
        self.set_layer_params(layer, params)

    def renameLayer(self, old: str, new: str, *options: Any) -> None:
        """rename_layer; a name that is not there is a warning, or nothing with "quiet"."""
        if _is_there(self.layers, "layer", old, options):
            self.rename_layer(old, new)

    def renameVar(self, old: str, new: str, *options: Any) -> None:
        """rename_var; a name that is not there is a warning, or nothing with "quiet"."""
        if _is_there(self.vars, "variable", old, options):
            self.rename_var(old, new)

    def renameParam(self, old: str, new: str, *options: Any) -> None:
        """rename_param; a name that is not there is a warning, or nothing with "quiet"."""
        if _is_there(self.params, "parameter", old, options):
            self.rename_param(old, new)

    def rebuild(self) -> None:
        """Has nothing to do: the net's order and counts are always right."""

    def initParams(self) -> None:
        """init_params of all layers, from the stream that rng(seed) starts."""
        self.init_params(stream())

    # -- looking up

    def getLayerIndex(self, name: Names) -> Any:
        """A layer's number from 1 on, NaN where there is none of that name; for a list of names, a list."""
        return self.layers.index(name)

    def getVarIndex(self, name: Names) -> Any:
        """A variable's number, as getLayerIndex."""
        return self.vars.index(name)

    def getParamIndex(self, name: Names) -> Any:
        """A parameter's number, as getLayerIndex."""
        return self.params.index(name)

    def getLayer(self, name: str | int) -> View:
        """A copy of a layer (its block is the net's own), by name or number."""
        return _copied(self.layers, name)

    def getVar(self, name: str | int) -> View:
        """A copy of a variable, by name or number."""
        return _copied(self.vars, name)

    def getParam(self, name: str | int) -> View:
        """A copy of a parameter, by name or number."""
        return _copied(self.params, name)

    def getInputs(self) -> list[str]:
        """inputs: the variables that no layer makes."""
        return self.inputs

    def getOutputs(self) -> list[str]:
        """outputs: the variables that no layer reads."""
        return self.outputs

    def getLayerExecutionOrder(self) -> list[int]:
        """The layers' numbers in execution_order."""
        return self.layers.index(self.execution_order)

    def getVarSizes(self, inputSizes: Pairs) -> list[block.Size]:
        """The size (H, W, C, N) of each variable, in the order of vars."""
        return list(self.get_var_sizes(_sizes("getVarSizes", inputSizes)).values())

    def getVarReceptiveFields(self, var: str) -> list[geometry.ReceptiveField | None]:
        """What each variable, in the order of vars, sees of `var`: size, stride, offset; None where nothing (MATLAB: [])."""
        return list(self.get_var_receptive_fields(var).values())

    def print(self, *args: Any, **options: Any) -> None:
        """Prints summary.report (which returns the text), for sizes of inputs, if given, and MatConvNet's options."""
        sizes, args = ({}, args) if not args or isinstance(args[0], str) else (_sizes("print", args[0]), args[1:])
        chosen = pairs("print", [options, *args], PRINT)
        keywords = {PRINT[name]: value for name, value in chosen.items()}
        print(summary.report(self, sizes, **keywords))

    # -- running

    def eval(self, inputs: Pairs, derOutputs: Pairs = (), *options: Any) -> None:  # type: ignore[override]
        """As dagnet.DagNN.eval. The option holdOn concerns several GPUs and has no effect."""
        pairs("eval", options, {"holdOn": False})
        super().eval(as_dict("eval", inputs), as_dict("eval", derOutputs))

    # -- files

    def saveobj(self) -> dict[str, Any]:
        """The struct that MATLAB's saveobj gives: dagnet.files.netfile.save(net, path) writes it."""
        return netfile.to_struct(self)

    @classmethod
    def loadobj(cls, s: Any) -> "DagNN":
        """The net of a struct as from saveobj (or of a SimpleNN), of a .mat file, or of a dagnet.DagNN."""
        if isinstance(s, dagnet.DagNN):
            return cls._of(s.copy())
        return cls._of(netfile.load(s) if isinstance(s, str | PathLike) else netfile.from_struct(s))

    @classmethod
    def fromSimpleNN(cls, net: SimpleNN | dict[str, Any], *options: Any) -> "DagNN":
        """The net of a SimpleNN, or of a struct as vl_simplenn_tidy takes it; the option canonicalNames."""
        chosen = pairs("fromSimpleNN", options, {"canonicalNames": False})
        return cls._of(simplenn.from_simplenn(net, bool(chosen.get("canonicalNames"))))

    @classmethod
    def _of(cls, net: dagnet.DagNN) -> "DagNN":
        """The same net under this class."""
        own = cls()
        own.__dict__.update(net.__dict__)
        profile.apply(own, current_release().name)
        return own


def constructor(matlab_type: str) -> Any:
    """What makes blocks of that type from names and values, or keywords: Conv("size", [3, 3, 3, 64], pad=1).

    Names are MATLAB's, in any case. For a block of your own: register it in the catalogue, then constructor("YourBlock").
    Raises LookupError for a type that is not known.
    """
    fields = catalogue.matlab_fields(catalogue.find(matlab_type))
    known = {name: field.default for name, field in fields.items()} | dict.fromkeys(
        catalogue.DROPPED.get(matlab_type, ())
    )

    def make(*args: Any, **keywords: Any) -> View:
        given = pairs(matlab_type, [keywords, *args], known)
        if matlab_type == "dagnn.BatchNorm":
            given = {"epsilon": current_release().epsilon} | given
        return View(catalogue.from_matlab(matlab_type, given))

    make.__name__ = make.__qualname__ = matlab_type
    make.__doc__ = f"A block {matlab_type}; its properties: {', '.join(fields) or 'none'}."
    return make


def isa(value: Any, matlab_type: str) -> bool:
    """Whether a block is of that type, "dagnn.Loss", or of one derived from it; "dagnn.DagNN" and "dagnn.Layer" are types too.

    Raises LookupError for a type that is not known.
    """
    classes = {"dagnn.DagNN": dagnet.DagNN, "dagnn.Layer": block.Layer}
    return isinstance(bare(value), classes.get(matlab_type) or catalogue.find(matlab_type))


def __getattr__(name: str) -> Any:
    """dagnn.Conv and every other block of MatConvNet's that the catalogue knows."""
    if f"dagnn.{name}" in catalogue.known():
        return constructor(f"dagnn.{name}")
    blocks = [known.removeprefix("dagnn.") for known in catalogue.known() if known.startswith("dagnn.")]
    raise AttributeError(f"dagnn: there is no {name}; DagNN or one of {', '.join(blocks)} is right")


def as_dict(who: str, given: Pairs) -> dict[str, Any]:
    """["input", x, "label", c] as a dict. Raises ValueError, naming `who`, for anything else."""
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    names, values = given[::2], given[1::2]
    if len(names) != len(values) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{who}: it is given a list of {len(given)}; names and values in turn, or a dict, are right")
    return dict(zip(names, values, strict=True))


def _sizes(who: str, given: Pairs) -> dict[str, list[int]]:
    return {name: numbers(size) for name, size in as_dict(who, given).items()}


def _is_there(table: Numbered, kind: str, name: str, options: Sequence[Any]) -> bool:
    """Whether the table has the name; where not, it warns, unless the options say "quiet"."""
    quiet = bool(pairs("rename", options, {"quiet": False}).get("quiet"))
    if name not in table and not quiet:
        warnings.warn(f"the net has no {kind} '{name}' to rename", stacklevel=3)
    return name in table


def _copied(table: Numbered, name: str | int) -> View:
    entry = copy.copy(table[name] if isinstance(name, str) else bare(table(name)))
    if isinstance(entry, Var):
        entry.held, entry.freed = dict(entry.held), dict(entry.freed)
    return View(entry)

"""DagNN, the network that users hold: a graph of layers with values, derivatives and settings.

Source    MatConvNet manual, section 3.2; matlab/+dagnn/@DagNN of 1.0-beta25
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from dagnet import execution
from dagnet.graph import Graph, LayerRecord, Param, Table, Var
from dagnet.layers import array, buffers, catalogue, device, dropout, threads
from dagnet.layers.array import Array
from dagnet.layers.block import Layer, Size
from dagnet.layers.geometry import IDENTITY, ReceptiveField

Mode = Literal["normal", "test"]


class DagNN:
    """A network of blocks in a directed acyclic graph.

    layers, vars, params   what it is made of, by name, in order of first mention
    meta                   what the file says besides (normalization, classes, ...), as plain dicts
    conserve_memory        free values and derivatives as soon as nothing needs them (default True)
    accumulate_param_ders  add to the parameters' derivatives in place of replacing them (sub-batches)
    input_ders             compute the derivatives of the net's own inputs too (default True; training turns it off)
    """

    def __init__(self) -> None:
        self._graph = Graph()
        self._mode: Mode = "normal"
        self._device = "cpu"
        self.meta: dict[str, Any] = {}
        self.in_file: dict[str, Any] = {}  # what of meta the file had that a dict does not tell, see files.netfile
        self.conserve_memory = True
        self.accumulate_param_ders = False
        self.input_ders = True

    # -- what it is made of

    @property
    def layers(self) -> Table[LayerRecord]:
        """The layers by name: `net.layers["conv1_1"].block`."""
        return self._graph.layers

    @property
    def vars(self) -> Table[Var]:
        """The variables by name: `net.vars["x1"].value`."""
        return self._graph.vars

    @property
    def params(self) -> Table[Param]:
        """The parameters by name: `net.params["conv1_1f"].value`."""
        return self._graph.params

    @property
    def execution_order(self) -> list[str]:
        """The layers' names in the order in which eval runs them."""
        return list(self._graph.order)

    @property
    def inputs(self) -> list[str]:
        """The variables that no layer makes."""
        return [v.name for v in self.vars.values() if not v.fanin]

    @property
    def outputs(self) -> list[str]:
        """The variables that no layer reads."""
        return [v.name for v in self.vars.values() if not v.fanout]

    @property
    def mode(self) -> Mode:
        """ "normal" for training, "test" where DropOut and BatchNorm behave as in use."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        modes: dict[str, Mode] = {"normal": "normal", "train": "normal", "test": "test"}
        if mode not in modes:
            raise ValueError(f"net.mode: it was set to {mode!r}; 'normal' or 'test' is right")
        self._mode = modes[mode]
        for record in self.layers.values():
            record.block.mode = self._mode

    @property
    def device(self) -> str:
        """ "cpu" or "gpu"; see move."""
        return self._device

    def __repr__(self) -> str:
        values = sum(p.value.size for p in self.params.values() if p.value is not None)
        return (
            f"DagNN(mode={self.mode!r}, {len(self.layers)} layers, {len(self.vars)} vars, {len(self.params)} params "
            f"with {values:,} values, inputs {self.inputs}, outputs {self.outputs})"
        )

    # -- editing

    def add_layer(
        self,
        name: str,
        block: Layer,
        inputs: str | Sequence[str],
        outputs: str | Sequence[str],
        params: str | Sequence[str] = (),
    ) -> None:
        """Add a layer that runs `block`; variables and parameters appear with their first mention.

        A lone name may stand for a list of one. Raises ValueError where `block` is none, the name is taken or a cycle arises.
        """
        if not isinstance(block, Layer):
            came = block.__name__ if isinstance(block, type) else f"a {type(block).__name__}"
            raise ValueError(f"layer '{name}': its block is {came}; a block, such as relu.ReLU(), is right")
        self._graph.add(LayerRecord(name, block, _names(inputs), _names(outputs), _names(params)))
        block.mode = self._mode

    def remove_layer(self, names: str | Iterable[str]) -> None:
        """Remove one or more layers, and the variables and parameters that only they used."""
        self._graph.remove(_names(names))

    def set_layer_inputs(self, layer: str, names: str | Sequence[str]) -> None:
        """Let a layer read other variables."""
        self._graph.connect(layer, "inputs", _names(names))

    def set_layer_outputs(self, layer: str, names: str | Sequence[str]) -> None:
        """Let a layer make other variables."""
        self._graph.connect(layer, "outputs", _names(names))

    def set_layer_params(self, layer: str, names: str | Sequence[str]) -> None:
        """Let a layer use other parameters."""
        self._graph.connect(layer, "params", _names(names))

    def rename_layer(self, old: str, new: str) -> None:
        """Rename a layer. Raises ValueError where the new name is taken."""
        self._graph.rename(self._graph.layers, old, new)

    def rename_var(self, old: str, new: str) -> None:
        """Rename a variable; where the new name exists, the two become one."""
        self._graph.rename(self._graph.vars, old, new)

    def rename_param(self, old: str, new: str) -> None:
        """Rename a parameter. Raises ValueError where the new name is taken."""
        self._graph.rename(self._graph.params, old, new)

    def init_params(self, rng: np.random.Generator, layers: Iterable[str] | None = None) -> None:
        """Give the parameters of the named layers (default: of all, loaded ones included) fresh initial values."""
        for name in self.layers if layers is None else list(layers):
            record = self.layers[name]
            for p, value in zip(record.params, record.block.init_params(rng), strict=False):
                self.params[p].value = array.to_gpu(value) if self._device == "gpu" else value

    # -- running

    @threads.blas_alone()  # layers share their work above BLAS; its own threads would wait beside ours
    def eval(self, inputs: Mapping[str, Array], der_outputs: Mapping[str, Array | float] | None = None) -> None:
        """Run the net on `inputs` (name -> array (H, W, C, N)), and backward where `der_outputs` are given.

        der_outputs names outputs and the derivatives to start from: {"objective": 1.0} for a loss. Afterwards the results
        stand in net.vars[...].value and .der, and in net.params[...].der.
        All that variables hold from an earlier call is forgotten first, so that no old label meets a new image. (MatConvNet
        keeps inputs that a call does not give, and what layers made that are now skipped.)
        Raises ValueError where a name is unknown or a value does not fit, with the layer in a note.
        """
        if not inputs:
            raise ValueError("net.eval: it was given no inputs; to leave training mode write net.mode = 'test'")
        given = {
            self.vars[name].name: execution.checked(f"input '{name}'", value, self._device)
            for name, value in inputs.items()
        }
        for var in self.vars.values():
            var.value, var.der = given.get(var.name), None
        options = execution.Options(self.conserve_memory, self.accumulate_param_ders, self.input_ders)
        execution.forward(self._graph, options, derivatives=bool(der_outputs))
        if der_outputs:
            for name, der in der_outputs.items():
                var = self.vars[name]
                var.der = execution.seed(var.held["value"], der, f"der_outputs: variable '{name}'")
            execution.backward(self._graph, options)

    def reset(self) -> None:
        """Forget all values and derivatives but the parameters' values, and what blocks keep (averages, masks).

        Memory that was kept to be used again goes back to the system.
        """
        for var in self.vars.values():
            var.value = var.der = None
        for param in self.params.values():
            param.der = None
        for record in self.layers.values():
            record.block.reset()
        buffers.release()

    def seed(self, *numbers: int) -> None:
        """Start all that is random in blocks (DropOut) anew: the same numbers, the same masks."""
        for place, record in enumerate(self.layers.values()):
            if isinstance(record.block, dropout.DropOut):
                record.block.seed(np.random.SeedSequence((*numbers, place)))

    def copy(self) -> "DagNN":
        """A net of its own with the same layers, parameters and settings, without values of variables."""
        other = copy.copy(self)
        other.meta = copy.deepcopy(self.meta)
        other._graph = Graph()
        for record in self.layers.values():
            other._graph.layers[record.name] = copy.deepcopy(record)
        for var in self.vars.values():
            other._graph.vars[var.name] = Var(var.name, var.precious)
        for param in self.params.values():
            twin = other._graph.params[param.name] = copy.copy(param)
            twin.value, twin.der = (None if param.value is None else param.value.copy()), None
        other._graph.rebuild()
        for record in other.layers.values():
            record.block.reset()
        return other

    def move(self, destination: str) -> None:
        """Move the parameters to the "gpu" or the "cpu"; resets the net first, as in MatConvNet.

        Raises ValueError for another word, RuntimeError where there is no GPU, or none with as much memory; then the net stays.
        """
        there = array.mover(destination)
        self.reset()
        try:
            moved = [None if param.value is None else there(param.value) for param in self.params.values()]
        except Exception as error:
            error = device.told(error, "narrower layers are right")
            raise error
        for param, value in zip(self.params.values(), moved, strict=True):
            param.value = value
        self._device = destination

    # -- sizes

    def get_var_sizes(self, input_sizes: Mapping[str, Sequence[int]]) -> dict[str, Size]:
        """The size (H, W, C, N) of every variable, from those of inputs; NaN where it is unknown.

        Raises ValueError where an input is too small or sizes do not fit, with the layer in a note. (MatConvNet counts on,
        with sizes below 1.)
        """
        unknown: Size = (float("nan"),) * 4
        sizes = dict.fromkeys(self.vars, unknown)
        for name, size in input_sizes.items():
            self.vars[name]
            sizes[name] = (*size, 1, 1, 1, 1)[:4]
        for name in self._graph.order:
            record = self.layers[name]
            if isinstance(record.block, catalogue.Unknown):
                continue
            came = [sizes[v] for v in record.inputs]
            with execution.named(record, came):
                execution.check_count("inputs", record.inputs, record.block.n_inputs)
                made = record.block.output_sizes(came)
                execution.check_count("outputs", record.outputs, (len(made),))
            sizes.update(zip(record.outputs, made, strict=True))
        return sizes

    def get_var_receptive_fields(self, var: str) -> dict[str, ReceptiveField | None]:
        """For every variable, which pixels of `var` one of its pixels sees; None where it sees none."""
        fields: dict[str, ReceptiveField | None] = dict.fromkeys(self.vars)
        self.vars[var]
        fields[var] = IDENTITY
        for name in self._graph.order:
            record = self.layers[name]
            if isinstance(record.block, catalogue.Unknown):
                continue
            steps = record.block.receptive_fields(len(record.inputs))
            through = [
                seen.then(step)
                for v, step in zip(record.inputs, steps, strict=True)
                if step is not None and (seen := fields[v]) is not None
            ]
            if through:
                union = through[0]
                for other in through[1:]:
                    union = union.united(other)
                fields.update(dict.fromkeys(record.outputs, union))
        return fields


def _names(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)

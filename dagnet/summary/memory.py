"""How much memory a pass takes at its worst, found by the engine itself: it runs the graph on arrays that are only sizes.

    counted        values and derivatives of variables and parameters, from the moment a layer has made them to the moment the
                   engine lets them go (inputs: to the end, since the caller holds them); 4 bytes a number, and nothing where a
                   size is not known
    not counted    what layers need while they work or keep for themselves (a DropOut's mask), and what a solver keeps

Where a block passes an array on as it is (Sum's derivatives, DropOut in test mode), the true peak is below this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

from dagnet import execution
from dagnet.dagnn import DagNN
from dagnet.graph import Graph, LayerRecord, Param
from dagnet.layers import block, conv, crop, loss, pdist, roipool

from . import facts


@dataclass(frozen=True)
class Peaks:
    """Bytes: of a pass in test mode, and of a training step; each with conserve_memory and without."""

    test: int
    test_kept: int
    training: int
    training_kept: int


def peaks(
    net: DagNN,
    sizes: Mapping[str, Sequence[int]],
    der_outputs: str | Sequence[str] | None = None,
    input_ders: bool = False,
) -> Peaks:
    """The memory of one eval of the net on inputs of these sizes (H, W, C, N).

    der_outputs  from which outputs a training step derives, or which one: default `objective`, and all where there is none
    input_ders   whether the derivatives of the net's inputs are made too (net.input_ders; the trainer turns it off)

    Raises ValueError where sizes do not fit, KeyError for a name that the net does not have.
    """
    made = net.get_var_sizes(sizes)
    starts = der_outputs or ("objective" if "objective" in net.outputs else net.outputs)
    seeds = {net.vars[name].name: made[name] for name in ([starts] if isinstance(starts, str) else starts)}
    return Peaks(
        *(_peak(net, made, seeds, input_ders, conserve) for seeds in ({}, seeds) for conserve in (True, False))
    )


def derived_inputs(layer: block.Layer, inputs: int) -> list[bool]:
    """For each input of a block, whether its backward gives a derivative: not for labels, weights, regions, a size alone."""
    if isinstance(layer, pdist.PDist):
        return [i < 2 for i in range(inputs)]
    if isinstance(layer, (loss.Loss, crop.Crop, roipool.ROIPooling)):
        return [i < 1 for i in range(inputs)]
    return [True] * inputs


def _peak(
    net: DagNN, sizes: Mapping[str, block.Size], seeds: Mapping[str, block.Size], input_ders: bool, conserve: bool
) -> int:
    """The most bytes alive at once. Seeds: the outputs from which derivatives start; none: the pass only goes forward."""
    meter = _Meter()
    graph = _hollowed(net, sizes, meter)
    held = [var.held["value"] for var in graph.vars.values()]
    options = execution.Options(conserve_memory=conserve, accumulate_param_ders=False, input_ders=input_ders)
    execution.forward(graph, options, derivatives=bool(seeds))
    if seeds:
        for name, size in seeds.items():
            graph.vars[name].put("der", _Hollow(size, meter))
        execution.backward(graph, options)
    del held
    return meter.most


def _hollowed(net: DagNN, sizes: Mapping[str, block.Size], meter: "_Meter") -> Graph:
    """The net's graph with hollow parameters, and with hollow values of its inputs."""
    graph = Graph()
    for record in net.layers.values():
        graph.layers[record.name] = replace(record, block=_Hollowing(record, sizes, net.params, meter))
    graph.rebuild()
    for param in net.params.values():
        graph.params[param.name].value = _Hollow(facts.dims_of(param), meter)
    for var in graph.vars.values():
        var.precious = net.vars[var.name].precious
        if not var.fanin:
            var.put("value", _Hollow(sizes[var.name], meter))
    return graph


class _Meter:
    """Counts the bytes of the hollow arrays that live."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def add(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)


class _Hollow:
    """An array without numbers. NumPy, asked to add two, makes a third, as the engine does where derivatives meet."""

    def __init__(self, shape: Sequence[float], meter: _Meter) -> None:
        size = facts.bytes_of(shape)
        self.shape, self._meter, self._bytes = tuple(shape), meter, 0 if isnan(size) else int(size)
        meter.add(self._bytes)

    def __del__(self) -> None:
        self._meter.add(-self._bytes)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> "_Hollow":
        return _Hollow(self.shape, self._meter)  # empty_like

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: tuple["_Hollow"]) -> "_Hollow":
        return out[0]


class _Hollowing(block.Layer):
    """A layer that makes hollow arrays of the sizes that its block would make."""

    def __init__(
        self, record: LayerRecord, sizes: Mapping[str, block.Size], params: Mapping[str, Param], meter: _Meter
    ) -> None:
        self._record, self._block, self._sizes, self._meter = record, record.block, sizes, meter
        self._params = [facts.dims_of(params[name]) for name in record.params]
        self.backward_uses = record.block.backward_uses  # type: ignore[misc]  # of a class, here of a stand-in
        self.can_rectify = record.block.can_rectify  # type: ignore[misc]
        self.rectifies = record.block.rectifies

    def forward(self, inputs: list[Any], params: list[Any]) -> list[Any]:
        return [_Hollow(self._sizes[name], self._meter) for name in self._record.outputs]

    def forward_rectified(self, inputs: list[Any], params: list[Any]) -> list[Any]:
        return self.forward(inputs, params)

    def backward_rectified(
        self, inputs: list[Any], outputs: list[Any], params: list[Any], der_outputs: list[Any]
    ) -> tuple[list[Any | None], list[Any | None]]:
        return self.backward(inputs, params, der_outputs)

    def backward(
        self, inputs: list[Any], params: list[Any], der_outputs: list[Any]
    ) -> tuple[list[Any | None], list[Any | None]]:
        spared = isinstance(self._block, conv.Conv) and not self.needs_input_der
        derived = [
            _Hollow(self._sizes[name], self._meter) if has and not spared else None
            for name, has in zip(
                self._record.inputs, derived_inputs(self._block, len(self._record.inputs)), strict=True
            )
        ]
        return derived, [_Hollow(dims, self._meter) for dims in self._params]

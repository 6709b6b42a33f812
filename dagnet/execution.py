"""Running a graph forward and backward, and freeing what is not needed any more.

Forward   layers run in execution order; a layer that lacks an input is skipped (a loss without labels), as in MatConvNet.
          Its outputs have no value then: DagNN.eval forgets those of earlier calls, which MatConvNet lets stand.
Backward  layers run in reverse. Where several layers read one variable or parameter, their derivatives are added.
Fusion    With conserve_memory, a layer that can apply a ReLU to its output does so where that ReLU alone reads it (Conv): the
          variable between them gets neither value nor derivative, which would be freed at once, and two passes over memory
          are spared.
Memory    With conserve_memory a variable's value goes when its last reader has run, unless it is precious or backward needs
          it; its derivative and value go when its maker's backward begins. The values of the net's outputs stay: MatConvNet
          frees them too, so that who asks for the loss of a training step must have made it precious.
Source    matlab/+dagnn/@DagNN/eval.m and matlab/+dagnn/Layer.m (forwardAdvanced, backwardAdvanced) of 1.0-beta25
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dagnet.graph import Graph, LayerRecord
from dagnet.layers import array
from dagnet.layers.array import Array


@dataclass
class Options:
    """What a pass over the graph obeys (the DagNN's attributes of the same names)."""

    conserve_memory: bool
    accumulate_param_ders: bool
    input_ders: bool


def forward(graph: Graph, options: Options, *, derivatives: bool) -> None:
    """Compute every variable that can be computed; keep what backward will need where `derivatives` follow."""
    unread = {name: var.fanout for name, var in graph.vars.items()}
    spared = _needed_by_backward(graph) if derivatives else set()
    fusions = fused(graph, options)
    inside = set()
    for name in graph.order:
        if name in inside:
            continue
        record, rectifier = graph.layers[name], fusions.get(name)
        inputs: list[Any] = [graph.vars[v].held["value"] for v in record.inputs]
        for v in record.inputs:
            unread[v] -= 1
        if any(value is None for value in inputs):
            continue  # and a ReLU after it runs by itself, on a value that the caller may have given
        if rectifier:
            inside.add(rectifier.name)
        with named(record, [value.shape for value in inputs]):
            check_count("inputs", record.inputs, record.block.n_inputs)
            check_count("params", record.params, record.block.n_params)
            params = _param_values(graph, record)
            record.block.derivatives_follow = derivatives
            run = record.block.forward_rectified if rectifier else record.block.forward
            outputs = run(inputs, params)
            check_count("outputs", record.outputs, (len(outputs),))
        for v in record.inputs:
            if options.conserve_memory and not unread[v] and v not in spared and not graph.vars[v].precious:
                graph.vars[v].free("value", f"after layer '{name}' had read it")
        if rectifier:
            graph.vars[record.outputs[0]].pass_over(
                "value", f"in layer '{name}', which ran '{rectifier.name}' inside it,"
            )
        made = rectifier.outputs if rectifier else record.outputs
        for v, value in zip(made, outputs, strict=True):
            graph.vars[v].put("value", value)


def backward(graph: Graph, options: Options) -> None:
    """Compute the derivatives of all variables and parameters from those that the net's outputs were given."""
    seen: Counter[tuple[str, str]] = Counter()
    fusions = {
        name: relu
        for name, relu in fused(graph, options).items()
        if all(graph.vars[v].held["value"] is not None for v in graph.layers[name].inputs)  # it has run
    }
    inside = {relu.name for relu in fusions.values()}
    for name in reversed(graph.order):
        if name in inside:
            continue
        record, rectifier = graph.layers[name], fusions.get(name)
        makers = [graph.vars[v] for v in (rectifier or record).outputs]
        der_outputs = [var.held["der"] for var in makers]
        if any(der is None for der in der_outputs):
            continue
        used = record.inputs if record.block.backward_uses == "inputs" else record.outputs
        values: list[Any] = [graph.vars[v].held["value"] for v in used]
        outputs: list[Any] = [var.held["value"] for var in makers] if rectifier else []
        if any(value is None for value in [*values, *outputs]):
            continue
        for var in makers:
            if options.conserve_memory and not var.precious:
                for what in ("value", "der") if var.fanout else ("der",):
                    var.free(what, f"when layer '{name}' had passed it back")
        record.block.needs_input_der = options.input_ders or any(graph.vars[v].fanin for v in record.inputs)
        with named(record, [value.shape for value in values]):
            params = _param_values(graph, record)
            if rectifier:
                der_inputs, der_params = record.block.backward_rectified(values, outputs, params, der_outputs)
                graph.vars[record.outputs[0]].pass_over(
                    "der", f"in layer '{name}', which ran '{rectifier.name}' inside it,"
                )
            else:
                der_inputs, der_params = record.block.backward(values, params, der_outputs)
            check_count("inputs", record.inputs, (len(der_inputs),))
            check_count("params", record.params, (len(der_params),))
        for v, der in zip(record.inputs, der_inputs, strict=True):
            var = graph.vars[v]
            var.put("der", der if not seen["var", v] else added(var.held["der"], der))
            seen["var", v] += 1
        for p, der in zip(record.params, der_params, strict=True):
            param = graph.params[p]
            fresh = not seen["param", p] and not options.accumulate_param_ders
            param.der = der if fresh else added(param.der, der)
            seen["param", p] += 1


def fused(graph: Graph, options: Options) -> dict[str, LayerRecord]:
    """By the name of a layer that is to apply a ReLU to its output itself, that ReLU's layer."""
    if not options.conserve_memory:
        return {}
    makers = {
        record.outputs[0]: record
        for record in graph.layers.values()
        if record.block.can_rectify and len(record.outputs) == 1 and graph.vars[record.outputs[0]].fanout == 1
    }
    return {
        makers[relu.inputs[0]].name: relu
        for relu in graph.layers.values()
        if relu.block.rectifies
        and len(relu.inputs) == 1
        and relu.inputs[0] in makers
        and not graph.vars[relu.inputs[0]].precious
        and len(relu.outputs) == 1
        and not relu.params
    }


def checked(what: str, value: Array, device: str) -> Array:
    """An input of a net on that device, in our memory order. Raises ValueError, naming `what`, where it is no array there."""
    if not hasattr(value, "dtype"):
        raise ValueError(f"{what}: it is a {type(value).__name__}; a NumPy or CuPy array (H, W, C, N) is right")
    module = array.module_of(value).__name__
    if (module == "cupy") != (device == "gpu"):
        raise ValueError(f"{what}: it is a {module} array and the net is on the {device}")
    return array.channels_last(value)


def seed(value: Array | None, der: Array | float, what: str) -> Array:
    """The derivative to start from, in the shape of `value`: a number stands for an array of it; sizes of 1 at the end, which
    MATLAB drops, may be missing.

    Raises ValueError, naming `what`, where it has no value, or der another shape.
    """
    if value is None:
        raise ValueError(f"{what} has no value, so nothing can be derived from it; was an input missing?")
    xp = array.module_of(value)
    start = array.empty(xp, array.four_d(value).shape, value.dtype)
    if isinstance(der, int | float):
        start[...] = der  # without a copy from the host, which a CUDA graph could not hold
        return start
    given = xp.asarray(der, value.dtype)
    if given.ndim and (*given.shape, 1, 1, 1, 1)[: max(4, given.ndim)] != start.shape:
        right = f"a number or {value.shape}" if value.ndim else "a number"
        raise ValueError(f"the derivative for {what} has shape {given.shape}; {right} is right")
    start[...] = array.four_d(given)
    return start


def added(sum_so_far: Array | None, der: Array | None) -> Array | None:
    """The sum, in a new array: blocks may hand the same array to several inputs."""
    if sum_so_far is None or der is None:
        return der if sum_so_far is None else sum_so_far
    xp = array.module_of(sum_so_far, der)
    return xp.add(sum_so_far, der, out=array.empty_like(der))


def _needed_by_backward(graph: Graph) -> set[str]:
    """The variables whose values backward will ask for: inputs of most layers, outputs of those that can do with them."""
    needed = set()
    for record in graph.layers.values():
        needed.update(record.inputs if record.block.backward_uses == "inputs" else record.outputs)
    return needed


def _param_values(graph: Graph, record: LayerRecord) -> list[Array]:
    values = [graph.params[p].value for p in record.params]
    for p, value in zip(record.params, values, strict=True):
        if value is None:
            raise ValueError(
                f"layer '{record.name}': its parameter '{p}' has no value; call net.init_params(rng) or set "
                f"net.params['{p}'].value"
            )
    return values


def check_count(what: str, names: Sequence[str], right: Sequence[int]) -> None:
    """Raises ValueError unless the layer names as many inputs, outputs or params as its block has; () lets any number pass."""
    if right and len(names) not in right:
        raise ValueError(
            f"{what}: the layer names {len(names)} ({', '.join(names)}); its block has {' or '.join(map(str, right))}"
        )


@contextmanager
def named(record: LayerRecord, sizes: Sequence[Sequence[float]]) -> Iterator[None]:
    """Let an error from a block say in which layer it arose, and with what sizes of its inputs (or outputs)."""
    try:
        yield
    except Exception as error:
        names = record.inputs if len(record.inputs) == len(sizes) else record.outputs
        shapes = ", ".join(f"'{n}' {tuple(size)}" for n, size in zip(names, sizes, strict=False))
        error.add_note(f"in layer '{record.name}' ({type(record.block).__name__}), input {shapes}")
        raise

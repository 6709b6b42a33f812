"""SimpleNN, MatConvNet's other kind of network: a chain of layers, each a dict, run as what it is (vl_simplenn).

    net = SimpleNN([{"type": "conv", "weights": [f, b], "pad": 1}, {"type": "relu"}, {"type": "softmaxloss", "class": labels}])
    res = run(net, x, dzdy=1.0)
    res[-1].x, res[0].dzdx, res[0].dzdw          the loss, its derivative for x, and for the first layer's weights

Layer l reads res[l] and makes res[l + 1]: res[0] holds the input, res[-1] the output. (MATLAB counts them from 1.)
KINDS says what each type of layer means, here and where a SimpleNN becomes a DagNN (files/simplenn.py).
Source    MatConvNet manual, 3.1; vl_simplenn.m, vl_simplenn_tidy.m, vl_simplenn_move.m of 1.0-beta25
"""

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dagnet import execution
from dagnet.layers import array, block, bnorm, catalogue, dropout, loss
from dagnet.layers.array import Array

Layer = dict[str, Any]  # MatConvNet's fields; their values as Python's or as MATLAB's (2, [[2.0]], "max")
Mode = Literal["normal", "test"]


@dataclass(frozen=True)
class Kind:
    """What a type of layer means.

    block       the type of the block that runs it, and that it becomes in a DagNN
    properties  the fields of the layer that are properties of the block
    ends        of its parameters' names in a DagNN, one a weight
    labels      whether the field `class` is the block's second input
    defaults    what stands for fields that a layer lacks, in the order in which vl_simplenn_tidy adds them
    """

    block: str
    properties: Sequence[str] = ()
    ends: str = ""
    labels: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


_LRN = Kind("dagnn.LRN", ["param"], defaults={"param": np.array([[5, 1, 0.0001 / 5, 0.75]])})

KINDS: dict[str, Kind] = {
    "conv": Kind(
        "dagnn.Conv",
        ["pad", "stride", "dilate", "opts"],
        ends="fb",
        defaults={"pad": 0.0, "stride": 1.0, "dilate": 1.0, "opts": []},
    ),
    "convt": Kind(
        "dagnn.ConvTranspose",
        ["upsample", "crop", "numGroups", "opts"],
        ends="fb",
        defaults={"crop": 0.0, "upsample": 1.0, "numGroups": 1.0, "opts": []},
    ),
    # MatConvNet does not fill in a pool's method either; without one it is "max".
    "pool": Kind(
        "dagnn.Pooling",
        ["method", "pool", "pad", "stride", "opts"],
        defaults={"pad": 0.0, "stride": 1.0, "opts": []},
    ),
    "normalize": _LRN,
    "lrn": _LRN,
    "spnorm": Kind("dagnn.SpatialNorm", ["param"]),
    "noffset": Kind("dagnn.NormOffset", ["param"]),
    "bnorm": Kind("dagnn.BatchNorm", ["epsilon"], ends="mbx", defaults={"epsilon": 1e-5}),
    "relu": Kind("dagnn.ReLU", ["leak"], defaults={"leak": 0.0}),
    "sigmoid": Kind("dagnn.Sigmoid"),
    "dropout": Kind("dagnn.DropOut", ["rate"], defaults={"rate": 0.5}),
    "softmax": Kind("dagnn.SoftMax"),
    "loss": Kind("dagnn.Loss", labels=True),
    "softmaxloss": Kind("dagnn.Loss", labels=True),
    "pdist": Kind(
        "dagnn.PDist",
        ["noRoot", "aggregate", "p", "epsilon"],
        labels=True,
        defaults={"noRoot": False, "aggregate": False, "p": 2.0, "epsilon": 1e-3, "instanceWeights": np.zeros((0, 0))},
    ),
}
COMMON = ("name", "type", "weights", "precious", "learningRate", "weightDecay")  # fields that any layer may have
PROPERTY = {"pool": "poolSize"}  # the block's property where it is not called as the layer's field


class SimpleNN:
    """A chain of layers.

    layers                   dicts with MatConvNet's fields: `type`, `weights` (a list of arrays), `name`, `precious` and the
                             type's own, for which KINDS has defaults. Labels stand in the last layer's `class`. A layer of
                             type "custom" has two functions: forward(layer, res_i, res_i1) returns res_i1 with its x, and
                             backward(layer, res_i, res_i1) returns res_i with its dzdx (and dzdw).
    meta                     what the file says besides (normalization, classes, ...)
    normalise                losses divide by the number of images (MatConvNet's master; its releases do not)
    scale_moments_by_images  a batch normalisation's moments come as a derivative times the number of images (its releases)
    input_ders               compute the derivative of the input too; training turns it off
    """

    def __init__(self, layers: Sequence[Layer], meta: dict[str, Any] | None = None) -> None:
        self.layers = [completed(layer, i) for i, layer in enumerate(layers)]
        self.meta: dict[str, Any] = {} if meta is None else meta
        self.normalise = False
        self.scale_moments_by_images = True
        self.input_ders = True
        self._device = "cpu"
        self.seed()

    @property
    def device(self) -> str:
        """ "cpu" or "gpu"; see move."""
        return self._device

    def __repr__(self) -> str:
        values = sum(w.size for layer in self.layers for w in layer["weights"])
        kinds = " ".join(layer["type"] for layer in self.layers)
        return f"SimpleNN({len(self.layers)} layers with {values:,} values: {kinds})"

    def seed(self, *numbers: int) -> None:
        """Start the masks of dropout anew: the same numbers, the same masks."""
        self._seed = numbers
        self._dropouts: dict[int, dropout.DropOut] = {}  # kept from run to run, since they hold the random generators

    def copy(self) -> "SimpleNN":
        """A net of its own with the same layers, weights and settings."""
        return copy.deepcopy(self)

    def move(self, device: str) -> None:
        """Move the weights to the "gpu" or the "cpu".

        Raises ValueError for another word, RuntimeError where there is no GPU.
        """
        there = array.mover(device)
        for layer in self.layers:
            layer["weights"] = [there(w) for w in layer["weights"]]
        self._device = device

    def block(self, index: int, mode: Mode = "normal") -> block.Layer:
        """The block that runs the layer at `index`, with the net's settings; of a "custom" one, a catalogue.Unknown."""
        made = block_of(self.layers[index])
        made.mode = mode
        made.needs_input_der = self.input_ders or index > 0
        if isinstance(made, loss.Loss):
            made.normalise = self.normalise
        elif isinstance(made, bnorm.BatchNorm):
            made.scale_moments_by_images = self.scale_moments_by_images
        elif isinstance(made, dropout.DropOut):
            if index not in self._dropouts:
                made.seed(np.random.SeedSequence((*self._seed, index)))
            kept = self._dropouts.setdefault(index, made)
            kept.rate, kept.mode = made.rate, mode
            return kept
        return made


@dataclass
class Result:
    """What stands before and after the layers of a run: res[l] is read by layer l, and res[l + 1] made by it.

    x, dzdx              a value (H, W, C, N) and the derivative for it; None where there is none, or it was freed
    dzdw                 derivatives for the weights of layer l, in their order; none where it has none
    aux                  what the layer that made x will need again: dropout's mask
    stats                left to custom layers
    time, backward_time  seconds that layer l took
    """

    x: Array | None = None
    dzdx: Array | None = None
    dzdw: list[Array | None] = field(default_factory=list)
    aux: Any = None
    stats: Any = None
    time: float = 0.0
    backward_time: float = 0.0


def run(
    net: SimpleNN,
    x: Array | None,
    dzdy: Array | float | None = None,
    res: list[Result] | None = None,
    *,
    mode: Mode = "normal",
    conserve_memory: bool = False,
    accumulate: bool = False,
    back_prop_depth: float = math.inf,
    skip_forward: bool = False,
    sync: bool = False,
) -> list[Result]:
    """Runs the net on x (H, W, C, N), and backward where dzdy, the derivative for its output, is given; the results.

    res              results of an earlier call, which become those of this one
    mode             "test": dropout does nothing, batch normalisation takes its third weight for the moments
    conserve_memory  free each x and dzdx as soon as nothing needs it, but for outputs of layers whose `precious` is set,
                     of losses, and of the net
    accumulate       add to the dzdw of res in place of replacing them (sub-batches)
    back_prop_depth  go back through that many layers only, counted from the end
    skip_forward     take the x of res as they are, and only go back
    sync             wait for the GPU after each layer, so that times are what the layers took

    Raises ValueError for what does not fit, with the layer in a note.
    """
    blocks = [net.block(i, _known_mode(mode)) for i in range(len(net.layers))]
    first = len(blocks) if dzdy is None else int(max(0, len(blocks) - back_prop_depth))  # of those to go back through
    if res is None and not skip_forward:
        res = [Result() for _ in range(len(blocks) + 1)]
    if res is None or len(res) != len(blocks) + 1:
        came = "none" if res is None else len(res)
        raise ValueError(f"run: res has {came} results; {len(blocks) + 1}, one more than the net has layers, are right")
    if not skip_forward:
        res[0].x = execution.checked("run: x", x, net.device)
        freed = _freed_in_forward(net, blocks, first) if conserve_memory else set()
        for i in range(len(blocks)):
            with _layer(net, i, res[i], "time", sync):
                res[i + 1] = _forward(net.layers[i], blocks[i], res[i], res[i + 1])
            if i in freed:
                res[i].x = None
    if dzdy is not None:
        res[-1].dzdx = execution.seed(res[-1].x, dzdy, "the net's output")
        for i in reversed(range(first, len(blocks))):
            earlier = res[i].dzdw
            with _layer(net, i, res[i], "backward_time", sync):
                res[i] = _backward(net.layers[i], blocks[i], res[i], res[i + 1])
            if accumulate and earlier and net.layers[i]["type"] != "custom":
                res[i].dzdw = [execution.added(a, b) for a, b in zip(earlier, res[i].dzdw, strict=True)]
            if conserve_memory and i < len(blocks) - 1 and not _is_precious(net.layers[i]):
                res[i + 1].x = res[i + 1].dzdx = None
    return res


def completed(layer: Layer, index: int) -> Layer:
    """A copy of the layer at `index` with all that vl_simplenn_tidy gives one: weights, name, precious, its type's defaults.

    Raises ValueError where it has no type, or weights that are no arrays.
    """
    kind = layer.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"layers{{{index + 1}}} has no type; a field `type` with a text is right")
    layer = dict(layer)
    weights = layer["weights"] = list(layer.get("weights", []))
    if wrong := [w for w in weights if not hasattr(w, "dtype")]:
        raise ValueError(f"layers{{{index + 1}}} has a {type(wrong[0]).__name__} among its weights; arrays are right")
    if kind in ("conv", "convt") and weights:
        weights[0] = array.four_d(weights[0])  # MATLAB drops trailing sizes of 1
    if kind == "bnorm" and len(weights) >= 2 and not sum(w.size for w in weights[2:]):  # from before there were moments
        weights[2:] = [array.module_of(weights[0]).zeros((weights[0].size, 2), weights[0].dtype)]
    defaults = {"name": f"layer{index + 1}", "precious": False} | (KINDS[kind].defaults if kind in KINDS else {})
    return layer | {name: copy.copy(value) for name, value in defaults.items() if name not in layer}


def block_of(layer: Layer) -> block.Layer:
    """The block that runs a layer; a catalogue.Unknown for a type that nobody registered.

    Raises ValueError where the layer lacks its weights or a field, or has one that is not right.
    """
    kind, weights = layer["type"], layer["weights"]
    if kind not in KINDS:
        return catalogue.from_matlab(kind, {name: value for name, value in layer.items() if name not in COMMON})
    known = KINDS[kind]
    needed = 1 if known.ends == "fb" else len(known.ends)  # biases may be missing
    if sum(w.size > 0 for w in weights[:needed]) < needed:
        raise ValueError(f"it is a {kind} layer with {len(weights)} weights; it must have its weights")
    if kind == "pool" and "pool" not in layer:
        raise ValueError("it is a pool layer without the field 'pool'")
    properties = {PROPERTY.get(name, name): layer[name] for name in known.properties if name in layer}
    if known.ends == "fb":
        properties["size"] = [*weights[0].shape, 1, 1][:4]
        properties["hasBias"] = len(weights) > 1 and weights[1].size > 0
    elif kind == "bnorm":
        properties["numChannels"] = weights[0].size
    return catalogue.from_matlab(known.block, properties)


# ---------------------------------------------------------------- a layer


def _forward(layer: Layer, its_block: block.Layer, before: Result, after: Result) -> Result:
    if layer["type"] == "custom":
        return _call(layer, "forward", before, after)
    (after.x,) = its_block.forward(_inputs(layer, its_block, before.x), _params(layer))
    if isinstance(its_block, dropout.DropOut):
        after.aux = its_block.mask
    return after


def _backward(layer: Layer, its_block: block.Layer, before: Result, after: Result) -> Result:
    if layer["type"] == "custom":
        return _call(layer, "backward", before, after)
    if isinstance(its_block, dropout.DropOut):
        its_block.mask = after.aux
    seen = [after.x] if its_block.backward_uses == "outputs" else _inputs(layer, its_block, before.x)
    if seen[0] is None or after.dzdx is None:
        raise ValueError(
            "there is nothing to go back from: a value is missing; run forward first, with the same options"
        )
    ders, before.dzdw = its_block.backward(seen, _params(layer), [after.dzdx])
    before.dzdx = ders[0]
    return before


def _call(layer: Layer, which: str, before: Result, after: Result) -> Result:
    function = layer.get(which)
    if not callable(function):
        raise ValueError(f"its {which} is {function}; a function {which}(layer, res_i, res_i1) is right")
    result = function(layer, before, after)
    if not isinstance(result, Result):
        right = "res_i1" if which == "forward" else "res_i"
        raise ValueError(f"its {which} returned a {type(result).__name__}; {right}, brought up to date, is right")
    return result


def _inputs(layer: Layer, its_block: block.Layer, x: Array | None) -> list[Any]:
    """What the block is given: x and, for losses, the layer's labels."""
    if layer["type"] not in KINDS or not KINDS[layer["type"]].labels:
        return [x]
    labels = layer.get("class")
    if labels is None:
        raise ValueError(f"it is a {layer['type']} layer without labels; set its field 'class'")
    xp = array.module_of(x)
    labels = xp.asarray(labels)
    if layer["type"] == "pdist":
        weights = xp.asarray(layer["instanceWeights"])
        return [x, labels, weights] if weights.size else [x, labels]
    if layer["type"] == "softmaxloss" and labels.ndim > 2 and labels.shape[2] == 2:  # the second channel: weights
        its_block.opts = ["instanceWeights", labels[:, :, 1:]]  # type: ignore[attr-defined]  # it is a Loss
        labels = labels[:, :, :1]
    return [x, labels]


def _params(layer: Layer) -> list[Any]:
    return [w if w.size else None for w in layer["weights"]]


def _is_precious(layer: Layer) -> bool:
    return bool(np.any(layer["precious"]))


def _freed_in_forward(net: SimpleNN, blocks: Sequence[block.Layer], first: int) -> set[int]:
    """The l whose res[l].x may go once layer l has run: neither it nor the layer that made it asks for it on the way back."""
    uses = [
        "both" if layer["type"] == "custom" else b.backward_uses for layer, b in zip(net.layers, blocks, strict=True)
    ]
    freed = set()
    for i in range(len(blocks)):
        maker = net.layers[i - 1] if i else None
        kept = maker is not None and (_is_precious(maker) or maker["type"] in ("loss", "softmaxloss"))
        read_again = i >= first and uses[i] != "outputs"
        read_by_maker = i > first and uses[i - 1] != "inputs"
        if not (kept or read_again or read_by_maker):
            freed.add(i)
    return freed


def _known_mode(mode: str) -> Mode:
    if mode not in ("normal", "test"):
        raise ValueError(f"run: mode is {mode!r}; 'normal' or 'test' is right")
    return mode  # type: ignore[return-value]  # it is one of the two


@contextmanager
def _layer(net: SimpleNN, index: int, result: Result, clock: str, sync: bool) -> Iterator[None]:
    """Takes a layer's time, and lets an error say in which layer it arose."""
    start = time.perf_counter()
    try:
        yield
    except Exception as error:
        layer, shape = net.layers[index], getattr(result.x, "shape", "none")
        error.add_note(f"in layer {index + 1} '{layer['name']}' ({layer['type']}), input {shape}")
        raise
    if sync and net.device == "gpu":
        array.wait_for_gpu()
    setattr(result, clock, time.perf_counter() - start)

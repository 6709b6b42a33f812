"""SimpleNN, MatConvNet's other kind of network: a chain of layers, each a dict, run as what it is (vl_simplenn).

    net = SimpleNN([{"type": "conv", "weights": [f, b], "pad": 1}, {"type": "relu"}, {"type": "softmaxloss", "class": labels}])
    res = run(net, x, dzdy=1.0)
    res[-1].x, res[0].dzdx, res[0].dzdw          the loss, its derivative for x, and for the first layer's weights

Layer l reads res[l] and makes res[l + 1]: res[0] holds the input, res[-1] the output. (MATLAB counts them from 1.)
What each type of layer means stands in simplelayers.py.
Source    MatConvNet manual, 3.1; vl_simplenn.m, vl_simplenn_tidy.m, vl_simplenn_move.m of 1.0-beta25
"""

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dagnet import execution, simplelayers
from dagnet.layers import array, block, bnorm, dropout, loss
from dagnet.layers.array import Array
from dagnet.simplelayers import Layer

Mode = Literal["normal", "test"]


class SimpleNN:
    """A chain of layers.

    layers                   dicts with MatConvNet's fields: `type`, `weights` (a list of arrays), `name`, `precious` and the
                             type's own, for which there are defaults. Labels stand in the `class` of a loss. A layer of type
                             "custom" has two functions: forward(layer, res_i, res_i1) returns res_i1 with its x, and
                             backward(layer, res_i, res_i1) returns res_i with its dzdx (and dzdw).
    meta                     what the file says besides (normalization, classes, ...)
    normalise                losses divide by the number of images (MatConvNet's master; its releases do not)
    scale_moments_by_images  a batch normalisation's moments come as a derivative times the number of images (its releases)
    input_ders               compute the derivative of the input too; training turns it off
    """

    def __init__(self, layers: Sequence[Layer], meta: dict[str, Any] | None = None) -> None:
        self.layers = [simplelayers.completed(layer, i) for i, layer in enumerate(layers)]
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

    def complete(self) -> None:
        """Gives layers that were added since the net was made what they lack. Raises ValueError as making it does."""
        for i, layer in enumerate(self.layers):
            if not {"name", "weights", "precious"} <= layer.keys():
                self.layers[i] = simplelayers.completed(layer, i)

    def block_at(self, index: int, mode: Mode = "normal") -> block.Layer:
        """The block that runs the layer at `index`, with the net's settings; of a "custom" one, a catalogue.Unknown.

        Raises ValueError, naming the layer, where it lacks weights or a field, or has one that is not right.
        """
        layer = self.layers[index]
        try:
            made = simplelayers.block_of(layer)
        except (ValueError, TypeError) as error:
            raise ValueError(f"layers{{{index + 1}}} '{layer['name']}': {error}") from error
        made.mode = mode
        made.needs_input_der = self.input_ders or index > 0
        self.set_rules(made)
        if isinstance(made, dropout.DropOut):
            if index not in self._dropouts:
                made.seed(np.random.SeedSequence((*self._seed, index)))
            kept = self._dropouts.setdefault(index, made)
            kept.rate, kept.mode = made.rate, mode
            return kept
        return made

    def set_rules(self, made: block.Layer) -> None:
        """Sets a block to the ways of the net's release: `normalise` and `scale_moments_by_images`."""
        if isinstance(made, loss.Loss):
            made.normalise = self.normalise
        elif isinstance(made, bnorm.BatchNorm):
            made.scale_moments_by_images = self.scale_moments_by_images


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
    net.complete()
    blocks = [net.block_at(i, _known_mode(mode)) for i in range(len(net.layers))]
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


# ---------------------------------------------------------------- a layer


def _forward(layer: Layer, its_block: block.Layer, before: Result, after: Result) -> Result:
    if layer["type"] == "custom":
        return _call(layer, "forward", before, after)
    (after.x,) = its_block.forward(simplelayers.inputs(layer, its_block, before.x), simplelayers.params(layer))
    if isinstance(its_block, dropout.DropOut):
        after.aux = its_block.mask
    return after


def _backward(layer: Layer, its_block: block.Layer, before: Result, after: Result) -> Result:
    if layer["type"] == "custom":
        return _call(layer, "backward", before, after)
    if isinstance(its_block, dropout.DropOut):
        its_block.mask = after.aux
    from_output = its_block.backward_uses == "outputs"
    if (after.x if from_output else before.x) is None or after.dzdx is None:
        raise ValueError(
            "there is nothing to go back from: a value is missing; run forward first, with the same options"
        )
    seen = [after.x] if from_output else simplelayers.inputs(layer, its_block, before.x)
    ders, before.dzdw = its_block.backward(seen, simplelayers.params(layer), [after.dzdx])
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

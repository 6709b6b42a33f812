"""A SimpleNN as the trainer takes it (MatConvNet cnn_train): what it counts, and how its layers are derived.

    trainer.train(net, get_batch, ...)                                             counts top1err and top5err
    trainer.train(chain.Chain(net, "binary", back_prop_depth=3), get_batch, ...)   counts binerr, trains the last 3 layers

get_batch gives {"input": (H, W, C, N), "label": labels}; labels become the `class` of the last layer, which is the objective.
Statistics of a pass, over all its images, in the net's mode at the time:
    objective   the sum of the losses, of which master's are taken times the images again, per image
    top1err     pixels whose highest score is another class's than the label's, per image; top5err whose five highest are;
                labels of 0 do not count, and a second channel of the labels weighs ("multiclass")
    binerr      scores whose sign is not the label's, per image ("binary")
Source    MatConvNet's examples/cnn_train.m of 1.0-beta25
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dagnet import simplelayers
from dagnet.dagnn import DagNN
from dagnet.files.simplenn import from_simplenn
from dagnet.graph import Var
from dagnet.layers import array, loss
from dagnet.layers.array import Array
from dagnet.simplenn import Result, SimpleNN, run

# From labels and results to one or several numbers, summed over the images.
Errors = Callable[[Array, list[Result]], Any]


def multiclass(labels: Array, res: list[Result]) -> list[Array]:
    """top1err and top5err of a batch, not yet divided by its images."""
    scores = res[-2].x
    labels = array.module_of(scores).asarray(labels)
    weights = None
    if labels.ndim > 2 and labels.shape[2] == 2:
        labels, weights = labels[:, :, :1], labels[:, :, 1:]
    five = min(5, array.four_d(scores).shape[2])
    return [
        loss.forward(scores, labels, loss="classerror", instance_weights=weights),
        loss.forward(scores, labels, loss="topkerror", top_k=five, instance_weights=weights),
    ]


def binary(labels: Array, res: list[Result]) -> list[Array]:
    """binerr of a batch, not yet divided by its images."""
    scores = res[-2].x
    return [(scores * array.module_of(scores).asarray(labels) < 0).sum()]


ERRORS: dict[str, tuple[Errors, Sequence[str]]] = {
    "multiclass": (multiclass, ("top1err", "top5err")),
    "binary": (binary, ("binerr",)),
    "none": (lambda labels, res: [], ()),
}


class Chain(DagNN):
    """A SimpleNN in the trainer's hands: a DagNN of the same layers and parameters, but the SimpleNN itself runs.

    Variables are named as in a converted net, but for the first, `input`, and the last, `objective`. Layers get the factors
    learningRate and weightDecay where they lack them, all 1, and the one before the last becomes precious: so does cnn_train.
    """

    def __init__(
        self,
        net: SimpleNN,
        error_function: str | Errors = "multiclass",
        error_labels: Sequence[str] | None = None,
        back_prop_depth: float = math.inf,
    ) -> None:
        """Raises ValueError for a net without layers, an unknown error_function, and a function without error_labels."""
        if not net.layers:
            raise ValueError("chain: the net has no layers; one at least, and a loss at its end, are right")
        super().__init__()
        self.net = net
        self._errors, self._error_labels = _errors(error_function, error_labels)
        self._depth = back_prop_depth
        net.complete()
        for layer in net.layers:
            for factors in ("learningRate", "weightDecay"):
                layer.setdefault(factors, np.ones((1, len(layer["weights"]))))
        if len(net.layers) > 1:
            net.layers[-2]["precious"] = True  # its output is the prediction, from which errors are counted
        with warnings.catch_warnings():  # layers that a DagNN could not run are run by the SimpleNN
            warnings.simplefilter("ignore")
            self._graph = from_simplenn(net)._graph
        self._device = net.device
        records = list(self.layers.values())
        self.rename_var(records[0].inputs[0], "input")
        self.rename_var(records[-1].outputs[0], "objective")
        self._along: list[Var] = [self.vars["input"], *(self.vars[record.outputs[0]] for record in records)]
        self._places = [(i, j) for i, layer in enumerate(net.layers) for j in simplelayers.param_names(layer).values()]
        self.reset()

    def reset(self) -> None:
        """As a DagNN's, and the errors counted so far."""
        super().reset()
        self._share_params()
        self._res: list[Result] | None = None
        self._sums: Array | None = None
        self._images = 0

    def seed(self, *numbers: int) -> None:
        """Start the masks of dropout anew."""
        self.net.seed(*numbers)

    def eval(self, inputs: Mapping[str, Array], der_outputs: Mapping[str, Array | float] | None = None) -> None:
        """Run the SimpleNN on the `input` and `label` of inputs, and count errors; as DagNN.eval otherwise."""
        if missing := [name for name in ("input", "label") if name not in inputs]:
            raise ValueError(f"get_batch: it gave {', '.join(inputs)} and no {missing[0]}; input and label are right")
        x, labels = inputs["input"], inputs["label"]
        self._share_params()
        self.net.layers[-1]["class"] = labels
        if not (der_outputs and self.accumulate_param_ders):
            self._res = None
        input_ders, self.net.input_ders = self.net.input_ders, self.input_ders
        try:
            self._res = run(
                self.net,
                x,
                der_outputs["objective"] if der_outputs else None,
                self._res,
                mode=self.mode,
                conserve_memory=self.conserve_memory,
                accumulate=self.accumulate_param_ders,
                back_prop_depth=self._depth,
            )
        finally:
            self.net.input_ders = input_ders
        for var, result in zip(self._along, self._res, strict=True):
            var.value = result.x
        if "label" in self.vars:
            self.vars["label"].value = labels
        if der_outputs:
            for (i, j), param in zip(self._places, self.params.values(), strict=True):
                ders = self._res[i].dzdw
                param.der = ders[j] if j < len(ders) else None
        self._count(labels, array.four_d(x).shape[3])

    def _share_params(self) -> None:
        """The trainer gives parameters arrays of its own, and the SimpleNN runs with those."""
        for (i, j), param in zip(self._places, self.params.values(), strict=True):
            self.net.layers[i]["weights"][j] = param.value

    def _count(self, labels: Array, images: int) -> None:
        res: list[Any] = self._res or []
        xp = array.module_of(res[-1].x)
        errors = self._errors(labels, res)
        numbers = [
            xp.asarray(n, np.float64).reshape(-1) for n in (errors if isinstance(errors, list | tuple) else [errors])
        ]
        row = xp.concatenate([res[-1].x.sum().astype(np.float64).reshape(1), *numbers])
        if len(row) != 1 + len(self._error_labels):
            raise ValueError(
                f"error_function: it gave {len(row) - 1} numbers, and error_labels are {', '.join(self._error_labels)}"
            )
        if self.net.normalise:
            row[0] *= images
        self._sums = (
            row if self._sums is None else self._sums + row
        )  # on the GPU they stay there until they are asked for
        self._images += images

    def statistics(self) -> dict[str, float]:
        """objective and errors, per image, since the last reset."""
        names = ("objective", *self._error_labels)
        sums = np.zeros(len(names)) if self._sums is None else array.to_numpy(self._sums)
        return dict(zip(names, (sums / max(1, self._images)).tolist(), strict=True))


def _errors(function: str | Errors, labels: Sequence[str] | None) -> tuple[Errors, Sequence[str]]:
    if callable(function):
        if labels is None:
            raise ValueError("error_labels: error_function is a function; names of the numbers that it gives are right")
        return function, labels
    if function not in ERRORS:
        raise ValueError(f"error_function: {function!r} is not known; {', '.join(ERRORS)}, or a function, is right")
    return ERRORS[function][0], labels or ERRORS[function][1]

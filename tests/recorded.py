"""Runs of MatConvNet as its golden files record them: the struct as plain dicts, the net, the batches in their order."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy.io

from dagnet import DagNN
from dagnet.layers import catalogue, segmentation
from dagnet.training import passes, profile, solvers
from tests.conftest import golden_file

Run = dict[str, Any]
TOLERANCE = {"single": 5e-6, "double": 1e-12}


@cache
def load(file: str) -> Run:
    """The one struct of a golden file such as "master/fcn_single.mat": structs as dicts, cells as lists, texts as str."""
    found = scipy.io.loadmat(golden_file(file), struct_as_record=False, mat_dtype=True)
    (value,) = (value for name, value in found.items() if not name.startswith("__"))
    return plain(value)


def plain(value: Any) -> Any:
    """As in load."""
    if hasattr(value, "_fieldnames"):
        return {name: plain(getattr(value, name)) for name in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype == object:
        items = [plain(v) for v in value.ravel(order="F")]
        return items[0] if len(items) == 1 and isinstance(items[0], dict) else items
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value.item()) if value.size else ""
    return value


def build(run: Run, dtype: str) -> DagNN:
    """The recorded net, before its first step, in "single" or "double"."""
    net = DagNN()
    for layer in run["layers"]:
        properties = dict(layer.get("block") or guessed(layer, run["params0"]))
        if layer["type"] == "dagnn.Pooling":
            properties.pop("dilate", None)  # MatConvNet's pooling inherits it and does not use it
        block = catalogue.from_matlab(layer["type"], properties)
        if isinstance(block, segmentation.SegmentationAccuracy):
            block.n_classes = 21  # hard-wired in matconvnet-fcn
        net.add_layer(layer["name"], block, layer["inputs"], layer["outputs"], layer["params"])
    for name, param in net.params.items():
        param.value = run["params0"][name].astype({"single": np.float32, "double": np.float64}[dtype])
        param.learning_rate, param.weight_decay = run["lrmult"][name].item(), run["wdmult"][name].item()
    return net


# What master's files, which record no properties of blocks, leave to be known; names tell the nets apart.
KNOWN: dict[str, Run] = {
    "relu1": {"leak": 0.1},
    "pool": {"method": "avg", "poolSize": [3, 3], "stride": [2, 2], "pad": [0, 1, 0, 1]},
    "up1": {"upsample": [2], "crop": [1], "hasBias": False},
    "up2": {"upsample": [4], "crop": [2], "hasBias": False},
    "up3": {"upsample": [8], "crop": [4], "hasBias": False},
    "up4": {"upsample": [8], "crop": [4], "hasBias": False},
    "error": {"loss": "classerror"},
}
KNOWN |= {f"pool{i}": {"method": "max", "poolSize": [2, 2], "stride": [2, 2]} for i in (1, 2, 3)}


def guessed(layer: dict[str, Any], params0: Run) -> Run:
    """The properties of a layer of master/fcn_*.mat or master/sgd.mat, from its name and its filters."""
    properties = KNOWN.get(layer["name"], {})
    if layer["type"] not in ("dagnn.Conv", "dagnn.ConvTranspose"):
        return properties
    size = np.array((*params0[layer["params"][0]].shape, 1)[:4])
    if layer["type"] == "dagnn.Conv":
        properties = {"pad": [(size[0] - 1) // 2], "hasBias": len(layer["params"]) == 2}
    return {"size": size, **properties}


def inputs(data: np.ndarray, labels: np.ndarray, indices: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
    """The net's inputs for images counted from 1."""
    chosen = indices.ravel().astype(int) - 1
    number = {"single": np.float32, "double": np.float64}[dtype]
    return {"input": data[..., chosen].astype(number), "label": labels[..., chosen].astype(number)}


class Replay:
    """Trains a recorded net on its recorded batches; iterating gives each recorded step, after the net has made it."""

    def __init__(self, run: Run, dtype: str, release: str, variant: Run) -> None:
        given = run.get("train") or settings(variant.get("defaults", []) + variant["opts"])
        options = {name: np.ravel(value) for name, value in given.items()}
        self.net = build(run, dtype)
        self._rates = options["learningRate"]
        self._steps = variant["steps"]
        self._calls = [c.ravel().astype(int) for c in variant.get("batches" if "opts" in variant else "batchIndex")]
        self._images = run["imdb"] if "imdb" in run else run["images"]
        self._dtype = dtype
        sub_batches = variant.get("numSubBatches", options.get("numSubBatches", np.array([1]))).item()
        self.recipe = passes.Recipe(
            profile=profile.apply(self.net, release),
            solver=solvers.SGD(options["momentum"].item()),
            state={},
            batch_size=int(options["batchSize"].item()),
            num_sub_batches=int(sub_batches),
            weight_decay=options["weightDecay"].item(),
            der_outputs={"objective": 1.0},
        )

    def __iter__(self) -> Iterator[Run]:
        done = epoch = images = 0
        for number, step in enumerate(self._steps, 1):
            calls = self._calls[done : int(step["nbatches"].item())]
            done += len(calls)
            now = int(step["epoch"].item()) if "epoch" in step else 1 + (number - 1) * 3 // len(self._steps)
            if now != epoch:
                self.net.reset()
            epoch = now
            images = sum(map(len, calls))
            rate = float(self._rates[min(epoch, len(self._rates)) - 1])
            passes.train_batch(self.net, [self._inputs(call) for call in calls], self.recipe, images, rate)
            yield step

    @property
    def values(self) -> Run:
        """The parameters' values."""
        return {name: param.value for name, param in self.net.params.items()}

    @property
    def ders(self) -> Run:
        """The parameters' derivatives, as accumulated over the last batch."""
        return {name: param.der for name, param in self.net.params.items()}

    @property
    def memory(self) -> Run:
        """The solver's state; 0 where it keeps nothing, as MatConvNet has it."""
        return {name: self.recipe.state.get(name, 0.0) for name in self.net.params}

    def test_prediction(self) -> np.ndarray:
        """The net's `prediction` for all images, in test mode."""
        every = self._inputs(np.arange(1, self._images["data"].shape[3] + 1))
        self.net.mode = "test"
        self.net.vars["prediction"].precious = True
        self.net.eval(every)
        return self.net.vars["prediction"].value

    def _inputs(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        data, labels = self._images.values() if len(self._images) == 2 else map(self._images.get, ("data", "labels"))
        return inputs(data, labels, indices, self._dtype)


def settings(pairs: Sequence[Any]) -> Run:
    """MATLAB's list name, value, ... as a dict; later ones override earlier ones."""
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def distance(ours: Any, theirs: Any) -> float:
    """max|a - b| / max|b|, the shapes without their trailing sizes of 1 being the same."""
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    assert trimmed(a.shape) == trimmed(b.shape)
    return float(np.abs(a.ravel() - b.ravel()).max() / max(np.abs(b).max(), np.finfo(float).tiny))


def trimmed(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape without trailing sizes of 1."""
    shape = tuple(shape)
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def furthest(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """The largest distance over the arrays that `theirs` names."""
    return max((distance(ours[name], value) for name, value in theirs.items()), default=0.0)

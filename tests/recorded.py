"""Runs of MatConvNet as its golden files record them: the struct as plain dicts, the net, the batches in their order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import scipy.io

from dagnet import DagNN
from dagnet.layers import catalogue, segmentation
from dagnet.training import divergence, passes, profile, solvers
from tests.conftest import REFERENCE, golden_file, golden_root

Run = dict[str, Any]
RELEASES = ["beta18", "beta20", "beta23", "beta25", "master"]
TOLERANCE = {"single": 5e-6, "double": 1e-12}
NUMBER = {"single": np.float32, "double": np.float64}


# Which runs there are, and how many of them were made ---------------------------------------------------------------------

FOUND: Counter[str] = Counter()  # by folder
RAN: Counter[str] = Counter()
PASSED: Counter[str] = Counter()
STEPS: Counter[str] = Counter()


def files(pattern: str) -> list[str]:
    """The files that fit the pattern, here or in the repository."""
    return sorted({p.relative_to(root).as_posix() for root in (golden_root(), REFERENCE) for p in root.glob(pattern)})


def found(pattern: str) -> list[tuple[str, str]]:
    """(file, name of a run in it) for all files that fit the pattern: variants of an sgd file, "once" and "sub2" of a net's."""
    runs = []
    for file in files(pattern):
        run = load(file)
        names = [v["name"] for v in run.get("variants", [])] or ["once", *(["sub2"] if "sub2" in run else [])]
        FOUND[folder_of(file)] += len(names)
        runs += [(file, name) for name in names]
    return runs


def folder_of(file: str) -> str:
    """ "releases/beta18" """
    return file.rpartition("/")[0]


@contextmanager
def counted(file: str, steps: int) -> Iterator[None]:
    """Counts the run of so many steps made inside it, and whether it came to its end."""
    RAN[folder_of(file)] += 1
    yield
    PASSED[folder_of(file)] += 1
    STEPS[folder_of(file)] += steps


def summary() -> list[str]:
    """A line for each folder: how many recorded trainings it has, how many ran and passed, and of how many steps."""
    return [
        f"{folder}: {count} recorded trainings, {RAN[folder]} ran, {PASSED[folder]} passed, in {STEPS[folder]} steps"
        for folder, count in FOUND.items()
        if RAN[folder]
    ]


# Reading -----------------------------------------------------------------------------------------------------------------


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


# Replaying ---------------------------------------------------------------------------------------------------------------


def release_of(file: str) -> str:
    """The release whose numbers a file holds."""
    return file.split("/")[-2]


def precision_of(file: str) -> str:
    """ "single" or "double"; files that do not say it are in double precision, but for the checkpoints' runs."""
    return "single" if "single" in file or "resume" in file else "double"


def build(run: Run, dtype: str, release: str) -> DagNN:
    """The recorded net of a release, before its first step, in "single" or "double"."""
    net = DagNN()
    for layer in run["layers"]:
        properties = dict(layer.get("block") or guessed(layer, run["params0"]))
        if layer["type"] == "dagnn.Pooling":
            properties.pop("dilate", None)  # MatConvNet's pooling inherits it and does not use it
        block = catalogue.from_matlab(layer["type"], properties)
        if isinstance(block, segmentation.SegmentationAccuracy):
            block.n_classes = 21  # hard-wired in matconvnet-fcn
        net.add_layer(layer["name"], block, layer["inputs"], layer["outputs"], layer["params"])
    profile.set_defaults(net, release)  # which is not recorded: beta18's BatchNorm has no property epsilon
    for name, param in net.params.items():
        param.value = run["params0"][name].astype(NUMBER[dtype])
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
    return as_inputs({"input": data[..., chosen], "label": labels[..., chosen]}, dtype)


def as_inputs(batch: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """A batch in "single" or "double"."""
    return {name: value.astype(NUMBER[dtype]) for name, value in batch.items()}


class Replay:
    """Trains a recorded net on its recorded batches; iterating gives each recorded step, after the net has made it.

    file, name   as found gives them;   release   the profile to follow, the file's own unless told otherwise
    """

    def __init__(self, file: str, name: str, release: str = "") -> None:
        self.run, self.file = load(file), file
        self.variant = variant(self.run, name)
        self._dtype, release = precision_of(file), release or release_of(file)
        options = options_of(self.run, self.variant)
        self.net = build(self.run, self._dtype, release)
        self._rates, self._steps = options["learningRate"], self.variant["steps"]
        self._calls = self.variant["batches" if "opts" in self.variant else "batchIndex"] if self._has_calls() else None
        self.recipe = passes.Recipe(
            profile=profile.apply(self.net, release),
            solver=solver(options),
            state={},
            batch_size=int(options["batchSize"][0]),
            num_sub_batches=int(options["numSubBatches"][0]),
            weight_decay=options["weightDecay"][0],
            der_outputs={"objective": 1.0},
            save_solver_state=bool(options["saveSolverState"][0]),
        )

    def __iter__(self) -> Iterator[Run]:
        done = before = 0
        for number, step in enumerate(self._steps, 1):
            if self._calls is None:  # master/fcn_*.mat: a batch an epoch, given as it is
                parts, epoch = [as_inputs(self.run["batches"][number - 1], self._dtype)], number
            else:
                calls = self._calls[done : int(step["nbatches"].item())]
                done += len(calls)
                parts = [inputs(*images(self.run), call, self._dtype) for call in calls]
                epoch = int(step["epoch"].item()) if "epoch" in step else 1 + (number - 1) * 3 // len(self._steps)
            if epoch != before:
                passes.start(self.net, self.recipe, "train")
            before = epoch
            rate = self._rates[min(epoch, len(self._rates)) - 1]
            watch = divergence.Watch(self.net, list(self.recipe.der_outputs), len(parts))
            passes.derive_batch(self.net, parts, self.recipe, watch)
            passes.update(self.net, self.recipe, sum(p["input"].shape[3] for p in parts), rate)
            yield step

    def distances(self, step: Run) -> dict[str, float]:
        """By what was compared, how far the net and what its solver keeps are from a recorded step."""
        params = self.net.params.values()
        losses = {
            record.outputs[0]: record.block for record in self.net.layers.values() if hasattr(record.block, "average")
        }
        ours = {
            "values": {param.name: param.value for param in params},
            "derivatives": {param.name: param.der for param in params},
            "kept": {param.name: self.recipe.state.get(param.name, 0.0) for param in params},  # 0: nothing
            "losses": {name: self.net.vars[name].value for name in losses},
            "averages": {name: block.average for name, block in losses.items()},
            "averaged": {name: block.num_averaged for name, block in losses.items()},
        }
        return {what: furthest(ours[what], theirs) for what, theirs in numbers_of(step).items()}

    def test_prediction(self) -> np.ndarray:
        """The net's `prediction` for all images, in test mode."""
        every = inputs(*images(self.run), np.arange(1, self.run["imdb"]["data"].shape[3] + 1), self._dtype)
        self.net.mode = "test"
        self.net.vars["prediction"].precious = True
        self.net.eval(every)
        return self.net.vars["prediction"].value

    def _has_calls(self) -> bool:
        return "nbatches" in self._steps[0]


def numbers_of(step: Run) -> dict[str, Run]:
    """What a recorded step holds, under names that do not depend on the file."""
    losses = {"objective": step.get("loss", step.get("loss_last_subbatch")), "error": step.get("err")}
    averages = {name: step[f"avg_{name}"] for name in ("objective", "error") if f"avg_{name}" in step}
    averaged = step.get("numAveraged", {})
    kept = step.get("state", step.get("momentum"))
    return {
        "values": step["params"],
        "derivatives": step.get("der", step.get("params_der", {})),
        "kept": kept if isinstance(kept, dict) else {},  # recorded at an epoch's end, and not where it is not saved
        "losses": {name: value for name, value in losses.items() if value is not None},
        "averages": averages | step.get("average", {}),
        "averaged": averaged if isinstance(averaged, dict) else {"objective": averaged},
    }


def variant(run: Run, name: str) -> Run:
    """The run of that name in a file."""
    if "variants" in run:
        return next(v for v in run["variants"] if v["name"] == name)
    return run["sub2"] if name == "sub2" else run


def options_of(run: Run, variant: Run) -> Run:
    """A run's options by the names of beta25's: texts, and lists of numbers."""
    given = run.get("train") or settings(variant.get("defaults", []) + variant["opts"])
    given = {"numSubBatches": variant.get("numSubBatches", 1), "saveSolverState": given.get("saveMomentum", 1)} | given
    return {name: value if isinstance(value, str) else np.ravel(value).tolist() for name, value in given.items()}


def solver(options: Run) -> solvers.Solver:
    """The solver that a run's options, by MatConvNet's names, ask for."""
    name = options.get("solver", "sgd").removeprefix("solver.")
    return solvers.make(name, momentum=options["momentum"][0], nesterov=bool(options.get("nesterovUpdate", [False])[0]))


def images(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of a run."""
    return tuple(run["imdb"][name] for name in ("data", "labels")) if "imdb" in run else tuple(run["images"].values())


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


def furthest(ours: Any, theirs: Any) -> float:
    """The largest distance over the arrays that `theirs` names, which may hold dicts (what adam keeps of a parameter)."""
    if not isinstance(theirs, dict):
        return distance(ours, theirs)
    return max((furthest(ours[name], value) for name, value in theirs.items()), default=0.0)

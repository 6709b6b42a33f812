"""The paper's network as MatConvNet itself trained it (golden/paper): where a run starts, and its replay by the trainer.

Norms are recorded for arrays too large to keep: root of the sum of squares, sum, largest magnitude, each in double precision.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.evaluation import metrics
from dagnet.models import lesion_fcn
from dagnet.training import divergence, passes, profile, solvers
from tests import recorded

IMAGES = 24
BATCH = 6


@dataclass
class Paper:
    """One recorded run: `numbers` is the golden struct, `net` stands before its first step."""

    numbers: recorded.Run
    net: DagNN
    recipe: passes.Recipe
    dtype: type

    def batch(self, step: int) -> passes.Inputs:
        """The net's inputs at a step, counted from 0."""
        return self.inputs(self.images_of(step))

    def images_of(self, step: int) -> np.ndarray:
        """The images of a step's batch, counted from 0."""
        return self.numbers["batches"][step].ravel().astype(int) - 1

    def inputs(self, indices: np.ndarray | range) -> passes.Inputs:
        """The net's inputs for images, counted from 0.

        The mean is subtracted in single precision, as it was for MatConvNet's double run too. In double the brightest pixels
        would be 8e-6 off, and the losses of a rate of 1e-3 would be 6e-9 off at step 2 and 1e-4 at step 12.
        """
        mean = self.numbers["averageImage"].reshape(1, 1, 3, 1)
        images = (self.numbers["images"][..., indices].astype(np.float32) - mean).astype(self.dtype)
        labels = 1 + (self.numbers["masks"][..., indices] > 128)
        return {"input": images, "label": labels.astype(self.dtype)}

    def predictions(self) -> np.ndarray:
        """The scores (96, 96, 2, 24) of all images, in test mode."""
        self.net.mode = "test"
        found = []
        for start in range(0, IMAGES, BATCH):
            self.net.eval(self.inputs(range(start, start + BATCH)))
            found.append(self.net.vars["prediction"].value)
        self.net.mode = "normal"
        return np.concatenate(found, axis=3)

    def jaccard(self, predictions: np.ndarray) -> np.ndarray:
        """JA (24) of the scores of all images; where both classes score alike is skin."""
        masks = predictions[:, :, 1] > predictions[:, :, 0]
        truth = self.numbers["masks"][:, :, 0]
        return np.array([metrics.scores(masks[..., n], truth[..., n]).JA for n in range(IMAGES)])


def start(name: str, data_dir: Path, dtype: type = np.float32) -> Paper:
    """The run of a golden file such as "master_lr1e-4", its net in single or double precision and in its release's ways."""
    numbers = recorded.load(f"paper/{name}.mat")
    vgg = data_dir / "vgg16" / "imagenet-vgg-verydeep-16-conv.mat"
    net = lesion_fcn.lesion_fcn(vgg, recipe="literal", fc_width=int(numbers["F"].item()), dropout=0.0)
    net.remove_layer("accuracy")
    net.input_ders = False
    for key, param in net.params.items():
        param.value = numbers["params0"].get(key, param.value).astype(dtype)
    recipe = passes.Recipe(
        profile=profile.apply(net, name.partition("_")[0]),
        solver=solvers.SGD(numbers["train"]["momentum"].item()),
        state={},
        batch_size=BATCH,
        num_sub_batches=1,
        weight_decay=numbers["train"]["weightDecay"].item(),
        der_outputs={"objective": 1.0},
    )
    return Paper(numbers, net, recipe, dtype)


@dataclass
class Replay:
    """A run's steps so far. Lists have an entry a step; `params` one more, before the first. P: the net's parameters.

    losses, averages   of the batch before its step; of the epoch so far
    predictions        norms (3,) of the scores
    ders, params       norms (P, 3) of the parameters' derivatives and values
    ders1              the first step's derivatives themselves, those that are recorded
    """

    run: Paper
    losses: list[float] = field(default_factory=list)
    averages: list[float] = field(default_factory=list)
    predictions: list[np.ndarray] = field(default_factory=list)
    ders: list[np.ndarray] = field(default_factory=list)
    params: list[np.ndarray] = field(default_factory=list)
    ders1: recorded.Run = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.params.append(self._norms("value"))

    def steps(self, count: int) -> None:
        """Train on so many more of the recorded batches."""
        net, numbers = self.run.net, self.run.numbers
        epoch = len(numbers["batches"]) // int(numbers["train"]["numEpochs"].item())
        for done in range(len(self.losses), len(self.losses) + count):
            if done % epoch == 0:
                net.reset()
            batch, rate = self.run.batch(done), numbers["train"]["learningRate"].item()
            watch = divergence.Watch(net, list(self.run.recipe.der_outputs), 1)
            passes.derive_batch(net, [batch], self.run.recipe, watch)
            passes.update(net, self.run.recipe, BATCH, rate)
            self.losses.append(float(net.vars["objective"].value))
            self.averages.append(passes.statistics(net)["objective"])
            self.predictions.append(norms(net.vars["prediction"].value))
            self.ders.append(self._norms("der"))
            self.params.append(self._norms("value"))
            self.ders1 = self.ders1 or {name: net.params[name].der for name in numbers["der1"]}

    def _norms(self, what: str) -> np.ndarray:
        return np.array([norms(getattr(param, what)) for param in self.run.net.params.values()])


def norms(a: np.ndarray) -> np.ndarray:
    """As the recorded ones, (3,)."""
    flat = a.ravel().astype(np.float64)
    return np.array([np.sqrt(flat @ flat), flat.sum(), max(flat.max(), -flat.min())])

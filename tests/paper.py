"""The paper's network as MatConvNet itself trained it (golden/paper): its values at the start, its batches, its numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from dagnet.dagnn import DagNN
from dagnet.models import lesion_fcn


def struct(path: Path) -> dict[str, Any]:
    """The struct `paper` of a golden file, as nested dicts; cells as lists, arrays with MATLAB's shapes."""
    return _plain(scipy.io.loadmat(path, struct_as_record=False, mat_dtype=True)["paper"])


@dataclass
class Paper:
    """One recorded run: `numbers` is the golden struct, `net` stands before its first step."""

    numbers: dict[str, Any]
    net: DagNN
    dtype: type

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The net's inputs at a step, counted from 0."""
        indices = self.numbers["batches"][step].ravel().astype(int) - 1
        return self.inputs(indices)

    def inputs(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The net's inputs for images, counted from 0."""
        mean = self.numbers["averageImage"].reshape(1, 1, 3, 1).astype(self.dtype)
        images = self.numbers["images"][..., indices].astype(self.dtype) - mean
        labels = 1 + (self.numbers["masks"][..., indices] > 128)
        return {"input": images, "label": labels.astype(self.dtype)}


def paper_net(path: Path, data_dir: Path, dtype: type = np.float32) -> Paper:
    """The run of a golden file such as golden/paper/master_lr1e-4.mat, its net in single or double precision.

    Runs of master have the loss divided by the number of images, those of beta25 the sum.
    """
    numbers = struct(path)
    vgg = data_dir / "vgg16" / "imagenet-vgg-verydeep-16-conv.mat"
    net = lesion_fcn.lesion_fcn(vgg, recipe="literal", fc_width=int(numbers["F"].item()), dropout=0.0)
    net.remove_layer("accuracy")
    net.layers["objective"].block.normalise = path.name.startswith("master")
    net.vars["objective"].precious = True
    for name, param in net.params.items():
        param.value = numbers["params0"].get(name, param.value).astype(dtype)
    return Paper(numbers, net, dtype)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:
        items = [_plain(v) for v in value.ravel(order="F")]
        return items[0] if value.shape == (1, 1) and isinstance(items[0], dict) else items
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value.item()) if value.size else ""
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in value._fieldnames}
    return value

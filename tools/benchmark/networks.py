"""Whole networks: training steps of VGG-16's convolutions and of the paper's network, and segmentation by the latter."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import work
from .work import Step, Work

if TYPE_CHECKING:  # not where PyTorch runs
    from dagnet.dagnn import DagNN

VGG = (96, 96, 3, 1)  # images (H, W, C, N)
PAPER = (128, 128, 3, 6)
PHOTO = (384, 384, 3, 1)
RATE = 1e-6  # random networks stay what they are


def vgg_step() -> dict[str, Step]:
    """Forward, backward and SGD with momentum of VGG-16's 13 convolutions with ReLU and pooling."""
    from dagnet.models import vgg16
    from dagnet.training import solvers

    net = vgg16.vgg16(vgg16.CONVOLUTIONS)
    net.init_params(np.random.default_rng(0))
    net.input_ders = False
    image, solver = work.data(VGG), solvers.SGD(momentum=0.9)
    state: solvers.State = {}

    def step() -> None:
        net.eval({"input": image}, {"x31": 1e-3})
        solvers.update(net.params.values(), solver, state, divisor=1, learning_rate=RATE, weight_decay=1e-4)

    return {"step": step}


def torch_vgg_step(channels_last: bool) -> dict[str, Step]:
    """The same in PyTorch."""
    import torch

    from . import torch_networks

    model, image = _torch_side(torch_networks.vgg16_convolutions(), VGG, channels_last)
    rule = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        rule.zero_grad()
        y = model(image)
        y.backward(torch.full_like(y, 1e-3))
        rule.step()

    return {"step": step}


def training_steps(net: "DagNN", inputs: Mapping[str, Any], graph: bool = False) -> dict[str, Step]:
    """`step`: a batch as the trainer runs it: forward, loss, accuracy, backward, SGD with momentum; and its parts.

    graph: on a GPU, let a CUDA graph launch forward and backward. Raises ValueError on the CPU.
    """
    from dagnet.training import divergence, passes, profile, solvers, stepping

    net.input_ders = False
    images = inputs["input"].shape[3]
    recipe = passes.Recipe(
        profile=profile.apply(net, "beta25"),
        solver=solvers.SGD(momentum=0.9),
        state={},
        batch_size=images,
        num_sub_batches=1,
        weight_decay=1e-4,
        der_outputs={"objective": 1.0},
        stepper=stepping.Stepper(net, {"objective": 1.0}) if graph else None,
    )
    passes.start(net, recipe, "train")
    watch = divergence.Watch(net, list(recipe.der_outputs), looks=1_000_000)

    def step() -> None:
        passes.derive_batch(net, [inputs], recipe, watch)
        passes.update(net, recipe, images, RATE)

    return {
        "step": step,
        "forward": lambda: net.eval(inputs),
        "forward and backward": lambda: passes.derive_batch(net, [inputs], recipe, watch),
        "update": lambda: passes.update(net, recipe, images, RATE),
    }


def batch(size: work.Size) -> dict[str, np.ndarray]:
    """Random inputs of the paper's network, images of that size and their labels."""
    return {"input": work.data(size), "label": _label(size)}


def paper_step() -> dict[str, Step]:
    """A step of the paper's network at full width."""
    from dagnet.models import lesion_fcn

    return {"step": training_steps(lesion_fcn.lesion_fcn(None), batch(PAPER))["step"]}


def torch_paper_step(channels_last: bool) -> dict[str, Step]:
    """The same in PyTorch."""
    import torch

    from . import torch_networks

    model, image = _torch_side(torch_networks.LesionFCN(), PAPER, channels_last)
    label = torch.from_numpy(_label(PAPER)[:, :, 0].transpose(2, 0, 1).astype(np.int64))
    return {"step": torch_networks.training_step(model, image, label, RATE)}


def segmentation() -> dict[str, Step]:
    """The paper's network in test mode, without its loss, on one image."""
    from dagnet.evaluation import segmentation
    from dagnet.models import lesion_fcn, vgg16

    net = segmentation.Segmenter(lesion_fcn.lesion_fcn(None), PHOTO[:2], vgg16.MEAN_COLOUR).net
    image = work.data(PHOTO)
    return {"forward": lambda: net.eval({"input": image})}


def torch_segmentation(channels_last: bool) -> dict[str, Step]:
    """The same in PyTorch."""
    import torch

    from . import torch_networks

    model, image = _torch_side(torch_networks.LesionFCN().eval(), PHOTO, channels_last)
    return {"forward": torch.inference_mode()(lambda: model(image))}


def _label(size: work.Size) -> np.ndarray:
    """Labels (H, W, 1, N) of a batch of that size, 1 and 2."""
    h, w, _, n = size
    return np.random.default_rng(0).integers(1, 3, (h, w, 1, n)).astype(np.float32)


def _torch_side(model: Any, size: work.Size, channels_last: bool) -> tuple[Any, Any]:
    import torch

    form = torch.channels_last if channels_last else torch.contiguous_format
    return model.to(memory_format=form), work.tensor(work.data(size), channels_last)


def _words(size: work.Size) -> str:
    h, w, _, n = size
    return f"{h}x{w}, {n} image{'s' if n > 1 else ''}"


VGG_STEP = Work(f"training step of VGG-16's convolutions, {_words(VGG)}", vgg_step, torch_vgg_step)
PAPER_STEP = Work(f"training step of the paper's network, {_words(PAPER)}", paper_step, torch_paper_step)
SEGMENTATION = Work(f"segmentation by the paper's network, {_words(PHOTO)}", segmentation, torch_segmentation)

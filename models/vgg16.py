"""VGG-16, layer by layer, and from MatConvNet's files (imagenet-vgg-verydeep-16.mat).

Source    Simonyan and Zisserman 2014, arXiv 1409.1556, configuration D; layers, names and pads as in MatConvNet's model
"""

from collections.abc import Sequence
from math import inf
from os import PathLike

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.files import netfile
from dagnet.layers import array, block, catalogue, conv, pool, relu, softmax

MEAN_COLOUR = (123.68, 116.779, 103.939)  # red, green, blue of ImageNet's images, which VGG-16's inputs have subtracted
CONVOLUTIONS = 31  # layers up to pool5
WHOLE = 37  # layers up to prob


def vgg16(layers: int = WHOLE, width: float = 1.0) -> DagNN:
    """VGG-16 without values: all 37 layers, or the 31 up to pool5.

    width multiplies every number of channels but the image's 3 and the 1000 classes; small ones serve tests and demos.
    Variables are `input`, `x1`, ..., and at the end `prediction` and `prob`. `net.init_params(rng)` gives random values.
    Raises ValueError for another number of layers, or a width that is not above 0.
    """
    if not 0 < width < inf:
        raise ValueError(f"vgg16: width is {width}; a number above 0 is right")
    if layers not in (CONVOLUTIONS, WHOLE):
        raise ValueError(
            f"vgg16: {layers} layers were asked for; {WHOLE}, or {CONVOLUTIONS} without fc6 ... prob, is right"
        )

    def wide(channels: int) -> int:
        return max(1, round(channels * width))

    net = DagNN()
    net.add_layer("conv1_1", conv3x3(3, wide(64)), "input", "x1", ["conv1_1f", "conv1_1b"])
    net.add_layer("relu1_1", relu.ReLU(), "x1", "x2")
    net.add_layer("conv1_2", conv3x3(wide(64), wide(64)), "x2", "x3", ["conv1_2f", "conv1_2b"])
    net.add_layer("relu1_2", relu.ReLU(), "x3", "x4")
    net.add_layer("pool1", pool2x2(), "x4", "x5")
    net.add_layer("conv2_1", conv3x3(wide(64), wide(128)), "x5", "x6", ["conv2_1f", "conv2_1b"])
    net.add_layer("relu2_1", relu.ReLU(), "x6", "x7")
    net.add_layer("conv2_2", conv3x3(wide(128), wide(128)), "x7", "x8", ["conv2_2f", "conv2_2b"])
    net.add_layer("relu2_2", relu.ReLU(), "x8", "x9")
    net.add_layer("pool2", pool2x2(), "x9", "x10")
    net.add_layer("conv3_1", conv3x3(wide(128), wide(256)), "x10", "x11", ["conv3_1f", "conv3_1b"])
    net.add_layer("relu3_1", relu.ReLU(), "x11", "x12")
    net.add_layer("conv3_2", conv3x3(wide(256), wide(256)), "x12", "x13", ["conv3_2f", "conv3_2b"])
    net.add_layer("relu3_2", relu.ReLU(), "x13", "x14")
    net.add_layer("conv3_3", conv3x3(wide(256), wide(256)), "x14", "x15", ["conv3_3f", "conv3_3b"])
    net.add_layer("relu3_3", relu.ReLU(), "x15", "x16")
    net.add_layer("pool3", pool2x2(), "x16", "x17")
    net.add_layer("conv4_1", conv3x3(wide(256), wide(512)), "x17", "x18", ["conv4_1f", "conv4_1b"])
    net.add_layer("relu4_1", relu.ReLU(), "x18", "x19")
    net.add_layer("conv4_2", conv3x3(wide(512), wide(512)), "x19", "x20", ["conv4_2f", "conv4_2b"])
    net.add_layer("relu4_2", relu.ReLU(), "x20", "x21")
    net.add_layer("conv4_3", conv3x3(wide(512), wide(512)), "x21", "x22", ["conv4_3f", "conv4_3b"])
    net.add_layer("relu4_3", relu.ReLU(), "x22", "x23")
    net.add_layer("pool4", pool2x2(), "x23", "x24")
    net.add_layer("conv5_1", conv3x3(wide(512), wide(512)), "x24", "x25", ["conv5_1f", "conv5_1b"])
    net.add_layer("relu5_1", relu.ReLU(), "x25", "x26")
    net.add_layer("conv5_2", conv3x3(wide(512), wide(512)), "x26", "x27", ["conv5_2f", "conv5_2b"])
    net.add_layer("relu5_2", relu.ReLU(), "x27", "x28")
    net.add_layer("conv5_3", conv3x3(wide(512), wide(512)), "x28", "x29", ["conv5_3f", "conv5_3b"])
    net.add_layer("relu5_3", relu.ReLU(), "x29", "x30")
    net.add_layer("pool5", pool2x2(), "x30", "x31")
    if layers == WHOLE:
        net.add_layer("fc6", conv.Conv([7, 7, wide(512), wide(4096)]), "x31", "x32", ["fc6f", "fc6b"])
        net.add_layer("relu6", relu.ReLU(), "x32", "x33")
        net.add_layer("fc7", conv.Conv([1, 1, wide(4096), wide(4096)]), "x33", "x34", ["fc7f", "fc7b"])
        net.add_layer("relu7", relu.ReLU(), "x34", "x35")
        net.add_layer("fc8", conv.Conv([1, 1, wide(4096), 1000]), "x35", "prediction", ["fc8f", "fc8b"])
        net.add_layer("prob", softmax.SoftMax(), "prediction", "prob")
    net.meta["normalization"] = {
        "imageSize": np.array([[224.0, 224.0, 3.0]]),
        "averageImage": np.array(MEAN_COLOUR, np.float32).reshape(1, 1, 3),
    }
    return net


def conv3x3(channels: int, filters: int) -> conv.Conv:
    """VGG's convolution: a pad of 1 keeps height and width."""
    return conv.Conv([3, 3, channels, filters], pad=[1, 1, 1, 1])


def pool2x2() -> pool.Pooling:
    """VGG's pooling halves height and width; the pad is Caffe's rounding up, without effect on even sizes."""
    return pool.Pooling("max", pool_size=[2, 2], stride=[2, 2], pad=[0, 1, 0, 1])


def load(path: str | PathLike[str]) -> DagNN:
    """VGG-16 with the values of a MatConvNet file of 31 or 37 layers, under the names above.

    Raises ValueError where the file holds another net (as from_net), and what netfile.load raises.
    """
    return from_net(netfile.load(path), str(path))


def from_net(net: DagNN, who: str) -> DagNN:
    """VGG-16 with the values, multipliers, pools' pads, opts and meta of a net that is VGG-16 of any width under any names.

    Raises ValueError, beginning with `who`, where it is another net: which layer differs first, what it is, what is right.
    """
    given = list(net.layers.values())
    if len(given) not in (CONVOLUTIONS, WHOLE):
        raise ValueError(
            f"{who}: it has {len(given)} layers; VGG-16's {WHOLE} (conv1_1 ... prob), or the {CONVOLUTIONS} up to pool5, are "
            "right"
        )
    first = given[0].block
    width = first.size[3] / 64 if isinstance(first, conv.Conv) and first.size[3] else 1.0
    vgg = vgg16(len(given), width)
    vgg.meta |= net.meta
    if isinstance(vgg.meta.get("inputs"), dict):
        vgg.meta["inputs"] = vgg.meta["inputs"] | {"name": "input"}
    flow = given[0].inputs
    for number, (ours, theirs) in enumerate(zip(vgg.layers.values(), given, strict=True), 1):
        came = f"{_form(theirs.block)} of {' and '.join(theirs.inputs)}"
        right = f"{_form(ours.block)} of {' and '.join(flow)}"
        if came != right:
            raise ValueError(f"{who}: layer {number}, '{theirs.name}', is {came}; in VGG-16 it is {right}")
        flow = theirs.outputs
        if isinstance(ours.block, pool.Pooling):
            ours.block.pad = list(theirs.block.pad)
        if hasattr(ours.block, "opts"):
            ours.block.opts = list(theirs.block.opts)
        for mine, name in zip(ours.params, theirs.params, strict=True):
            source, target = net.params[name], vgg.params[mine]
            target.value = None if source.value is None else array.to_numpy(source.value)
            target.learning_rate, target.weight_decay = source.learning_rate, source.weight_decay
    return vgg


def require(net: DagNN, who: str, what: str, layers: Sequence[str]) -> None:
    """Raises ValueError, beginning with `who`, unless the net, which should be `what`, has layers of these names."""
    missing = [name for name in layers if name not in net.layers]
    if missing:
        raise ValueError(f"{who}: {what} is right, and the net given has no layer {', '.join(missing)}")


def _form(layer: block.Layer) -> str:
    """What VGG-16 asks of a block, in words. A pool's pad is left out: files have both 0 0 0 0 and 0 1 0 1."""
    if isinstance(layer, conv.Conv):
        size = "x".join(str(n) for n in layer.size)
        bias = "a bias" if layer.has_bias else "no bias"
        return f"Conv {size} with stride {layer.stride}, pad {layer.pad}, dilate {layer.dilate}, {bias}"
    if isinstance(layer, pool.Pooling):
        return f"Pooling '{layer.method}' {layer.pool_size} with stride {layer.stride}"
    return f"ReLU with leak {layer.leak:g}" if isinstance(layer, relu.ReLU) else catalogue.name_of(layer)

"""Fully convolutional networks for segmentation, FCN-32s, 16s and 8s, as matconvnet-fcn defines them.

FCN-32s scores VGG-16's last layer, a 32nd of the image's size, and enlarges the scores 32 times. 16s adds scores of pool4 and
8s of pool3, which see finer detail. Each is trained from the one before. Images have sides that are multiples of 32.
Inputs: `input`, the images minus their mean colour, and `label` (1 .. n_classes, 0 means: ignore). Output: `prediction`.

Source    Long, Shelhamer and Darrell 2015, arXiv 1411.4038; fcnInitializeModel.m, fcnInitializeModel16s.m,
          fcnInitializeModel8s.m of matconvnet-fcn, commit b5f38359
"""

from os import PathLike

from dagnet.dagnn import DagNN
from dagnet.files import netfile
from dagnet.layers import conv, convt, dropout, relu, segmentation
from dagnet.layers import sum as sum_

from . import initial, vgg16

Source = DagNN | str | PathLike[str]  # a net, which is copied, or a file


def fcn32s(vgg: Source, n_classes: int = 21) -> DagNN:
    """FCN-32s from VGG-16 with all its 37 layers.

    Raises ValueError where it is another net, and what netfile.load raises.
    """
    net = vgg16.from_net(vgg.copy(), "fcn32s") if isinstance(vgg, DagNN) else vgg16.load(vgg)
    vgg16.require(net, "fcn32s", "VGG-16 with fc6 ... prob", ["pool5", "fc6", "relu6", "fc7", "relu7", "fc8", "prob"])
    kept = {name: net.params[name].value for name in ("fc6f", "fc6b", "fc7f", "fc7b")}
    deep, wide = net.layers["fc6"].block.size[2:]
    net.meta.pop("classes", None)  # ImageNet's

    # The fully connected layers again, now as convolutions over a padded input, with DropOut between them
    net.remove_layer(["fc6", "relu6", "fc7", "relu7", "fc8", "prob"])
    net.add_layer("fc6", conv.Conv([7, 7, deep, wide], pad=[3, 3, 3, 3]), "x31", "x32", ["fc6f", "fc6b"])
    net.add_layer("relu6", relu.ReLU(), "x32", "x33")
    net.add_layer("dropout1", dropout.DropOut(0.5), "x33", "x34")
    net.add_layer("fc7", conv.Conv([1, 1, wide, wide]), "x34", "x35", ["fc7f", "fc7b"])
    net.add_layer("relu7", relu.ReLU(), "x35", "x36")
    net.add_layer("dropout2", dropout.DropOut(0.5), "x36", "x37")
    net.add_layer("fc8", conv.Conv([1, 1, wide, n_classes]), "x37", "x38", ["fc8f", "fc8b"])
    for name, value in kept.items():
        net.params[name].value = value
    initial.fill(net, "fc8", [initial.zeros([1, 1, wide, n_classes]), initial.bias(n_classes)], [1, 2])
    for layer in net.layers.values():
        if layer.name.startswith("pool"):
            layer.block.pad = [0, 1, 0, 1]
        if len(layer.params) == 2:
            filters, bias = (net.params[name] for name in layer.params)
            bias.learning_rate = 2 * filters.learning_rate

    _upsample(net, "deconv32", 32, "x38", n_classes)
    net.add_layer("objective", segmentation.SegmentationLoss("softmaxlog"), ["prediction", "label"], "objective")
    net.add_layer("accuracy", segmentation.SegmentationAccuracy(), ["prediction", "label"], "accuracy")
    net.vars["prediction"].precious = True
    return net


def fcn16s(fcn: Source) -> DagNN:
    """FCN-16s from FCN-32s, a net or its file, in whose middle it puts scores of pool4.

    Raises ValueError where it is another net, and what netfile.load raises.
    """
    net = fcn.copy() if isinstance(fcn, DagNN) else netfile.load(fcn)
    vgg16.require(net, "fcn16s", "FCN-32s", ["conv4_3", "pool4", "fc8", "deconv32", "objective"])
    n_classes = net.layers["fc8"].block.size[3]
    net.remove_layer("deconv32")
    _double(net, "deconv2", "x38", "x39", "deconv1f", n_classes)
    _skip(net, "skip4", "conv4_3", "x24", "x40", n_classes, rate=0.1)
    net.add_layer("sum1", sum_.Sum(), ["x39", "x40"], "x41")
    _upsample(net, "deconv16", 16, "x41", n_classes)
    return net


def fcn8s(fcn: Source) -> DagNN:
    """FCN-8s from FCN-16s, a net or its file, to which it adds scores of pool3.

    Raises ValueError where it is another net, and what netfile.load raises.
    """
    net = fcn.copy() if isinstance(fcn, DagNN) else netfile.load(fcn)
    vgg16.require(net, "fcn8s", "FCN-16s", ["conv3_3", "pool3", "fc8", "skip4", "deconv16", "objective"])
    n_classes = net.layers["fc8"].block.size[3]
    net.remove_layer("deconv16")
    _double(net, "deconv2bis", "x41", "x42", "deconv2f", n_classes)
    _skip(net, "skip3", "conv3_3", "x17", "x43", n_classes, rate=0.01)
    net.add_layer("sum2", sum_.Sum(), ["x42", "x43"], "x44")
    _upsample(net, "deconv8", 8, "x44", n_classes)
    return net


def _upsample(net: DagNN, name: str, factor: int, scores: str, n_classes: int) -> None:
    """The last layer: enlarge each class's scores by fixed bilinear filters."""
    size, crop = [2 * factor, 2 * factor, 1, n_classes], [factor // 2] * 4
    block = convt.ConvTranspose(size, has_bias=False, upsample=[factor, factor], crop=crop, num_groups=n_classes)
    net.add_layer(name, block, scores, "prediction", "deconvf")
    initial.fill(net, name, [initial.bilinear_u(2 * factor, n_classes, n_classes)], [0])


def _double(net: DagNN, name: str, scores: str, output: str, param: str, n_classes: int) -> None:
    """Scores at twice their size, by fixed bilinear filters; one group, as there."""
    filters = initial.bilinear_u(4, 1, n_classes)
    block = convt.ConvTranspose(list(filters.shape), has_bias=False, upsample=[2, 2], crop=[1, 1, 1, 1])
    net.add_layer(name, block, scores, output, param)
    initial.fill(net, name, [filters], [0])


def _skip(net: DagNN, name: str, convolution: str, pooled: str, output: str, n_classes: int, rate: float) -> None:
    """Scores of the pool after `convolution`, 0 at the start. Activations there are large, and so the rate is small."""
    size = [1, 1, net.layers[convolution].block.size[3], n_classes]
    net.add_layer(name, conv.Conv(size), pooled, output, [f"{name}f", f"{name}b"])
    initial.fill(net, name, [initial.zeros(size), initial.bias(n_classes)], [rate, 2])

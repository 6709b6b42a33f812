"""A little network and ten little images, with which a training takes a moment; and a narrow VGG-16 in its file."""

from pathlib import Path

import numpy as np

from dagnet import DagNN
from dagnet.data import batches
from dagnet.files import matfile, matvalues
from dagnet.layers import bnorm, concat, conv, dropout, loss, pool, relu, segmentation, softmax
from dagnet.models import vgg16
from dagnet.training import trainer


def net() -> DagNN:
    """Convolution, batch normalisation, ReLU, DropOut, prediction; losses with one and with three averages."""
    net = DagNN()
    net.add_layer("conv1", conv.Conv([3, 3, 3, 4], pad=1), "input", "x1", ["conv1f", "conv1b"])
    net.add_layer("bn1", bnorm.BatchNorm(4), "x1", "x2", ["bn1m", "bn1b", "bn1x"])
    net.add_layer("relu1", relu.ReLU(), "x2", "x3")
    net.add_layer("drop1", dropout.DropOut(0.5), "x3", "x4")
    net.add_layer("concat", concat.Concat(), ["x4", "x3"], "x5")
    net.add_layer("pred", conv.Conv([1, 1, 8, 2]), "x5", "prediction", ["predf", "predb"])
    net.add_layer("objective", segmentation.SegmentationLoss(), ["prediction", "label"], "objective")
    net.add_layer("error", loss.Loss("classerror"), ["prediction", "label"], "error")
    net.add_layer("accuracy", segmentation.SegmentationAccuracy(), ["prediction", "label"], "accuracy")
    net.init_params(np.random.default_rng(0))
    return net


def source() -> batches.Batches:
    """Ten images whose brighter half is class 2, turned and flipped anew in each epoch."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (10, 6, 6)).astype(np.uint8) + 1
    images = (rng.integers(0, 100, (10, 6, 6, 3)) + 100 * (labels[..., None] - 1)).astype(np.uint8)
    return batches.Batches(images, labels, [100, 100, 100], augment=batches.Augment())


class Changed:
    """get_batch of a source, with something done to each batch: change(epoch, indices, batch)."""

    def __init__(self, source, change):
        self.source, self.change, self.epoch = source, change, 0

    def __call__(self, indices):
        self.source.epoch = self.epoch
        batch = self.source.get_batch(indices)
        self.change(self.epoch, indices, batch)
        return batch


def train(net, exp_dir, get_batch=None, **options):
    """trainer.train on the images with settings that are quick, and no curves drawn; keywords override them."""
    settings = {"train": range(7), "val": [7, 8, 9], "batch_size": 3, "num_sub_batches": 2, "num_epochs": 1}
    settings |= {"learning_rate": 0.01, "plot_statistics": False}
    return trainer.train(net, get_batch or source().get_batch, exp_dir=exp_dir, **settings | options)


def values(net):
    """The parameters' values by name."""
    return {name: param.value for name, param in net.params.items()}


def same(a, b):
    """Whether two dicts of arrays, or of dicts of arrays, are equal to the last bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return np.array_equal(a, b)


def vgg16_file(path: Path) -> Path:
    """A narrow VGG-16 of random values, in a file as MatConvNet's imagenet-vgg-verydeep-16.mat is: a SimpleNN."""
    net = vgg16.vgg16(width=1 / 64)
    net.init_params(np.random.default_rng(0))
    layers = []
    for record in net.layers.values():
        block, layer = record.block, {"name": record.name, "type": "relu", "rememberOutput": True}
        if isinstance(block, conv.Conv):
            # no distribution that a script draws from
            weights = [net.params[name].value ** 3 + np.float32(0.001) for name in record.params]
            layer |= {
                "type": "conv",
                "weights": matvalues.row(weights),
                "pad": np.array([block.pad], float),
                "stride": 1.0,
            }
        elif isinstance(block, pool.Pooling):
            layer |= {"type": "pool", "method": "max", "pool": np.array([[2.0, 2]]), "stride": 2.0, "pad": 0.0}
        elif isinstance(block, softmax.SoftMax):
            layer["type"] = "softmax"
        layers.append(layer)
    colour = np.arange(48, dtype=np.float32).reshape(4, 4, 3)
    meta = {
        "inputs": {"name": "data"},
        "normalization": {"imageSize": np.array([[224.0, 224, 3]]), "averageImage": colour},
    }
    matfile.write(path, {"layers": matvalues.row(layers), "meta": meta})
    return path

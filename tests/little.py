"""A little network and ten little images, with which a training takes a moment."""

import numpy as np

from dagnet import DagNN
from dagnet.data import batches
from dagnet.layers import bnorm, concat, conv, dropout, loss, relu, segmentation


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

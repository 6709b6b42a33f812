"""Little nets as MATLAB's calls make them, their images, and the imdb of these: what ported scripts have."""

import numpy as np

from dagnet.matconvnet import dagnn, rng


def net():
    """input -> conv1 -> relu1 -> pred -> objective, single precision."""
    net = dagnn.DagNN()
    net.addLayer("conv1", dagnn.Conv("size", [3, 3, 2, 4], "pad", 1), "input", "x1", ["conv1f", "conv1b"])
    net.addLayer("relu1", dagnn.ReLU(), ["x1"], ["x2"], [])
    net.addLayer(
        "pred", dagnn.Conv(size=[1, 1, 4, 3], hasBias=False), ["x2"], "prediction", "predf", "skipRebuild", True
    )
    net.addLayer("objective", dagnn.Loss("loss", "softmaxlog"), ["prediction", "label"], ["objective"])
    rng(0)
    net.initParams()
    return net


def batch(dtype=np.float32):
    """Three images and their labels, some of which are 0."""
    random = np.random.default_rng(5)
    return random.standard_normal((5, 4, 2, 3)).astype(dtype), random.integers(0, 4, (5, 4, 1, 3)).astype(dtype)


def imdb():
    """Their imdb: the second is for validation, no label is 0."""
    data, labels = batch()
    return {"images": {"data": data, "label": np.maximum(labels, 1), "set": np.array([[1.0, 2.0, 1.0]])}}


def get_batch(imdb, indices):
    """MATLAB's getBatch for a DagNN."""
    images = imdb["images"]
    return ["input", images["data"][..., indices], "label", images["label"][..., indices]]


def chain():
    """A SimpleNN's struct: convolution, dropout, loss."""
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal((3, 3, 2, 3)).astype(np.float32), np.zeros((3, 1), np.float32)]
    layers = [{"type": "conv", "weights": weights}, {"type": "dropout"}, {"type": "softmaxloss"}]
    return {"layers": layers, "meta": {}}

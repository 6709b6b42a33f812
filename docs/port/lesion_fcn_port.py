# ruff: noqa: ANN001, ANN201  # as free of types as MATLAB is
"""lesion_fcn_matlab.m, line beside line, with dagnet."""

from math import isnan, prod, sqrt

from dagnet.models.initial import bilinear_u
from numpy import float32 as single
from numpy import zeros
from numpy.random import default_rng

from dagnet.files.matfile import read as load
from dagnet.matconvnet import (
    SegmentationAccuracy,
    SegmentationLoss,
    cnn_train_dag,
    dagnn,
    vl_argparse,
    vl_simplenn_tidy,
)

randn = default_rng(0).standard_normal


def lesion_fcn_port(vggPath, imdb, *varargin):
    # LESION_FCN_PORT  Trains the network of Qi et al. 2017 as MatConvNet 1.0-beta25 does
    # imdb["images"] has data (HxWx3xN), masks (HxWx1xN, 0 or 255), the mean colour (1x1x3x1), set (1xN)

    opts = {"fcWidth": 4096}
    opts["train"] = {"expDir": "data/lesion_fcn", "batchSize": 6, "numEpochs": 20}
    opts["train"]["learningRate"] = 1e-3
    opts["train"]["momentum"] = 0.9
    opts["train"]["weightDecay"] = 1e-4
    opts = vl_argparse(opts, varargin)
    net = lesion_fcn("modelPath", vggPath, "fcWidth", opts["fcWidth"])
    net, stats = cnn_train_dag(net, imdb, getBatch, opts["train"])
    return net, stats


def getBatch(imdb, batch):
    # images less their mean colour; labels 1 for skin and 2 for lesion
    im = single(imdb["images"]["data"][:, :, :, batch]) - single(imdb["images"]["mean"])
    label = 1 + single(imdb["images"]["masks"][:, :, :, batch] > 128)
    inputs = ["input", im, "label", label]
    return inputs


def lesion_fcn(*varargin):
    # LESION_FCN  The network of Qi et al. 2017 on VGG-16, in matconvnet-fcn's style

    opts = {"modelPath": "data/models/imagenet-vgg-verydeep-16.mat"}
    opts["fcWidth"] = 4096
    opts = vl_argparse(opts, varargin)
    wide = opts["fcWidth"]

    # VGG-16 becomes a DagNN
    vgg = vl_simplenn_tidy(load(opts["modelPath"]))
    net = dagnn.DagNN.fromSimpleNN(vgg, "canonicalNames", True)

    # fc6 and fc7 start anew, each with dropout; fc8 and the softmax go, where the file has them
    for name in ["fc6", "relu6", "fc7", "relu7", "fc8", "prob"]:
        if not isnan(net.getLayerIndex(name)):
            net.removeLayer(name)
    c = channels(net, "x31")
    net.addLayer("fc6", dagnn.Conv("size", [7, 7, c, wide], "pad", 3), "x31", "fc6", ["fc6f", "fc6b"])
    setFilters(net, ["fc6f", "fc6b"], he([7, 7, c, wide]), wide, 1)
    net.addLayer("relu6", dagnn.ReLU(), "fc6", "relu6", [])
    net.addLayer("dropout1", dagnn.DropOut("rate", 0.5), "relu6", "dropout1", [])
    net.addLayer("fc7", dagnn.Conv("size", [1, 1, wide, wide]), "dropout1", "fc7", ["fc7f", "fc7b"])
    setFilters(net, ["fc7f", "fc7b"], he([1, 1, wide, wide]), wide, 1)
    net.addLayer("relu7", dagnn.ReLU(), "fc7", "relu7", [])
    net.addLayer("dropout2", dagnn.DropOut("rate", 0.5), "relu7", "dropout2", [])

    # a score map on each of the five pools and on fc7, each enlarged to the image's size
    sources = ["x5", "x10", "x17", "x24", "x31", "dropout2"]
    factors = [2, 4, 8, 16, 32, 32]
    rates = [1e-3, 1e-4, 1e-4, 1e-3, 1, min(1, 512 / wide)]
    for k in range(1, 7):
        s = factors[k - 1]
        c = channels(net, sources[k - 1])
        score = f"score{k}"
        names = [score + "f", score + "b"]
        net.addLayer(score, dagnn.Conv("size", [1, 1, c, 2]), sources[k - 1], score, names)
        setFilters(net, names, zeros([1, 1, c, 2], single), 2, rates[k - 1])
        up = f"up{k}"
        names = [up + "f", up + "b"]
        deconv = dagnn.ConvTranspose("size", [2 * s, 2 * s, 2, 2], "upsample", s, "crop", s / 2)
        net.addLayer(up, deconv, score, up, names)
        setFilters(net, names, bilinear_u(2 * s, 1, 2), 2, 1)

    # the six maps side by side, fused by a convolution; loss and accuracy as in matconvnet-fcn
    net.addLayer("fuse", dagnn.Concat("dim", 3), ["up1", "up2", "up3", "up4", "up5", "up6"], "fuse", [])
    predict = dagnn.Conv("size", [1, 1, 12, 2])
    net.addLayer("predict", predict, "fuse", "prediction", ["predictf", "predictb"])
    setFilters(net, ["predictf", "predictb"], he([1, 1, 12, 2]), 2, 1)
    objective = SegmentationLoss("loss", "softmaxlog")
    net.addLayer("objective", objective, ["prediction", "label"], "objective", [])
    net.addLayer("accuracy", SegmentationAccuracy(), ["prediction", "label"], "accuracy", [])
    net.vars(net.getVarIndex("prediction")).precious = True
    net.meta["classes"] = {"name": ["skin", "lesion"], "description": ["skin", "lesion"]}

    # biases learn twice as fast as their filters
    for i in range(1, len(net.layers) + 1):
        p = net.getParamIndex(net.layers(i).params)
        if len(p) == 2:
            net.params(p[1]).learningRate = 2 * net.params(p[0]).learningRate
    return net


def channels(net, var):
    # how many channels a variable has
    sizes = net.getVarSizes(["input", [384, 384, 3, 1]])
    c = sizes[net.getVarIndex(var) - 1][2]
    return c


def setFilters(net, names, filters, count, rate):
    # the first values of a layer's filters and biases, and how fast the filters learn
    p = net.getParamIndex(names)
    net.params(p[0]).value = filters
    net.params(p[0]).learningRate = rate
    net.params(p[1]).value = zeros([count, 1], single)


def he(size):
    # He's deviation: activations keep their size through a ReLU
    f = randn(size, single) * sqrt(2 / prod(size[0:3]))
    return f

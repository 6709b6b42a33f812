"""Makes a trained network ready for use: what only training needs goes (MatConvNet cnn_imagenet_deploy).

    deploy(net)      a copy without losses, errors, dropout and batch normalisations, whose scores end in a softmax `prob`

Fold      A convolution x = f * z + b and the batch normalisation of x in test mode, y = g (x - mu) / sigma + h, are together
          one convolution, y = (a f) * z + (a b + h - a mu), with a = g / sigma, a number an output channel.
          MatConvNet forgets the a of a b, so that its fold is right only where the convolution had no biases, or biases of 0.
          A batch normalisation that follows no convolution, or one that others read or share, stays: it computes the same.
Softmax   where a loss "softmaxlog" read its scores, as MatConvNet's own networks end
Source    MatConvNet's examples/imagenet/cnn_imagenet_deploy.m of 1.0-beta25
"""

from typing import TypeVar

import numpy as np

from dagnet import simplelayers
from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import array, bnorm, conv, convt, dropout, loss, softmax
from dagnet.layers.array import Array
from dagnet.simplenn import SimpleNN

Net = TypeVar("Net", DagNN, SimpleNN)
FOLDABLE = ("conv", "convt")


def deploy(net: Net) -> Net:
    """The network for use, a DagNN in mode "test"; the one given stays as it is.

    Raises ValueError where a DagNN has a variable or layer `prob` already, and scores that ask for one.
    """
    made = net.copy()
    if isinstance(made, SimpleNN):
        _deploy_chain(made)
    else:
        _deploy_graph(made)
    return made


def folded(f: Array, b: Array | None, norm: list[Array], channels: int, groups: int = 1) -> tuple[Array, Array]:
    """Filters and biases (1, K) of a convolution with the batch normalisation [g, h, moments] behind it.

    channels   the dimension of f, from 0, along which the output's channels lie: 3 (conv), or 2 (convt, where each of the
               `groups`, a part of dimension 3, has channels of its own there)
    """
    xp, f = array.module_of(f), array.four_d(f)
    g, h, moments = (w.astype(np.float64) for w in norm)
    a = g.ravel() / moments[:, 1]
    start = 0.0 if b is None else b.ravel().astype(np.float64)
    biases = a * (start - moments[:, 0]) + h.ravel()
    scaled = f * (a if channels == 3 else xp.repeat(a.reshape(groups, -1).T, f.shape[3] // groups, axis=1))
    return xp.ascontiguousarray(scaled.astype(f.dtype)), biases.reshape(1, -1).astype(f.dtype)


# ---------------------------------------------------------------- a SimpleNN


def _deploy_chain(net: SimpleNN) -> None:
    had_loss = bool(net.layers) and net.layers[-1]["type"] in ("loss", "softmaxloss")
    kept: list[simplelayers.Layer] = []
    for layer in net.layers:
        layer.pop("momentum", None)  # of old releases, which kept it here
        if layer["type"] in ("loss", "softmaxloss", "dropout"):
            continue
        if layer["type"] == "bnorm" and kept and kept[-1]["type"] in FOLDABLE:
            before = kept[-1]
            f, b = [*before["weights"], None][:2]
            is_conv = before["type"] == "conv"
            groups = 1 if is_conv else int(np.ravel(before.get("numGroups", 1))[0])
            before["weights"] = list(
                folded(f, b if b is not None and b.size else None, layer["weights"], 2 + is_conv, groups)
            )
            for factors in ("learningRate", "weightDecay"):
                if np.size(before.get(factors, ())) == 1:  # it had no biases
                    before[factors] = np.repeat(np.ravel(before[factors]), 2)[None]
        else:
            kept.append(layer)
    if had_loss:
        kept.append(simplelayers.completed({"name": "prob", "type": "softmax"}, len(kept)))
    net.layers = kept


# ---------------------------------------------------------------- a DagNN


def _deploy_graph(net: DagNN) -> None:
    net.mode = "test"
    records = list(net.layers.values())
    losses = [r for r in records if isinstance(r.block, loss.Loss) and not any(net.vars[v].fanout for v in r.outputs)]
    scores = next((r.inputs[0] for r in losses if r.block.loss == "softmaxlog"), None)  # type: ignore[attr-defined]
    net.remove_layer([r.name for r in losses])
    for record in records:
        if isinstance(record.block, dropout.DropOut) or (
            isinstance(record.block, bnorm.BatchNorm) and _fold_into_maker(net, record)
        ):
            if record.outputs[0] == scores:
                scores = record.inputs[0]
            _splice_out(net, record)
    if scores is not None:
        if "prob" in net.vars:
            raise ValueError(f"deploy: the net has a variable 'prob', and the scores '{scores}' need one; rename it")
        net.add_layer("prob", softmax.SoftMax(), scores, "prob")


def _fold_into_maker(net: DagNN, record: LayerRecord) -> bool:
    """Gives the convolution before a batch normalisation folded weights, if its own ones and its output are no other's."""
    source = record.inputs[0]
    maker = next((r for r in net.layers.values() if source in r.outputs), None)
    if maker is None or not isinstance(maker.block, conv.Conv | convt.ConvTranspose):
        return False
    params = [net.params[p] for p in maker.params]
    norm = [net.params[p].value for p in record.params]
    if net.vars[source].fanout > 1 or any(p.fanout > 1 for p in params) or any(w is None for w in norm):
        return False
    is_conv = isinstance(maker.block, conv.Conv)
    groups = 1 if is_conv else maker.block.num_groups  # type: ignore[union-attr]
    biases = params[1].value if len(params) > 1 else None
    f, b = folded(params[0].value, biases, norm, 2 + is_conv, groups)  # type: ignore[arg-type]  # none is None
    if len(params) == 1:
        name = f"{maker.name}b"
        while name in net.params:
            name += "_"
        net.set_layer_params(maker.name, [maker.params[0], name])
        maker.block.has_bias = True
    net.params[maker.params[0]].value, net.params[maker.params[1]].value = f, b
    return True


def _splice_out(net: DagNN, record: LayerRecord) -> None:
    """Removes a layer, whose readers then read what it read."""
    source, target = record.inputs[0], record.outputs[0]
    net.remove_layer(record.name)
    if target in net.vars:
        net.rename_var(target, source)

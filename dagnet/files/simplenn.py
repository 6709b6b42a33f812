"""SimpleNN in files: structs of any age brought up to date, structs to save, and the DagNN that MatConvNet makes of one.

A SimpleNN is a struct with a cell `layers` and a struct `meta`; its layers are structs with `type`, `weights` and options.
Source    MatConvNet manual, 3.1; vl_simplenn_tidy.m, DagNN.fromSimpleNN of 1.0-beta25
"""

import copy
from typing import Any

import numpy as np

from dagnet import simplelayers
from dagnet.dagnn import DagNN
from dagnet.layers import catalogue
from dagnet.simplenn import SimpleNN

from . import fields, matvalues

OLD_META = ("classes", "normalization")  # fields of meta that stood at the top level in old files
DEFAULT_EPSILON = 1e-5  # of a batch normalisation, whatever the SimpleNN's is


def tidy(net: dict[str, Any], where: str = "net") -> SimpleNN:
    """The SimpleNN of a struct of any age; the struct stays as it is.

    Layers get weights, name, precious and the defaults of their type; filters and biases become weights; classes and
    normalization move into meta, and normalization.border becomes cropSize. Layers of other types, custom ones among them,
    get no more than weights, name and precious. Other fields at the top are dropped, as MatConvNet does.
    Raises ValueError, with `where`, for what is no SimpleNN.
    """
    try:
        layers = [dict(layer) for layer in matvalues.items(net["layers"])]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: a SimpleNN is right: a struct whose field `layers` is a cell of structs") from error
    meta = copy.deepcopy(fields.meta_of(net, where))
    meta |= {field: net[field] for field in OLD_META if field in net and field not in meta}
    normalization = meta.get("normalization")
    if isinstance(normalization, dict) and {"border", "imageSize"} <= set(normalization):
        size = np.ravel(normalization["imageSize"])[:2]
        crop = size / (size + np.ravel(normalization["border"])[:2])
        meta["normalization"] = normalization | {"cropSize": normalization.get("cropSize", crop.reshape(1, -1))}
    for i, layer in enumerate(layers):
        place = f"{where}: layers{{{i + 1}}}"
        if isinstance(layer.get("class"), matvalues.Foreign):
            del layer["class"]  # the last batch's labels, which MATLAB had on the GPU: of no use, and not to be saved
        layer["weights"] = _weights(layer, f"{place} '{layer['name']}'" if "name" in layer else place)
    try:
        return SimpleNN(layers, meta)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def to_struct(net: SimpleNN) -> dict[str, Any]:
    """The struct that vl_simplenn_tidy would give for the network; weights come from the GPU where they are there.

    A custom layer's Python functions become their names, which tell a reader what to put there.
    """
    net.complete()
    layers = []
    for layer in net.layers:
        functions = {
            name: f"{value.__module__}.{value.__qualname__}" for name, value in layer.items() if callable(value)
        }
        layers.append(fields.to_matlab(layer | functions | {"weights": [fields.column(w) for w in layer["weights"]]}))
    return {"layers": matvalues.row(layers), "meta": fields.to_matlab(net.meta)}


def from_simplenn(
    net: dict[str, Any] | SimpleNN, canonical_names: bool = False, where: str = "net", *, own_epsilon: bool = False
) -> DagNN:
    """The DagNN of a SimpleNN, as MatConvNet's fromSimpleNN makes and names it.

    Layer l reads `x<l-1>` and makes `x<l>`; the parameters of layer conv1 are conv1f (filters) and conv1b (biases), those of
    a batch normalisation m, b and x (moments), whose epsilon becomes the default 1e-5: MatConvNet copies it no more than we,
    unless own_epsilon asks for what vl_simplenn computes.
    canonical_names calls the first input `input`, a softmax's output `prob` and its input `prediction`, a loss's output
    `objective`.
    More than MatConvNet: a 'loss' layer becomes a softmaxlog Loss, as vl_simplenn runs it; layers that fromSimpleNN
    refuses are made by the class that the catalogue has for their type, or kept as catalogue.Unknown with a warning.
    The parameters' arrays are the SimpleNN's own. Raises ValueError naming the layer where something does not fit.
    """
    chain = net if isinstance(net, SimpleNN) else tidy(net, where)
    chain.complete()
    dag = DagNN()
    for i, layer in enumerate(chain.layers):
        _add_layer(dag, chain, i, f"{where}: layers{{{i + 1}}} '{layer['name']}'", own_epsilon)
    if canonical_names:
        _use_canonical_names(dag)
    dag.meta = copy.deepcopy(chain.meta)
    inputs = dag.meta.get("inputs")
    if dag.layers and isinstance(inputs, (dict, matvalues.StructArray)) and matvalues.structs(inputs):
        matvalues.structs(inputs)[0]["name"] = next(iter(dag.layers.values())).inputs[0]
    fields.warn_of_unknown(dag, where)
    return dag


def average_rgb(meta: dict[str, Any]) -> np.ndarray:
    """The mean float32 (3,) of red, green and blue, 0..255, from any shape of meta.normalization.averageImage.

    Files hold 224x224x3 (the mean image, averaged here over its pixels), 1x1x3, 3x1 or 1x3. Raises ValueError otherwise.
    """
    normalization = meta.get("normalization")
    image = normalization.get("averageImage") if isinstance(normalization, dict) else None
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3:
        return image.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    if isinstance(image, np.ndarray) and image.size == 3 and image.dtype != object:
        return image.ravel().astype(np.float32)
    found = "absent" if image is None else matvalues.describe(image)
    raise ValueError(f"meta.normalization.averageImage is {found}; an RGB mean of 3 values or an HxWx3 image is right")


# ---------------------------------------------------------------- details


def _weights(layer: dict[str, Any], where: str) -> list[np.ndarray]:
    """The layer's weights, filters and biases of old files among them, in C order."""
    cell = matvalues.row([])
    if "filters" in layer:
        cell = matvalues.row([layer.pop("filters"), layer.pop("biases", np.zeros((0, 0), np.float32))])
    try:
        found = matvalues.items(layer.get("weights", cell))
    except TypeError as error:
        raise ValueError(f"{where}.weights: {error}") from error
    read = [fields.parameter(value, f"{where}.weights{{{i + 1}}}") for i, value in enumerate(found)]
    return [value if weight is None else weight for value, weight in zip(found, read, strict=True)]


def _add_layer(net: DagNN, chain: SimpleNN, index: int, where: str, own_epsilon: bool) -> None:
    layer = chain.layers[index]
    kind, name = layer["type"], layer["name"]
    try:
        block = simplelayers.block_of(layer)
        chain.set_rules(block)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error
    if kind == "bnorm" and not own_epsilon:
        block.epsilon = DEFAULT_EPSILON  # type: ignore[attr-defined]  # it is a BatchNorm
    known = simplelayers.KINDS.get(kind)
    inputs = [f"x{index}", _label(net)] if known and known.labels else [f"x{index}"]
    params = simplelayers.param_names(layer)
    try:
        net.add_layer(name, block, inputs, [f"x{index + 1}"], list(params))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    for param, i in params.items():
        net.params[param].value = layer["weights"][i]
        for field, ours in (("learningRate", "learning_rate"), ("weightDecay", "weight_decay")):
            factors = np.ravel(layer.get(field, []))
            if i < len(factors):
                setattr(net.params[param], ours, float(factors[i]))
    if kind == "bnorm" and np.size(layer.get("weightDecay", [])):
        net.params[f"{name}x"].weight_decay = 0.0  # moments do not decay, whatever the file says


def _label(net: DagNN) -> str:
    """The first of label, label1, label2 ... that is free."""
    taken = sum(name.startswith("label") for name in net.vars)
    return f"label{taken}" if taken else "label"


def _use_canonical_names(net: DagNN) -> None:
    records = list(net.layers.values())
    if records:
        net.rename_var(records[0].inputs[0], "input")
    for record in records:
        kind = catalogue.name_of(record.block)
        source, target = record.inputs[0], record.outputs[0]
        if kind == "dagnn.SoftMax":
            net.rename_var(target, "prob")
            net.rename_var(source, "prediction")
        if kind == "dagnn.Loss":
            net.rename_var(target, "objective")
            if not source.startswith("prob"):
                net.rename_var(source, "prediction")

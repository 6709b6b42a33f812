"""What a file said of a network, kept beside what it means: what nobody changed is written back as it stood there.

`in_file` of layers, variables and parameters is their record in the file. A value keeps its class and shape, and a property
that the file's release did not have stays absent: a file goes back into the release that it came from, whose loading refuses
properties that it does not know.
Source    block.load and block.save, +dagnn/Layer.m of 1.0-beta25
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from dagnet.graph import LayerRecord, Param, Var
from dagnet.layers import block, catalogue

from . import fields, matvalues, releases, writable

# What the fields of layers, variables and parameters mean here.
MEANINGS: dict[str, Callable[[Any], Any]] = {
    "inputs": matvalues.items,
    "outputs": matvalues.items,
    "params": matvalues.items,
    "precious": lambda value: bool(np.any(value)),
    "learningRate": lambda value: float(np.ravel(value)[0]),
    "weightDecay": lambda value: float(np.ravel(value)[0]),
    "value": lambda value: None,  # of a parameter's value only an empty one is kept
}

# MatConvNet's pooling has this property from its base class, and no use for it.
POOLING_DILATE = [1, 1]

# The property came with beta20; what wrote a batch normalisation without it is beta18, which had this number built in.
EPSILON_OF_BETA18 = 1e-3


def read_block(matlab_type: str, properties: dict[str, Any], where: str) -> block.Layer:
    """The block of that type with a file's properties, whatever release wrote them. Raises ValueError, with `where`."""
    properties = dict(properties)
    if matlab_type == "dagnn.Pooling" and np.any(np.ravel(properties.pop("dilate", 1)) != 1):
        raise ValueError(f"{where}.dilate is not 1; pooling knows no dilation")
    if matlab_type == "dagnn.BatchNorm":
        properties.setdefault("epsilon", EPSILON_OF_BETA18)
    return fields.make_block(matlab_type, properties, where)


def type_of(record: LayerRecord) -> str:
    """The type of a layer's block in files. Raises ValueError, naming the layer, where its class is not registered."""
    try:
        return catalogue.name_of(record.block)
    except LookupError as error:
        raise ValueError(f"layer '{record.name}' cannot be saved: {error}") from error


def field(entry: LayerRecord | Var | Param, name: str, now: Any) -> Any:
    """A field as its file had it, in class and shape, where it still means the same, else as MATLAB would hold it."""
    read = entry.in_file.get(name)
    return read if read is not None and MEANINGS[name](read) == now else fields.to_matlab(now)


def properties(record: LayerRecord, release: str | None) -> Any:
    """A block's properties: as they stood in its file where nobody changed them, and those that are new."""
    matlab_type, now, read = type_of(record), _today(record.block), record.in_file.get("block", {})
    where = f"layer '{record.name}'.block"
    if isinstance(record.block, catalogue.Unknown) or matlab_type != record.in_file.get("type"):
        properties = now
    else:
        given = read if isinstance(read, dict) else {}
        then = _today(read_block(matlab_type, given, where))
        new = {name: value for name, value in now.items() if name not in then or not _alike(value, then[name])}
        properties = {n: new.get(n, v) for n, v in given.items() if n in now or n not in then} | new
    if release is not None:
        whole = properties | {name: value for name, value in now.items() if name not in properties}
        properties = releases.known_to(release, matlab_type, whole, where)
    return properties if properties or isinstance(read, dict) else read


# ---------------------------------------------------------------- details


def _alike(a: Any, b: Any) -> bool:
    try:
        return writable.same(a, b)
    except ValueError:  # MATLAB cannot hold one of them, which to write it will say
        return False


def _today(layer: block.Layer) -> dict[str, Any]:
    """The block's properties as beta25 writes them: a class's own ones first, then those of its base classes."""
    properties = catalogue.to_matlab(layer)
    if isinstance(layer, catalogue.Unknown):
        return properties
    matlab_type = catalogue.name_of(layer)
    if matlab_type == "dagnn.Pooling":
        properties["dilate"] = POOLING_DILATE
    if matlab_type == "dagnn.BatchNorm":
        properties["numChannels"] = properties["numChannels"] or None
    own: dict[str, int] = {}
    for depth, cls in enumerate(type(layer).__mro__):
        own |= {catalogue.camel_case(name): depth for name in inspect.get_annotations(cls) if name not in own}
    own |= {"pad": 9, "stride": 9, "dilate": 9}  # there they come from a base class, dagnn.Filter
    return {name: fields.to_matlab(properties[name]) for name in sorted(properties, key=lambda n: own.get(n, 0))}

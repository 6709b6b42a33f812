"""Which class is "dagnn.Conv", and what its properties are called there.

MatConvNet's files name the class of every block ("dagnn.Conv"; a user's own class has no prefix) and list its properties by
their MATLAB names (hasBias). Here is the one table that knows both sides. A block of your own:

    catalogue.register("MyBlock", MyBlock)      # MyBlock: a dataclass, a block.Layer
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from . import block, bnorm, concat, conv, convt, crop, dropout, loss, lrn, pool, relu, segmentation, sigmoid, softmax
from . import sum as sum_

_CLASSES: dict[str, type[block.Layer]] = {}

# Properties of old files that MatConvNet's own loading drops without a word.
_DROPPED = {"dagnn.Concat": {"numInputs"}}


@dataclasses.dataclass
class Unknown(block.Layer):
    """Stands for a block whose class nobody registered: it keeps type and properties, so that a file loads and saves back.

    Whatever would run it raises NotImplementedError, which says how to supply the class.
    """

    matlab_type: str
    fields: dict[str, Any]

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotImplementedError(f"the block {self.matlab_type!r} is not known here; {_how(self.matlab_type)}")

    forward = backward = init_params = output_sizes = receptive_fields = _refuse


def register(matlab_type: str, cls: type[block.Layer]) -> None:
    """Makes `cls` the class of that type in files. A later registration replaces an earlier one.

    Raises TypeError where cls is not a dataclass derived from block.Layer.
    """
    if not (isinstance(cls, type) and issubclass(cls, block.Layer) and dataclasses.is_dataclass(cls)):
        raise TypeError(
            f"catalogue: {cls!r} for {matlab_type!r} is right as a dataclass derived from dagnet.layers.block.Layer"
        )
    _CLASSES[matlab_type] = cls


def find(matlab_type: str) -> type[block.Layer]:
    """The class of that type. Raises LookupError where there is none, with the remedy."""
    if matlab_type not in _CLASSES:
        raise LookupError(f"catalogue: the block type {matlab_type!r} is not known; {_how(matlab_type)}")
    return _CLASSES[matlab_type]


def known() -> list[str]:
    """The types registered, sorted."""
    return sorted(_CLASSES)


def name_of(layer: block.Layer) -> str:
    """The type of a block in files: "dagnn.Conv". Raises LookupError where its class is not registered."""
    if isinstance(layer, Unknown):
        return layer.matlab_type
    for matlab_type, cls in _CLASSES.items():
        if cls is type(layer):
            return matlab_type
    name = type(layer).__name__
    raise LookupError(f"catalogue: the class {name} is not registered; {_how(name, name)}")


def to_matlab(layer: block.Layer) -> dict[str, Any]:
    """The block's properties under MATLAB's names, in the order of its fields.

    A field with the metadata {"matlab": "where set"} is no property in every MatConvNet: it is left out at its default.
    """
    if isinstance(layer, Unknown):
        return dict(layer.fields)
    name_of(layer)
    properties = {}
    for f in dataclasses.fields(layer):  # type: ignore[arg-type]  # every registered class is a dataclass
        value = getattr(layer, f.name)
        if f.metadata.get("matlab") == "where set" and value == f.default:
            continue
        properties[camel_case(f.name)] = value
    return properties


def from_matlab(matlab_type: str, properties: Mapping[str, Any]) -> block.Layer:
    """The block of that type with these properties, named as in MATLAB; those absent or empty keep their defaults.

    An unknown type gives an Unknown. Raises ValueError for a property that the class does not have.
    """
    if matlab_type not in _CLASSES:
        return Unknown(matlab_type, dict(properties))
    cls = _CLASSES[matlab_type]
    fields = {camel_case(f.name): f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    arguments = {}
    for name, value in properties.items():
        if name in _DROPPED.get(matlab_type, ()):
            continue
        if name not in fields:
            raise ValueError(f"{matlab_type}: it has no property {name!r}; {', '.join(fields)} are right")
        field = fields[name]
        if _is_empty(value):
            if field.name == "opts":
                arguments[field.name] = []
            continue
        arguments[field.name] = _plain(value, _default(field))
    return cls(**arguments)


def camel_case(name: str) -> str:
    """has_bias as MATLAB writes it: hasBias."""
    return re.sub(r"_(\w)", lambda m: m[1].upper(), name)


def snake_case(name: str) -> str:
    """hasBias as Python writes it: has_bias."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _is_empty(value: Any) -> bool:
    """MATLAB's [] and {}, which stand for "not given"."""
    return value is None or (value.size == 0 if isinstance(value, np.ndarray) else value in ([], ()))


def _plain(value: Any, like: Any) -> Any:
    """A value as MATLAB holds it (everything an array, numbers all double) as the Python value that `like` is."""
    if isinstance(value, np.ndarray):
        flat = [v if not isinstance(v, np.ndarray) or v.size != 1 else v.item() for v in value.ravel(order="F")]
    elif isinstance(value, (list, tuple)):
        flat = list(value)
    else:
        flat = [value]
    flat = [_whole(v) for v in flat]
    if isinstance(like, list):
        return flat
    only = flat[0] if len(flat) == 1 else flat
    if isinstance(like, bool):
        return bool(only)
    return only


def _whole(value: Any) -> Any:
    """1.0 as 1; other values as they are, NumPy's scalars as Python's."""
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _how(matlab_type: str, cls: str = "YourClass") -> str:
    return f"catalogue.register({matlab_type!r}, {cls}) supplies it"


for _type, _class in {
    "dagnn.BatchNorm": bnorm.BatchNorm,
    "dagnn.Concat": concat.Concat,
    "dagnn.Conv": conv.Conv,
    "dagnn.ConvTranspose": convt.ConvTranspose,
    "dagnn.Crop": crop.Crop,
    "dagnn.DropOut": dropout.DropOut,
    "dagnn.LRN": lrn.LRN,
    "dagnn.Loss": loss.Loss,
    "dagnn.Pooling": pool.Pooling,
    "dagnn.ReLU": relu.ReLU,
    "dagnn.Sigmoid": sigmoid.Sigmoid,
    "dagnn.SoftMax": softmax.SoftMax,
    "dagnn.Sum": sum_.Sum,
    "SegmentationAccuracy": segmentation.SegmentationAccuracy,
    "SegmentationLoss": segmentation.SegmentationLoss,
}.items():
    register(_type, _class)

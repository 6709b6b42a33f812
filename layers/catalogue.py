"""Which class is "dagnn.Conv", and what its properties are called there.

MatConvNet's files name the class of every block ("dagnn.Conv"; a user's own class has no prefix) and list its properties by
their MATLAB names (hasBias). Here is the one table that knows both sides. A block of your own:

    @dataclass
    class Brighten(block.Layer):
        by_factor: float = 1.0                                               # in the file: byFactor
        kernel: float = field(default=0.0, metadata={"matlab": "lambda"})    # in the file: lambda
        ...

    catalogue.register("Brighten", Brighten)
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from . import (
    bilinearsampler,
    block,
    bnorm,
    concat,
    conv,
    convt,
    crop,
    dropout,
    geometry,
    grid,
    loss,
    lrn,
    noffset,
    pdist,
    pool,
    relu,
    roipool,
    scale,
    segmentation,
    sigmoid,
    smoothl1,
    softmax,
    spnorm,
)
from . import sum as sum_

NAN = float("nan")

_CLASSES: dict[str, type[block.Layer]] = {}

# Properties that MatConvNet takes and drops: Sum's is transient, forward sets it; Concat's stands in old files.
DROPPED = {"dagnn.Concat": ("numInputs",), "dagnn.Sum": ("numInputs",)}


@dataclasses.dataclass
class Unknown(block.Layer):
    """Stands for a block whose class nobody registered: it keeps type and properties, so that a file loads and saves back.

    To run it raises NotImplementedError, which says how to supply the class. Its one output is of unknown size.
    """

    matlab_type: str
    fields: dict[str, Any]

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"the block {self.matlab_type!r} is not known here; {_how(self.matlab_type)}")

    forward = backward = init_params = _refuse

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """Unknown."""
        return [(NAN, NAN, NAN, NAN)]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField]:
        """Unknown."""
        return [geometry.UNKNOWN] * inputs


def register(matlab_type: str, cls: type[block.Layer]) -> None:
    """Makes `cls` the class of that type in files. A later registration replaces an earlier one.

    Raises TypeError where cls is not a dataclass derived from block.Layer.
    """
    if not (isinstance(cls, type) and issubclass(cls, block.Layer) and dataclasses.is_dataclass(cls)):
        raise TypeError(
            f"catalogue: {cls!r} is no class for {matlab_type!r}; a dataclass derived from block.Layer is right"
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

    A field with the metadata {"optional": True} is no property in every MatConvNet: it is left out at its default.
    """
    if isinstance(layer, Unknown):
        return dict(layer.fields)
    name_of(layer)
    return {
        name: getattr(layer, f.name)
        for name, f in matlab_fields(type(layer)).items()
        if not (f.metadata.get("optional") and getattr(layer, f.name) == f.default)
    }


def from_matlab(matlab_type: str, properties: Mapping[str, Any]) -> block.Layer:
    """The block of that type with these properties, named as in MATLAB; those absent or empty keep their defaults.

    An unknown type gives an Unknown. Raises ValueError for a property that the class does not have, and whatever the class
    raises for a value that is not right.
    """
    if matlab_type not in _CLASSES:
        return Unknown(matlab_type, dict(properties))
    fields = matlab_fields(_CLASSES[matlab_type])
    arguments = {}
    for name, value in properties.items():
        if name in DROPPED.get(matlab_type, ()):
            continue
        if name not in fields:
            raise ValueError(f"{matlab_type}: it has no property {name!r}; {', '.join(fields)} are right")
        if fields[name].name == "opts" or not _is_empty(value):
            arguments[fields[name].name] = _plain(value, _default(fields[name]))
    return _CLASSES[matlab_type](**arguments)


def set_property(layer: block.Layer, name: str, value: Any) -> None:
    """Sets a property, named as in MATLAB, to a value as from_matlab takes it: a pad of 1 is [1, 1, 1, 1].

    Raises KeyError where the block has no such property, and what its class raises for a value that is not right.
    """
    field = matlab_fields(type(layer))[name]
    made = dataclasses.replace(layer, **{field.name: _plain(value, _default(field))})  # type: ignore[type-var]  # a dataclass
    setattr(layer, field.name, getattr(made, field.name))


def matlab_fields(cls: type[block.Layer]) -> dict[str, dataclasses.Field]:
    """The properties of a block class: MATLAB's name -> the field, in the order of the fields."""
    fields = [f for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]  # register() lets only dataclasses in
    return {f.metadata.get("matlab", camel_case(f.name)): f for f in fields}


def camel_case(name: str) -> str:
    """has_bias as MATLAB writes it: hasBias."""
    return re.sub(r"_(\w)", lambda m: m[1].upper(), name)


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _is_empty(value: Any) -> bool:
    """MATLAB's [] and {}, which stand for "not given"."""
    return value is None or (value.size == 0 if isinstance(value, np.ndarray) else value in ([], ()))


def _plain(value: Any, like: Any) -> Any:
    """A value as MATLAB holds it (everything an array, numbers all double) as the Python value that `like` is."""
    if isinstance(value, np.ndarray):
        value = list(value.ravel(order="F"))
    values = [_scalar(v) for v in value] if isinstance(value, (list, tuple)) else [_scalar(value)]
    if isinstance(like, list):
        return values
    only = values[0] if len(values) == 1 else values
    return bool(only) if isinstance(like, bool) else only


def _scalar(value: Any) -> Any:
    """An array of one value, or a NumPy scalar, as Python's number, and 1.0 as 1; anything else as it is."""
    if isinstance(value, (np.ndarray, np.generic)) and value.size == 1:
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _how(matlab_type: str, cls: str = "YourClass") -> str:
    return f"catalogue.register({matlab_type!r}, {cls}) supplies it"


for _type, _class in {
    "dagnn.AffineGridGenerator": grid.AffineGridGenerator,
    "dagnn.BatchNorm": bnorm.BatchNorm,
    "dagnn.BilinearSampler": bilinearsampler.BilinearSampler,
    "dagnn.Concat": concat.Concat,
    "dagnn.Conv": conv.Conv,
    "dagnn.ConvTranspose": convt.ConvTranspose,
    "dagnn.Crop": crop.Crop,
    "dagnn.DropOut": dropout.DropOut,
    "dagnn.LRN": lrn.LRN,
    "dagnn.Loss": loss.Loss,
    "dagnn.LossSmoothL1": smoothl1.LossSmoothL1,
    "dagnn.NormOffset": noffset.NormOffset,
    "dagnn.PDist": pdist.PDist,
    "dagnn.Pooling": pool.Pooling,
    "dagnn.ROIPooling": roipool.ROIPooling,
    "dagnn.ReLU": relu.ReLU,
    "dagnn.Scale": scale.Scale,
    "dagnn.Sigmoid": sigmoid.Sigmoid,
    "dagnn.SoftMax": softmax.SoftMax,
    "dagnn.SpatialNorm": spnorm.SpatialNorm,
    "dagnn.Sum": sum_.Sum,
    "dagnn.UniformScalingGridGenerator": grid.UniformScalingGridGenerator,
    "SegmentationAccuracy": segmentation.SegmentationAccuracy,
    "SegmentationLoss": segmentation.SegmentationLoss,
}.items():
    register(_type, _class)

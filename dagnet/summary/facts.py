"""What tables and pictures tell of a network: kinds, windows, sizes, values and bytes, and how these are written."""

from collections.abc import Mapping, Sequence
from math import isnan, prod
from typing import Any, NamedTuple

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord, Param
from dagnet.layers import block, catalogue, conv

BYTES = 4  # of a number, in single precision


class Window(NamedTuple):
    """What a layer slides over its input; None for what its block does not have."""

    size: Sequence[int] | None
    stride: Sequence[int] | None
    pad: Sequence[int] | None
    upsample: Sequence[int] | None
    crop: Sequence[int] | None


def input_sizes(net: DagNN, size: Sequence[int] | None = None) -> dict[str, tuple[int, int, int, int]]:
    """The size (H, W, C, N) of the net's first input: `size`, whose C and N may be missing, else what the net's file says.

    That is meta.normalization.imageSize or meta.inputs, for one image; {} where neither is there, or is a size.
    Raises ValueError for a size of less than two or more than four numbers, or with one below 1.
    """
    normalization, inputs = (as_dict(net.meta.get(name)) for name in ("normalization", "inputs"))
    said = np.ravel(normalization.get("imageSize", inputs.get("size", ())))[:3]
    if not (said.dtype.kind in "iuf" and np.isfinite(said).all() and (said >= 1).all()):
        said = said[:0]
    numbers = [int(v) for v in (said if size is None else size)]
    if size is not None and (len(numbers) not in (2, 3, 4) or min(numbers) < 1):
        raise ValueError(f"input size: it is {numbers}; two to four numbers (H, W, C, N) of at least 1 are right")
    if not net.inputs or len(numbers) < 2:
        return {}
    channels = next((layer.block.size[2] for layer in net.layers.values() if isinstance(layer.block, conv.Conv)), 3)
    h, w, c, n = (*numbers, *(channels, 1)[len(numbers) - 2 :])[:4]
    return {net.inputs[0]: (h, w, c, n)}


def type_of(layer: block.Layer) -> str:
    """The type of a block in files, such as "dagnn.Conv"; its class's name where nobody registered that."""
    try:
        return catalogue.name_of(layer)
    except LookupError:
        return type(layer).__name__


def kind_of(layer: block.Layer) -> str:
    """The type without MatConvNet's "dagnn."."""
    return type_of(layer).removeprefix("dagnn.")


def unknown_layers(net: DagNN) -> list[LayerRecord]:
    """The layers whose blocks are not known."""
    return [record for record in net.layers.values() if isinstance(record.block, catalogue.Unknown)]


def window_of(layer: block.Layer) -> Window:
    """The fields of that meaning which the block has."""
    size = getattr(layer, "size", getattr(layer, "pool_size", None))
    crop = getattr(layer, "crop", None) if hasattr(layer, "upsample") else None
    stride, pad, upsample = (getattr(layer, name, None) for name in ("stride", "pad", "upsample"))
    return Window(size, stride, pad, upsample, crop)


def stride_and_pad(slides: Window, absent: str) -> list[str]:
    """Both as text; of a transposed convolution the stride is 1/upsample, and its pad takes away."""
    if slides.upsample is not None and slides.crop is not None:
        return [f"1/{brief(slides.upsample)}", f"crop {brief(slides.crop)}"]
    return [absent if v is None else brief(v) for v in (slides.stride, slides.pad)]


def dims_of(param: Param) -> tuple[int, ...]:
    """The shape of a parameter's value, as MATLAB shows it: at least two numbers; (0, 0) where there is none."""
    if param.value is None:
        return (0, 0)
    return (*param.value.shape, 1, 1)[: max(2, param.value.ndim)]


def bytes_of(size: Sequence[float]) -> float:
    """The memory of an array of that size in single precision; NaN where the size is not known."""
    return BYTES * prod(size)


def memory_of(net: DagNN, sizes: Mapping[str, block.Size]) -> tuple[int, int]:
    """The bytes of all parameters, and of all variables whose size is known."""
    params = sum(bytes_of(dims_of(param)) for param in net.params.values())
    variables = sum(size for size in map(bytes_of, sizes.values()) if not isnan(size))
    return int(params), int(variables)


def scaled(size: float) -> tuple[float, str]:
    """Bytes in the largest unit of 1024 in which they make at least one."""
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return size, unit
        size /= 1024
    return size, "GB"


def times(numbers: Sequence[float]) -> str:
    """3x3x64x64; ? where unknown."""
    return "x".join("?" if isnan(v) else f"{v:g}" for v in np.ravel(numbers))


def brief(numbers: Sequence[float]) -> str:
    """One number where all are equal, else as in times; MatConvNet's way of writing dimensions."""
    texts = times(numbers).split("x")
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def as_dict(value: Any) -> dict[str, Any]:
    """The value where it is a struct, else an empty one."""
    return value if isinstance(value, dict) else {}

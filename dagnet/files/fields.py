"""From the fields of MATLAB's structs to blocks, parameters and settings, and back: what the kinds of files share."""

import warnings
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.layers import array, block, catalogue

from . import matvalues


def make_block(matlab_type: str, properties: dict[str, Any], where: str) -> block.Layer:
    """catalogue.from_matlab, whose errors say where."""
    try:
        return catalogue.from_matlab(matlab_type, properties)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


def meta_of(struct: dict[str, Any], where: str) -> dict[str, Any]:
    """net.meta as a dict, {} where there is none. Raises ValueError where it is no struct."""
    meta = struct.get("meta", {})
    if isinstance(meta, dict):
        return meta
    if isinstance(meta, (np.ndarray, matvalues.StructArray)) and not np.prod(meta.shape):
        return {}
    raise ValueError(f"{where}: meta is {matvalues.describe(meta)}; a struct is right")


def parameter(value: Any, where: str) -> np.ndarray | None:
    """A parameter's value in C order, the file's shape kept; None for []. Raises ValueError where it is no array."""
    if isinstance(value, matvalues.Foreign):
        raise ValueError(
            f"{where} is {value}; in MATLAB run net.move('cpu') or vl_simplenn_move(net, 'cpu'), and save again"
        )
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        raise ValueError(f"{where} is {matvalues.describe(value)}; a numeric array is right")
    return np.ascontiguousarray(value) if value.size else None


def pad_filters(net: DagNN) -> None:
    """Gives filter banks the trailing dimensions of size 1 back that MATLAB drops: 3x3x64 is 3x3x64x1. Biases stay Kx1."""
    for record in net.layers.values():
        if hasattr(record.block, "size") and record.params:
            param = net.params[record.params[0]]
            if param.value is not None and param.value.ndim < 4:
                param.value = array.four_d(param.value)


def warn_of_unknown(net: DagNN, where: str) -> None:
    """One warning that names all blocks of types that nobody registered, with their layers."""
    layers: dict[str, list[str]] = {}
    for record in net.layers.values():
        if isinstance(record.block, catalogue.Unknown):
            layers.setdefault(record.block.matlab_type, []).append(record.name)
    if layers:
        named = "; ".join(f"{kind} (layer {', '.join(names)})" for kind, names in layers.items())
        warnings.warn(
            f"{where}: kept but not runnable, since nobody registered them: {named}. "
            "catalogue.register(type, YourClass) before loading supplies one",
            stacklevel=2,
        )


def to_matlab(value: Any) -> Any:
    """A property or setting as MATLAB would hold it: numbers double, lists of numbers rows, other lists row cells."""
    if value is None:
        return np.zeros((0, 0))
    if isinstance(value, dict):
        return {name: to_matlab(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):
            return np.array([value], np.float64)
        return matvalues.row([to_matlab(v) for v in value])
    return array.to_numpy(value) if hasattr(value, "get") and hasattr(value, "dtype") else value


def column(value: Any) -> np.ndarray:
    """A parameter's value, or what belongs to it, on the CPU: K values as Kx1, as MatConvNet's biases are; None as []."""
    if value is None:
        return np.zeros((0, 0))
    value = array.to_numpy(value)
    return value.reshape(-1, 1) if value.ndim == 1 else value

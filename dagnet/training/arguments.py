"""What trainer.train is given, looked at before the first epoch: a mistake must not cost an epoch to be found."""

import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.layers import array, geometry

Indices = Sequence[int] | np.ndarray


def rates(learning_rate: float | Sequence[float], name: str = "learning_rate") -> list[float]:
    """A learning rate, or one for each epoch, as a list. Raises ValueError, naming it, where one is no number from 0 on."""
    try:
        found = [float(rate) for rate in np.ravel(learning_rate)]
    except (TypeError, ValueError):
        found = []
    if not found or not all(0 <= rate < math.inf for rate in found):
        raise ValueError(f"{name}: it is {learning_rate}; a number from 0 on, or one for each epoch, is right")
    return found


def indices(name: str, given: Indices) -> np.ndarray:
    """A row of indices as an array. Raises ValueError, naming the argument, for anything else."""
    found = np.asarray(given)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(f"{name}: it is a {found.dtype} array of shape {found.shape}; a row of whole numbers is right")
    return found


def check_whole(name: str, number: int, least: int) -> None:
    """Raises ValueError, naming the argument, unless it is a whole number from `least` on."""
    if not isinstance(number, int | np.integer) or number < least:
        raise ValueError(f"{name}: it is {number}; a whole number from {least} on is right")


def check_function(name: str, function: Any) -> None:
    """Raises ValueError, naming the argument, for what cannot be called."""
    if not callable(function):
        raise ValueError(f"{name}: it is {function!r}; a function is right")


def check_decay(weight_decay: float) -> None:
    """Raises ValueError for a decay that is no number, negative, infinite or NaN."""
    if not (isinstance(weight_decay, int | float | np.number) and 0 <= weight_decay < math.inf):
        raise ValueError(f"weight_decay: it is {weight_decay}; a number from 0 on is right")


def check_objectives(net: DagNN, der_outputs: Mapping[str, float]) -> None:
    """Raises ValueError unless der_outputs gives numbers to variables that the net has."""
    if not isinstance(der_outputs, Mapping):
        raise ValueError(f"der_outputs: it is {der_outputs!r}; a dict such as {{'objective': 1}} is right")
    for name, weight in der_outputs.items():
        geometry.finite(weight, f"der_outputs: the weight of '{name}'")
        if name not in net.vars:
            outputs = ", ".join(net.outputs) or "none"
            raise ValueError(f"der_outputs: the net has no variable '{name}'; its outputs are {outputs}")


def values(net: DagNN) -> dict[str, array.Array]:
    """The parameters' values. Raises ValueError where one is missing, or neither float32 nor float64."""
    found = {}
    for param in net.params.values():
        if param.value is None:
            raise ValueError(f"parameter '{param.name}': it has no value; call net.init_params(rng) or load one")
        if param.value.dtype not in (np.float32, np.float64):
            raise ValueError(f"parameter '{param.name}': it is {param.value.dtype}; float32 or float64 is right")
        found[param.name] = param.value
    return found


def folder(exp_dir: str | os.PathLike) -> Path:
    """The folder, made where it is absent. Raises OSError where nothing can be written there."""
    path = Path(exp_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise type(error)(f"exp_dir {path}: nothing can be written there ({error.strerror})") from error
    return path


def check_room(net: DagNN, folder: Path, kept: int = 1) -> None:
    """Raises ValueError where the disk has no room for a checkpoint: the net's values, and `kept` times that for the solver."""
    needed = (1 + kept) * sum(value.nbytes for value in values(net).values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"exp_dir {folder}: a checkpoint takes {needed / 2**30:.2f} GiB and its disk has {free / 2**30:.2f} GiB left; "
            "another exp_dir, or narrower layers (fc_width), are right"
        )

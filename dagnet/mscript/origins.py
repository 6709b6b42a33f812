"""Where a parameter's values come from: said in Python, so that a function can make them again.

    constant, or few       the numbers themselves
    of a file              the parameter of the file that a script loaded
    bilinear               dagnet.models.initial.bilinear_u
    random                 normal or uniform, by their deviation and their fourth moment

Anything else raises ValueError: it is not guessed.
"""

from collections.abc import Mapping
from math import prod, sqrt
from typing import Any

import numpy as np

from dagnet.layers import block

from .pythontext import Text, Writer, call, listed, number

FEW = 16
SAMPLE = 1 << 16
SIGMAS = 6  # how far a random array may be from what its distribution says


class Origins:
    """`file` has the values of the file that the script loaded, by name; `variable` is what the source calls it."""

    def __init__(self, writer: Writer, file: Mapping[str, np.ndarray], variable: str = "file") -> None:
        self.writer = writer
        self.file = file
        self.variable = variable
        self.uses_file = self.uses_rng = False  # what the source needs

    def in_file(self, name: str, value: np.ndarray) -> str | None:
        """The name of the file's parameter that has this value; its own name first."""
        names = [name, *self.file] if name in self.file else list(self.file)
        return next((n for n in names if _equal(self.file[n], value)), None)

    def text(self, name: str, value: np.ndarray) -> Text:
        """Python for the value. Raises ValueError."""
        if value.size <= FEW or _constant(value):
            return self.writer.array(value, plain=False)
        if found := self.in_file(name, value):
            self.uses_file = True
            return f'{self.variable}.params["{found}"].value'
        if bank := _bilinear(value):
            self.writer.imports.add("from dagnet.models import initial")
            return call("initial.bilinear_u", *map(str, bank))
        return self._random(name, value)

    def _random(self, name: str, value: np.ndarray) -> Text:
        self.uses_rng = True
        sample = sampled(value)
        mean, std = float(sample.mean()), float(value.std(dtype=np.float64))
        kind = distribution(sample)
        if kind == "normal":
            centre = mean if abs(mean) > SIGMAS * std / sqrt(sample.size) else 0
            of_filters = not centre and value.ndim == 4 and value.dtype == np.float32
            if of_filters and is_near(std, sqrt(2 / prod(value.shape[:3])), value.size):
                self.writer.imports.add("from dagnet.models import initial")
                return call("initial.he", listed([str(n) for n in value.shape]), "rng")
            drawn = call("rng.normal", number(_rounded(centre)), number(_rounded(std)), str(tuple(value.shape)))
        elif kind == "uniform":
            end = number(_rounded(std * sqrt(3)))
            drawn = call("rng.uniform", f"-{end}", end, str(tuple(value.shape)))
        else:
            raise ValueError(
                f"parameter '{name}': its {value.size:,} values are neither constant, random, bilinear nor those of a file "
                "that was loaded, so that Python cannot make them again; a .mat file holds them"
            )
        self.writer.imports.add("import numpy as np")
        drawn.closing = f").astype(np.{value.dtype.name})"
        return drawn


def is_fresh(layer: block.Layer, found: list[np.ndarray | None], rng: np.random.Generator) -> bool:
    """Whether a layer's parameters are such as its block's init_params draws."""
    made = layer.init_params(rng)
    return bool(made) and len(made) == len(found) and all(map(_alike, found, made))


def sampled(value: np.ndarray) -> np.ndarray:
    """Some of the values, spread over all of them, as double."""
    flat = value.ravel()
    return flat[:: max(1, flat.size // SAMPLE)].astype(np.float64)


def distribution(sample: np.ndarray) -> str:
    """ "normal", "uniform", or "" where it is neither: values repeat, or the fourth moment is another's."""
    if len(np.unique(sample)) < 0.9 * sample.size:
        return ""
    centred = sample - sample.mean()
    fourth = float((centred**4).mean() / (centred**2).mean() ** 2)
    spread = SIGMAS * sqrt(24 / sample.size)
    if abs(centred).max() < 1.8 * centred.std() and abs(fourth - 1.8) < spread:
        return "uniform"
    return "normal" if abs(fourth - 3) < max(spread, 1.0 if sample.size < 200 else 0.0) else ""


def is_near(std: float, wanted: float, count: int) -> bool:
    """Whether the deviation of so many values can be that of a normal distribution of the wanted one."""
    return abs(std / wanted - 1) < SIGMAS / sqrt(2 * count)


def _alike(found: np.ndarray | None, made: np.ndarray) -> bool:
    if found is None or _four(found.shape) != _four(made.shape) or found.dtype != made.dtype:
        return False
    if _constant(made):
        return bool((found == made.flat[0]).all())
    normal = made.size <= FEW or distribution(sampled(found)) == "normal"
    one, other = (float(value.std(dtype=np.float64)) for value in (found, made))
    return normal and is_near(one, other, made.size // 2)  # both are random, so their difference varies twice as much


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 1, 1, 1, 1)[: max(4, len(shape))]


def _constant(value: np.ndarray) -> bool:
    return bool(value.size) and bool((value == value.flat[0]).all())


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or (a.dtype == b.dtype and _four(a.shape) == _four(b.shape) and bool((a.ravel() == b.ravel()).all()))


def _bilinear(value: np.ndarray) -> tuple[int, int, int] | None:
    """k, groups, classes of the bilinear_u that the filters are."""
    if value.ndim != 4 or value.shape[0] != value.shape[1] or value.dtype != np.float32:
        return None
    k, _, groups, classes = value.shape
    half = (k + 1) // 2
    line = 1 - np.abs(np.arange(1, k + 1) - (half if k % 2 else half + 0.5)) / half
    kernel = np.outer(line, line).astype(np.float32)[:, :, None, None]
    if groups == 1 and (value == kernel).all():
        return k, classes, classes
    if groups == classes and (value == kernel * np.eye(classes, dtype=np.float32)).all():
        return k, 1, classes
    return None


def _rounded(value: float) -> Any:
    """To four digits, as many as a deviation that was measured has."""
    return float(f"{value:.4g}") if value else 0

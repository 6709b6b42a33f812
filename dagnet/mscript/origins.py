"""Where a parameter's values come from: said in Python, so that a function can make them again.

    constant, or few       the numbers themselves
    of a file              the parameter of the file that a script loaded
    bilinear               dagnet.models.initial.bilinear_u
    random                 as the script drew it (draws), normal or uniform

Anything else raises ValueError: it is not guessed.
"""

from collections.abc import Mapping, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from dagnet.layers import block

from .draws import FEWEST, Draw
from .pythontext import Text, Writer, call, listed, number

FEW = FEWEST - 1


class Origins:
    """`file` has the values of the file that the script loaded, by name, `draws` what it drew."""

    def __init__(self, writer: Writer, file: Mapping[str, np.ndarray], draws: Sequence[Draw] = ()) -> None:
        self.writer = writer
        self.file = file
        self.draws = draws
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
            return f'file.params["{found}"].value'
        if bank := _bilinear(value):
            self.writer.imports.add("from dagnet.models import initial")
            return call("initial.bilinear_u", *map(str, bank))
        return self._random(name, value)

    def is_fresh(self, layer: block.Layer, found: Sequence[np.ndarray | None]) -> bool:
        """Whether a layer's parameters are those that its block's initParams drew."""
        made = layer.init_params(np.random.default_rng(0))
        return bool(made) and len(made) == len(found) and all(map(self._is_drawn, found, made))

    def _is_drawn(self, found: np.ndarray | None, made: np.ndarray) -> bool:
        if found is None or _four(found.shape) != _four(made.shape) or found.dtype != made.dtype:
            return False
        if _constant(made):
            return bool((found == made.flat[0]).all())
        scales = (draw.scale(found) for draw in self.draws if draw.kind == "initParams")
        return any(scale is not None and _rounded(scale[0]) == 1 and not scale[1] for scale in scales)

    def _random(self, name: str, value: np.ndarray) -> Text:
        found = ((draw, scale) for draw in self.draws if (scale := draw.scale(value)))
        draw, (a, b) = next(found, (None, (0.0, 0.0)))
        if draw is None:
            raise ValueError(
                f"parameter '{name}': its {value.size:,} values are neither constant, drawn at random, bilinear nor those of a "
                "file that was loaded, so that Python cannot make them again; a .mat file holds them"
            )
        self.uses_rng = True
        self.writer.imports.add("import numpy as np")
        shape = str(tuple(value.shape))
        if draw.kind == "uniform":
            drawn = call("rng.uniform", *(number(_rounded(end)) for end in sorted((b, a + b))), shape)
        else:
            std = abs(a) if draw.kind == "normal" else float(value.std(dtype=np.float64))
            if value.ndim == 4 and value.dtype == np.float32 and not b and _rounded(std) == _rounded(_he(value.shape)):
                self.writer.imports.add("from dagnet.models import initial")
                return call("initial.he", listed([str(n) for n in value.shape]), "rng")
            drawn = call("rng.normal", number(_rounded(b)), number(_rounded(std)), shape)
        drawn.closing = f").astype(np.{value.dtype.name})"
        return drawn


def _he(shape: tuple[int, ...]) -> float:
    """The deviation that initial.he gives."""
    return sqrt(2 / prod(shape[:3]))


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
    """To five digits: single precision tells six or seven."""
    return float(f"{value:.5g}") if value else 0

"""The CUDA sources ../*.cu: their text for a dtype, and what their kernels take.

A kernel is written once for float and double, as

    extern "C" __global__ void __launch_bounds__(256)
    relu_forward(const T* __restrict__ x, T* __restrict__ y, long long count, T leak)

T is the numbers' type. A parameter is a pointer, one number, or a list by value (of arrays of T, of long long, of T) that
common.cuh declares. Every source begins with common.cuh.
"""

import functools
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).resolve().parents[1]
TYPES = {  # T aside
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "unsigned char": np.uint8,
    "float": np.float32,
    "double": np.float64,
}
LISTS = ("Arrays", "Counts", "Numbers")
LIST = 64  # how long such a list may be, as in common.cuh
_KERNEL = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)')
_PARAMETER = re.compile(r"(const )?\s*(\w[\w ]*?)\s*(\*)?\s*(?:__restrict__)?\s*\b(\w+)$")


class Parameter(NamedTuple):
    """A parameter of a kernel: its name, its type, whether it is a pointer, and whether the kernel only reads it."""

    name: str
    type: str
    is_array: bool
    is_const: bool

    @property
    def is_list(self) -> bool:
        """Whether it is a list by value."""
        return self.type in LISTS

    def dtype(self, numbers: np.dtype) -> np.dtype:
        """NumPy's dtype for it, or for what it holds, where T stands for `numbers`."""
        if self.type == "Counts":
            return np.dtype(np.int64)
        return numbers if self.type in ("T", "Arrays", "Numbers") else np.dtype(TYPES[self.type])


def names() -> list[str]:
    """The sources, without .cu."""
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


@functools.cache
def text(file: str, dtype: np.dtype) -> str:
    """What the compiler gets. T is defined in the text and not by an option, as headers have their own T."""
    number = {"float32": "float", "float64": "double"}[np.dtype(dtype).name]
    parts = [f"#define T {number}\n"]
    for path in (FOLDER / "common.cuh", FOLDER / f"{file}.cu"):
        parts += [f'#line 1 "{path.name}"\n', path.read_text()]
    return "".join(parts)


@functools.cache
def kernels(file: str) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a source and their parameters. Raises ValueError for a parameter of a type that is not known."""
    found = _KERNEL.findall(_without_comments((FOLDER / f"{file}.cu").read_text()))
    return {name: tuple(_parameter(file, name, words) for words in parameters.split(",")) for name, parameters in found}


def _parameter(file: str, kernel: str, words: str) -> Parameter:
    words = " ".join(words.split())
    match = _PARAMETER.fullmatch(words)
    known = ("T", *TYPES, *LISTS)
    if not match or match[2] not in known:
        raise ValueError(f"{file}.cu: {kernel} has a parameter {words!r}; a type of {', '.join(known)} is right")
    const, type_, star, name = match.groups()
    return Parameter(name, type_, star is not None, const is not None)


def _without_comments(code: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", code, flags=re.DOTALL)

"""CUDA kernels without a GPU: the sources that ship, compiled by g++, run on NumPy arrays.

`using(folder)` puts this in CuPy's place: launch.kernel compiles with g++, launch.gemm multiplies with NumPy, and
kernels.serving gives the GPU's twins for NumPy arrays, so that layers and nets run through them.

Each launch is run three times, with the threads of a block and the blocks in three orders: what differs is a race, a missing
barrier. Arrays are copied to where their ends are guarded; a kernel that reads or writes behind them, or writes before them,
is caught. What xp.empty gives, and shared memory, holds NaN. Not seen: races within a warp, what the hardware alone does.
"""

import ctypes
import functools
import hashlib
import itertools
import math
import os
import platform
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import launch, source

from dagnet.layers import buffers, kernels

from . import blas

SHIM = Path(__file__).parent / "device.h"
ORDERS = range(3)  # forward, backward, shuffled
FINE, OUTSIDE, NEEDS_FIBRES = range(3)
FAULTS = {
    3: "some of its threads wait at a barrier (__syncthreads, __syncwarp or a shuffle) that others never reach",
    4: "its threads wait at different barriers",
    5: "it gave up by __trap",
}
DYNAMIC_SHARED = re.compile(r"extern __shared__ (\w+) (\w+)\[\];")
Place = tuple[int, int]  # an array's address and bytes: two views of the same memory are one array to a kernel
_lock = threading.Lock()  # kernels hold their state in static variables


class KernelError(AssertionError):
    """A kernel did what it must not do."""


class Guarded:
    """A copy of an array whose surroundings are guarded."""

    def __init__(self, library: ctypes.CDLL, x: np.ndarray) -> None:
        self._library, self.x = library, x
        self._fence, self._length = ctypes.c_void_p(), ctypes.c_size_t()
        phase = x.ctypes.data % 16
        self.address = library.emu_allocate(x.nbytes, phase, ctypes.byref(self._fence), ctypes.byref(self._length))
        self.fill()

    def fill(self) -> None:
        """The array's values, as they came."""
        ctypes.memmove(self.address, self.x.ctypes.data, self.x.nbytes)

    def bytes(self) -> bytes:
        """What is there now."""
        return ctypes.string_at(self.address, self.x.nbytes)

    def touched(self) -> bool:
        """Whether something beside the array was written."""
        return bool(self._library.emu_touched(self._fence, self._length, ctypes.c_void_p(self.address), self.x.nbytes))

    def holds(self, address: int) -> bool:
        """Whether the address lies in the array or near it."""
        return self._fence.value <= address < self._fence.value + self._length.value

    def keep(self) -> None:
        """Copy the values back."""
        ctypes.memmove(self.x.ctypes.data, self.address, self.x.nbytes)

    def release(self) -> None:
        """Give the memory back."""
        self._library.emu_release(self._fence, self._length)


class Function:
    """A compiled kernel, called as CuPy's RawKernel is."""

    max_dynamic_shared_size_bytes = launch.STATIC_SHARED

    def __init__(self, library: ctypes.CDLL, name: str, parameters: Sequence[source.Parameter]) -> None:
        self.library, self.name, self.parameters = library, name, parameters
        self._launch = getattr(library, f"emu_{name}")
        self._fibres = False

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0) -> None:
        """Runs it in all orders. Raises KernelError where it goes wrong."""
        grid, block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
        self._check_limits(grid, block, shared_mem)
        arrays = {_place(x): x for _, x in self._arrays(args)}
        if any(np.may_share_memory(a, b) for a, b in itertools.combinations(arrays.values(), 2)):
            raise KernelError(
                f"{self.name}: two of its arrays overlap; the emulator knows only one and the same, or apart"
            )
        with _lock:
            guarded = {key: Guarded(self.library, x) for key, x in arrays.items()}
            shared = Guarded(self.library, np.full(shared_mem, 255, np.uint8))
            try:
                self._run(grid, block, args, guarded, shared)
            finally:
                for each in (*guarded.values(), shared):
                    each.release()

    def _run(self, grid: tuple, block: tuple, args: tuple, guarded: dict[Place, Guarded], shared: Guarded) -> None:
        written = {p.name + i: guarded[_place(x)] for (p, i), x in self._arrays(args) if not p.is_const}
        first: dict[str, bytes] = {}
        for order in ORDERS:
            self._once(grid, block, args, guarded, shared, order)
            results = {name: each.bytes() for name, each in written.items()}
            first = first or results
            if differing := [name for name in results if results[name] != first[name]]:
                raise KernelError(
                    f"{self.name}: {', '.join(differing)} depends on the order of its threads; a barrier is missing, or two "
                    "threads write to one place"
                )
        for each in written.values():
            each.keep()

    def _arrays(self, args: tuple) -> Iterator[tuple[tuple[source.Parameter, str], np.ndarray]]:
        """Each array that the kernel gets, with its parameter and, in a list, its place."""
        for parameter, value in zip(self.parameters, args, strict=True):
            if parameter.type == "Arrays":
                yield from (((parameter, f"[{i}]"), x) for i, x in enumerate(value))
            elif parameter.is_array and value is not None:
                yield (parameter, ""), value

    def _once(
        self, grid: tuple, block: tuple, args: tuple, guarded: dict[Place, Guarded], shared: Guarded, order: int
    ) -> None:
        held = [self._value(parameter, value, guarded) for parameter, value in zip(self.parameters, args, strict=True)]
        places = (ctypes.c_void_p * len(held))(*(v.ctypes.data for v in held))
        fault = ctypes.c_void_p()
        outcome = NEEDS_FIBRES
        for fibres in (self._fibres, True):
            for each in guarded.values():
                each.fill()
            outcome = self._launch(
                places,
                (ctypes.c_uint * 3)(*grid),
                (ctypes.c_uint * 3)(*block),
                ctypes.c_void_p(shared.address),
                ctypes.c_size_t(shared.x.nbytes),
                order,
                int(fibres),
                ctypes.byref(fault),
            )
            if outcome != NEEDS_FIBRES:
                break
            self._fibres = True
        near = {p.name + i: guarded[_place(x)] for (p, i), x in self._arrays(args)}
        near["its dynamic shared memory"] = shared
        if outcome == OUTSIDE:
            names = [name for name, each in near.items() if fault.value and each.holds(fault.value)]
            raise KernelError(f"{self.name}: it reads or writes outside {names[0] if names else 'all its arrays'}")
        if outcome != FINE:
            raise KernelError(f"{self.name}: {FAULTS[outcome]}")
        if touched := [name for name, each in near.items() if each.touched()]:
            raise KernelError(f"{self.name}: it writes outside {touched[0]}")

    def _value(self, parameter: source.Parameter, value: Any, guarded: dict[Place, Guarded]) -> np.ndarray:
        """What the kernel gets for an argument."""
        if parameter.type == "Arrays":
            return np.array([guarded[_place(x)].address for x in value] + [0] * (source.LIST - len(value)), np.uint64)
        if parameter.is_array:
            return np.array(0 if value is None else guarded[_place(value)].address, np.uint64)
        return np.array(value)

    def _check_limits(self, grid: tuple, block: tuple, shared_mem: int) -> None:
        """What every GPU from compute capability 7.0 on refuses."""
        if math.prod(block) > 1024 or block[2] > 64:
            raise KernelError(f"{self.name}: a block of {block} threads; 1024, of them 64 along z, are the most")
        if grid[0] >= 1 << 31 or max(grid[1:]) >= 1 << 16:
            raise KernelError(f"{self.name}: a grid of {grid}; below 2^31 along x and 2^16 along y and z is right")
        if shared_mem > min(self.max_dynamic_shared_size_bytes, 96 << 10):
            raise KernelError(f"{self.name}: {shared_mem} bytes of dynamic shared memory, which it did not ask for")


class Module:
    """A compiled source, in the place of CuPy's RawModule."""

    def __init__(self, folder: Path, file: str, dtype: np.dtype) -> None:
        self._parameters = source.kernels(file)
        self._library = ctypes.CDLL(str(_compiled(folder, file, source.text(file, dtype), self._parameters)))
        self._library.emu_allocate.restype = ctypes.c_void_p
        self._library.emu_allocate.argtypes = [ctypes.c_size_t] * 2 + [ctypes.c_void_p] * 2
        self._library.emu_touched.argtypes = [ctypes.c_void_p, ctypes.c_size_t] * 2
        self._library.emu_release.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def get_function(self, name: str) -> Function:
        """The kernel of that name."""
        return Function(self._library, name, self._parameters[name])


def _place(x: np.ndarray) -> Place:
    return x.ctypes.data, x.nbytes


def _compiled(folder: Path, file: str, text: str, parameters: dict[str, tuple[source.Parameter, ...]]) -> Path:
    """The shared library of a source; the folder keeps it under the hash of all that it is made of."""
    text = DYNAMIC_SHARED.sub(r"\1* const \2 = (\1*)emu::dynamic_shared;", text)
    code = "\n".join([SHIM.read_text(), text, *(_entry(name, p) for name, p in parameters.items())])
    options = ["-O2", "-std=c++17", "-fPIC", "-shared", "-fno-strict-aliasing", "-w"]
    digest = hashlib.sha256("\0".join([code, *options]).encode()).hexdigest()[:16]
    made = folder / f"{file}-{digest}.so"
    if not made.exists():
        beside = folder / f"{file}-{digest}.{os.getpid()}.so"
        compiler = ["g++", *options, "-x", "c++", "-", "-o", str(beside)]
        done = subprocess.run(compiler, input=code, capture_output=True, text=True)
        if done.returncode:
            raise KernelError(f"{file}.cu: g++ refuses it:\n{done.stderr[:4000]}")
        beside.replace(made)
    return made


def _entry(name: str, parameters: Sequence[source.Parameter]) -> str:
    """C++ that calls a kernel with arguments from a table of their addresses."""
    values = []
    for i, p in enumerate(parameters):
        c_type = f"{'const ' if p.is_const else ''}{p.type}{'*' if p.is_array else ''}"
        values.append(f"*({c_type}*)a[{i}]")
    return (
        f"static void body_{name}(void** a) {{ {name}({', '.join(values)}); }}\n"
        f'extern "C" int emu_{name}(void** a, const unsigned* g, const unsigned* b, char* s, size_t n, int o, int f, void** w) '
        f"{{ return emu::launch(body_{name}, a, g, b, s, n, o, f, w); }}\n"
    )


def _poisoned(shape: Any, dtype: Any = float, **options: Any) -> np.ndarray:
    """np.empty, whose numbers are NaN (whole ones: all bits set)."""
    x = _empty(shape, dtype, **options)
    if x.flags.c_contiguous and x.dtype.kind in "biuf":
        x.reshape(-1).view(np.uint8)[...] = 255
    return x


_empty = np.empty


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """The emulator in the GPU's place, for NumPy arrays; libraries are kept in the folder."""
    if not shutil.which("g++") or platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the kernels run without a GPU where there are g++ and an x86-64 processor")
    twins = kernels._twins
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "module", functools.partial(Module, folder))
        patch.setattr(launch, "cublas", lambda: (blas, 0))
        patch.setattr(launch, "capability", lambda: 90)
        patch.setattr(launch, "address", lambda x: x.ctypes.data)
        patch.setattr(launch, "addresses", lambda arrays: arrays)
        patch.setattr(kernels, "_twins", lambda device, op: twins("gpu", op))
        patch.setattr(kernels, "has_numba", lambda: True)
        patch.setattr(np, "empty", _poisoned)
        patch.setattr(buffers, "empty", _poisoned)
        launch.kernel.cache_clear()
        yield
    launch.kernel.cache_clear()

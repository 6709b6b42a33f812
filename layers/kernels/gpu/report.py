"""What NVIDIA's compilers make of the CUDA sources: whether they compile; the kernels' registers, spills, shared memory.

    python -m dagnet.layers.kernels.gpu.report

No GPU is needed, only a compiler: NVRTC, which CuPy uses too (its library on the system, or the wheel nvidia-cuda-nvrtc), or
nvcc. Each compiles for the architectures that it knows: CUDA 12 from sm_50 on, CUDA 13 from sm_75 on.
"""

import ctypes
import ctypes.util
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from . import source

ARCHITECTURES = (70, 75, 80, 86, 89, 90)  # Volta, Turing, Ampere twice, Ada, Hopper
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
OPTIONS = ("-std=c++17", "-ftz=true")  # CuPy's


class Use(NamedTuple):
    """What one kernel takes.

    registers a thread, bytes of them that spill to memory, bytes a thread of arrays that lie in memory and not in registers,
    and bytes of shared memory a block.
    """

    kernel: str
    registers: int
    spills: int
    stack: int
    shared: int


class Compiler(Protocol):
    """A compiler: its name and version, and the architectures that it knows."""

    name: str
    knows: tuple[int, ...]

    def compile(self, text: str, name: str, architecture: int) -> str:
        """The log of ptxas. Raises ValueError with the compiler's words where it refuses the source."""


class Nvcc:
    """nvcc, where it is on the PATH."""

    def __init__(self, path: str) -> None:
        self._path = path
        version = re.search(r"release ([\d.]+)", self._run("--version"))
        self.name = f"nvcc {version[1] if version else '?'}"
        self.knows = tuple(int(a) for a in re.findall(r"compute_(\d+)", self._run("--list-gpu-arch")))

    def compile(self, text: str, name: str, architecture: int) -> str:
        """As in Compiler."""
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder, f"{name}.cu")
            written.write_text(text)
            return self._run(
                "-cubin", f"-arch=sm_{architecture}", *OPTIONS, "-Xptxas=-v", "-o", f"{folder}/out", str(written)
            )

    def _run(self, *words: str) -> str:
        done = subprocess.run([self._path, *words], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(done.stdout + done.stderr)
        return done.stdout + done.stderr


class Nvrtc:
    """The library NVRTC."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.name = f"NVRTC {major.value}.{minor.value}"
        self._library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self._library.nvrtcGetSupportedArchs(known)
        self.knows = tuple(known)

    def compile(self, text: str, name: str, architecture: int) -> str:
        """As in Compiler."""
        program = ctypes.c_void_p()
        words = [f"-arch=sm_{architecture}".encode(), *(o.encode() for o in OPTIONS), b"--ptxas-options=-v"]
        self._library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), f"{name}.cu".encode(), 0, None, None)
        try:
            failed = self._library.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
            size = ctypes.c_size_t()
            self._library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            self._library.nvrtcGetProgramLog(program, log)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))
        if failed:
            raise ValueError(log.value.decode())
        return log.value.decode()


def compilers() -> list[Compiler]:
    """Those that are here; NVRTC first, as it is the faster one."""
    found: list[Compiler] = [Nvrtc(path) for path in _nvrtc_libraries()]
    nvcc = shutil.which("nvcc")
    return [*found, Nvcc(nvcc)] if nvcc else found


def chosen(available: list[Compiler]) -> dict[int, Compiler | None]:
    """For each architecture the first compiler that knows it."""
    return {a: next((c for c in available if a in c.knows), None) for a in ARCHITECTURES}


def uses(log: str) -> list[Use]:
    """What ptxas says of each kernel."""
    found = []
    for entry in log.split("Compiling entry function")[1:]:
        numbers = {
            key: int((re.search(pattern, entry) or ["", "0"])[1])
            for key, pattern in (
                ("registers", r"Used (\d+) registers"),
                ("stores", r"(\d+) bytes spill stores"),
                ("loads", r"(\d+) bytes spill loads"),
                ("stack", r"(\d+) bytes stack frame"),
                ("shared", r"(\d+) bytes smem"),
            )
        }
        name = re.search(r"'(\w+)'", entry)
        spills = max(numbers["stores"], numbers["loads"])
        found.append(Use(name[1] if name else "?", numbers["registers"], spills, numbers["stack"], numbers["shared"]))
    return found


def _nvrtc_libraries() -> Iterator[str]:
    nvidia = importlib.util.find_spec("nvidia")  # where the wheels are
    for folder in nvidia.submodule_search_locations or [] if nvidia else []:
        yield from sorted(str(path) for path in Path(folder).glob("*/lib/libnvrtc.so.*") if "alt" not in path.name)
    if on_system := ctypes.util.find_library("nvrtc"):
        yield on_system


def main() -> None:
    """Print the table, a line for each kernel, dtype and architecture."""
    available = compilers()
    print("compilers:", ", ".join(c.name for c in available) or "none; nvcc or the wheel nvidia-cuda-nvrtc is right")
    for architecture, compiler in chosen(available).items():
        if compiler is None:
            print(f"sm_{architecture}: none of them knows it")
            continue
        for file in source.names():
            for dtype in DTYPES:
                for use in uses(compiler.compile(source.text(file, dtype), file, architecture)):
                    spilled = f", {use.spills} bytes spilled" if use.spills else ""
                    spilled += f", {use.stack} bytes of arrays in memory" if use.stack else ""
                    print(
                        f"sm_{architecture} {dtype.name} {file}.cu {use.kernel}: "
                        f"{use.registers} registers, {use.shared} bytes shared{spilled}"
                    )


if __name__ == "__main__":
    main()

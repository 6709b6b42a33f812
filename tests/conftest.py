"""What all tests share: where the data lies, and the array modules that a test runs on."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dagnet.layers import array, kernels, settings
from tests import emulator, standin

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
REFERENCE = Path(__file__).parent / "reference"


def golden_root() -> Path:
    """$DAGNET_GOLDEN, else the shared golden folder beside the checkout, else what the repository itself carries."""
    if os.environ.get("DAGNET_GOLDEN"):
        return Path(os.environ["DAGNET_GOLDEN"])
    return SHARED / "golden" if (SHARED / "golden").is_dir() else REFERENCE


def golden_file(name: str) -> Path:
    """A file of MatConvNet's numbers such as "master/ops_conv.mat"; skips the test where it is nowhere."""
    for folder in (golden_root(), REFERENCE):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"no {name} in {golden_root()} nor in tests/reference")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real images, weights and networks: $DAGNET_DATA, else ../shared/data."""
    folder = Path(os.environ.get("DAGNET_DATA", SHARED / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data is absent: no folder {folder} (set DAGNET_DATA)")
    return folder


@contextmanager
def on_the_gpu(kind: str) -> Iterator[ModuleType]:
    """The module `cupy`: "standin", which refuses what CuPy refuses, or CuPy itself; skips the test where there is no GPU."""
    if kind == "standin":
        with standin.installed() as cupy:
            yield cupy
        return
    try:
        cupy = array.cupy_module()
    except RuntimeError as error:
        pytest.skip(str(error))
    yield cupy


ON_THE_GPU = ["standin", pytest.param("cupy", marks=pytest.mark.gpu)]


@pytest.fixture(params=ON_THE_GPU)
def gpu(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The module `cupy`: what stands in for it, and where there is a GPU CuPy itself. net.move("gpu") then works."""
    with on_the_gpu(request.param) as cupy:
        yield cupy


@pytest.fixture(params=["numpy", *ON_THE_GPU])
def xp(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """NumPy, what stands in for CuPy, and CuPy where there is a GPU: one body of a test serves all."""
    if request.param == "numpy":
        yield np
        return
    with on_the_gpu(request.param) as cupy:
        yield cupy


@pytest.fixture(scope="session", autouse=True)
def no_word_of_compiling() -> None:
    """Tests look at stderr, and which of them is the first to compile a loop is a matter of chance."""
    if kernels.has_numba():
        from dagnet.layers.kernels.cpu import loops

        loops.word.said = True


@pytest.fixture(scope="module")
def exact() -> Iterator[None]:
    """Convolutions by matrix products alone: for numbers that MatConvNet computed so."""
    with settings.using(exact=True):
        yield


@pytest.fixture
def emulated(request: pytest.FixtureRequest) -> Iterator[None]:
    """NumPy arrays run through the GPU's kernels, on the emulator."""
    with emulator.using(request.config.cache.mkdir("emulator")):
        yield


@pytest.fixture(params=["plain", "fast", "emulated"])
def tier(request: pytest.FixtureRequest) -> Iterator[None]:
    """The plain code, numba's twins, the GPU's kernels on the emulator: one body of a test serves all."""
    if request.param == "emulated":
        if "xp" in request.fixturenames and request.getfixturevalue("xp") is not np:
            pytest.skip("the emulator runs on NumPy's arrays")
        request.getfixturevalue("emulated")
    if request.param == "fast" and not kernels.has_numba():
        pytest.skip("numba, the extra `fast`, is not installed")
    with settings.using(fast=request.param != "plain"):
        yield


@pytest.fixture(params=["cpu", "emulated", pytest.param("cupy", marks=pytest.mark.gpu)])
def twins(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """twins(op): the fast functions of an op, for NumPy arrays: the CPU's, the GPU's on the emulator, the GPU's on a GPU."""
    through = _through(request)

    def of(op: str) -> Any:
        found = kernels._twins("cpu" if request.param == "cpu" else "gpu", op)
        if found is None:
            pytest.skip(f"there are no twins of {op} for this device")
        return through(found)

    return of


@pytest.fixture(params=["emulated", pytest.param("cupy", marks=pytest.mark.gpu)])
def on_gpu(request: pytest.FixtureRequest) -> Callable[[ModuleType], Any]:
    """on_gpu(module): its functions, for NumPy arrays, through the GPU's kernels: on the emulator, or on a GPU."""
    return _through(request)


@pytest.fixture(params=["cpu", "emulated", pytest.param("cupy", marks=pytest.mark.gpu)])
def fast(request: pytest.FixtureRequest) -> Callable[[ModuleType], Any]:
    """fast(module): its functions, for NumPy arrays, through numba's loops and the GPU's kernels."""
    return _through(request)


def _through(request: pytest.FixtureRequest) -> Callable[[ModuleType], Any]:
    if request.param == "emulated":
        request.getfixturevalue("emulated")
    elif request.param == "cpu" and not kernels.has_numba():
        pytest.skip("numba, the extra `fast`, is not installed")
    elif request.param == "cupy":
        try:
            array.cupy_module()
        except RuntimeError as error:
            pytest.skip(str(error))
    return OnGpu if request.param == "cupy" else lambda module: module


class OnGpu:
    """A module whose functions take and give NumPy arrays and work on the GPU; what they change in place changes here too."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            moved: list[tuple[np.ndarray, Any]] = []
            results = getattr(self._module, name)(
                *(self._gone(a, moved) for a in args), **{key: self._gone(a, moved) for key, a in options.items()}
            )
            for here, there in moved:
                here[...] = array.to_numpy(there)
            return self._back(results)

        return call

    def _gone(self, value: Any, moved: list[tuple[np.ndarray, Any]]) -> Any:
        if type(value) in (tuple, list):
            return type(value)(self._gone(v, moved) for v in value)
        if not isinstance(value, np.ndarray):
            return value
        moved.append((value, array.to_gpu(value)))
        return moved[-1][1]

    def _back(self, value: Any) -> Any:
        if type(value) in (tuple, list):
            return type(value)(map(self._back, value))
        return array.to_numpy(value) if hasattr(value, "get") else value


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20170207)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After the tests: how many of MatConvNet's cases ran and passed, file by file; what compilers made of the CUDA sources."""
    golden, recorded, cuda = (
        sys.modules.get(f"tests.{name}") for name in ("test_golden", "recorded", "test_kernels_report")
    )
    sections = {
        "MatConvNet's numbers": [
            *(golden.golden_summary() if golden else []),
            *(recorded.summary() if recorded else []),
        ],
        "CUDA sources": cuda.summary() if cuda else [],
    }
    for title, lines in sections.items():
        if lines:
            terminalreporter.section(title)
            terminalreporter.write_line("\n".join(lines))

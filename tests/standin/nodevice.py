"""CuPy itself where there is no GPU: all that it does on the host, with a device that takes memory and runs nothing.

    import tests.standin.nodevice          before cupy; then cupy.empty, x + x, ... work, but for the values

CuPy's modules find CUDA's functions, each a capsule that holds a pointer, in two of them; here the pointers lead to functions
that stand for a device of compute capability 9.0. Memory is the host's and starts as zeros. Kernels are compiled and not run.
So shapes, dtypes, memory order, errors and copies back to the host are CuPy's own. It cannot be undone in a process.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_char_p, c_int, c_size_t, c_ssize_t, c_void_p, py_object, pythonapi
from typing import Any

FUNCTION = ctypes.PYFUNCTYPE(c_ssize_t, *[c_ssize_t] * 8)  # eight registers hold what any of the functions is given
ATTRIBUTES = {
    1: 1024,
    8: 48 << 10,
    10: 32,
    16: 132,
    75: 9,
    76: 0,
}  # cudaDevAttr: threads, shared memory, warp, processors
PROPERTIES = {"warpSize": 32, "maxThreadsPerBlock": 1024, "sharedMemPerBlock": 48 << 10, "multiProcessorCount": 132}
TO_HOST = 2  # cudaMemcpyDeviceToHost

copies_to_host: list[int] = []  # sizes in bytes: each is a time that the host waits
_kept: list[Any] = []  # what C points to

_libc = ctypes.CDLL(None)
_libc.calloc.restype, _libc.calloc.argtypes = c_void_p, [c_size_t, c_size_t]
_libc.free.argtypes, _libc.free.restype = [c_void_p], None
_libc.memcpy.argtypes, _libc.memset.argtypes = [c_void_p, c_void_p, c_size_t], [c_void_p, c_int, c_size_t]
pythonapi.PyCapsule_New.restype, pythonapi.PyCapsule_New.argtypes = py_object, [c_void_p, c_char_p, c_void_p]
pythonapi.PyCapsule_GetName.restype, pythonapi.PyCapsule_GetName.argtypes = c_char_p, [py_object]
pythonapi.Py_IncRef.argtypes = [py_object]


def _malloc(size: int, *rest: int) -> int:
    return _libc.calloc(1, size + 512)


def _free(address: int, *rest: int) -> None:
    _libc.free(address)


def _memcpy(goal: int, source: int, size: int, kind: int, *rest: int) -> None:
    if kind == TO_HOST:
        copies_to_host.append(size)
    _libc.memcpy(goal, source, size)


def _memset(goal: int, value: int, size: int, *rest: int) -> None:
    _libc.memset(goal, value & 0xFF, size)


def _always(value: Any) -> Callable[..., Any]:
    return lambda *rest: value


DEVICE: dict[str, Callable[..., Any]] = {  # the functions that do something; others give nothing, or 0
    **dict.fromkeys(("malloc", "mallocAsync", "mallocManaged", "hostAlloc"), _malloc),
    **dict.fromkeys(("free", "freeHost"), _free),
    **dict.fromkeys(("memcpy", "memcpyAsync"), _memcpy),
    **dict.fromkeys(("memset", "memsetAsync"), _memset),
    **dict.fromkeys(("runtimeGetVersion", "driverGetVersion", "get_build_version"), _always(13000)),
    **dict.fromkeys(
        ("moduleLoad", "moduleLoadData", "moduleGetFunction", "ctxGetCurrent", "getDeviceCount"), _always(1)
    ),
    **dict.fromkeys(("eventCreate", "eventCreateWithFlags", "streamCreate", "streamCreateWithFlags"), _always(1)),
    "_getCUDAMajorVersion": _always(13),
    "deviceGetAttribute": lambda attribute, *rest: ATTRIBUTES.get(attribute, 1),
    "funcGetAttribute": lambda attribute, *rest: 0 if attribute else 1024,
    "getDeviceProperties": _always(PROPERTIES),
    "occupancyMaxPotentialBlockSize": _always((32, 128)),
    "memGetInfo": _always((1 << 33, 1 << 34)),
}


def _replace(module: Any) -> None:
    """Puts DEVICE in the place of a module's functions, for C and for Python."""
    for name, capsule in list(module.__pyx_capi__.items()):
        signature = pythonapi.PyCapsule_GetName(capsule)
        gives_object = signature.startswith(b"PyObject *(")
        if not gives_object and not signature.startswith((b"int (", b"intptr_t (", b"size_t (", b"unsigned int (")):
            continue
        does = DEVICE.get(name, _always(None if gives_object else 0))
        pointer = FUNCTION(_as_c(does, gives_object))
        text = ctypes.create_string_buffer(signature)
        _kept.extend([pointer, text, capsule])
        address = ctypes.cast(pointer, c_void_p).value
        module.__pyx_capi__[name] = pythonapi.PyCapsule_New(address, ctypes.cast(text, c_char_p), None)
        if hasattr(module, name):
            setattr(module, name, does)


def _as_c(does: Callable[..., Any], gives_object: bool) -> Callable[..., int]:
    def call(*registers: int) -> int:
        value = does(*registers)
        if gives_object:
            pythonapi.Py_IncRef(value)
            return id(value)
        return value

    return call


def _install() -> None:
    from cupy_backends.cuda.api import runtime

    _replace(runtime)  # before the next one is loaded, which takes its pointers
    from cupy_backends.cuda.api import driver

    _replace(driver)


_install()

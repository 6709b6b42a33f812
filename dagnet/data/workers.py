"""Processes that make batches, so that neither Python's lock nor a slow get_batch holds up what computes on them.

    with Workers(4) as workers:
        with batches.Prefetch(get_batch, index_lists, workers=workers) as coming: ...

Batch number i of a pass is made by worker i mod n, and asked for in that order: so batches come in the order of their indices,
and are to the last bit those that a thread would make, as long as get_batch makes a batch from its indices alone.
A worker is a Python of its own that imports what get_batch needs; the script that was started is not run again. It is handed
get_batch as it is when a pass begins, memory maps as the names of their files. It writes nothing to the standard output, sleeps
through Ctrl-C, which is its parent's matter, and ends when its parent does.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import struct
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import numpy as np

from dagnet.layers import array

AHEAD = 2  # batches that each worker is asked for before the first of them is fetched
PIPE_BYTES = 1 << 20  # of a pipe, where the system lets us choose: a batch crosses in fewer steps
GetBatch = Callable[[Any], Any]


class Workers:
    """`count` processes, started when they are first needed; none: load says no. Use as a context manager."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def load(self, get_batch: GetBatch) -> bool:
        """Hand get_batch, as it is now, to all workers; False, with a warning, where they cannot be given it (a lambda)."""
        if not self._count:
            return False
        try:
            message = _packed(("load", get_batch))
        except Exception as error:  # pickle raises what the object's own methods raise
            return _refused(f"it cannot be copied to them ({error})")
        if not self._running:
            self._running = [_started() for _ in range(self._count)]
        try:
            for worker in self._running:
                _write(_stdin(worker), message)
            for number in range(self._count):
                self._answer(number, "while it started")
        except Exception as error:
            self.stop()
            return _refused(f"they cannot load it ({error})")
        return True

    def batches(self, index_lists: Sequence[Any]) -> Iterator[Any]:
        """The batches of the get_batch that was loaded, for each list of indices.

        Raises what get_batch raised, with the image named where it can be found, and RuntimeError where a worker died.
        """
        ahead = AHEAD * self._count
        for i, indices in enumerate(index_lists[:ahead]):
            self._ask(i, indices)
        for i, indices in enumerate(index_lists):
            batch = self._answer(i, f"at images {listed(indices)}")
            if i + ahead < len(index_lists):
                self._ask(i + ahead, index_lists[i + ahead])
            yield batch

    def kill(self) -> None:
        """End the processes where they stand: who waits for a batch of theirs is told that they died."""
        for worker in self._running:
            worker.kill()

    def stop(self) -> None:
        """End the processes and wait until they have gone; the next load starts others. Not while another thread reads them."""
        self.kill()
        for worker in self._running:
            for pipe in (_stdin(worker), _stdout(worker)):
                with contextlib.suppress(OSError):  # what could not be written to one that died
                    pipe.close()
            worker.wait()
        self._running = []

    def _ask(self, i: int, indices: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died, which _answer tells
            _write(_stdin(self._running[i % self._count]), _packed(("make", indices)))

    def _answer(self, i: int, when: str) -> Any:
        worker = self._running[i % self._count]
        parts = _read(_stdout(worker))
        if parts is None:
            raise RuntimeError(
                f"get_batch: worker process {i % self._count + 1} of {self._count} died {when} (exit code {worker.wait()}); "
                "fewer workers need less memory, and without workers a thread shows what happens"
            )
        made, result, where = _unpacked(parts)
        if made:
            return result
        raise result from _There(where)


class _There(Exception):
    """Stands, as its cause, for the place in a worker where an error arose: its text is the traceback."""


def _refused(why: str) -> bool:
    warnings.warn(
        f"get_batch: worker processes are not used, {why}; a thread makes the batches instead. A function, or an object's "
        "method, of a module of its own is right",
        stacklevel=4,
    )
    return False


def listed(indices: Any) -> str:
    """Images' indices for a message: "3, 17, 20"."""
    return ", ".join(str(i) for i in indices)


# ---------------------------------------------------------------- a worker


def serve() -> None:
    """What a worker does: answer what comes on the standard input until that ends."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what get_batch prints must not get among the batches
    get_batch: Any = None
    with contextlib.suppress(BrokenPipeError):  # the parent has gone
        while (parts := _read(incoming)) is not None:
            try:
                what, given = _unpacked(parts)
                if what == "load":
                    get_batch = given
                answer = _packed((True, _made(get_batch, given) if what == "make" else None, ""))
            except BaseException as error:  # whatever it is, it belongs to the parent
                answer = _packed((False, _portable(error), traceback.format_exc()))
            _write(outgoing, answer)
    os._exit(0)  # nothing is to be written any more, and nobody to be told of it


def _made(get_batch: GetBatch, indices: Any) -> Any:
    """get_batch(indices); an error gets a note of the image with which it arises, where that can be found."""
    try:
        return get_batch(indices)
    except Exception as error:
        if culprit := _culprit(get_batch, indices, type(error)):
            error.add_note(f"get_batch failed at image {culprit}")
        raise


def _culprit(get_batch: GetBatch, indices: Any, kind: type[Exception]) -> str:
    """The first of the images whose batch of one raises the same kind of error; nothing where there is none."""
    for i in range(len(indices)):
        try:
            get_batch(indices[i : i + 1])
        except kind:
            return str(indices[i])
        except Exception:
            return ""
    return ""


def _portable(error: BaseException) -> BaseException:
    """The error, or where it does not survive the way to another process, a RuntimeError that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        other = RuntimeError(f"{type(error).__name__}: {error}")
        other.__notes__ = list(getattr(error, "__notes__", ()))
        return other
    return error


def _started() -> subprocess.Popen[bytes]:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"sys.path[:] = {sys.path!r}; from dagnet.data import workers; workers.serve()"
    )
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    worker = subprocess.Popen([sys.executable, "-c", code], env=os.environ | one_thread, **pipes)  # type: ignore[call-overload]
    if sys.platform == "linux":
        import fcntl

        for pipe in (_stdin(worker), _stdout(worker)):
            with contextlib.suppress(OSError):  # the system may allow a user less
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return worker


# ---------------------------------------------------------------- what passes between the two


class _Pickler(pickle.Pickler):
    """Keeps the memory order of arrays, and hands on memory maps as the names of their files."""

    def reducer_override(self, x: Any) -> Any:
        mapped = getattr(x, "_mmap", None)  # of a memory map and of views of it, not of what was computed from one
        if isinstance(x, np.memmap) and mapped is not None and x.filename is not None and x.mode != "c":
            start = x.offset - x.offset % mmap.ALLOCATIONGRANULARITY
            inside = _address(x) - _address(np.frombuffer(mapped, np.uint8))
            return _mapped, (str(x.filename), start + inside, x.dtype, x.shape, x.strides)
        if type(x) is np.ndarray and x.ndim > 1 and not x.flags.forc:
            axes = array.memory_axes(x)
            if (packed := x.transpose(axes)).flags.c_contiguous:
                return np.transpose, (packed, [axes.index(axis) for axis in range(x.ndim)])
        return NotImplemented


def _mapped(path: str, offset: int, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    whole = np.memmap(path, np.uint8, "r")
    return np.ndarray(shape, dtype, buffer=whole, offset=offset, strides=strides)


def _address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


def _packed(message: Any) -> list[memoryview]:
    """The message as its pickle and, beside it and without a copy, the memory of the arrays in it."""
    text = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    _Pickler(text, protocol=5, buffer_callback=buffers.append).dump(message)
    return [text.getbuffer(), *(buffer.raw() for buffer in buffers)]


def _unpacked(parts: list[np.ndarray]) -> Any:
    return pickle.loads(parts[0].data, buffers=parts[1:])


def _write(pipe: IO[bytes], parts: list[memoryview]) -> None:
    pipe.write(struct.pack(f"<{1 + len(parts)}Q", len(parts), *(part.nbytes for part in parts)))
    for part in parts:
        pipe.write(part)
    pipe.flush()


def _read(pipe: IO[bytes]) -> list[np.ndarray] | None:
    """The parts of a message; None where the other side has gone."""
    head = pipe.read(8)
    sizes = pipe.read(8 * struct.unpack("<Q", head)[0]) if len(head) == 8 else b""
    parts = [np.empty(size, np.uint8) for (size,) in struct.iter_unpack("<Q", sizes)]
    whole = all(pipe.readinto(part) == part.nbytes for part in parts)  # type: ignore[attr-defined]
    return parts if parts and whole else None


def _stdin(worker: subprocess.Popen[bytes]) -> IO[bytes]:
    assert worker.stdin is not None  # it was started with pipes
    return worker.stdin


def _stdout(worker: subprocess.Popen[bytes]) -> IO[bytes]:
    assert worker.stdout is not None
    return worker.stdout

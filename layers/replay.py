"""A piece of the GPU's work that is launched as one: a CUDA graph, recorded from a run in which nothing is done.

    step = Replay(compute)        compute(inputs) launches work on the current stream, and returns arrays
    made = step(inputs, key)      the same; from the third time with the same key and shapes on by one launch

A graph repeats what was launched: the same kernels, with the same numbers, at the same addresses. So what must hold is
  inputs     the graph reads copies of its own, into which each call copies
  memory     what is made inside lies in a pool of the graph's own, where nothing else may lie as long as the graph lives
  results    are the same arrays after every call, overwritten by the next
  numbers    that the host hands to kernels must not change from call to call: the key tells all that they depend on
  random     CuPy's generators keep their state on the GPU, so that each launch draws other numbers
  the host   does not wait, reads nothing back and copies nothing to the GPU inside, which CUDA and CuPy refuse there
Where they refuse, work is launched piece by piece as before, and `refused` says why.

Source    CUDA C++ Programming Guide, CUDA graphs; cupy/cuda/stream.pyx, graph.pyx and memory.pyx of CuPy 14.2. Like device.py
          this runs in tests on a fake, and has not yet been run on a GPU.
"""

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any

from . import array
from .array import Array

PLAIN_RUNS = 2  # in a row with the same key, before one is recorded: they compile kernels and let libraries start


class Replay:
    """Computes, and records, and repeats."""

    def __init__(self, compute: Callable[[Mapping[str, Array]], Any]) -> None:
        self._compute = compute
        self._last: Hashable = None
        self._runs = 0  # with the last key
        self._graph: Any = None  # of the last key, with its pool, which lives as long
        self._stream: Any = (
            None  # that all are recorded on: what is kept for a stream, cuBLAS's workspace, is kept once
        )
        self._inputs: dict[str, Array] = {}
        self._result: Any = None
        self.refused: str | None = None

    @property
    def recorded(self) -> bool:
        """Whether the last call was, and the next one of its key will be, one launch."""
        return self._graph is not None

    def __call__(self, inputs: Mapping[str, Array], key: Hashable = None) -> Any:
        """compute(inputs), or what it would give. key: all that it depends on beside the inputs' values."""
        key = (key, *((name, x.shape, x.strides, x.dtype.str) for name, x in inputs.items()))
        if key != self._last:
            self._last, self._runs = key, 0
            self.forget()
        if self._graph is None and (self.refused or self._runs < PLAIN_RUNS or not self._record(inputs)):
            self._runs += 1
            return self._compute(inputs)
        for name, x in inputs.items():
            self._inputs[name][...] = x
        self._graph[0].launch()
        return self._result

    def forget(self) -> None:
        """Let the graph and its memory go."""
        self._graph = self._result = None
        self._inputs = {}

    def _record(self, inputs: Mapping[str, Array]) -> bool:
        """Whether a graph of compute could be recorded."""
        cupy = array.cupy_module()
        cupy.get_default_memory_pool().free_all_blocks()  # what the runs before it used is room for the graph's own
        pool, stream = cupy.cuda.MemoryPool(), self._stream or cupy.cuda.Stream(non_blocking=True)
        self._stream = stream
        self._inputs = {name: array.empty_like(x) for name, x in inputs.items()}
        try:
            with stream, cupy.cuda.using_allocator(pool.malloc):
                stream.begin_capture()
                try:
                    self._result = self._compute(self._inputs)
                except BaseException:
                    with suppress(Exception):  # a recording that was spoiled ends with an error of its own
                        stream.end_capture()
                    raise
                self._graph = (stream.end_capture(), pool)
        except Exception as error:  # whatever it is: if it has another cause, a plain run will meet it again
            self.forget()
            first = str(error).strip().splitlines() or [type(error).__name__]
            self.refused = (
                f"steps are launched piece by piece, since no CUDA graph could be recorded of them: {first[0]}"
            )
            return False
        return True

"""The stand-in's cupy.cuda: one device, whose streams have nothing to wait for; waiting is counted all the same."""

from types import ModuleType
from typing import Any

from . import calls


class CUDARuntimeError(RuntimeError):
    """What CuPy raises where CUDA fails."""


class OutOfMemoryError(MemoryError):
    """What CuPy raises where the device's memory does not suffice; here nothing does."""


class Stream:
    """A stream, on which all is done at once; `null` is the current one."""

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self.non_blocking = non_blocking

    def synchronize(self) -> None:
        """Counts as a wait."""
        calls.wait("synchronize")

    def wait_event(self, event: "Event") -> None:
        """Nothing: the device waits, not the host."""

    def record(self, event: "Event | None" = None) -> "Event":
        """An event."""
        return event or Event()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: Any) -> None:
        return None


class Event:
    """An event; all is done at once."""

    done = True

    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.timed = not disable_timing

    def record(self, stream: Stream | None = None) -> None:
        """Nothing."""

    def synchronize(self) -> None:
        """Counts as a wait."""
        calls.wait("synchronize")


class MemoryPool:
    """A pool that holds nothing."""

    def malloc(self, size: int) -> None:
        """Nothing."""

    def free_all_blocks(self) -> None:
        """Nothing."""

    def used_bytes(self) -> int:
        """0."""
        return 0

    total_bytes = free_bytes = n_free_blocks = used_bytes


class Device:
    """The one device."""

    def __init__(self, device: int = 0) -> None:
        self.id = device

    def synchronize(self) -> None:
        """Counts as a wait."""
        calls.wait("synchronize")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """0 milliseconds. Raises CUDARuntimeError for events that take no time."""
    if not (start_event.timed and end_event.timed):
        raise CUDARuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
    return 0.0


def made() -> Any:
    """The module, with `memory` and `runtime`."""
    cuda, memory, runtime = (ModuleType(f"cupy.cuda{name}") for name in ("", ".memory", ".runtime"))
    cuda.__path__ = []
    memory.OutOfMemoryError = OutOfMemoryError  # type: ignore[attr-defined]
    versions = {"driverGetVersion": lambda: 13000, "runtimeGetVersion": lambda: 13000}
    sizes = {"memGetInfo": lambda: (1 << 40, 1 << 40), "getDeviceCount": lambda: 1}
    runtime.__dict__.update(versions, **sizes, CUDARuntimeError=CUDARuntimeError)
    cuda.__dict__.update(
        {cls.__name__: cls for cls in (Stream, Event, MemoryPool, Device)}, memory=memory, runtime=runtime
    )
    cuda.__dict__.update(
        get_current_stream=lambda: Stream(null=True), alloc_pinned_memory=bytearray, get_elapsed_time=get_elapsed_time
    )
    return cuda

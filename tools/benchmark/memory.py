"""How much memory this process took at its worst."""

import contextlib
import resource
import sys
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak() -> float:
    """The most resident memory of this process in MB, since the last forget_peak() where the system can forget it."""
    if STATUS.exists():  # unlike getrusage, does not count what the parent had before this process was its own
        return _line("VmHWM")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def now() -> float:
    """The resident memory of this process in MB; where the system does not tell it, the peak so far."""
    return _line("VmRSS") if STATUS.exists() else peak()


def forget_peak() -> None:
    """Let the peak start anew from what is resident now; nothing happens where the system cannot (all but Linux)."""
    with contextlib.suppress(OSError):
        FORGET.write_text("5")


def _line(name: str) -> float:
    return next(int(line.split()[1]) / 1024 for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))

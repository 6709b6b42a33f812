"""The machine, the threads and the versions that figures belong to: python -m dagnet.tools.benchmark.machine prints JSON.

It runs in a process like the contenders': which kernel BLAS chooses can depend on the environment.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "numba", "torch")


def describe() -> dict[str, Any]:
    """Processor, cores, system, versions (None: not installed), and each BLAS with its kernel and threads."""
    import dagnet
    from dagnet import layers, models, tools

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "dagnet": dagnet.__version__,
        "code": fingerprint(*(Path(house.__path__[0]) for house in (dagnet, layers, models, tools))),
        **{name: _version(name) for name in PACKAGES},
        "blas": _blas(),
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def in_words(machine: dict[str, Any], threads: int) -> str:
    """All of it in two sentences."""
    versions = [
        f"{shown} {machine[name]}" if machine[name] else f"no {shown}"
        for name, shown in (("numpy", "NumPy"), ("scipy", "SciPy"), ("numba", "numba"), ("torch", "PyTorch"))
    ]
    blas = "; ".join(dict.fromkeys(machine["blas"])) or "an unknown BLAS"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {threads} threads, {machine['system']}. "
        f"dagnet {machine['dagnet']}, Python {machine['python']}, {', '.join(versions)}; BLAS: {blas}."
    )


def fingerprint(*folders: Path) -> str:
    """Twelve characters that change with any source file there: figures of two states of the code must not mix."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".cu")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _blas() -> list[str]:
    """Each BLAS that NumPy and SciPy brought, such as "openblas 0.3.31 (SkylakeX)"."""
    import scipy.linalg.blas  # noqa: F401  # SciPy's own must be there to be found
    import threadpoolctl

    found = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    return sorted(
        f"{library['internal_api']} {library['version']} ({library.get('architecture') or 'its kernel is not told'})"
        for library in found
    )


if __name__ == "__main__":
    print(json.dumps(describe()))

"""dagnet.layers.kernels.gpu.report: every CUDA source compiles, for what a compiler here knows, and needs no slow memory.

No kernel spills registers or keeps an array in memory. In the default suite for the oldest and the newest architecture; with
-m slow for all. What a compiler said is kept in pytest's cache.
"""

import hashlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from dagnet.layers.kernels.gpu import report, source

COMPILERS = report.chosen(report.compilers())
KNOWN = [a for a, compiler in COMPILERS.items() if compiler]
ENDS = KNOWN[:1] + KNOWN[-1:]
_uses: dict[tuple[int, str], list[report.Use]] = defaultdict(list)


def log_of(compiler: report.Compiler, text: str, file: str, architecture: int, folder: Path) -> str:
    """What the compiler says, now or when it last saw this very text."""
    key = "\0".join([compiler.name, str(architecture), *report.OPTIONS, text])
    kept = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not kept.exists():
        kept.write_text(compiler.compile(text, file, architecture))
    return kept.read_text()


@pytest.mark.parametrize("dtype", report.DTYPES, ids=str)
@pytest.mark.parametrize("file", source.names())
@pytest.mark.parametrize(
    "architecture", [a if a in ENDS else pytest.param(a, marks=pytest.mark.slow) for a in report.ARCHITECTURES]
)
def test_the_sources_compile_and_kernels_keep_their_numbers_in_registers(request, architecture, file, dtype):
    compiler = COMPILERS[architecture]
    if compiler is None:
        pytest.skip(f"no compiler here knows sm_{architecture}")
    log = log_of(compiler, source.text(file, dtype), file, architecture, request.config.cache.mkdir("ptxas"))
    found = report.uses(log)
    assert {use.kernel for use in found} == set(source.kernels(file))
    _uses[architecture, dtype.name] += found
    assert not [use for use in found if use.spills or use.stack]
    assert all(use.registers <= 255 and use.shared <= 48 << 10 for use in found)


def summary() -> list[str]:
    """A line for each architecture and dtype, and why others are missing."""
    lines = []
    for (architecture, dtype), found in sorted(_uses.items()):
        most = max(found, key=lambda use: use.registers)
        spills = sum(use.spills for use in found)
        lines.append(
            f"sm_{architecture} {dtype} by {COMPILERS[architecture].name}: {len(found)} kernels, {spills} bytes spilled, at "
            f"most {most.registers} registers ({most.kernel}), {max(use.shared for use in found)} bytes shared"
        )
    if unknown := [f"sm_{a}" for a, compiler in COMPILERS.items() if compiler is None]:
        names = ", ".join(c.name for c in report.compilers()) or "no compiler"
        lines.append(
            f"not compiled: {', '.join(unknown)}, which {names} does not know (CUDA 12 is the last with sm_70)"
        )
    return lines if _uses else []


def test_what_ptxas_says_is_read():
    log = """ptxas info    : Compiling entry function 'a' for 'sm_90'
ptxas info    : Function properties for a
    24 bytes stack frame, 16 bytes spill stores, 32 bytes spill loads
ptxas info    : Used 48 registers, used 1 barriers, 24 bytes cumulative stack size, 4096 bytes smem, 388 bytes cmem[0]
ptxas info    : Compiling entry function 'b' for 'sm_90'
ptxas info    : Used 9 registers"""
    assert report.uses(log) == [report.Use("a", 48, 32, 24, 4096), report.Use("b", 9, 0, 0, 0)]


@pytest.mark.parametrize("compiler", report.compilers(), ids=lambda c: c.name)
def test_what_does_not_compile_is_told(compiler):
    with pytest.raises(ValueError, match="wrong"):
        compiler.compile("wrong", "probe", ENDS[-1])


def test_the_report_names_every_kernel(monkeypatch, capsys):
    class Silent:
        name, knows = "silence", (90,)

        def compile(self, text: str, name: str, architecture: int) -> str:
            return "".join(
                f"Compiling entry function '{kernel}' for 'sm_90'\n 8 bytes spill stores\n Used 7 registers\n"
                for kernel in source.kernels(name)
            )

    monkeypatch.setattr(report, "compilers", lambda: [Silent()])
    report.main()
    out = capsys.readouterr().out
    assert "sm_70: none of them knows it" in out
    assert "sm_90 float64 relu.cu relu_masked: 7 registers, 0 bytes shared, 8 bytes spilled" in out
    assert out.count("registers") == 2 * sum(len(source.kernels(file)) for file in source.names())


def test_parameters_of_unknown_types_are_refused(monkeypatch, tmp_path):
    (tmp_path / "odd.cu").write_text('extern "C" __global__ void odd(const T* x, half y) {}')
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"odd\.cu: odd has a parameter 'half y'"):
        source.kernels("odd")


def test_a_text_is_the_same_but_for_its_numbers():
    single, double = (source.text("relu", np.dtype(t)).splitlines() for t in ("float32", "float64"))
    assert (single[0], double[0]) == ("#define T float", "#define T double")
    assert single[1:] == double[1:]

"""The house keeps its plan: imports go down, doors open, every folder is shipped, CuPy is known in one place."""

import ast
import importlib
import inspect
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ["layers", "dagnet", "models", "tools"]  # from the ground up
DOORS = [ROOT / "dagnet" / floor for floor in FLOORS if floor != "dagnet"]
SOURCES = [
    p for floor in FLOORS for p in sorted((ROOT / floor).rglob("*.py")) if not any(door in p.parents for door in DOORS)
]
CUPY_ROOMS = {"layers/array.py", "layers/device.py"}


def modules_used(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def floor_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] != "dagnet":
        return parts[0] if parts[0] in FLOORS else None
    return parts[1] if parts[1:2] and parts[1] in FLOORS else "dagnet"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_go_down(path):
    own = FLOORS.index(path.relative_to(ROOT).parts[0])
    above = {m for m in modules_used(path) if floor_of(m) and FLOORS.index(floor_of(m)) > own}
    assert not above, f"{path.relative_to(ROOT)} imports from above: {sorted(above)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_rooms_named_know_cupy(path):
    place = path.relative_to(ROOT).as_posix()
    if place in CUPY_ROOMS or place.startswith("layers/kernels/"):
        pytest.skip("this file may import CuPy")
    assert not [m for m in modules_used(path) if m.split(".")[0] in ("cupy", "cupyx", "cupy_backends")]


@pytest.mark.parametrize("floor", ["layers", "models", "tools"])
def test_every_module_is_named_where_readers_look(floor):
    face = (ROOT / floor / "__init__.py").read_text()
    modules = {p.stem for p in (ROOT / floor).glob("[!_]*.py")}
    assert modules == {m for m in modules if f"import {m} as {m}" in face}


@pytest.mark.parametrize("path", sorted((ROOT / "layers").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_options_of_forward_and_backward_have_the_same_defaults(path):
    module = importlib.import_module(f"dagnet.layers.{path.stem}")
    if not hasattr(module, "backward") or not hasattr(module, "forward"):
        pytest.skip("this file is no layer of one forward and one backward")
    forward, backward = (inspect.signature(f).parameters for f in (module.forward, module.backward))
    for name in forward.keys() & backward.keys():
        if forward[name].kind is backward[name].kind is inspect.Parameter.KEYWORD_ONLY:
            assert forward[name].default == backward[name].default, name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, source = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("source")
    for name in FLOORS:  # a copy, since an earlier build's leavings in the checkout would be shipped too
        shutil.copytree(ROOT / name, source / name)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    options = ["--no-deps", "--no-build-isolation", "-q", "-w", str(folder)]
    build = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_a_wheel_holds_every_module_at_its_place_and_no_other(wheel):
    wanted = set()
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        wanted.add(place if place.startswith("dagnet/") else f"dagnet/{place}")
    assert wanted == {name for name in wheel if name.endswith(".py")}


def test_a_wheel_holds_the_matlab_side(wheel):
    assert [name for name in wheel if name.endswith(".m")] == ["dagnet/tools/matlab/dagnet_dump.m"]


def test_a_wheel_holds_one_package_and_no_door(wheel):
    assert {name.split("/")[0] for name in wheel} == {
        "dagnet",
        next(n for n in wheel if ".dist-info" in n).split("/")[0],
    }
    assert not [name for name in wheel if name.endswith(".pyi")]


def test_a_wheel_holds_the_cuda_sources(wheel):
    sources = [p.relative_to(ROOT).as_posix() for p in (ROOT / "layers").rglob("*.cu*")]
    assert sorted(name for name in wheel if Path(name).suffix in (".cu", ".cuh")) == sorted(
        f"dagnet/{s}" for s in sources
    )

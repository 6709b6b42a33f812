"""The worked port: two files that say the same line by line, and build the network of models/lesion_fcn.py.

MATLAB's side stands in two files: the training, and docs/examples/lesion_fcn.m, the network, which test_mscript_api runs.
docs/port/README.md shows both sides beside each other; `python -m tests.test_port` writes it anew.
"""

import html
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dagnet.layers import catalogue
from dagnet.models import lesion_fcn
from tests import little

DOCS = Path(__file__).resolve().parents[1] / "docs"
MATLAB = [DOCS / "port" / "lesion_fcn_matlab.m", DOCS / "examples" / "lesion_fcn.m"]
PYTHON, README = DOCS / "port" / "lesion_fcn_port.py", DOCS / "port" / "README.md"
FC_WIDTH = 8


# -- both files in the same form


def sections(path: Path) -> list[list[str]]:
    """The code from the first function on, cut at empty lines; each section a list of lines."""
    text = path.read_text(encoding="utf-8")
    start = text.index("def lesion_fcn_port") if path is PYTHON else 0
    parts = [part.splitlines() for part in re.split(r"\n\s*\n", text[start:].strip())]
    return [[line for line in part if line.strip()] for part in parts]


def meaning(*paths: Path) -> list[str]:
    """What each line says, in one form for both languages; the lines that only one of them needs are left out.

    What is left are words, texts and numbers: brackets, operators, quotes, and the spelling of the languages' own words go.
    Indices of Python's are counted from 1.
    """
    found = []
    for path, line in ((file, text) for file in paths for part in sections(file) for text in part):
        says = line.strip()
        if says == "end" or says.startswith("return "):
            continue
        if path is PYTHON:
            says = re.sub(r"range\((.+?), (?:(\d)|len\((.+)\) \+ 1)\)", range_from_1, says)
            says = re.sub(r"\[(\d)\]", lambda m: f"[{int(m[1]) + 1}]", says)
            says = says.replace(" - 1]", "]").replace("[0:3]", "[1:3]")
            says = re.sub(r'f"(\w+)\{(\w)\}"', r"'\1%d' \2", says)
        else:
            says = re.sub(r"function (\[.*\]|\w+) = ", "function ", says)
        words = re.findall(r"%d|[A-Za-z_]\w*|\d[\d.]*(?:e-?\d+)?", says)
        found.append(" ".join(same for word in words if (same := SAME.get(word, word))))
    return found


def range_from_1(match: re.Match) -> str:
    return f"{match[1]} {int(match[2]) - 1}" if match[2] else f"{match[1]} numel({match[3]})"


# What the other language says, or "" where it says nothing.
SAME = {
    "def": "function",
    "len": "numel",
    "True": "true",
    "lesion_fcn_port": "lesion_fcn",
    "lesion_fcn_matlab": "lesion_fcn",
    "LESION_FCN_PORT": "lesion_fcn",
    "LESION_FCN_MATLAB": "lesion_fcn",
    "does": "",
    "struct": "",
    "in": "",
    "not": "",
    "char": "",
    "sprintf": "",
    "as": "with",
}


def test_the_two_files_say_the_same_line_by_line():
    matlab, python = meaning(*MATLAB), meaning(PYTHON)
    assert len(matlab) > 70
    for theirs, ours in zip(matlab, python, strict=True):
        assert ours == theirs


# -- the readme


def readme() -> str:
    """docs/port/README.md, from the files."""
    rows = []
    matlab = [part for path in MATLAB for part in sections(path)]
    for theirs, ours in zip(matlab, sections(PYTHON), strict=True):
        cells = [f"<td><pre>{html.escape(chr(10).join(lines), quote=False)}</pre></td>" for lines in (theirs, ours)]
        rows.append(f'<tr valign="top">\n{cells[0]}\n{cells[1]}\n</tr>')
    head = f"<tr><th>MatConvNet: {' and '.join(path.name for path in MATLAB)}</th><th>dagnet: {PYTHON.name}</th></tr>"
    return INTRODUCTION + "\n".join(["<table>", head, *rows, "</table>"]) + "\n"


INTRODUCTION = """# A port, line beside line

The network of [Qi et al. 2017](https://arxiv.org/abs/1703.05467), as a lab would have written it with MatConvNet and
matconvnet-fcn (the training: [lesion_fcn_matlab.m](lesion_fcn_matlab.m), the network:
[lesion_fcn.m](../examples/lesion_fcn.m)), and the same with `dagnet.matconvnet`
([lesion_fcn_port.py](lesion_fcn_port.py)). A test holds the two to each other line by line, runs the Python side, and
compares its network with [models/lesion_fcn.py](../../models/lesion_fcn.py), which is dagnet's own way to write it. All names
are in [the table MatConvNet → dagnet](../matconvnet.md). A network's definition needs no port: `dagnet convert` runs it as it
is ([migrating](../migrating.md)).

What to look for when porting:

- `{...}` of names and values becomes a list or a dict, `'name', value` options stay as they are.
- `net.layers(i)`, `net.vars(i)`, `net.params(i)` and `getVarIndex` count from 1 as before. Python's own lists count from 0:
  hence `sources[k - 1]`, and `sizes[net.getVarIndex(var) - 1]`.
- Images are counted from 0: `batch` holds indices into NumPy arrays. Labels count from 1, and 0 is ignored.
- Numbers of MATLAB are double. What a network holds and reads is single here too, and says so: `single(...)`.
- MATLAB's fields are keys: `imdb["images"]["data"]`.

"""


def test_the_readme_shows_the_files_as_they_are():
    assert README.read_text(encoding="utf-8") == readme(), "python -m tests.test_port writes it anew"


# -- the Python side


@pytest.fixture(scope="module")
def port():
    spec = importlib.util.spec_from_file_location("lesion_fcn_port", PYTHON)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def vgg(tmp_path_factory) -> Path:
    return little.vgg16_file(tmp_path_factory.mktemp("vgg") / "imagenet-vgg-verydeep-16.mat")


@pytest.fixture(scope="module")
def pair(port, vgg):
    """The port's network, and dagnet's own from the same file."""
    return port.lesion_fcn("modelPath", vgg, "fcWidth", FC_WIDTH), lesion_fcn.lesion_fcn(vgg, fc_width=FC_WIDTH)


def test_the_port_builds_the_layers_of_the_model_in_their_order(pair):
    theirs, ours = (
        [(r.name, catalogue.name_of(r.block), r.inputs, r.outputs, r.params) for r in n.layers.values()] for n in pair
    )
    assert theirs == ours
    assert pair[0].execution_order == pair[1].execution_order
    assert list(pair[0].vars) == list(pair[1].vars)
    assert [v.name for v in pair[0].vars.values() if v.precious] == [
        v.name for v in pair[1].vars.values() if v.precious
    ]


def test_the_ports_blocks_have_the_models_properties(pair):
    for theirs, ours in zip(*(net.layers.values() for net in pair), strict=True):
        assert catalogue.to_matlab(theirs.block) == catalogue.to_matlab(ours.block), theirs.name


def test_the_ports_parameters_have_the_models_shapes_and_multipliers(pair):
    theirs, ours = pair
    assert list(theirs.params) == list(ours.params)
    for name, param in ours.params.items():
        other = theirs.params[name]
        assert (other.value.shape, other.value.dtype) == (param.value.shape, param.value.dtype), name
        assert (other.learning_rate, other.weight_decay) == (param.learning_rate, param.weight_decay), name
        if name.startswith(("conv", "score", "up")) or name.endswith("b"):
            np.testing.assert_array_equal(other.value, param.value)
        else:
            assert other.value.std() == pytest.approx(param.value.std(), rel=0.4), name


def test_the_ports_variables_have_the_models_sizes(pair):
    sizes = [net.get_var_sizes({"input": (64, 96, 3, 2), "label": (64, 96, 1, 2)}) for net in pair]
    assert sizes[0] == sizes[1]
    assert sizes[0]["prediction"] == (64, 96, 2, 2)


def test_the_port_trains(port, vgg, tmp_path):
    rng = np.random.default_rng(0)
    data, masks = (rng.integers(0, 256, (32, 32, c, 3)).astype(np.uint8) for c in (3, 1))
    images = {"data": data, "masks": masks, "mean": np.full((1, 1, 3, 1), 128.0), "set": np.array([1, 1, 2])}
    options = ["fcWidth", FC_WIDTH, "train", {"expDir": tmp_path, "numEpochs": 1}]
    net, stats = port.lesion_fcn_port(vgg, {"images": images}, *options)
    assert 0.5 < stats["train"][-1]["objective"] < 2
    assert stats["val"][-1]["accuracy"].shape == (3,)
    assert (tmp_path / "net-epoch-1.mat").is_file()
    assert net.params(1).value.dtype == np.float32


# -- the MATLAB side


def test_octave_reads_the_matlab_side(tmp_path):
    octave = shutil.which("octave-cli")
    if octave is None:
        pytest.skip("octave-cli is absent")
    command = "".join(f"addpath('{path.parent}'); printf('%d', nargin('{path.stem}'));" for path in MATLAB)
    done = subprocess.run([octave, "--no-gui", "-qf", "--eval", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "-3-1", done.stderr  # two arguments and any number more; any number


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")

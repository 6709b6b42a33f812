"""The table MatConvNet -> dagnet, docs/matconvnet.md, from the code: what is called how, with which defaults.

python -m dagnet.matconvnet > docs/matconvnet.md
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

import numpy as np

import dagnet
from dagnet import matconvnet
from dagnet.graph import Param
from dagnet.layers import array, catalogue
from dagnet.simplenn import Result

from . import dagnn, training, views

INTRODUCTION = """\
<!-- generated: python -m dagnet.matconvnet > docs/matconvnet.md -->
# MatConvNet → dagnet

Whoever comes from MATLAB finds MatConvNet's own names in `dagnet.matconvnet`; beside each stands what it is called in dagnet
itself, where new code is better written. A port of a whole network, line beside line: [port/README.md](port/README.md).

## Calls

| MATLAB | Python |
|---|---|
| `y = vl_nnconv(x, f, b, 'Stride', 2)` | `y = vl_nnconv(x, f, b, "Stride", 2)`, or `stride=2`; options in any case |
| `[dx, df, db] = vl_nnconv(x, f, b, dzdy)` | `dx, df, db = vl_nnconv(x, f, b, dzdy)` |
| `y = vl_nndropout(x)`, nargout 1 | `y, mask = vl_nndropout(x)`: always all outputs, as a tuple |
| `vl_nnconv(x, f, [])`, `[]` for dzdy | `[]` or `None`: no biases; forward |
| `opts{:}`, a struct of options | `*opts`, a dict |
| `{'input', x, 'label', c}` | `["input", x, "label", c]`, or `{"input": x, "label": c}` |
| `net.params(net.getParamIndex('conv1f')).value` | the same, with `"conv1f"`; or `net.params["conv1f"].value` |
| `net.layers(1)`, `net.layers(end)` | `net.layers(1)`, `net.layers(-1)` |
| `isa(net.layers(i).block, 'dagnn.Conv')` | `dagnn.isa(net.layers(i).block, "dagnn.Conv")` |
| `[net.params.learningRate]`, `{net.vars.name}` | `[p.learningRate for p in net.params(":")]`, `list(net.vars)` |
| `net.meta.normalization.averageImage` | `net.meta["normalization"]["averageImage"]` |
| `net.layers{end}.class = c`, `res(end).x` of a SimpleNN | `net.layers[-1]["class"] = c`, `res[-1].x` |
| `gpuArray(x)`, `gather(x)` | the same |
| `single(x)`, `squeeze(x)` | `numpy.float32(x)`, `numpy.squeeze(x)`; of a single and a double array NumPy makes a double one |
| the release that is installed | `release("beta25")`, unless another is named: `release("master")`, `with release("beta18"):` |
| `rng(0)` | `rng(0)`: for all but a DagNN's dropout, which `net.seed(0)` starts; the numbers are not MATLAB's |

## What differs

- Arrays have four dimensions (H, W, C, N); what MATLAB dropped of them may be missing in what is given.
- `net.eval` forgets first what variables hold from an earlier call. A layer that lacks an input is skipped, as in MatConvNet.
- A value that was freed to save memory raises an error that names the remedy (`precious`), where MATLAB gives `[]`. The net's
  outputs are kept.
- A cycle of layers, an unknown name, a wrong size are errors, always. An unknown field of `net.params(i)` is one too.
- `dagnn.LRN` takes exact powers, MatConvNet's CPU code approximate ones (up to 0.4 % apart).
- The random numbers are NumPy's: masks, initial values and the order of images are others than MATLAB's.
- Images are counted from 0 (`train`, `val`, getBatch), since they lie in NumPy arrays; labels from 1, and 0 is ignored.
"""

OURS_ALONE = {"in_file"}  # of net.params(i): what no field of MatConvNet's is like
INHERITED = {"copy", "device", "meta", "mode", "move", "reset"}  # of DagNN: what is called the same in both

# What MatConvNet has besides, and what is there in its place.
ELSEWHERE = {
    "vl_compilenn, vl_setupnn": "nothing is compiled or set up",
    "vl_tmove, vl_cudatool, ParameterServer, setParameterServer, clearParameterServer": "for several GPUs; none here",
    "vl_simplenn_diagnose(net, res)": '`dagnet.summary.diagnosis.diagnose(net, res, "run.png")`, a file in place of a window',
    "vl_tshow, vl_contrib": "none here",
    "import-caffe.py": "its files, DagNN and SimpleNN, are read: `dagnet.files.netfile.load`, `dagnet convert`",
    "net = load(path)": "`dagnet.files.netfile.load(path)`; the bare structs: `dagnet.files.matfile.read(path)`",
    "save(path, '-struct', 'net')": "`dagnet.files.netfile.save(net, path)`",
}


def table() -> str:
    """The whole document."""
    parts = [
        INTRODUCTION,
        "## Functions\n",
        _rows(["MatConvNet", "options and defaults", "dagnet", "returns"], _functions()),
        "## DagNN\n",
        _rows(["MatConvNet", "dagnet.DagNN", ""], _methods()),
        "## Fields\n",
        "Those of another name; `name`, `value`, `der`, `block`, `inputs` and their like are the same.\n",
        _rows(["MatConvNet", "dagnet"], _fields()),
        "## Blocks\n",
        "`dagnn.Conv('size', [3 3 3 64])` is `dagnn.Conv(\"size\", [3, 3, 3, 64])`, or `dagnn.Conv(size=[3, 3, 3, 64])`; in\n"
        "dagnet itself `conv.Conv([3, 3, 3, 64])`. A class of your own: `catalogue.register`, then `dagnn.constructor`.\n",
        _rows(["MatConvNet", "dagnet.layers", "properties and defaults", "in dagnet, where it differs"], _blocks()),
        "## cnn_train_dag, cnn_train\n",
        "`[net, info] = cnn_train_dag(net, imdb, @getBatch, opts)` is `net, info = cnn_train_dag(net, imdb, getBatch, opts)`;\n"
        '`info.train(end).objective` is `info["train"][-1]["objective"]`. In dagnet: `training.trainer.train`, for a\n'
        "SimpleNN with `training.chain.Chain`. derOutputs and extractStatsFn are cnn_train_dag's alone, conserveMemory and\n"
        "those after it cnn_train's.\n",
        _rows(["option", "default", "trainer.train", ""], _options()),
        "## net.print\n",
        _rows(["option", "summary.report"], ([f"`{name}`", f"`{ours}`"] for name, ours in dagnn.PRINT.items())),
        "## Elsewhere\n",
        _rows(["MatConvNet", "dagnet"], ([f"`{name}`", text] for name, text in ELSEWHERE.items())),
    ]
    return "\n".join(parts)


def _rows(head: Sequence[str], rows: Iterator[list[str]] | Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _functions() -> Iterator[list[str]]:
    for name, function in sorted(vars(matconvnet).items()):
        if not name.startswith("vl_"):
            continue
        parameters = inspect.signature(function).parameters.values()
        fixed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        given = [f"[{p.name}]" if p.default is not p.empty else p.name.rstrip("_") for p in fixed]
        options = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        told = ", ".join(f"`{p.name.rstrip('_')}`" + _default(p.default) for p in options)
        yield [f"`{name}({', '.join(given)})`", told, _own(function), _first_line(function)]


def _methods() -> Iterator[list[str]]:
    ours, plain = vars(dagnn.DagNN), dagnet.DagNN()
    for name in sorted({n for n in ours if not n.startswith("_") and "_" not in n} | INHERITED):
        member, own = getattr(dagnn.DagNN, name, None), views.snake_case(name)
        note = _first_line(member) if name in ours else ""
        if hasattr(plain, own):
            yield [f"`{name}`", f"`{own}`", note.removeprefix(f"{own}.").removeprefix(f"{own}; ").strip()]
        else:
            function: Any = getattr(member, "__func__", member)
            mentioned = [f"`{n}`" for n in _names(function) if hasattr(plain, n)]
            yield [f"`{name}`", _own(function) or "".join(mentioned[-1:]), note]


def _fields() -> Iterator[list[str]]:
    for place, cls in {"net.params(i)": Param, "res(i)": Result}.items():
        for name in (field.name for field in dataclasses.fields(cls)):  # type: ignore[arg-type]  # both are dataclasses
            if (theirs := catalogue.camel_case(name)) != name and name not in OURS_ALONE:
                yield [f"`{place}.{theirs}`", f"`{name}`"]


def _blocks() -> Iterator[list[str]]:
    for matlab_type in catalogue.known():
        cls = catalogue.find(matlab_type)
        fields = catalogue.matlab_fields(cls)
        told = ", ".join(f"`{name}`{_default(_value(field))}" for name, field in fields.items())
        other = ", ".join(f"`{field.name}`" for name, field in fields.items() if field.name != name)
        yield [f"`{matlab_type}`", f"`{cls.__module__.removeprefix('dagnet.layers.')}.{cls.__name__}`", told, other]


def _options() -> Iterator[list[str]]:
    for name, option in (training.DAG_OPTIONS | training.SIMPLE_OPTIONS).items():
        yield [f"`{name}`", _plain(option.default), f"`{option.ours}`" if option.ours else "", option.note]


def _own(function: Callable) -> str:
    """What of dagnet's a function calls: `layers.conv.forward`."""
    function = inspect.unwrap(function)
    names, found = _names(function), []
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and value.__name__.startswith("dagnet.") and value is not array:
            found += [f"{_name_of(value)}.{n}" for n in names if inspect.isfunction(getattr(value, n, None))]
        elif inspect.isfunction(value) and not value.__module__.startswith("dagnet.matconvnet"):
            found.append(f"{_name_of(value)}.{name}")
    return ", ".join(f"`{name}`" for name in dict.fromkeys(found))


def _name_of(thing: Any) -> str:
    """The name of a module, or of that where a function stands, without dagnet's own."""
    return (thing.__name__ if isinstance(thing, ModuleType) else thing.__module__).removeprefix("dagnet.")


def _names(function: Callable) -> list[str]:
    """The global names and attributes that a function's code mentions, in order."""
    code: CodeType = inspect.unwrap(function).__code__
    return list(code.co_names)


def _value(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _default(value: Any) -> str:
    return "" if value is None else f" = {_plain(value)}"


def _plain(value: Any) -> str:
    """A value as MATLAB writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, Mapping):
        return "struct()"
    if isinstance(value, list | tuple | np.ndarray):
        texts = [_plain(v) for v in value]
        return f"{{{', '.join(texts)}}}" if any(isinstance(v, str) for v in value) else f"[{' '.join(texts)}]"
    return f"{value:g}"


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]

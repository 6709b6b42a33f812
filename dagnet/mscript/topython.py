"""A network as a Python function that builds it with dagnet, layer by layer: what `dagnet convert --to python` writes.

Values that a script drew at random are drawn anew, of the same distribution; those of a file come from the file again.
"""

import copy
import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from functools import partial
from typing import Any

import numpy as np

from dagnet import simplelayers
from dagnet.dagnn import DagNN
from dagnet.files import fields as matlab
from dagnet.files import writable
from dagnet.graph import LayerRecord
from dagnet.layers import block, catalogue
from dagnet.simplelayers import Layer
from dagnet.simplenn import SimpleNN

from . import origins
from .draws import Draw
from .pythontext import WIDTH, Group, Text, Writer, call, laid_out, listed, quoted

# What the module itself calls so.
TAKEN = {"DagNN", "PathLike", "SimpleNN", "catalogue", "initial", "matvalues", "netfile", "np"}
IMPORTS = {DagNN: "from dagnet import DagNN", SimpleNN: "from dagnet.simplenn import SimpleNN"}


def source(
    net: DagNN | SimpleNN, name: str, script: str, loaded: DagNN | None = None, draws: Sequence[Draw] = ()
) -> str:
    """The text of a module with the function `name`, which gives the network that `script` gave.

    loaded   the network of the file that the script loaded: the function takes that file's path, and values from it
    draws    what the script drew at random: the function draws it anew
    Raises ValueError where something of the network cannot be said in Python.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} cannot be a function's name in Python")
    if name in TAKEN:
        raise ValueError(f"{name!r} is what the module imports; another name is right")
    writing = _Writing(net, name, loaded, draws)
    body = writing.dagnn(net) if isinstance(net, DagNN) else writing.simplenn(net)
    return writing.module(script, body)


class _Writing:
    def __init__(self, net: DagNN | SimpleNN, name: str, loaded: DagNN | None, draws: Sequence[Draw]) -> None:
        self.name = name
        self.kind = DagNN if isinstance(net, DagNN) else SimpleNN
        self.writer = Writer()
        known = {} if loaded is None else {n: p.value for n, p in loaded.params.items() if p.value is not None}
        self.origins = origins.Origins(self.writer, known, draws)
        self.meta_of_file = {} if loaded is None else loaded.meta
        self.modules: dict[str, str] = {}

    # -- the module

    def module(self, script: str, body: list[str]) -> str:
        takes_file, random = self.origins.uses_file, self.origins.uses_rng
        arguments = [*(["path: str | PathLike[str]"] if takes_file else []), *(["seed: int = 0"] if random else [])]
        says = [f'    """The network of {script}, as `dagnet convert --to python` wrote it.', ""]
        says += ["    path   the file with the values that it starts from"] if takes_file else []
        says += ["    seed   of the values that are random"] if random else []
        docstring = [*says, '    """'] if arguments else [f'{says[0]}"""']
        start = ["    rng = np.random.default_rng(seed)"] if random else []
        start += ["    file = netfile.load(path)"] if takes_file else []
        heading = laid_out(
            "def ", Group(f"{self.name}(", [("", a) for a in arguments], f") -> {self.kind.__name__}:"), indent=0
        )
        lines = [*self._imports(takes_file, random), "", "", *heading, *docstring, *start, *body]
        return "\n".join(lines) + "\n"

    def _imports(self, takes_file: bool, random: bool) -> list[str]:
        numpy = random or "import numpy as np" in self.writer.imports
        ours = {IMPORTS[self.kind], *self.writer.imports, *self.modules.values()} - {"import numpy as np"}
        ours |= {"from dagnet.files import netfile"} if takes_file else set()
        groups = [
            ["from os import PathLike"] if takes_file else [],
            ["import numpy as np"] if numpy else [],
            _joined(ours),
        ]
        return "\n\n".join("\n".join(group) for group in groups if group).split("\n")

    # -- a DagNN

    def dagnn(self, net: DagNN) -> list[str]:
        lines = ["    net = DagNN()"]
        for record in net.layers.values():
            lines += self._statement("net.add_layer", self._layer(record))
        lines += self._order(net)
        lines += [f"    net.vars[{quoted(v.name)}].precious = True" for v in net.vars.values() if v.precious]
        lines += self._params(net)
        lines += self._meta("net.meta", net.meta)
        return [*lines, "    return net"]

    def _layer(self, record: LayerRecord) -> list[Text]:
        self.writer.where = f"layer '{record.name}'"
        names = [record.inputs, record.outputs, *([record.params] if record.params else [])]
        shown = [quoted(n[0]) if len(n) == 1 else listed([quoted(one) for one in n]) for n in names]
        return [quoted(record.name), self._block(record.block), *shown]

    def _block(self, its: block.Layer) -> Text:
        if isinstance(its, catalogue.Unknown):
            self.modules["catalogue"] = "from dagnet.layers import catalogue"
            return call("catalogue.Unknown", quoted(its.matlab_type), self.writer.value(its.fields, exact=True))
        home, cls = type(its).__module__, type(its).__name__
        module = home.rpartition(".")[2]
        alias = f"{module}_" if module in ("sum", "net", "rng", "file", "layers", "names", self.name) else module
        place = home.rpartition(".")[0]
        imported = module if alias == module else f"{module} as {alias}"
        self.modules[alias] = f"from {place} import {imported}" if place else f"import {module}"
        keywords: dict[str, Text] = {}
        for f in fields(its):  # type: ignore[arg-type]  # every block is a dataclass
            value = getattr(its, f.name)
            default = f.default if f.default_factory is MISSING else f.default_factory()
            if f.init and (default is MISSING or np.any(value != default)):
                keywords[f.name] = self.writer.value(value)
        first = [keywords.pop("size")] if next(iter(keywords), "") == "size" else []
        return call(f"{alias}.{cls}", *first, **keywords)

    def _order(self, net: DagNN) -> list[str]:
        """Variables and parameters stand in the order of first mention; where the script's net has another, that."""
        lines = []
        for table, parts in ((net.vars, ("inputs", "outputs")), (net.params, ("params",))):
            mentioned = [n for record in net.layers.values() for part in parts for n in getattr(record, part)]
            if list(dict.fromkeys(mentioned)) != list(table):
                kind = "vars" if table is net.vars else "params"
                lines += self._loop(list(table), [f"net.{kind}[name] = net.{kind}.pop(name)"])
        return lines

    def _params(self, net: DagNN) -> list[str]:
        lines = self._values(net)
        fresh = DagNN()
        for record in net.layers.values():
            fresh.add_layer(record.name, copy.copy(record.block), record.inputs, record.outputs, record.params)
        for what in ("learning_rate", "weight_decay", "train_method"):
            changed: dict[Any, list[str]] = {}
            for name, param in net.params.items():
                value = getattr(param, what)
                if value != getattr(fresh.params[name], what):
                    changed.setdefault(value, []).append(name)
            for value, names in changed.items():
                lines += self._loop(names, [f"net.params[name].{what} = {self.writer.value(value)}"])
        return lines

    def _values(self, net: DagNN) -> list[str]:
        left = {name: param.value for name, param in net.params.items() if param.value is not None}
        lines: list[str] = []
        taken = [name for name, value in left.items() if self.origins.in_file(name, value) == name]
        fresh = [
            record
            for record in net.layers.values()
            if record.params
            and not set(record.params) & set(taken)
            and self.origins.is_fresh(record.block, [left.get(name) for name in record.params])
        ]
        if fresh:
            everything = {n for r in fresh for n in r.params} == set(net.params)
            only: list[Text] = [] if everything else [listed([quoted(record.name) for record in fresh])]
            self.origins.uses_rng = True
            lines += self._statement("net.init_params", ["rng", *only])
            taken += [name for record in fresh for name in record.params]
        of_file = [name for name in taken if not any(name in record.params for record in fresh)]
        self.origins.uses_file |= bool(of_file)
        lines += self._loop(of_file, ["net.params[name].value = file.params[name].value"])
        alike: dict[str, tuple[Text, list[str]]] = {}
        for name in (name for name in left if name not in taken):
            text = self.origins.text(name, left[name])
            alike.setdefault(f"{name}: {text}" if "rng" in str(text) else str(text), (text, []))[1].append(name)
        for text, names in alike.values():
            line = f"net.params[name].value = {text}"
            short = len(line) + 8 < WIDTH and len(names) > 1
            lines += self._loop(names, [line]) if short else self._values_of(names, text)
        return lines

    def _values_of(self, names: list[str], text: Text) -> list[str]:
        return self._hoisted(lambda: [s for n in names for s in laid_out(f"net.params[{quoted(n)}].value = ", text)])

    # -- a SimpleNN

    def simplenn(self, net: SimpleNN) -> list[str]:
        parts = []
        for i, layer in enumerate(net.layers, 1):
            self.writer.where = f"layer '{layer['name']}'"
            parts.append(self._dict(layer, i))
        lines = self._hoisted(lambda: laid_out("layers = ", listed(parts)))
        lines.append("    net = SimpleNN(layers)")
        lines += self._meta("net.meta", net.meta)
        return [*lines, "    return net"]

    def _dict(self, layer: Layer, number: int) -> Group:
        parts: list[tuple[str, Text]] = []
        known = simplelayers.KINDS.get(layer["type"])
        defaults = simplelayers.completed({"type": layer["type"]}, number - 1)
        for name, value in layer.items():
            if name == "weights":
                ends = known.ends if known else ""
                names = [layer["name"] + (ends[k] if k < len(ends) else str(k)) for k in range(len(value))]
                shown = [self._weight(n, w) for n, w in zip(names, value, strict=True)]
                if shown:
                    parts.append(('"weights": ', listed(shown)))
            elif name == "type" or name not in defaults or not _same(defaults[name], value):
                parts.append((f"{quoted(name)}: ", self.writer.value(value)))
        parts.sort(key=lambda part: ["type", "name"].index(part[0][1:-3]) if part[0][1:-3] in ("type", "name") else 2)
        return Group("{", parts, "}")

    def _weight(self, name: str, value: np.ndarray) -> Text:
        if not value.size:
            self.writer.imports.add("import numpy as np")
            return f"np.zeros({value.shape}, np.{value.dtype.name})"
        return self.origins.text(name, value)

    # -- statements

    def _meta(self, target: str, meta: dict[str, Any]) -> list[str]:
        lines = []
        for name, value in meta.items():
            self.writer.where = f"meta.{name}"
            text = self._setting(name, value)
            lines += self._hoisted(partial(laid_out, f"{target}[{quoted(name)}] = ", text))
        return lines

    def _setting(self, name: str, value: Any) -> Text:
        """What the file's meta has too comes from there."""
        of_file = self.meta_of_file.get(name)
        if isinstance(value, dict) and isinstance(of_file, dict) and _weighs(value):
            kept = [n for n, v in value.items() if _weighs(v) and n in of_file and _same(v, of_file[n])]
            self.origins.uses_file |= bool(kept)
            parts = [
                (f"{quoted(n)}: ", f"file.meta[{quoted(name)}][{quoted(n)}]" if n in kept else self.writer.value(v))
                for n, v in value.items()
            ]
            return Group("{", parts, "}")
        return self.writer.value(value)

    def _statement(self, function: str, args: Sequence[Text]) -> list[str]:
        return self._hoisted(lambda: laid_out("", call(function, *args)))

    def _hoisted(self, make: Callable[[], list[str]]) -> list[str]:
        """The statement after the variables that it needs."""
        lines = make()
        before, self.writer.hoisted = self.writer.hoisted, []
        return [*before, *lines]

    def _loop(self, names: list[str], body: list[str]) -> list[str]:
        if not names:
            return []
        if len(names) == 1:
            return [f"    {line}".replace("[name]", f"[{quoted(names[0])}]") for line in body]
        head = laid_out("for name in ", listed([quoted(n) for n in names]), ":")
        if len(head) > 1:
            head = self._hoisted(
                lambda: [f"    for name in {self.writer.packed([quoted(n) for n in names], 'names')}:"]
            )
        return [*head, *(f"        {line}" for line in body)]


def _joined(imports: set[str]) -> list[str]:
    """from a import b and from a import c as one, sorted; imports under other names stay alone."""
    gathered: dict[str, list[str]] = {}
    for line in imports:
        place, _, names = line.partition(" import ")
        key = f"{line} " if " as " in line or not names else place
        gathered.setdefault(key, []).append(names)
    lines = [
        key.strip() if key.endswith(" ") else f"{key} import {', '.join(sorted(names))}"
        for key, names in gathered.items()
    ]
    return sorted(lines, key=lambda line: (re.sub(r"^from ", "", line).split(" ")[0], " as " in line, line))


def _weighs(value: Any) -> bool:
    """Whether it holds more than a line of Python does."""
    if isinstance(value, dict):
        return any(map(_weighs, value.values()))
    return isinstance(value, np.ndarray) and value.size > origins.FEW


def _same(a: Any, b: Any) -> bool:
    try:
        return writable.same(matlab.to_matlab(a), matlab.to_matlab(b))
    except ValueError:  # no file can hold one of them
        return False

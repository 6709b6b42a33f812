"""The graph in the language of graphviz, in MatConvNet's dress.

Variables (beige) and parameters (blue) are nodes beside the layers (red): var -> layer -> var, and par -> layer. Edges out of
layers weigh ten times as much as the others, so that graphviz draws the flow of data straight.
Source    matlab/+dagnn/@DagNN/print.m of 1.0-beta25 (its 'dot' format)
"""

import shutil
import subprocess
from collections.abc import Mapping

from dagnet.dagnn import DagNN
from dagnet.layers import block

from . import facts

_STYLES = {
    "var": 'shape=record style="solid,rounded,filled" color=cornsilk4 fillcolor=beige',
    "par": 'shape=record style="solid,rounded,filled" color=lightsteelblue4 fillcolor=lightsteelblue',
    "layer": 'shape=record style="bold,filled" color=tomato4 fillcolor=tomato',
}
# What a record's label would read as its own.
_ESCAPES = {c: f"\\{c}" for c in '{}|<>\\" '} | {"&": "&amp;"}


def text(net: DagNN, sizes: Mapping[str, block.Size]) -> str:
    """A digraph, with the variables' sizes (H, W, C, N) as net.get_var_sizes gives them."""
    lines = [_node("var", f"var_{name}", [name, facts.times(size)]) for name, size in sizes.items()]
    lines += [_node("par", f"par_{p.name}", [p.name, facts.times(facts.dims_of(p))]) for p in net.params.values()]
    for record in net.layers.values():
        lines.append(_node("layer", f"layer_{record.name}", [record.name, facts.type_of(record.block)]))
        lines += [_edge(f"var_{name}", f"layer_{record.name}") for name in record.inputs]
        lines += [_edge(f"layer_{record.name}", f"var_{name}", "weight=10") for name in record.outputs]
        lines += [_edge(f"par_{name}", f"layer_{record.name}", "weight=1") for name in record.params]
    return "\n".join(["digraph DagNN {", "  fontsize=12", *lines, "}"])


def drawn(digraph: str, form: str) -> bytes:
    """The picture that graphviz makes of it, in a form that graphviz knows: "svg", "pdf", "png".

    Raises RuntimeError where graphviz is not installed, ValueError where it refuses.
    """
    if not shutil.which("dot"):
        raise RuntimeError("graphviz is not installed (no program dot); a picture as SVG is drawn without it")
    done = subprocess.run(["dot", f"-T{form}"], input=digraph.encode(), capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"graphviz: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _node(style: str, name: str, fields: list[str]) -> str:
    label = " | ".join("".join(_ESCAPES.get(c, c) for c in field) for field in fields)
    return f'  {_quoted(name)} [label="{{ {label} }}" {_STYLES[style]}]'


def _edge(source: str, target: str, attributes: str = "") -> str:
    return f"  {_quoted(source)} -> {_quoted(target)}" + (f" [{attributes}]" if attributes else "")


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

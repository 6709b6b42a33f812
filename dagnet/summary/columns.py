"""MatConvNet's net.print: tables with a column a layer, a parameter, a variable; or the graph for graphviz.

    func    type, inputs, outputs, params, pad, stride of each layer
    param   dims, mem, fanout           var    dims, mem, fanin, fanout
    params, vars, total                 memory of what has a known size, at 4 bytes a number
    rf in   size, stride, offset: the receptive field of each variable in an input

Dimensions that are all equal are written once (a pad of [1 1 1 1] is 1), as MatConvNet does; ? stands for an unknown one.
Source    MatConvNet manual, section 3.3; matlab/+dagnn/@DagNN/print.m of 1.0-beta25
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord, Param, Table, Var
from dagnet.layers import block, geometry

from . import dot, facts, formats

T = TypeVar("T")
Names = str | Sequence[str]


def report(
    net: DagNN,
    sizes: Mapping[str, Sequence[int]] | None = None,
    *,
    format: str = "ascii",
    all: bool = False,
    layers: Names = "*",
    params: Names | None = None,
    vars: Names | None = None,
    dependencies: bool | None = None,
    memory: bool = True,
    max_num_columns: int = 18,
) -> str:
    """What net.print of MatConvNet prints, as text.

    sizes            (H, W, C, N) of inputs, by name
    format           "ascii", "latex", "csv", or "dot", the graph for graphviz (then the options below count for nothing)
    layers, params,  which ones: a name, a list of names, "*" for all, () for none. Of the parameters none are told unless
    vars             `all`, of the variables none unless `all` or sizes are given
    dependencies     whether the variables' receptive fields in each input are told (default: as `all` says)
    memory           whether the totals are told
    max_num_columns  a table that has more is wrapped; a csv never is

    Raises ValueError for an unknown format or a size that does not fit, KeyError for a name that the net does not have.
    """
    formats.check(format, "dot", "digraph")
    made = net.get_var_sizes(sizes or {})
    if format in ("dot", "digraph"):
        return dot.text(net, made)
    chosen_vars = _chosen(net.vars, ("*" if sizes or all else ()) if vars is None else vars)
    chosen_params = _chosen(net.params, ("*" if all else ()) if params is None else params)
    tables = [_functions(_chosen(net.layers, layers)), _params(chosen_params), _vars(chosen_vars, made)]
    if memory:
        tables.append(_totals(net, made))
    if all if dependencies is None else dependencies:
        tables += [_fields(name, net.get_var_receptive_fields(name), chosen_vars) for name in net.inputs]
    return formats.text(tables, format, max_num_columns)


def _chosen(table: Table[T], names: Names) -> list[T]:
    if names == "*":
        return list(table.values())
    return [table[name] for name in ([names] if isinstance(names, str) else names)]


def _functions(records: Sequence[LayerRecord]) -> formats.Table:
    columns = []
    for record in records:
        slides = facts.window_of(record.block)
        names = [" ".join(part) for part in (record.inputs, record.outputs, record.params)]
        settings = ["n/a" if v is None else facts.brief(v) for v in (slides.pad, slides.stride)]
        columns.append([record.name, facts.kind_of(record.block), *names, *settings])
    return formats.Table(["func", "type", "inputs", "outputs", "params", "pad", "stride"], columns)


def _params(params: Sequence[Param]) -> formats.Table:
    columns = []
    for param in params:
        dims = facts.dims_of(param)
        columns.append([param.name, facts.brief(dims), formats.memory(facts.bytes_of(dims)), str(param.fanout)])
    return formats.Table(["param", "dims", "mem", "fanout"], columns)


def _vars(variables: Sequence[Var], sizes: Mapping[str, block.Size]) -> formats.Table:
    columns = []
    for var in variables:
        size = sizes[var.name]
        columns.append(
            [var.name, facts.brief(size), formats.memory(facts.bytes_of(size)), str(var.fanin), str(var.fanout)]
        )
    return formats.Table(["var", "dims", "mem", "fanin", "fanout"], columns)


def _totals(net: DagNN, sizes: Mapping[str, block.Size]) -> formats.Table:
    params, variables = facts.memory_of(net, sizes)
    made = {"params": params, "vars": variables, "total": params + variables}
    return formats.Table(["", "mem"], [[name, formats.memory(size)] for name, size in made.items()])


def _fields(
    source: str, fields: Mapping[str, geometry.ReceptiveField | None], variables: Sequence[Var]
) -> formats.Table:
    columns = []
    for var in variables:
        field = fields[var.name]
        told = ["n/a"] * 3 if field is None else [facts.brief(v) for v in (field.size, field.stride, field.offset)]
        columns.append([var.name, *told])
    return formats.Table([f"rf in '{source}'", "size", "stride", "offset"], columns)

"""Loads networks from .mat files as MatConvNet does (DagNN.loadobj), and saves them for it (DagNN.saveobj).

A file holds a DagNN or a SimpleNN, in a variable `net` or field by field at its top level. A block that the catalogue does
not know is kept as it is (catalogue.Unknown) and named in a warning.
What nobody changed is written back as it stood in the file, see infile.
Source    matlab/+dagnn/@DagNN/loadobj.m, saveobj.m of 1.0-beta25
"""

import copy
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import Param, Table, Var
from dagnet.simplenn import SimpleNN

from . import fields, infile, matfile, matvalues, releases, simplenn

PARAM = ("name", "value", "learningRate", "weightDecay")  # the fields of a parameter, in MATLAB's order
PARTS = ("vars", "params", "layers", "meta")  # of a DagNN, in the order in which MATLAB writes them


def load(path: str | os.PathLike, canonical_names: bool = False, *, own_epsilon: bool = False) -> DagNN:
    """The network of a .mat file, a DagNN, or a SimpleNN, which becomes a DagNN; the options are from_simplenn's.

    Warns, once, where blocks are not known. Raises FileNotFoundError, OSError, or ValueError naming the file and the place
    in it where something is not as MatConvNet writes it.
    """
    return from_struct(_read(path), str(path), canonical_names, own_epsilon=own_epsilon)


def load_simplenn(path: str | os.PathLike) -> SimpleNN:
    """The network of a .mat file that holds a SimpleNN, of any age, as what it is.

    Raises FileNotFoundError, OSError, or ValueError naming the file where something is not as MatConvNet writes it, or where
    it holds a DagNN.
    """
    struct = _struct(_read(path), str(path))
    if not _is_cell(struct["layers"]):
        raise ValueError(f"{path}: it holds a DagNN; load is right, or a file with a SimpleNN")
    return simplenn.tidy(struct, str(path))


def save(
    net: DagNN | SimpleNN,
    path: str | os.PathLike,
    *,
    version: matfile.Version | None = None,
    release: str | None = None,
) -> None:
    """Saves the network so that MATLAB gives it back; the old file stays until the new one is whole.

    A DagNN comes back by dagnn.DagNN.loadobj(load(path)), a SimpleNN by load(path) alone.
    version   of the MAT-file: "7", or "7.3", which it is by itself where the parameters take more than 2 GB
    release   of MatConvNet, one of releases.RELEASES, that shall load the DagNN: its properties are written and no later
              ones. Default: those that the network's own file had, and of a new network beta25's
    Raises OSError where path cannot be written, ValueError where a block's class is not registered, for a block that the
    release could not run, and for what a .mat file cannot hold, such as what only MATLAB can write in a kept unknown block.
    """
    matfile.write(path, to_struct(net, release), version)


def from_struct(struct: Any, where: str = "net", canonical_names: bool = False, *, own_epsilon: bool = False) -> DagNN:
    """The DagNN that a struct as saved by DagNN or SimpleNN describes; `where` names it in messages.

    Warns and raises ValueError as load does.
    """
    struct = _struct(struct, where)
    if _is_cell(struct["layers"]):
        return simplenn.from_simplenn(struct, canonical_names, where, own_epsilon=own_epsilon)
    if unknown := [field for field in struct if field not in PARTS]:
        raise ValueError(f"{where}: a DagNN has no field {unknown[0]}; {', '.join(PARTS)} are right")
    net = DagNN()
    for i, record in enumerate(_records(struct, "layers", where)):
        _add_layer(net, record, f"{where}: layers({i + 1})")
    for i, record in enumerate(_records(struct, "params", where)):
        _set_param(net, record, f"{where}: params({i + 1})")
    fields.pad_filters(net)
    for i, record in enumerate(_records(struct, "vars", where)):
        if _field(record, "name", f"{where}: vars({i + 1})") in net.vars:
            _set_var(net.vars[record["name"]], record)
    for table, part in ((net.vars, "vars"), (net.params, "params")):
        _order(table, [record["name"] for record in _records(struct, part, where)])
    net.meta = fields.meta_of(struct, where)
    if "meta" in struct and not net.meta:
        net.in_file["meta"] = struct["meta"]
    fields.warn_of_unknown(net, where)
    return net


def to_struct(net: DagNN | SimpleNN, release: str | None = None) -> dict[str, Any]:
    """The struct that MATLAB's net.saveobj() gives, in matvalues' terms; values come from the GPU where they are there.

    Of a SimpleNN it is what vl_simplenn_tidy gives.
    release as in save. Raises ValueError, naming the layer, for a block whose class is not registered, and for one that the
    release could not run.
    """
    if isinstance(net, SimpleNN):
        return simplenn.to_struct(net)
    releases.check(release)
    variables = [{"name": v.name, "precious": infile.field(v, "precious", v.precious)} for v in net.vars.values()]
    params = [
        {
            "name": p.name,
            "value": infile.field(p, "value", None) if p.value is None else fields.column(p.value),
            "learningRate": infile.field(p, "learningRate", float(p.learning_rate)),
            "weightDecay": infile.field(p, "weightDecay", float(p.weight_decay)),
        }
        for p in net.params.values()
    ]
    methods = {p.name: p.train_method for p in net.params.values()}
    if methods != _attached_methods(net):  # else MatConvNet's loading finds them without it
        params = [record | {"trainMethod": methods[record["name"]]} for record in params]
    layers = [
        {
            "name": record.name,
            "type": infile.type_of(record),
            "inputs": infile.field(record, "inputs", record.inputs),
            "outputs": infile.field(record, "outputs", record.outputs),
            "params": infile.field(record, "params", record.params),
            "block": infile.properties(record, release),
        }
        for record in net.layers.values()
    ]
    return {
        "vars": matvalues.struct_array(("name", "precious"), variables),
        "params": matvalues.struct_array(tuple(params[0]) if params else PARAM, params),
        "layers": matvalues.struct_array(("name", "type", "inputs", "outputs", "params", "block"), layers),
        "meta": fields.to_matlab(net.meta or net.in_file.get("meta")),  # [] in a DagNN that nobody gave any
    }


# ---------------------------------------------------------------- details


def _read(path: str | os.PathLike) -> Any:
    """The variable `net` of a file, or the parts of a network that stand in it one by one."""
    values = matfile.read(path, ("net", *PARTS, *simplenn.OLD_META))
    if "net" in values:
        return values["net"]
    if "layers" in values:
        wanted = (*PARTS, *simplenn.OLD_META) if _is_cell(values["layers"]) else PARTS
        return {field: values[field] for field in wanted if field in values}
    values = matfile.read(path)
    for value in values.values():
        if isinstance(value, matvalues.Foreign):
            return value  # of which _struct says what to do about it
    names = ", ".join(f"{n} ({matvalues.class_of(v)})" for n, v in values.items())
    raise ValueError(f"{path}: it holds no network, only {names or 'nothing'}; a variable `net` or `layers` is right")


def _struct(struct: Any, where: str) -> dict[str, Any]:
    """The struct of a network itself. Raises ValueError for anything else."""
    if isinstance(struct, matvalues.Foreign):
        raise ValueError(
            f"{where}: net is {struct}, not a struct; in MATLAB run "
            "net = net.saveobj(); save('file.mat', '-struct', 'net')  and load that file"
        )
    if not isinstance(struct, dict) or "layers" not in struct:
        raise ValueError(f"{where}: net is {matvalues.describe(struct)}; a struct with a field `layers` is right")
    return struct


def _is_cell(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def _records(struct: dict[str, Any], field: str, where: str) -> Iterable[dict[str, Any]]:
    if field not in struct:  # files made by MatConvNet's Caffe importer have no vars
        return []
    try:
        return matvalues.structs(struct[field])
    except TypeError as error:
        raise ValueError(f"{where}: {field}: {error}") from error


def _field(record: dict[str, Any], field: str, where: str) -> str:
    value = record.get(field)
    if not isinstance(value, str) or not value:
        found = "absent" if value is None else matvalues.describe(value)
        raise ValueError(f"{where}.{field} is {found}; a text is right")
    return value


def _names(record: dict[str, Any], field: str, where: str) -> list[str]:
    try:
        names = matvalues.items(record.get(field, ""))
    except TypeError as error:
        raise ValueError(f"{where}.{field}: {error}") from error
    if not all(isinstance(n, str) for n in names):
        raise ValueError(f"{where}.{field} holds something else than names; a cell of texts is right")
    return names


def _add_layer(net: DagNN, record: dict[str, Any], where: str) -> None:
    name, matlab_type = _field(record, "name", where), _field(record, "type", where)
    where = f"{where} '{name}'"
    properties = record.get("block", {})
    if isinstance(properties, np.ndarray) and not properties.size:
        properties = {}
    if not isinstance(properties, dict):
        raise ValueError(f"{where}.block is {matvalues.describe(properties)}; a struct is right")
    layer = infile.read_block(matlab_type, properties, f"{where}.block")
    try:
        net.add_layer(name, layer, *(_names(record, field, where) for field in ("inputs", "outputs", "params")))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    net.layers[name].in_file = record


def _attached_methods(net: DagNN) -> dict[str, str]:
    """By parameter, the train_method that the blocks give it."""
    fresh = {name: Param(name) for name in net.params}
    for record in net.layers.values():
        copy.copy(record.block).attach([fresh[name] for name in record.params])
    return {name: param.train_method for name, param in fresh.items()}


def _set_var(var: Var, record: dict[str, Any]) -> None:
    var.in_file = record
    if "precious" in record:
        var.precious = infile.MEANINGS["precious"](record["precious"])


def _order(table: Table, names: Sequence[str]) -> None:
    """Gives the entries the order of the names; those that are not among them come last."""
    entries = {name: table[name] for name in dict.fromkeys([*names, *table]) if name in table}
    table.clear()
    table.update(entries)


def _set_param(net: DagNN, record: dict[str, Any], where: str) -> None:
    name = _field(record, "name", where)
    if name not in net.params:  # no layer uses it: MatConvNet drops it too
        return
    param = net.params[name]
    where = f"{where} '{name}'"
    if "value" in record:
        param.value = fields.parameter(record["value"], f"{where}.value")
    param.in_file = {field: value for field, value in record.items() if field != "value" or param.value is None}
    for field, ours in (("learningRate", "learning_rate"), ("weightDecay", "weight_decay")):
        if field in record:
            if np.size(record[field]) != 1:
                raise ValueError(f"{where}.{field} is {matvalues.describe(record[field])}; one number is right")
            setattr(param, ours, infile.MEANINGS[field](record[field]))
    if isinstance(record.get("trainMethod"), str):
        param.train_method = record["trainMethod"]

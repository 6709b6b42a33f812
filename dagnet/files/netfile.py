"""Loads networks from .mat files as MatConvNet does (DagNN.loadobj), and saves them for it (DagNN.saveobj).

A file holds a DagNN or a SimpleNN, in a variable `net` or field by field at its top level. A block that the catalogue does
not know is kept as it is (catalogue.Unknown) and named in a warning.
Source    matlab/+dagnn/@DagNN/loadobj.m, saveobj.m of 1.0-beta25
"""

import inspect
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import block, catalogue
from dagnet.simplenn import SimpleNN

from . import fields, matfile, matvalues, simplenn

PARTS = ("vars", "params", "layers", "meta")  # of a DagNN, in the order in which MATLAB writes them

# MatConvNet's pooling has this property from its base class, and no use for it.
POOLING_DILATE = [1, 1]

# The property came with beta20; what wrote a batch normalisation without it is beta18, which had this number built in.
EPSILON_OF_BETA18 = 1e-3


def load(path: str | os.PathLike, canonical_names: bool = False) -> DagNN:
    """The network of a .mat file, a DagNN or a SimpleNN, which becomes a DagNN (with canonical_names: see from_simplenn).

    Warns, once, where blocks are not known. Raises FileNotFoundError, OSError, or ValueError naming the file and the place
    in it where something is not as MatConvNet writes it.
    """
    return from_struct(_read(path), str(path), canonical_names)


def load_simplenn(path: str | os.PathLike) -> SimpleNN:
    """The network of a .mat file that holds a SimpleNN, of any age, as what it is.

    Raises FileNotFoundError, OSError, or ValueError naming the file where something is not as MatConvNet writes it, or where
    it holds a DagNN.
    """
    struct = _struct(_read(path), str(path))
    if not _is_cell(struct["layers"]):
        raise ValueError(f"{path}: it holds a DagNN; load is right, or a file with a SimpleNN")
    return simplenn.tidy(struct, str(path))


def save(net: DagNN | SimpleNN, path: str | os.PathLike) -> None:
    """Saves the network so that MATLAB gives it back; the old file stays until the new one is whole.

    A DagNN comes back by dagnn.DagNN.loadobj(load(path)), a SimpleNN by load(path) alone.
    Raises OSError where path cannot be written, ValueError where a block's class is not registered, and for what a .mat file
    cannot hold, such as what only MATLAB can write in a kept unknown block.
    """
    matfile.write(path, simplenn.to_struct(net) if isinstance(net, SimpleNN) else to_struct(net))


def from_struct(struct: Any, where: str = "net", canonical_names: bool = False) -> DagNN:
    """The DagNN that a struct as saved by DagNN or SimpleNN describes; `where` names it in messages.

    Warns and raises ValueError as load does.
    """
    struct = _struct(struct, where)
    if _is_cell(struct["layers"]):
        return simplenn.from_simplenn(struct, canonical_names, where)
    if unknown := [field for field in struct if field not in PARTS]:
        raise ValueError(f"{where}: a DagNN has no field {unknown[0]}; {', '.join(PARTS)} are right")
    net = DagNN()
    for i, record in enumerate(_records(struct, "layers", where)):
        _add_layer(net, record, f"{where}: layers({i + 1})")
    for i, record in enumerate(_records(struct, "params", where)):
        _set_param(net, record, f"{where}: params({i + 1})")
    fields.pad_filters(net)
    for i, record in enumerate(_records(struct, "vars", where)):
        if _field(record, "name", f"{where}: vars({i + 1})") in net.vars and "precious" in record:
            net.vars[record["name"]].precious = bool(np.any(record["precious"]))
    net.meta = fields.meta_of(struct, where)
    fields.warn_of_unknown(net, where)
    return net


def to_struct(net: DagNN) -> dict[str, Any]:
    """The struct that MATLAB's net.saveobj() gives, in matvalues' terms; values come from the GPU where they are there.

    Raises ValueError, naming the layer, for a block whose class is not registered.
    """
    variables = [{"name": v.name, "precious": v.precious} for v in net.vars.values()]
    params = [
        {
            "name": p.name,
            "value": fields.column(p.value),
            "learningRate": float(p.learning_rate),
            "weightDecay": float(p.weight_decay),
        }
        for p in net.params.values()
    ]
    layers = [
        {
            "name": record.name,
            "type": _type_of(record),
            "inputs": matvalues.row(record.inputs),
            "outputs": matvalues.row(record.outputs),
            "params": matvalues.row(record.params),
            "block": _properties(record.block),
        }
        for record in net.layers.values()
    ]
    return {
        "vars": matvalues.struct_array(("name", "precious"), variables),
        "params": matvalues.struct_array(("name", "value", "learningRate", "weightDecay"), params),
        "layers": matvalues.struct_array(("name", "type", "inputs", "outputs", "params", "block"), layers),
        "meta": fields.to_matlab(net.meta) if net.meta else np.zeros((0, 0)),  # as in a DagNN that nobody gave any
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
    layer = fields.make_block(matlab_type, _adapted(matlab_type, properties, where), f"{where}.block")
    try:
        net.add_layer(name, layer, *(_names(record, field, where) for field in ("inputs", "outputs", "params")))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _adapted(matlab_type: str, properties: dict[str, Any], where: str) -> dict[str, Any]:
    """The properties as blocks here have them, whatever release wrote them."""
    properties = dict(properties)
    if matlab_type == "dagnn.Pooling" and np.any(np.ravel(properties.pop("dilate", 1)) != 1):
        raise ValueError(f"{where}.block.dilate is not 1; pooling knows no dilation")
    if matlab_type == "dagnn.BatchNorm":
        properties.setdefault("epsilon", EPSILON_OF_BETA18)
    return properties


def _type_of(record: LayerRecord) -> str:
    try:
        return catalogue.name_of(record.block)
    except LookupError as error:
        raise ValueError(f"layer '{record.name}' cannot be saved: {error}") from error


def _properties(layer: block.Layer) -> dict[str, Any]:
    """The block's properties as its file has them: a class's own ones first, then those of its base classes."""
    properties = catalogue.to_matlab(layer)
    if isinstance(layer, catalogue.Unknown):
        return properties
    matlab_type = catalogue.name_of(layer)
    if matlab_type == "dagnn.Pooling":
        properties["dilate"] = POOLING_DILATE
    if matlab_type == "dagnn.BatchNorm":
        properties["numChannels"] = properties["numChannels"] or None
    own: dict[str, int] = {}
    for depth, cls in enumerate(type(layer).__mro__):
        own |= {catalogue.camel_case(name): depth for name in inspect.get_annotations(cls) if name not in own}
    own |= {"pad": 9, "stride": 9, "dilate": 9}  # there they come from a base class, dagnn.Filter
    return {name: fields.to_matlab(properties[name]) for name in sorted(properties, key=lambda n: own.get(n, 0))}


def _set_param(net: DagNN, record: dict[str, Any], where: str) -> None:
    name = _field(record, "name", where)
    if name not in net.params:  # no layer uses it: MatConvNet drops it too
        return
    param = net.params[name]
    where = f"{where} '{name}'"
    if "value" in record:
        param.value = fields.parameter(record["value"], f"{where}.value")
    for field, ours in (("learningRate", "learning_rate"), ("weightDecay", "weight_decay")):
        if field in record:
            if np.size(record[field]) != 1:
                raise ValueError(f"{where}.{field} is {matvalues.describe(record[field])}; one number is right")
            setattr(param, ours, float(np.ravel(record[field])[0]))
    if isinstance(record.get("trainMethod"), str):
        param.train_method = record["trainMethod"]

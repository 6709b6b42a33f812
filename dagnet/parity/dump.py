"""A dump: one evaluation of a network in MATLAB with all that it computed, as dagnet_dump.m writes it.

The file holds a struct `dump`:
    mode         'normal' or 'test'
    inputs       cell {name, value, ...}, as they were given to eval
    derOutputs   the same for the derivatives to start from; empty for a forward pass alone
    vars         struct array with name, value, der
    params       struct array with name, der
Shapes are MATLAB's; here data has four dimensions again. What MATLAB has as [] is None. MatConvNet leaves the derivatives of
an earlier evaluation where a later one goes forward alone: without derOutputs they are not read.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagnet.files import matfile, matvalues
from dagnet.layers import array

PARTS = ("mode", "inputs", "derOutputs", "vars", "params")


@dataclass
class Dump:
    """What a dump holds, by name: values and derivatives of variables, derivatives of parameters; absent where it has none."""

    mode: str
    inputs: dict[str, np.ndarray]
    der_outputs: dict[str, np.ndarray]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    ders: dict[str, np.ndarray] = field(default_factory=dict)
    param_ders: dict[str, np.ndarray] = field(default_factory=dict)

    def value(self, name: str) -> np.ndarray | None:
        """The value of a variable; of an input also where it stands among the inputs alone."""
        return self.values.get(name, self.inputs.get(name))


def load(path: str | os.PathLike) -> Dump:
    """The dump in a .mat file of any version. Raises OSError, or ValueError naming the file and what is wrong in it."""
    values = matfile.read(path)
    if "dump" not in values:
        found = ", ".join(f"{n} ({matvalues.class_of(v)})" for n, v in values.items()) or "nothing"
        raise ValueError(
            f"{path}: it holds no dump, only {found}; `dagnet parity --matlab` prints the function that makes one"
        )
    struct = values["dump"]
    if not isinstance(struct, dict) or (missing := [part for part in PARTS if part not in struct]):
        lacks = f" without {', '.join(missing)}" if isinstance(struct, dict) else ""
        raise ValueError(
            f"{path}: dump is {matvalues.describe(struct)}{lacks}; a struct of {', '.join(PARTS)} is right"
        )
    if struct["mode"] not in ("normal", "test"):
        raise ValueError(f"{path}: dump.mode is {matvalues.describe(struct['mode'])}; 'normal' or 'test' is right")
    dump = Dump(
        struct["mode"],
        _pairs(struct["inputs"], f"{path}: dump.inputs"),
        _pairs(struct["derOutputs"], f"{path}: dump.derOutputs"),
    )
    if not dump.inputs:
        raise ValueError(f"{path}: dump.inputs is empty; a cell {{name, value, ...}} is right")
    for i, record in enumerate(_records(struct["vars"], f"{path}: dump.vars")):
        where = f"{path}: dump.vars({i + 1})"
        _keep(dump.values, record, "value", where)
        _keep(dump.ders if dump.der_outputs else {}, record, "der", where)
    for i, record in enumerate(_records(struct["params"], f"{path}: dump.params")):
        _keep(dump.param_ders if dump.der_outputs else {}, record, "der", f"{path}: dump.params({i + 1})")
    if not (dump.values.keys() - dump.inputs.keys() or dump.ders or dump.param_ders):
        raise ValueError(f"{path}: dump holds inputs alone; one made with net.conserveMemory = false holds more")
    return dump


def _pairs(cell: Any, where: str) -> dict[str, np.ndarray]:
    try:
        items = matvalues.items(cell)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error
    names, values = items[::2], items[1::2]
    if len(names) != len(values) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{where} has {len(items)} elements; pairs of a name and a value are right")
    return {name: _data(value, f"{where} '{name}'") for name, value in zip(names, values, strict=True)}


def _records(value: Any, where: str) -> list[dict[str, Any]]:
    try:
        return matvalues.structs(value)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _keep(table: dict[str, np.ndarray], record: dict[str, Any], what: str, where: str) -> None:
    """Puts the record's value or der, unless it is [], into the table."""
    name = record.get("name")
    if not isinstance(name, str) or what not in record:
        raise ValueError(f"{where} has the fields {', '.join(record)}; a name (a text) and a {what} are right")
    if np.size(record[what]):
        table[name] = _data(record[what], f"{where}.{what} '{name}'")


def _data(value: Any, where: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        raise ValueError(f"{where} is {matvalues.describe(value)}; a numeric array is right")
    try:
        return array.channels_last(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error

"""Dumps as dagnet_dump.m writes them: of a run here, and of the runs that the golden files record."""

from pathlib import Path

import numpy as np

from dagnet import DagNN, SimpleNN
from dagnet.files import matfile, matvalues, netfile
from dagnet.training import profile
from tests import recorded, recorded_simplenn

EMPTY = np.zeros((0, 0))


def record(net: DagNN, inputs: dict, der_outputs: dict | None = None) -> dict:
    """The struct `dump` of a run of the net, which is a copy's, so that it may be spoiled before it is written."""
    net = net.copy()
    net.conserve_memory = False
    net.eval(inputs, der_outputs)
    return struct(
        net.mode,
        inputs,
        der_outputs or {},
        {name: (var.value, var.der) for name, var in net.vars.items()},
        {name: param.der for name, param in net.params.items()},
    )


def struct(mode: str, inputs: dict, der_outputs: dict, variables: dict, param_ders: dict) -> dict:
    """The struct `dump` from values and derivatives by name."""
    records = [{"name": n, "value": _matlab(v), "der": _matlab(d)} for n, (v, d) in variables.items()]
    ders = [{"name": n, "der": _matlab(d)} for n, d in param_ders.items()]
    return {
        "mode": mode,
        "inputs": _pairs(inputs),
        "derOutputs": _pairs(der_outputs),
        "vars": matvalues.struct_array(("name", "value", "der"), records),
        "params": matvalues.struct_array(("name", "der"), ders),
    }


def write(folder: Path, net: DagNN | SimpleNN, dump: dict) -> tuple[Path, Path]:
    """The files of the net and of the dump."""
    netfile.save(net, folder / "net.mat")
    matfile.write(folder / "dump.mat", {"dump": dump})
    return folder / "net.mat", folder / "dump.mat"


def golden(file: str, dtype: str, release: str) -> tuple[DagNN, dict]:
    """The net of a golden fcn_*.mat before its first step, and its first batch (or evalIndex) as a dump."""
    run = recorded.load(file)
    net = recorded.build(run, dtype, release)
    profile.apply(net, release)
    if "evalIndex" in run:
        inputs = recorded.inputs(run["images"]["input"], run["images"]["label"], run["evalIndex"], dtype)
    else:
        number = {"single": np.float32, "double": np.float64}[dtype]
        inputs = {name: run["batches"][0][name].astype(number) for name in ("input", "label")}
    variables = {name: (value, run["vars_der"].get(name)) for name, value in run["vars"].items()}
    return net, struct("normal", inputs, {"objective": 1.0}, variables, run["params_der"])


def golden_simplenn(dtype: str) -> tuple[SimpleNN, dict]:
    """The SimpleNN of golden's simplenn.mat, and its recorded run as dagnet_dump.m names it."""
    run = recorded_simplenn.load(dtype)
    net = recorded_simplenn.build(run)
    variables = {f"x{i}": (x, der) for i, (x, der) in enumerate(zip(run["res_x"], run["res_dzdx"], strict=True))}
    ders = {}
    for i, (kind, weights) in enumerate(zip(run["types"], run["res_dzdw"], strict=False), 1):
        for letter, der in zip("mbx" if kind == "bnorm" else "fb", weights, strict=False):
            ders[f"layer{i}{letter}"] = der
    return net, struct("normal", {"x0": run["x"], "label": run["c"]}, {f"x{len(run['types'])}": 1.0}, variables, ders)


def value(dump: dict, name: str) -> dict:
    """The record of a variable or parameter in the dump, to change it."""
    records = [*matvalues.structs(dump["vars"]), *matvalues.structs(dump["params"])]
    return next(r for r in records if r["name"] == name)


def _matlab(array) -> np.ndarray:
    return EMPTY if array is None else np.atleast_2d(np.asarray(array))


def _pairs(named: dict) -> np.ndarray:
    return matvalues.row([v for name, array in named.items() for v in (name, _matlab(array))])


def shown(dump: dict, name: str, array: np.ndarray) -> dict:
    """The dump in which an input is said to have been another one."""
    names, values = dump["inputs"].flat[::2], dump["inputs"].flat[1::2]
    given = {n: array if n == name else v for n, v in zip(names, values, strict=True)}
    value(dump, name)["value"] = array
    return dump | {"inputs": _pairs(given)}

"""Checkpoints of training, `net-epoch-N.mat`, as cnn_train_dag and cnn_train write them, so that either side can go on.

A file holds `net`; `state`, from beta21 on, with the solver's memory of each parameter (cell `solverState`, called `momentum`
up to beta23; before, the layers of a SimpleNN held theirs); and `stats`, which comes last, with one record an epoch for `train`
and `val`. One that was written here has `dagnet` too, a struct that names the training's profile; MatConvNet, which asks for
its own variables, takes no notice.

`net-paused.mat` is a checkpoint too, of a training that was stopped inside an epoch: its `stats` are those of the epochs that
are done, and its `dagnet` says how far the next one is.
"""

import os
import re
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dagnet import simplelayers
from dagnet.dagnn import DagNN
from dagnet.simplenn import SimpleNN

from . import fields, matfile, matvalues, netfile, writable

PAUSED = "net-paused.mat"
NAME = re.compile(r"net-epoch-(\d+)\.mat")
VARIABLES = ("net", "state", "stats", "info", "dagnet")  # of these a checkpoint is read
NONE = np.zeros((0, 0))
Record = dict[str, Any]  # one epoch's num, time, objective ...: numbers, or arrays where a block averages several
Stats = dict[str, list[Record]]  # "train" and "val", one record an epoch


@dataclass
class Checkpoint:
    """What training needs to go on.

    net     the network, on the CPU
    state   by parameter, what the solver keeps: the momentum, shaped like the value, or a dict of arrays (adam's m, v, t).
            Parameters of which it keeps nothing are absent, as all are in files of beta20 and before
    stats   "train" and "val": one dict of statistics an epoch
    profile the release that was followed, a name of training.profile; None where MatConvNet wrote the file
    state_field   what the state is called in the file: "solverState", "momentum" up to beta23, None where there is none
    paused  of a training that was stopped inside an epoch, what training.pausing wrote of it; else None
    """

    net: DagNN
    state: dict[str, Any]
    stats: Stats
    profile: str | None = None
    state_field: str | None = "solverState"
    paused: str | None = None

    @property
    def epoch(self) -> int:
        """How many epochs it has behind it."""
        return len(self.stats["train"])


def path_of(exp_dir: str | os.PathLike, epoch: int) -> Path:
    """Where the checkpoint of an epoch lies: exp_dir/net-epoch-N.mat."""
    return Path(exp_dir) / f"net-epoch-{epoch}.mat"


def epoch_of(path: Path) -> int | None:
    """The epoch that a checkpoint's name tells; None for another file's name."""
    found = NAME.fullmatch(path.name)
    return int(found[1]) if found else None


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a .mat file holds a checkpoint, told by the names of its variables. Raises as load does where it is damaged."""
    return _is_whole(matfile.names(path))


def load(path: str | os.PathLike, canonical_names: bool = False) -> Checkpoint:
    """The checkpoint in a file, of a DagNN or a SimpleNN (which becomes a DagNN, its state with it).

    canonical_names as for netfile.load. Raises FileNotFoundError, OSError, or ValueError where the file is damaged, or no whole
    checkpoint.
    """
    values = matfile.read(path, VARIABLES)
    if not _is_whole(values):
        found = ", ".join(values) or "none of them"
        raise ValueError(f"{path}: it is no whole checkpoint: it should hold net and stats and holds {found}")
    return _from_values(values, str(path), canonical_names)


def save(
    path: str | os.PathLike,
    net: DagNN | SimpleNN,
    state: Mapping[str, Any] | None,
    stats: Mapping[str, Sequence[Record]],
    *,
    state_field: str | None = "solverState",
    profile: str | None = None,
    paused: str | None = None,
    version: matfile.Version | None = None,
    release: str | None = None,
) -> None:
    """Writes a checkpoint as beta24, beta25 and master read it; the old file stays until the new one is whole.

    `state`, `stats`, `profile` and `paused` are as in Checkpoint; a SimpleNN's parameters are called as its DagNN's would be.
    Those that state does not name get 0, as MatConvNet has it, and None is written as its [], where nothing is to be kept.
    state_field: its name in an older release, None for those that write no state. version and release are as for netfile.save:
    version 7.3 is taken where one of net and state has more than 2 GB.
    Raises OSError where path cannot be written, ValueError for what a .mat file cannot hold or the release could not run.
    """
    matfile.write(path, _variables(net, state, stats, state_field, profile, paused, release), version)


def check(net: DagNN | SimpleNN, stats: Mapping[str, Sequence[Record]], release: str | None = None) -> None:
    """Raises ValueError where save would refuse the network or the statistics; writes nothing."""
    writable.check(_variables(net, {}, stats, release=release))


def all_in(exp_dir: str | os.PathLike) -> list[Path]:
    """The checkpoints of a folder, whole or not, the newest first; none where there is no folder."""
    found = {epoch: p for p in Path(exp_dir).glob("net-epoch-*.mat") if (epoch := epoch_of(p)) is not None}
    return [path for _, path in sorted(found.items(), reverse=True)]


def load_last(exp_dir: str | os.PathLike) -> tuple[Path, Checkpoint] | None:
    """The newest whole checkpoint of a folder, and where it lies; None where there is none (or no folder).

    A damaged or partial one is passed over with a warning that names it. Each file is read once.
    Raises ValueError where a whole one holds what load refuses.
    """
    for path in all_in(exp_dir):
        try:
            values = matfile.read(path, VARIABLES)
        except (ValueError, OSError) as error:
            reason = str(error)
        else:
            if _is_whole(values):
                return path, _from_values(values, str(path))
            reason = f"{path}: it holds no net, or no stats: it was written in part only"
        warnings.warn(f"passed over a checkpoint that is not whole: {reason}", stacklevel=2)
    return None


# ---------------------------------------------------------------- details


def _is_whole(values: Container[str]) -> bool:
    """Whether the variables of a file are those of a checkpoint: stats, formerly info, is written last."""
    return "net" in values and ("stats" in values or "info" in values)


def _from_values(values: dict[str, Any], where: str, canonical_names: bool = False) -> Checkpoint:
    net = netfile.from_struct(values["net"], where, canonical_names)
    stats = values["stats"] if "stats" in values else _stats_of_info(values["info"])
    state, field = _state(values.get("state"), values["net"], net, where), _state_field(values.get("state"))
    ours = values.get("dagnet")
    profile, paused = (None, None) if ours is None else (_profile(ours, where), ours.get("paused"))
    return Checkpoint(net, state, _stats(stats, where), profile, field, paused)


def _variables(
    net: DagNN | SimpleNN,
    state: Mapping[str, Any] | None,
    stats: Mapping[str, Sequence[Record]],
    state_field: str | None = "solverState",
    profile: str | None = None,
    paused: str | None = None,
    release: str | None = None,
) -> dict[str, Any]:
    """What save writes."""
    variables: dict[str, Any] = {"net": netfile.to_struct(net, release)}
    if state_field is not None:
        memory = NONE if state is None else _memories(net, state)
        last = {kind: _struct_array(stats.get(kind, ())[-1:]) for kind in ("train", "val")}
        variables["state"] = {state_field: memory, "stats": last}
    if profile is not None:
        variables["dagnet"] = {"profile": profile} | ({} if paused is None else {"paused": paused})
    return variables | {"stats": {kind: _struct_array(stats.get(kind, ())) for kind in ("train", "val")}}


def _profile(dagnet: Any, where: str) -> str:
    if not isinstance(dagnet, dict) or not isinstance(dagnet.get("profile"), str):
        raise ValueError(f"{where}: dagnet is {matvalues.describe(dagnet)}; a struct with a text `profile` is right")
    return dagnet["profile"]


def _state_field(state: Any) -> str | None:
    if not isinstance(state, dict):
        return None
    return "momentum" if "momentum" in state and "solverState" not in state else "solverState"


def _state(state: Any, struct: dict[str, Any], net: DagNN, where: str) -> dict[str, Any]:
    of_chain = isinstance(struct["layers"], np.ndarray)  # a SimpleNN's: for each layer a cell, for each of its weights
    if not isinstance(state, dict) and not of_chain:
        return {}
    try:
        if isinstance(state, dict):
            memory = matvalues.items(state.get("solverState", state.get("momentum", "")))
        else:  # in the days of beta20 and before, layers held it
            memory = [layer.get("momentum", NONE) for layer in matvalues.items(struct["layers"])]
        if of_chain:
            pairs = _paired("layers", [r.params for r in net.layers.values()], memory)
            memories = {p: m for params, cells in pairs for p, m in zip(params, matvalues.items(cells), strict=False)}
        else:
            memories = dict(_paired("parameters", [r["name"] for r in matvalues.structs(struct["params"])], memory))
        shapes = {name: getattr(net.params[name].value, "shape", ()) for name in memories if name in net.params}
        kept = {name: _shaped(memories[name], shape) for name, shape in shapes.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: state.solverState does not fit the network: {error}") from error
    return {name: value for name, value in kept.items() if not _is_nothing(value)}


def _paired(what: str, owners: Sequence[Any], memory: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each owner with its element of the cell; none where that is empty."""
    if memory and len(memory) != len(owners):
        raise ValueError(f"it has {len(memory)} elements and the network {len(owners)} {what}")
    return list(zip(owners, memory, strict=False))


def _is_nothing(value: Any) -> bool:
    """A bare 0, which is double whatever the parameter is, says that nothing is kept."""
    return isinstance(value, np.ndarray) and value.size == 1 and value.dtype == np.float64 and not value.any()


def _shaped(value: Any, shape: tuple[int, ...]) -> Any:
    """In C order and in the shape of the parameter's value, where it has as many elements."""
    if isinstance(value, dict):
        return {name: _shaped(v, shape) for name, v in value.items()}
    if not isinstance(value, np.ndarray) or value.dtype == object:
        raise TypeError(f"it holds {matvalues.describe(value)} where a numeric array is right")
    return np.ascontiguousarray(value.reshape(shape) if value.size == np.prod(shape) else value)


def _memories(net: DagNN | SimpleNN, state: Mapping[str, Any]) -> np.ndarray:
    """The cell of what the solver keeps: an element a parameter, or of a SimpleNN one a layer, a cell with one a weight."""
    if isinstance(net, DagNN):
        return matvalues.row([_memory(state.get(name, 0.0)) for name in net.params])
    layers = []
    for layer in net.layers:
        memories = np.full((1, len(layer["weights"])), 0.0, object)
        for name, i in simplelayers.param_names(layer).items():
            memories[0, i] = _memory(state.get(name, 0.0))
        layers.append(memories)
    return matvalues.row(layers)


def _memory(value: Any) -> Any:
    """What the solver keeps of one parameter, as MATLAB would hold it."""
    if isinstance(value, Mapping):
        return {name: _memory(v) for name, v in value.items()}
    return fields.column(value) if np.ndim(value) else fields.to_matlab(value)


def _plain(value: Any) -> Any:
    """1x1 arrays as numbers of their class, so that they are written back as such; other values as they are."""
    return value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 and value.dtype != object else value


def _stats(stats: Any, where: str) -> Stats:
    if not isinstance(stats, dict):
        raise ValueError(f"{where}: stats is {matvalues.describe(stats)}; a struct with train and val is right")
    try:
        return {
            k: [{n: _plain(v) for n, v in r.items()} for r in matvalues.structs(stats.get(k, NONE))]
            for k in ("train", "val")
        }
    except TypeError as error:
        raise ValueError(f"{where}: stats: {error}") from error


def _stats_of_info(info: Any) -> Any:
    """The variable `info` of 2015's and 2016's files: one struct whose fields are rows with a number an epoch.

    What is no such struct stays as it is, for _stats to refuse.
    """
    if not isinstance(info, dict) or not all(isinstance(info.get(kind, {}), dict) for kind in ("train", "val")):
        return info
    stats = {}
    for kind in ("train", "val"):
        curves = {f: v for f, v in info.get(kind, {}).items() if isinstance(v, np.ndarray) and v.size}
        epochs = max((v.shape[1] for v in curves.values()), default=0)
        records = [{f: v[:, i : i + 1] for f, v in curves.items() if v.shape[1] == epochs} for i in range(epochs)]
        stats[kind] = matvalues.struct_array(tuple(curves), records)
    return stats


def _struct_array(records: Sequence[Record]) -> Any:
    names = list(records[0]) if records else []
    if any(set(r) != set(names) for r in records):
        raise ValueError(f"stats: each epoch must have the same statistics, as the first one has {', '.join(names)}")
    return matvalues.struct_array(names, [fields.to_matlab({name: r[name] for name in names}) for r in records])

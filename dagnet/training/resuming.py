"""Going on from a checkpoint: which one, by which release's rules, and what of it becomes the net's and the solver's.

net-paused.mat is that of a training that was stopped inside an epoch; it goes when the epoch's own is written.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.files import checkpoint
from dagnet.layers import array

from . import arguments, passes, pausing, profile, solvers
from .passes import Recipe

Found = tuple[Path, checkpoint.Checkpoint]  # where it lies, and what is in it
Stats = dict[str, list[passes.Record]]


@dataclass(frozen=True)
class Paused:
    """How far an epoch is in which a training was stopped: a fingerprint of its batches, the passes done, and the one begun."""

    order: int
    outcomes: dict[passes.Kind, passes.Outcome]
    standing: pausing.Standing


def last(folder: Path, resume: bool) -> Found | None:
    """The last whole checkpoint of a folder. Raises FileExistsError where there are some and none is to be gone on from."""
    there, paused = checkpoint.all_in(folder), folder / checkpoint.PAUSED
    if paused.exists():
        there.append(paused)
    if there and not resume:
        raise FileExistsError(
            f"exp_dir {folder}: it holds {there[0].name} of an earlier training; resume=True goes on from it, else give "
            "another folder"
        )
    if paused.exists():
        try:
            kept = checkpoint.load(paused)
            if kept.epoch >= (checkpoint.epoch_of(there[0]) or 0):  # else it is of an epoch that has been done since
                return paused, kept
        except (ValueError, OSError) as error:
            warnings.warn(f"passed over a checkpoint that is not whole: {error}", stacklevel=2)
    return checkpoint.load_last(folder)


def pause(folder: Path, net: DagNN, recipe: Recipe, stats: Stats, paused: Paused) -> Path:
    """Writes a checkpoint of a training that stops inside an epoch; stats: of the epochs that are done. Returns its path."""
    path, name = folder / checkpoint.PAUSED, recipe.profile.name
    state = {name: solvers.to_cpu(kept) for name, kept in recipe.state.items()}
    text = json.dumps(asdict(paused), default=lambda value: value.tolist())
    checkpoint.save(path, net, state, stats, profile=name, release=name, paused=text)
    return path


def paused_in(found: Found | None) -> Paused | None:
    """How far the next epoch is, where the checkpoint was written inside it. Raises ValueError where that cannot be read."""
    if found is None or found[1].paused is None:
        return None
    try:
        said = json.loads(found[1].paused)
        outcomes = {
            kind: passes.Outcome(**outcome | {"record": _plain(outcome["record"])})
            for kind, outcome in said["outcomes"].items()
        }
        return Paused(said["order"], outcomes, pausing.Standing(**said["standing"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{found[0]}: how far its epoch is cannot be read ({error}); without it the epoch begins anew"
        ) from error


def profile_name(given: str | None, found: Found | None) -> str:
    """The profile to follow: the one given, else the checkpoint's, else beta25.

    Raises ValueError where the two contradict, and for a checkpoint's that is not known.
    """
    if found is None or found[1].profile is None:
        return given or "beta25"
    path, kept = found[0], found[1].profile
    try:
        theirs = profile.find(kept)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if given and profile.find(given) != theirs:
        raise ValueError(
            f"profile: {path} was trained with {kept} and {given} is asked for; {kept}, or another exp_dir, is right"
        )
    return kept


def restore(net: DagNN, recipe: Recipe, found: Found | None) -> Stats:
    """The statistics of the epochs that are done; the net and the solver's state become those of the last of them.

    Raises ValueError where the checkpoint is another network's, its state another solver's or its statistics another epoch's.
    """
    if found is None:
        return {"train": [], "val": []}
    path, loaded = found
    values = arguments.values(loaded.net)
    _refuse_another(values, arguments.values(net), path)
    for param in net.params.values():
        source = loaded.net.params[param.name]
        here: array.Array = param.value
        param.value = array.module_of(here).array(values[param.name].reshape(here.shape), order="C")
        param.learning_rate, param.weight_decay = source.learning_rate, source.weight_decay
        kept = loaded.state.get(param.name)
        if kept is not None and (recipe.save_solver_state or loaded.paused):
            try:
                recipe.state[param.name] = recipe.solver.resumed(param.value, kept)
            except ValueError as error:
                raise ValueError(f"{path}: what the solver keeps of parameter '{param.name}': {error}") from error
    if not loaded.paused and checkpoint.epoch_of(path) != loaded.epoch:
        raise ValueError(
            f"{path}: it holds the statistics of {loaded.epoch} epochs; as many as its name says are right"
        )
    where = f"in epoch {loaded.epoch + 1}" if loaded.paused else f"after epoch {loaded.epoch}"
    print(f"going on {where}, from {path}", flush=True)
    try:
        return {kind: [_plain(record) for record in loaded.stats.get(kind, [])] for kind in ("train", "val")}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its statistics are not all numbers: {error}") from error


def _refuse_another(theirs: dict[str, array.Array], ours: dict[str, array.Array], path: Path) -> None:
    shapes, wanted = ({name: _matlab_shape(v) for name, v in values.items()} for values in (theirs, ours))
    for name in [*wanted, *shapes]:
        if shapes.get(name) != wanted.get(name):
            raise ValueError(
                f"{path}: its network is another one: parameter '{name}' is {shapes.get(name, 'absent')} there and "
                f"{wanted.get(name, 'absent')} here; give another exp_dir, or the network of this one"
            )


def _matlab_shape(value: array.Array) -> tuple[int, ...]:
    """The shape without the trailing sizes of 1, which a file does not keep."""
    shape = value.shape
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _plain(record: Mapping[str, Any]) -> passes.Record:
    """Statistics as passes.statistics gives them, from a file's."""
    return {k: float(np.ravel(v)[0]) if np.size(v) == 1 else np.ravel(v).astype(float) for k, v in record.items()}

"""Trains a network (MatConvNet cnn_train_dag): epochs of a pass to train and a pass to validate, each kept when it is whole.

What stands in exp_dir
    net-epoch-N.mat              network, solver state, statistics after epoch N; MatConvNet reads it, and goes on from it
    net-paused.mat               the same inside an epoch, where time_limit ended a training; goes when the epoch is whole
    net-train.pdf, net-train.png the curves so far
    log.jsonl                    a line of JSON an epoch and pass
An epoch's order of images, dropout masks and augmentation follow from random_seed and its number alone: a run that was killed
and goes on from its last whole checkpoint comes to the same numbers as one that was not.
Source    MatConvNet's examples/cnn_train_dag.m of 1.0-beta25
"""

import datetime
import json
import math
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.data.workers import Workers
from dagnet.files import atomic, checkpoint
from dagnet.layers import array
from dagnet.simplenn import SimpleNN

from . import arguments, passes, pausing, plots, resuming, solvers, stepping
from . import profile as profiles
from .arguments import Indices
from .chain import Chain
from .passes import GetBatch, Kind, Outcome, Recipe
from .resuming import Paused, Stats

PostEpoch = Callable[[DagNN | SimpleNN, int, Stats], float | Sequence[float] | None]


def train(
    net: DagNN | SimpleNN,
    get_batch: GetBatch,
    *,
    train: Indices,
    val: Indices = (),
    exp_dir: str | os.PathLike,
    num_epochs: int,
    batch_size: int = 6,
    num_sub_batches: int = 1,
    workers: int = 0,
    graph: bool = False,
    epoch_size: int | None = None,
    learning_rate: float | Sequence[float] = 1e-3,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    nesterov_update: bool = False,
    solver: str | solvers.Solver | Callable | None = None,
    solver_opts: Mapping[str, Any] | None = None,
    save_solver_state: bool = True,
    der_outputs: Mapping[str, float] | None = None,
    random_seed: int = 0,
    profile: str | None = None,
    resume: bool = True,
    time_limit: float | None = None,
    extract_stats: passes.ExtractStats | None = None,
    plot_statistics: bool = True,
    post_epoch: PostEpoch | None = None,
) -> Stats:
    """Trains the net in place, and returns {"train": [...], "val": [...]} with a dict of statistics for each epoch.

    net              a DagNN, or a SimpleNN, of which chain.Chain says more
    get_batch        from an array of image indices to the net's inputs, name -> array (H, W, C, N); called ahead in a thread.
                     Where it is (or belongs to) an object with an attribute `epoch`, that is set as each epoch starts.
    workers          how many processes call get_batch in the thread's stead, each a copy of it as a pass begins: what a call
                     changes in its copy nobody sees. They pay where batches take longer than the net's computing
    graph            on a GPU: launch the computing of a batch as one CUDA graph, where it allows that. It pays for small nets
                     and images, whose steps take less than their launches. Not with sub-batches, nor for a SimpleNN
    train, val       indices of the images to train on and to validate with (none: no validation)
    exp_dir          where all is kept; made where it is absent
    epoch_size       how many of the training images an epoch takes (default: all), drawn anew for each
    learning_rate    a number, or one for each epoch, of which the last holds on
    nesterov_update  SGD looks a step of its momentum ahead
    solver           "adam", "adagrad", "adadelta", "rmsprop", a Solver, or a function, see solvers.Custom; default: SGD with
                     momentum. solver_opts sets its options, see solvers.make
    save_solver_state  False: checkpoints lack what the solver keeps, which starts at 0 in each epoch, resumed or not
    der_outputs      the objectives and their weights; default {"objective": 1}
    random_seed      decides, with the number of the epoch, all that is random
    profile          which release of MatConvNet it follows, see profile.PROFILES; default: the one that the checkpoint gone on
                     from was trained with, else "beta25". Checkpoints are such as that release loads; a net that was built
                     here may first need profile.set_defaults
    resume           True: go on after the last whole checkpoint in exp_dir, where there is one
    time_limit       seconds after which all is to be over: the training stops after the last batch that fits, inside an epoch
                     if need be, and the same call goes on there, to the numbers of a training that was not stopped. At least
                     one batch is computed. Not for a SimpleNN
    extract_stats    from the net to what is kept of a pass, name -> a number or several; default: the losses' averages, or a
                     SimpleNN's errors
    plot_statistics  draw the curves after each epoch
    post_epoch       called with the net, the epoch and the statistics when all is written, and before the first epoch of a
                     training that is gone on with. It returns the learning rate from there on (or one for each epoch, as
                     above), 0 to end the training, None to change nothing

    Raises ValueError for arguments that do not fit, for a network that no checkpoint can hold or the disk has no room for,
    and for a checkpoint of another network, profile or solver, FileExistsError where resume is False and exp_dir holds
    checkpoints, OSError where exp_dir cannot be written: all before the first epoch. Then pausing.TimeIsUp where time_limit
    ends it before num_epochs are done, FloatingPointError where a loss or a parameter becomes NaN or infinite, OSError where
    the disk is full, device.OutOfMemory (a RuntimeError) where the GPU's memory does not suffice, and KeyboardInterrupt with a
    message on how to go on; what was written stays whole. On a GPU a loss that is not finite is found when losses are printed
    next, at the latest before a checkpoint is written, and not at its batch: divergence says why.
    """
    if isinstance(net, SimpleNN):
        net = Chain(net)
    whole = net.net if isinstance(net, Chain) else net
    rates = arguments.rates(learning_rate)
    train, val = arguments.indices("train", train), arguments.indices("val", val)
    if not len(train):
        raise ValueError("train: there is no image to train on")
    arguments.check_whole("num_epochs", num_epochs, 0)
    arguments.check_whole("batch_size", batch_size, 1)
    arguments.check_whole("num_sub_batches", num_sub_batches, 1)
    arguments.check_whole("workers", workers, 0)
    arguments.check_whole("epoch_size", len(train) if epoch_size is None else epoch_size, 1)
    arguments.check_whole("random_seed", random_seed, 0)
    arguments.check_decay(weight_decay)
    arguments.check_function("get_batch", get_batch)
    for name, function in (("extract_stats", extract_stats), ("post_epoch", post_epoch)):
        if function is not None:
            arguments.check_function(name, function)
    arguments.check_objectives(net, der_outputs := der_outputs or {"objective": 1.0})
    made = solvers.make(solver, solver_opts, momentum=momentum, nesterov=nesterov_update)
    arguments.values(net)
    folder = arguments.folder(exp_dir)
    kept = (len(made.arrays) or 1) if save_solver_state or time_limit else 0
    arguments.check_room(net, folder, kept)
    deadline = _deadline(net, time_limit, kept)
    found = resuming.last(folder, resume)
    recipe = Recipe(
        profile=profiles.apply(whole, resuming.profile_name(profile, found)),
        solver=made,
        state={},
        batch_size=batch_size,
        num_sub_batches=num_sub_batches,
        weight_decay=weight_decay,
        der_outputs=der_outputs,
        save_solver_state=save_solver_state,
        extract_stats=extract_stats or (Chain.statistics if isinstance(net, Chain) else passes.statistics),
    )
    recipe.profile.check(made.method)
    recipe.stepper = _stepper(net, der_outputs, num_sub_batches) if graph else None
    _own_params(net)
    stats = resuming.restore(net, recipe, found)
    paused = resuming.paused_in(found)
    _refuse_unsavable(net, whole, recipe, stats, ("train", "val") if len(val) else ("train",))
    with _settings_restored(net), Workers(workers) as recipe.workers:
        net.input_ders = False  # nobody asks what the images should have been
        epoch = len(stats["train"])
        while (rates := _rates_after(epoch, whole, stats, rates, post_epoch)) and epoch < num_epochs:
            epoch += 1
            rate = rates[min(epoch, len(rates)) - 1]
            chosen = np.random.default_rng((random_seed, epoch)).permutation(train)[:epoch_size]
            _seed(net, get_batch, random_seed, epoch)
            with _told_how_to_go_on(folder, epoch, stats):
                order = zlib.crc32(repr((chosen.tolist(), val.tolist(), batch_size, num_sub_batches)).encode())
                outcomes = _outcomes(paused, order, folder)
                sets: dict[Kind, np.ndarray] = {"train": chosen, "val": val}
                for kind in [kind for kind in sets if kind not in outcomes and len(sets[kind])]:
                    standing = paused.standing if paused and paused.standing.kind == kind else None
                    came = passes.run(net, get_batch, recipe, kind, epoch, sets[kind], rate, deadline, standing)
                    if isinstance(came, pausing.Standing):
                        path = resuming.pause(folder, net, recipe, stats, Paused(order, outcomes, came))
                        raise pausing.TimeIsUp(f"stopped at the time limit in epoch {epoch}: {_goes_on(path)}")
                    outcomes[kind] = came
                paused = None
                grown = _grown(stats, epoch, outcomes)
                _log(folder, epoch, rate, outcomes)  # before the checkpoint, after which the epoch is not run again
                begun = time.monotonic()
                _keep(whole, recipe, folder, epoch, grown)
                stats.update(grown)
                if plot_statistics:
                    plots.draw(stats, folder)
                if deadline:
                    deadline.saving = 1.5 * (time.monotonic() - begun)
                    if epoch < num_epochs and deadline.is_near(0):
                        path = checkpoint.path_of(folder, epoch)
                        raise pausing.TimeIsUp(f"stopped at the time limit after epoch {epoch}: {_goes_on(path)}")
    return stats


# ---------------------------------------------------------------- before the first epoch


def _stepper(net: DagNN, der_outputs: Mapping[str, float], num_sub_batches: int) -> stepping.Stepper:
    """Raises ValueError where no graph can be."""
    if isinstance(net, Chain):
        raise ValueError("graph: the net is a SimpleNN; without a graph, or as a DagNN, is right")
    if num_sub_batches > 1:
        raise ValueError(
            f"graph: num_sub_batches is {num_sub_batches}; 1 is right, as a graph keeps the memory that they spare"
        )
    return stepping.Stepper(net, der_outputs)


def _own_params(net: DagNN) -> None:
    """Gives the net its own parameter arrays, since training changes them in place and others may hold the same ones."""
    for name, value in arguments.values(net).items():
        net.params[name].value = array.module_of(value).array(value, order="C")


def _deadline(net: DagNN, time_limit: float | None, kept: int) -> pausing.Deadline | None:
    """By time_limit; a checkpoint holds the net's values, and `kept` times as much. Raises ValueError for what is no limit."""
    if time_limit is None:
        return None
    if not 0 < time_limit < math.inf:
        raise ValueError(f"time_limit: it is {time_limit}; a number of seconds above 0 is right")
    if isinstance(net, Chain):
        raise ValueError("time_limit: the net is a SimpleNN, which is not stopped inside an epoch; its DagNN is right")
    return pausing.Deadline(time_limit, (1 + kept) * sum(value.nbytes for value in arguments.values(net).values()))


def _refuse_unsavable(net: DagNN, whole: DagNN | SimpleNN, recipe: Recipe, stats: Stats, kinds: Sequence[Kind]) -> None:
    """Raises ValueError where the checkpoint of the next epoch could not be written, whatever its numbers are."""
    coming: Stats = {}
    if recipe.extract_stats in (passes.statistics, Chain.statistics):  # one of the user's may need a net that has run
        record = passes.record_of(recipe.profile, 0, 0.0, passes.extracted(net, recipe.extract_stats))
        coming |= {kind: [record] for kind in kinds}
    grown = {kind: [*stats[kind], *coming.get(kind, [])] for kind in stats}
    checkpoint.check(whole, grown, recipe.profile.name)


# ---------------------------------------------------------------- an epoch


def _rates_after(
    epoch: int, net: DagNN | SimpleNN, stats: Stats, rates: list[float], post_epoch: PostEpoch | None
) -> list[float]:
    """The learning rates once an epoch is done; none where the training is to end."""
    returned = post_epoch(net, epoch, stats) if epoch and post_epoch is not None else None
    if returned is None:
        return rates
    if isinstance(returned, bool | np.bool_):
        raise ValueError(
            f"post_epoch: it returned {returned}; None, a learning rate, or 0 to end the training, is right"
        )
    return arguments.rates(returned, "post_epoch's learning rate") if np.any(returned) else []


@contextmanager
def _settings_restored(net: DagNN) -> Iterator[None]:
    mode, input_ders, accumulate = net.mode, net.input_ders, net.accumulate_param_ders
    try:
        yield
    finally:
        net.reset()
        net.mode, net.input_ders, net.accumulate_param_ders = mode, input_ders, accumulate


def _seed(net: DagNN, get_batch: GetBatch, random_seed: int, epoch: int) -> None:
    """Starts all that is random in blocks (DropOut) and in get_batch (augmentation) anew, by the epoch's number."""
    net.seed(random_seed, epoch)
    owner = getattr(get_batch, "__self__", get_batch)
    if hasattr(owner, "epoch"):
        owner.epoch = epoch


@contextmanager
def _told_how_to_go_on(folder: Path, epoch: int, stats: Stats) -> Iterator[None]:
    """Says, where an epoch comes to no end, what is kept: in Ctrl-C's message, and in a note of every other error."""
    try:
        yield
    except pausing.TimeIsUp:
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"training was stopped in epoch {epoch}; {_what_is_kept(folder, stats)}") from None
    except Exception as error:
        error.add_note(_what_is_kept(folder, stats))
        raise


def _what_is_kept(folder: Path, stats: Stats) -> str:
    """stats: those of the epochs that were kept."""
    if done := len(stats["train"]):
        return f"{checkpoint.path_of(folder, done)} is whole: the same call or command goes on with epoch {done + 1}"
    return "no epoch was whole, so that the next start is from the beginning"


def _goes_on(path: Path) -> str:
    return f"the same call or command goes on from {path}"


def _outcomes(paused: Paused | None, order: int, folder: Path) -> dict[Kind, Outcome]:
    """Of the passes that were whole when the epoch was stopped. Raises ValueError where its batches were others than now."""
    if paused is None:
        return {}
    if paused.order != order:
        raise ValueError(
            f"{folder / checkpoint.PAUSED}: it was stopped in an epoch of other images or batches; the same ones are right, "
            "or delete it: then the epoch begins anew"
        )
    return dict(paused.outcomes)


def _grown(stats: Stats, epoch: int, outcomes: Mapping[Kind, Outcome]) -> Stats:
    """The statistics with an epoch's; earlier epochs without such a pass get records of no images: places tell epochs."""
    grown = dict(stats)
    for kind, outcome in outcomes.items():
        none = {name: value * np.nan for name, value in outcome.record.items()} | {"num": 0.0, "time": 0.0}
        grown[kind] = [*stats[kind], *[none] * (epoch - 1 - len(stats[kind])), outcome.record]
    return grown


def _keep(net: DagNN | SimpleNN, recipe: Recipe, folder: Path, epoch: int, stats: Stats) -> None:
    state = {name: solvers.to_cpu(kept) for name, kept in recipe.state.items()} if recipe.save_solver_state else None
    path, rules = checkpoint.path_of(folder, epoch), recipe.profile
    checkpoint.save(path, net, state, stats, state_field=rules.state_field, profile=rules.name, release=rules.name)
    (folder / checkpoint.PAUSED).unlink(missing_ok=True)


def _log(folder: Path, epoch: int, rate: float, outcomes: Mapping[Kind, Outcome]) -> None:
    """Adds a line a pass to log.jsonl, in place of what stands there of this epoch, if it is run again, and of later ones."""
    path = folder / "log.jsonl"
    old = path.read_text().splitlines() if path.exists() else []
    lines = [line for line in old if (m := re.search(r'"epoch": (\d+)', line)) and int(m[1]) < epoch]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    for kind, outcome in outcomes.items():
        facts = {"written": now, "epoch": epoch, "set": kind, "learning_rate": rate}
        speed = {"images_per_second": round(outcome.speed, 3), "waited": round(outcome.waited, 3)}
        told = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in outcome.record.items()}
        lines.append(json.dumps({**facts, **told, **speed}))
    with atomic.replacing(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines))

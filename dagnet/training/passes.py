"""One pass over images, to train or to validate (MatConvNet cnn_train_dag, processEpoch).

Batches      the images are cut into batches, and a batch into sub-batches, interleaved: sub-batch s of S takes every S-th image
             of the batch from the s-th on. Derivatives of sub-batches are summed, empty ones are left out.
To train     the net is in mode "normal"; after each batch the solver changes the parameters
To validate  the net is in mode "test"; nothing is derived, nothing changes
On the GPU   batches are copied while the one before is computed on, and nothing is read back but when it is printed
Source       MatConvNet's examples/cnn_train_dag.m of 1.0-beta25
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.data import batches
from dagnet.data.workers import Workers
from dagnet.layers import array, device, loss, settings
from dagnet.layers.array import Array
from dagnet.summary import memory

from . import arguments, divergence, pausing, solvers, stepping
from .profile import Profile
from .progress import Progress

Kind = Literal["train", "val"]
Inputs = Mapping[str, Array]
GetBatch = Callable[[Any], batches.Batch]  # from an array of image indices
Record = dict[str, Any]  # num, time, and a number or a row of numbers for each statistic
ExtractStats = Callable[[Any], Mapping[str, Any]]  # from the net: a number, or an array of them, for each statistic


def statistics(net: DagNN) -> dict[str, Any]:
    """By the name of its first output, the average of every loss layer so far."""
    blocks = ((record.outputs[0], record.block) for record in net.layers.values())
    return {name: block.average for name, block in blocks if isinstance(block, loss.Loss) and not block.ignore_average}


@dataclass
class Recipe:
    """What stays the same through all passes of a training; `state` alone changes."""

    profile: Profile
    solver: solvers.Solver
    state: solvers.State
    batch_size: int
    num_sub_batches: int
    weight_decay: float
    der_outputs: Mapping[str, float]
    save_solver_state: bool = True
    extract_stats: ExtractStats = statistics
    workers: Workers | None = None
    stepper: stepping.Stepper | None = None  # None: net.eval


@dataclass(frozen=True)
class Outcome:
    """What a pass came to: its statistics, images a second, and seconds that the CPU, or the GPU, waited for get_batch."""

    record: Record
    speed: float
    waited: float


def plan(indices: np.ndarray, batch_size: int, num_sub_batches: int) -> list[list[np.ndarray]]:
    """For each batch its sub-batches, as arrays of indices."""
    cut = [indices[t : t + batch_size] for t in range(0, len(indices), batch_size)]
    return [[part for s in range(num_sub_batches) if len(part := batch[s::num_sub_batches])] for batch in cut]


def run(
    net: DagNN,
    get_batch: GetBatch,
    recipe: Recipe,
    kind: Kind,
    epoch: int,
    indices: np.ndarray,
    learning_rate: float,
    deadline: pausing.Deadline | None = None,
    standing: pausing.Standing | None = None,
) -> Outcome | pausing.Standing:
    """One pass over the images at `indices`, in that order, and what it came to. The net is reset at its end.

    Where the deadline is near after a batch that is not the last, it ends there and returns how far it is; a later run that is
    given this goes on there.

    Statistics are those after the last batch, or in a profile that takes them before its update, those before it.
    Raises FloatingPointError where a loss is NaN or infinite, or a parameter is after the last update, whose harm no later
    batch's loss would show; and what get_batch and net.eval raise, with a note that says in which batch.
    """
    planned = plan(np.asarray(indices), recipe.batch_size, recipe.num_sub_batches)
    done = standing.batches if standing else 0
    parts = [part for batch in planned[done:] for part in batch]
    start(net, recipe, kind, standing)
    watch = divergence.Watch(net, list(recipe.der_outputs), len(parts))
    feed = device.Feed() if net.device == "gpu" else None
    taken: Record | None = None
    in_time = True

    def told() -> Record:
        watch.read()
        return extracted(net, recipe.extract_stats)

    try:
        with (
            batches.Prefetch(get_batch, parts, workers=recipe.workers) as coming,
            Progress(kind, epoch, len(planned), lambda: (feed or coming).waited, standing) as progress,
        ):
            arriving: Iterator[Inputs] = map(_checked, coming)
            if feed:
                arriving = feed.through(_with_room(net, recipe, arriving))
            for number, batch in enumerate(planned[done:], done + 1):
                begun = time.monotonic()
                images = sum(map(len, batch))
                try:
                    inputs = islice(arriving, len(batch))
                    if kind == "train":
                        derive_batch(net, inputs, recipe, watch)
                        if number == len(planned) and recipe.profile.statistics == "before":
                            taken = extracted(net, recipe.extract_stats)
                        update(net, recipe, images, learning_rate)
                    else:
                        validate_batch(net, inputs, watch)
                except Exception as error:
                    error = device.told(error, _remedy(recipe, images))
                    error.add_note(
                        f"in epoch {epoch}, {kind} batch {number} of {len(planned)}, images {_listed(batch)}"
                    )
                    raise error
                progress.batch_done(images, told)
                last = number == len(planned)
                in_time = last or not (deadline and deadline.is_near(2 * (time.monotonic() - begun)))
                if not in_time:
                    break
            found = taken or told()
    except divergence.Spoiled as late:
        its = parts[late.look]
        found_late = f"'{late.objective}' became not finite in epoch {epoch}, {kind}, images {_listed([its])}"
        raise FloatingPointError(f"training: {found_late}: {_late_place(net, get_batch(its))}") from None
    if kind == "train" and (spoiled := divergence.spoiled_param(net)):
        raise FloatingPointError(
            f"training: {spoiled} is not finite after epoch {epoch}; a lower learning_rate is right"
        )
    if not in_time:
        return pausing.Standing.of(net, kind, progress)
    record = record_of(recipe.profile, progress.images, progress.seconds, found)
    net.reset()
    return Outcome(record, progress.speed, progress.waited)


def start(net: DagNN, recipe: Recipe, kind: Kind, standing: pausing.Standing | None = None) -> None:
    """Makes ready for a pass: the net in its mode with nothing averaged, and what the solver keeps at 0 where it is to be.

    With a standing, all is as it was there.
    """
    net.reset()
    net.mode = "normal" if kind == "train" else "test"
    if standing:
        standing.restore(net)
    elif kind == "train" and not (recipe.profile.keeps_momentum and recipe.save_solver_state):
        recipe.state.clear()


def derive_batch(net: DagNN, sub_batches: Iterable[Inputs], recipe: Recipe, watch: divergence.Watch) -> None:
    """Sums the derivatives of a batch's sub-batches. Raises FloatingPointError where a loss is NaN or infinite."""
    for param in net.params.values():
        param.der = None  # frees the last batch's before this one's values need the room
    for s, inputs in enumerate(sub_batches):
        net.accumulate_param_ders = s > 0
        if recipe.stepper is not None:
            recipe.stepper.derive(inputs)
        else:
            net.eval(inputs, recipe.der_outputs)
        watch.look(inputs)


def update(net: DagNN, recipe: Recipe, images: int, learning_rate: float) -> None:
    """Lets the solver change the parameters by their derivatives, summed over a batch of `images` images."""
    solvers.update(
        net.params.values(),
        recipe.solver,
        recipe.state,
        divisor=recipe.profile.divisor(images, recipe.num_sub_batches),
        learning_rate=learning_rate,
        weight_decay=recipe.weight_decay,
        skip_idle=recipe.profile.skips_idle,
    )


def validate_batch(net: DagNN, sub_batches: Iterable[Inputs], watch: divergence.Watch) -> None:
    """Runs a batch forward, so that the losses average. Raises FloatingPointError where a loss is NaN or infinite."""
    for inputs in sub_batches:
        net.eval(inputs)
        watch.look(inputs)


def extracted(net: DagNN, extract_stats: ExtractStats) -> Record:
    """What extract_stats takes from the net: by name, a number, or a row where there are several.

    Raises ValueError where that is not what it takes.
    """
    found: Record = {}
    extracts = extract_stats(net)
    if not isinstance(extracts, Mapping):
        raise ValueError(f"extract_stats: it gave {extracts!r}; a dict of numbers, or arrays of them, is right")
    for name, value in extracts.items():
        row = np.ravel(array.to_numpy(value) if hasattr(value, "dtype") else np.asarray(value))
        if row.dtype.kind not in "biuf":
            raise ValueError(f"extract_stats: '{name}' is {value!r}; a number, or an array of them, is right")
        found[name] = float(row[0]) if row.size == 1 else row.astype(float)
    return found


def record_of(profile: Profile, num: float, seconds: float, found: Mapping[str, Any]) -> Record:
    """The record of a pass over `num` images, its fields in the release's order."""
    facts = {"num": float(num), "time": seconds}
    return {**found, **facts} if profile.time_last else {**facts, **found}


def _with_room(net: DagNN, recipe: Recipe, arriving: Iterator[Inputs]) -> Iterator[Inputs]:
    """The same batches; at the first one the GPU's memory for a step on it is set aside in one piece, which cannot crumble.

    That is an estimate. Where the GPU has less, the step itself finds out whether it suffices.
    """
    for number, inputs in enumerate(arriving):
        if number == 0 and recipe.stepper is None:  # a graph has memory of its own
            with suppress(ValueError, KeyError):  # sizes that a block of the user's own does not know
                device.reserve(_bytes_of_step(net, recipe, inputs))
        yield inputs


def _bytes_of_step(net: DagNN, recipe: Recipe, inputs: Inputs) -> int:
    """What a training holds at most: values, derivatives, what the solver keeps, scratch."""
    values = arguments.values(net)
    held, itemsize = sum(v.nbytes for v in values.values()), max(v.itemsize for v in values.values())
    sizes = {name: np.shape(x) for name, x in inputs.items() if name in net.inputs}
    peaks = memory.peaks(net, sizes, list(recipe.der_outputs), net.input_ders)
    peak = peaks.training if net.conserve_memory else peaks.training_kept
    kept = len(recipe.solver.arrays) or 1
    return peak * itemsize // 4 + kept * held + settings.current().scratch


def _late_place(net: DagNN, batch: Inputs) -> str:
    """As divergence.first_place, of a batch that is looked at again when the net is further on, on the GPU."""
    try:
        return divergence.first_place(net, {name: array.to_gpu(x) for name, x in batch.items()})
    except MemoryError:
        return "where is not known, since the GPU has no room to keep all layers' values"


def _checked(inputs: Inputs) -> Inputs:
    """What get_batch gave. Raises ValueError unless it is a dict."""
    if not isinstance(inputs, Mapping):
        raise ValueError(f"get_batch: it gave a {type(inputs).__name__}; a dict, name -> array (H, W, C, N), is right")
    return inputs


def _remedy(recipe: Recipe, images: int) -> str:
    """What to lower where memory does not suffice for a batch of so many images."""
    parts = 2 * recipe.num_sub_batches
    if parts <= images:
        return (
            f"num_sub_batches={parts} (--sub-batches {parts}) is right, which computes the same step in smaller parts"
        )
    return "smaller images or narrower layers are right"


def _listed(parts: Sequence[np.ndarray]) -> str:
    return ", ".join(str(i) for part in parts for i in part)

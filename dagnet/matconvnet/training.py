"""MatConvNet's cnn_train_dag and cnn_train in their call forms: its options and defaults, over training.trainer.train.

    net, stats = cnn_train_dag(net, imdb, getBatch, "expDir", "exp", "batchSize", 6, "learningRate", [1e-3, 1e-4])

imdb        whatever getBatch reads; of it this file reads imdb["images"]["set"] alone: 1 to train, 2 to validate
getBatch    getBatch(imdb, indices), which returns ["input", images, "label", labels], or a dict; for cnn_train: images, labels
indices     count from 0, as NumPy does: those of the images whose set is 1 or 2, unless `train` and `val` say others
stats       stats["train"][-1]["objective"] is MATLAB's stats.train(end).objective
The release is the one in force (calling.release).
Source    MatConvNet's examples/cnn_train_dag.m and cnn_train.m of 1.0-beta25
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import dagnet
from dagnet.simplenn import SimpleNN
from dagnet.training import chain, passes, trainer

from .calling import current_release, is_empty, number, numbers, pairs
from .dagnn import as_dict
from .simple import vl_simplenn_tidy


def _same(value: Any) -> Any:
    return value


def _or_none(value: Any) -> Any:
    return None if is_empty(value) else value


def _epoch_size(value: Any) -> Any:
    return None if math.isinf(number(value)) else number(value)


def _objectives(value: Any) -> dict[str, Any]:
    return as_dict("cnn_train_dag: derOutputs", value)


def _statistics(function: Any) -> Callable[[dagnet.DagNN], passes.Record]:
    """extractStatsFn(stats, net) as the trainer calls it."""
    return passes.statistics if is_empty(function) else lambda net: function(passes.statistics(net), net)


class Option(NamedTuple):
    """An option: its default there, what it is called here, how its value gets there, and what differs."""

    default: Any
    ours: str | None = None
    convert: Callable[[Any], Any] = _same
    note: str = ""


OPTIONS = {
    "expDir": Option("data/exp", "exp_dir"),
    "continue": Option(
        True, "resume", bool, "false: refused where expDir holds checkpoints, which MatConvNet overwrites"
    ),
    "batchSize": Option(256, "batch_size", number),
    "numSubBatches": Option(1, "num_sub_batches", number),
    "train": Option([], "train", note="indices count from 0"),
    "val": Option([], "val", note="indices count from 0; NaN: none"),
    "gpus": Option([], note="none, or one: net.move('gpu')"),
    "prefetch": Option(False, note="no effect: getBatch is always called ahead, in a thread"),
    "epochSize": Option(math.inf, "epoch_size", _epoch_size),
    "numEpochs": Option(300, "num_epochs", number),
    "learningRate": Option(0.001, "learning_rate", numbers),
    "weightDecay": Option(0.0005, "weight_decay", number),
    "solver": Option([], "solver", _or_none, "'adam' in place of @solver.adam"),
    "solverOpts": Option({}, "solver_opts"),
    "momentum": Option(0.9, "momentum", number),
    "saveSolverState": Option(True, "save_solver_state", bool),
    "nesterovUpdate": Option(False, "nesterov_update", bool),
    "randomSeed": Option(0, "random_seed", number, "the random numbers are not MATLAB's"),
    "profile": Option(False, note="no effect: MATLAB's profiler; here `profile` is the release, see release()"),
    "parameterServer": Option({}, note="no effect: for several GPUs"),
    "plotStatistics": Option(True, "plot_statistics", bool),
    "postEpochFn": Option([], "post_epoch", note="called as postEpochFn(net, params, state), which holds stats"),
}


DAG_OPTIONS = OPTIONS | {
    "derOutputs": Option(["objective", 1], "der_outputs", _objectives),
    "extractStatsFn": Option([], "extract_stats", _statistics),
}
SIMPLE_OPTIONS = OPTIONS | {
    "conserveMemory": Option(True, note="Chain's conserve_memory"),
    "backPropDepth": Option(math.inf, note="Chain's back_prop_depth"),
    "errorFunction": Option(
        "multiclass", note="Chain's error_function; or 'binary', 'none', a function of labels and res"
    ),
    "errorLabels": Option([], note="Chain's error_labels"),
    "sync": Option(False, note="no effect"),
    "cudnn": Option(True, note="no effect"),
    "plotDiagnostics": Option(False, note="no effect"),
}


def cnn_train_dag(
    net: dagnet.DagNN, imdb: Any, getBatch: Callable[[Any, Any], Any], *args: Any, **keywords: Any
) -> tuple[dagnet.DagNN, trainer.Stats]:
    """Trains the net in place; [net, stats]. The options are DAG_OPTIONS, in any case, or dicts of them.

    Raises ValueError for an unknown option, and what trainer.train raises.
    """
    opts = _read("cnn_train_dag", DAG_OPTIONS, args, keywords)
    move(net, opts["gpus"])
    options = _arguments(opts, DAG_OPTIONS, imdb, getBatch)
    return net, trainer.train(net, lambda indices: as_dict("getBatch", getBatch(imdb, indices)), **options)


def cnn_train(
    net: SimpleNN | dict[str, Any], imdb: Any, getBatch: Callable[[Any, Any], Any], *args: Any, **keywords: Any
) -> tuple[SimpleNN, trainer.Stats]:
    """Trains the SimpleNN in place (that of a struct is made first); [net, stats]. The options are SIMPLE_OPTIONS.

    Raises ValueError for an unknown option, and what trainer.train raises.
    """
    opts = _read("cnn_train", SIMPLE_OPTIONS, args, keywords)
    simple = vl_simplenn_tidy(net)
    move(simple, opts["gpus"])
    trained = chain.Chain(simple, opts["errorFunction"], opts["errorLabels"] or None, opts["backPropDepth"])
    trained.conserve_memory = bool(opts["conserveMemory"])
    options = _arguments(opts, SIMPLE_OPTIONS, imdb, getBatch)
    return simple, trainer.train(trained, lambda indices: _pair(getBatch(imdb, indices)), **options)


def _pair(batch: Any) -> dict[str, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        came = f"{len(batch)} values" if isinstance(batch, tuple | list) else f"a {type(batch).__name__}"
        raise ValueError(f"getBatch: it returned {came}; images and labels, two arrays, are right")
    return {"input": batch[0], "label": batch[1]}


def _read(who: str, known: Mapping[str, Option], args: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The options given, and the others' defaults."""
    defaults = {name: option.default for name, option in known.items()}
    return defaults | pairs(who, [keywords, *args], defaults)


def _arguments(opts: Mapping[str, Any], known: Mapping[str, Option], imdb: Any, getBatch: Callable) -> dict[str, Any]:
    """What trainer.train is given for the options."""
    found = {option.ours: option.convert(opts[name]) for name, option in known.items() if option.ours}
    return found | {
        "train": images(opts["train"], imdb, 1),
        "val": images(opts["val"], imdb, 2),
        "post_epoch": _post_epoch(opts, imdb, getBatch),
        "profile": current_release().name,
    }


def images(chosen: Any, imdb: Any, which: int) -> np.ndarray:
    """The indices given, none for NaN, or for [] those of the images of that set of the imdb.

    Raises ValueError where the imdb does not say which these are.
    """
    if is_empty(chosen):
        try:
            sets = imdb["images"]["set"]
        except (KeyError, TypeError) as error:
            raise ValueError(
                'imdb: it has no imdb["images"]["set"]; that, or the options train and val, are right'
            ) from error
        return np.flatnonzero(np.ravel(sets) == which)
    indices = np.ravel(chosen)
    if indices.dtype.kind == "f" and np.isnan(indices).all():
        return np.zeros(0, int)
    return indices.astype(int) if indices.dtype.kind == "f" and (indices % 1 == 0).all() else indices


def move(net: dagnet.DagNN | SimpleNN, gpus: Any) -> None:
    """To the GPU, where one is named. Raises ValueError for several."""
    count = np.size(gpus)
    if count > 1:
        raise ValueError(f"training: gpus names {count} GPUs; one, or none, is right")
    if count:
        net.move("gpu")


def _post_epoch(opts: Mapping[str, Any], imdb: Any, getBatch: Callable) -> Callable | None:
    """postEpochFn(net, params, state) as the trainer calls it: params are the options, with epoch, imdb and getBatch."""
    function = opts["postEpochFn"]
    if is_empty(function):
        return None

    def call(net: dagnet.DagNN | SimpleNN, epoch: int, stats: trainer.Stats) -> Any:
        return _or_none(function(net, {**opts, "epoch": epoch, "imdb": imdb, "getBatch": getBatch}, {"stats": stats}))

    return call

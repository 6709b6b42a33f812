"""Train the paper's network on ISIC 2017 Part 1 from VGG-16's .mat, then segment Validation and Test_v2 and score them.

DIR holds the challenge's folders as its archives unpack (ISIC-2017_Training_Data, ISIC-2017_Training_Part1_GroundTruth,
and Validation, Test_v2 alike where you have them), or is a pack of `dagnet pack`. Everything goes to one folder, --out:

    settings.json         what the run was set to; the same command goes on where a run was stopped
    net-epoch-N.mat       a checkpoint after each epoch, in MatConvNet's layout; net-paused.mat: one inside an epoch
    net-train.pdf, .png   the curves;  log.jsonl: a line for each epoch and set
    Validation/, Test_v2/ masks, scores.csv, worst.png, best.png, report.html
    data/                 the challenge's folders out of a pack

Without further options the settings are the paper's: 384x384, batch 6, momentum 0.9, weight decay 1e-4, learning rate 1e-3.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

from dagnet import DagNN
from dagnet.data import batches, imdb, isic2017, pack
from dagnet.evaluation import assessment, scoring, segmentation
from dagnet.files import atomic, checkpoint, simplenn
from dagnet.layers import settings
from dagnet.models import lesion_fcn
from dagnet.training import pausing, profile, solvers, trainer

from . import arguments

UNSEEN = ("Validation", "Test_v2")
SCORING_SECONDS = 0.05  # an image, twice what it takes
NO_MATTER = (
    "data",
    "out",
    "epochs",
    "learning_rate",
    "gpu",
    "threads",
    "precision",
    "graph",
    "workers",
    "no_evaluation",
    "sub_batches",
    "time_limit",
    "run",
    "verb",
    "debug",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder with the challenge's folders, or a pack of them",
    )
    add(
        "--vgg",
        type=Path,
        metavar="FILE",
        help="imagenet-vgg-verydeep-16.mat (31 or 37 layers); without: random values",
    )
    add("-o", "--out", type=Path, default=Path("runs/lesion_fcn"), metavar="DIR", help="default %(default)s")
    add("--epochs", type=arguments.positive, default=20, metavar="N", help="default %(default)s")
    add(
        "--learning-rate",
        type=rates,
        default=[1e-3],
        metavar="R[xN],...",
        help="for each epoch, the last one repeated: 1e-3x8,1e-4 is 1e-3 in eight epochs and then 1e-4 (default 1e-3)",
    )
    add("--image-size", type=int, default=384, metavar="N", help="a multiple of 32 (default %(default)s)")
    add("--batch-size", type=int, default=6, metavar="N", help="default %(default)s")
    add("--sub-batches", type=int, default=1, metavar="N", help="compute a batch in N parts to save memory")
    add("--momentum", type=float, default=0.9, metavar="M", help="default %(default)s")
    add("--weight-decay", type=float, default=1e-4, metavar="D", help="default %(default)s")
    add("--epoch-size", type=int, metavar="N", help="training images of an epoch, drawn anew for each (default all)")
    add("--augment", action="store_true", help="mirror and turn training images at random (the paper does not)")
    add("--zoom", type=float, default=1.0, metavar="F", help="with --augment: enlarge or shrink too, by up to F")
    add("--fc-width", type=int, metavar="N", help="channels of fc6 and fc7 (default 4096, times --width)")
    add("--width", type=float, default=1.0, metavar="F", help="factor on VGG's channels, for small nets without --vgg")
    add(
        "--literal",
        action="store_true",
        help="every learning-rate multiplier 1, scores at random: the recipe as printed",
    )
    add("--deconvolution", choices=("single", "chain"), default="single", help="one step, or steps of factor 2")
    add("--no-dropout", action="store_true", help="leave out the dropout after fc6 and fc7")
    add(
        "--profile",
        choices=(*profile.PROFILES, *profile.ALIASES),
        default="beta25",
        help="MatConvNet's release whose rules to follow (default %(default)s)",
    )
    add("--solver", choices=tuple(solvers.SOLVERS), default="sgd", help="default %(default)s, which has momentum")
    add(
        "--solver-opts",
        type=numbers,
        default={},
        metavar="NAME=V,...",
        help="the solver's options, such as beta1=0.9,eps=1e-8 for adam (default MatConvNet's)",
    )
    add("--nesterov", action="store_true", help="let sgd look a step of its momentum ahead")
    add("--seed", type=int, default=0, metavar="N", help="of initial values, order, dropout (default %(default)s)")
    add("--on-bad", choices=("error", "skip"), default="error", help="what to do with bad files (default %(default)s)")
    add(
        "--time-limit",
        type=arguments.duration,
        metavar="T",
        help="stop before so long (8m, 90s, 2h), inside an epoch if need be, with exit code 3; the same command goes on there",
    )
    add("--no-evaluation", action="store_true", help="stop after the training")
    arguments.add_computing(parser)
    add("--gpu", action="store_true", help="compute on the GPU")
    add(
        "--precision",
        choices=get_args(settings.Precision),
        default="float32",
        help="of products on the GPU: tf32, with about 3 decimal digits, is faster (default %(default)s)",
    )
    add(
        "--graph",
        action="store_true",
        help="with --gpu: launch a batch's computing at once (for small nets and images)",
    )
    add(
        "--workers",
        type=arguments.whole,
        metavar="N",
        help="processes that prepare batches (default 0, a thread, and with --gpu 2)",
    )


def rates(text: str) -> list[float]:
    """ "1e-3x2,1e-4" as [1e-3, 1e-3, 1e-4]. Raises argparse.ArgumentTypeError for what is no such list."""
    out: list[float] = []
    for part in text.split(","):
        rate, times, count = part.strip().partition("x")
        try:
            repeated = [float(rate)] * (int(count) if times else 1)
        except ValueError:
            repeated = []
        if not repeated:
            raise argparse.ArgumentTypeError(f"it is {text!r}; rates such as 1e-3 or 1e-3x8,1e-4 are right")
        out += repeated
    return out


def numbers(text: str) -> dict[str, float]:
    """ "rho=0.9,epsilon=1e-8" as a dict. Raises argparse.ArgumentTypeError for what is no such list."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"it is {text!r}; names and numbers such as beta1=0.9,eps=1e-8 are right"
        ) from error


def run(args: argparse.Namespace) -> int:
    """Check the data, train, segment what was not seen, score it. 3 where the time limit came before the end, else 0."""
    try:
        with arguments.computing(args):
            _run(args, None if args.time_limit is None else pausing.Deadline(args.time_limit, bytes_kept=0))
    except pausing.TimeIsUp as stop:
        print(stop)
        return 3
    return 0


def _run(args: argparse.Namespace, deadline: pausing.Deadline | None) -> None:
    if args.image_size % 32 or args.image_size < 32:
        raise ValueError(
            f"--image-size: it is {args.image_size}; a multiple of 32 is right, as VGG-16 halves it five times"
        )
    if args.seed < 0:
        raise ValueError(f"--seed: it is {args.seed}; a whole number from 0 on is right")
    if args.zoom != 1 and not args.augment:
        raise ValueError(f"--zoom: it is {args.zoom:g} and acts with --augment alone; give both or neither")
    for option, given in (("--precision tf32", args.precision != "float32"), ("--graph", args.graph)):
        if given and not args.gpu:
            raise ValueError(f"{option}: it acts on a GPU alone; with --gpu is right, or without both")
    solver = solvers.make(args.solver, args.solver_opts, momentum=args.momentum, nesterov=args.nesterov)
    profile.find(args.profile).check(solver.method)
    settings = _settings(args)
    net = _network(args)
    data = pack.unpack(args.data, args.out / "data", args.image_size) if pack.is_pack(args.data) else args.data
    splits = {split: _samples(args, data, split) for split in ("Training", *UNSEEN)}
    val = [sample for sample in splits["Validation"] if sample.mask]
    database = imdb.load(splits["Training"], val, args.image_size, args.out / "cache", on_bad=args.on_bad)
    _say_what_to_subtract(net, args, database)
    source = batches.Batches(
        database.images,
        database.labels,
        net.meta["normalization"]["averageImage"],
        augment=batches.Augment(scale=args.zoom) if args.augment else None,
        augmented=database.train,
        seed=args.seed,
    )
    with atomic.replacing(args.out / "settings.json") as part:
        part.write_text(json.dumps(settings, indent=1) + "\n")
    stats = trainer.train(
        net,
        source.get_batch,
        train=database.train,
        val=database.val,
        exp_dir=args.out,
        num_epochs=args.epochs,
        batch_size=args.batch_size,
        num_sub_batches=args.sub_batches,
        graph=args.graph,
        workers=(2 if args.gpu else 0) if args.workers is None else args.workers,
        epoch_size=args.epoch_size,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        solver=solver,
        random_seed=args.seed,
        profile=args.profile,
        time_limit=None if deadline is None else deadline.left,
    )
    if args.no_evaluation:
        return
    command = "dagnet " + shlex.join(sys.argv[1:])
    for split in UNSEEN:
        if splits[split]:
            story = assessment.Story(f"lesion_fcn on {split}", stats, command, settings)
            made_by = checkpoint.path_of(args.out, len(stats["train"]))
            evaluate(net, splits[split], args.out / split, story, made_by, deadline)


def evaluate(
    net: DagNN,
    samples: list[isic2017.Sample],
    out: Path,
    story: assessment.Story,
    made_by: Path,
    deadline: pausing.Deadline | None,
) -> None:
    """Segment the samples and, where there are true masks, score them and print the means.

    Masks that are there are kept unless they are older than made_by, the network's checkpoint. Raises pausing.TimeIsUp.
    """
    masks = out / "masks"
    there = segmentation.masks_there(samples, masks)
    old = [mask for mask in there if mask.stat().st_mtime_ns < made_by.stat().st_mtime_ns]
    for mask in old:
        mask.unlink()
    files, longest, begun = [], 0.0, time.monotonic()
    made = segmentation.segment_files(segmentation.Segmenter(net), samples, masks)
    for file in tqdm(made, total=len(samples), unit="image", desc=f"segment {out.name}", disable=None):
        files.append(file)
        longest, begun = max(longest, time.monotonic() - begun), time.monotonic()
        needed = 2 * longest if len(files) < len(samples) else SCORING_SECONDS * len(samples)
        if deadline and len(files) > len(there) - len(old) and deadline.is_near(needed):
            done = f"{len(files)} of {len(samples)} images of {out.name} segmented"
            raise pausing.TimeIsUp(f"stopped at the time limit, {done}: the same command goes on there")
    pairs = [scoring.Pair(s.id, file, s.mask) for s, file in zip(samples, files, strict=True) if s.mask]
    if not pairs:
        print(f"{out.name}, {len(samples)} images without true masks: {masks}")
        return
    means = assessment.assess(pairs, samples, out, story)
    print(f"{out.name}, {len(samples)} images\n{assessment.table(means)}\nreport: {out / 'report.html'}")


def find(data: Path, split: str, on_bad: isic2017.OnBad) -> list[isic2017.Sample]:
    """The split's samples. But for Training, true masks may be absent, and images too. Raises as isic2017.find does."""
    for masks in (True, False):
        try:
            return isic2017.find(data, split, masks=masks, on_bad=on_bad)
        except FileNotFoundError as error:
            if split == "Training":
                raise
            print(f"going on without {'true masks' if masks else 'images'} of {split}: {error}")
    return []


def _samples(args: argparse.Namespace, data: Path, split: str) -> list[isic2017.Sample]:
    """The split's good samples in the folder `data`.

    Every file is looked at before training starts: Training's when it is resized, the others' here, once for a run.
    """
    unseen = split != "Training"
    found = find(data, split, args.on_bad)
    return isic2017.check(found, decode=unseen and not _checkpoints(args.out), on_bad=args.on_bad)


def _checkpoints(folder: Path) -> list[Path]:
    return list(folder.glob("net-epoch-*.mat"))


def _network(args: argparse.Namespace) -> DagNN:
    given = {} if args.fc_width is None else {"fc_width": args.fc_width}
    net = lesion_fcn.lesion_fcn(
        args.vgg,
        **given,
        width=args.width,
        dropout=0.0 if args.no_dropout else 0.5,
        deconvolution=args.deconvolution,
        recipe="literal" if args.literal else "stable",
        seed=args.seed,
    )
    if args.gpu:
        settings.change(precision=args.precision)
        net.move("gpu")
    return net


def _say_what_to_subtract(net: DagNN, args: argparse.Namespace, database: imdb.Imdb) -> None:
    """The size and mean colour of inputs, in the network's meta: so it can be used without knowing how it was trained."""
    mean = database.average() if args.vgg is None else simplenn.average_rgb(net.meta)
    size = np.array([[args.image_size, args.image_size, 3.0]])
    net.meta["normalization"] = {"imageSize": size, "averageImage": mean.reshape(1, 1, 3), "interpolation": "bicubic"}


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """What the run is set to, as JSON keeps it; refused where checkpoints of other settings are in --out."""
    settings = {name: str(v) if isinstance(v, Path) else v for name, v in sorted(vars(args).items()) if name != "run"}
    settings["profile"] = profile.find(args.profile).name  # beta24 is beta25
    file = args.out / "settings.json"
    if file.exists() and _checkpoints(args.out):
        try:
            before = json.loads(file.read_text())
        except ValueError as error:
            raise ValueError(
                f"{file}: it is damaged ({error}); another --out is right, or the file as it was"
            ) from error
        other = [n for n in settings if n not in NO_MATTER and n in before and before[n] != settings[n]]
        if other:
            name = other[0]
            raise ValueError(
                f"{args.out}: its checkpoints were trained with {name} {before[name]}, and {name} is {settings[name]} now; "
                "another --out is right"
            )
    return settings

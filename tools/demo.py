"""See the whole of it on a fresh machine: generate lesions, train, segment unseen ones, score them, write the report.

The paper's network at an eighth of its width is trained from random values on images made by dagnet.data.phantom (hairs, ruler
marks, colour charts, bubbles, low contrast); nothing is downloaded. It is `dagnet train` on generated folders: their
names and all that it writes are those of the real data.
"""

import argparse
from pathlib import Path

from dagnet.data import phantom

from . import arguments, train

IMAGES = {"Training": 480, "Validation": 40, "Test_v2": 100}
SIDE = 128  # of the generated images; the network sees them at --image-size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default %(default)s")
    parser.add_argument("--epochs", type=arguments.positive, default=7, metavar="N", help="default %(default)s")
    arguments.add_computing(parser)
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")


def run(args: argparse.Namespace) -> None:
    """Generate what is not there yet, then train and evaluate as `dagnet train` does."""
    data = args.out / "data"
    for number, (split, count) in enumerate(IMAGES.items()):
        phantom.write_split(data, split, count, SIDE, seed=2017 + number)
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    rates = f"2e-2x{max(args.epochs - 2, 1)},2e-3"  # from random values it takes a larger rate than from VGG-16's
    options = f"--image-size 64 --width 0.125 --fc-width 64 --no-dropout --augment --learning-rate {rates}"
    given = ["--data", str(data), "--out", str(args.out), "--epochs", str(args.epochs), *options.split()]
    given += (
        ["--gpu"] * args.gpu + ["--exact"] * args.exact + (["--threads", str(args.threads)] if args.threads else [])
    )
    train.run(parser.parse_args(given))

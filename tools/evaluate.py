"""Score masks against the truth as the ISIC challenge does: SE, SP, AC, JA, DI of each image, averaged.

Writes a CSV with a line an image and, where the images are given, pictures of the worst and best (truth blue, prediction
red), Otsu's threshold as a baseline, and one HTML report.
"""

import argparse
from pathlib import Path

from dagnet.data import isic2017
from dagnet.evaluation import assessment, scoring

from . import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument(
        "predictions", type=Path, help="folder of predicted masks (0/255 PNG, ISIC_nnnnnnn in the name)"
    )
    parser.add_argument("truth", type=Path, help="folder of true masks, such as ISIC-2017_Test_v2_Part1_GroundTruth")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the images, for pictures and the baseline"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="where CSV, pictures and report go"
    )
    parser.add_argument(
        "--rule",
        choices=("2017", "current"),
        default="2017",
        help="edge cases as the challenge's code had them in 2017, or has them now (default %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    """Score, write, print the means."""
    arguments.check_folder(args.out)
    pairs = scoring.match_masks(args.predictions, args.truth)
    samples = []
    if args.images:
        truth = {pair.image: pair.truth for pair in pairs}
        images = {sample.id: sample.image for sample in isic2017.images_in(args.images)}
        missing = sorted(truth.keys() - images.keys())
        if missing:
            raise ValueError(f"{args.images}: no image {missing[0]} for {truth[missing[0]].name}")
        samples = [isic2017.Sample(name, images[name], truth[name]) for name in sorted(truth)]
    story = assessment.Story(
        title=f"{args.predictions.name} against {args.truth.name}", settings={"rule": args.rule, "images": len(pairs)}
    )
    means = assessment.assess(pairs, samples, args.out, story, rule=args.rule)
    print(f"{args.predictions}, {len(pairs)} images\n{assessment.table(means)}")
    print(f"report: {args.out / 'report.html'}")

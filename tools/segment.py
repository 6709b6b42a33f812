"""Write the lesion masks of images: ISIC_nnnnnnn_segmentation.png, 0 and 255, each of its image's own size.

IMAGES is a folder of images or one image. A run that was interrupted goes on where it was: masks that are there are kept.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from dagnet.data import isic2017
from dagnet.evaluation import scoring, segmentation
from dagnet.files import netfile

from . import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("net", type=Path, help="a trained network or checkpoint, such as runs/lesion/net-epoch-20.mat")
    parser.add_argument("images", type=Path, help="a folder of images, or one image")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument("--zip", type=Path, metavar="FILE", help="also write the challenge's submission archive")
    parser.add_argument(
        "--batch-size", type=arguments.positive, default=6, metavar="N", help="images at a time (default %(default)s)"
    )
    parser.add_argument("--overwrite", action="store_true", help="make masks anew that are there already")
    arguments.add_computing(parser)
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")


def run(args: argparse.Namespace) -> None:
    """Segment, with a progress bar."""
    samples = isic2017.check(isic2017.images_in(args.images))
    _check_places(args, samples)
    segmenter = _segmenter(args)
    there = 0 if args.overwrite else len(segmentation.masks_there(samples, args.out))
    masks = segmentation.segment_files(
        segmenter, samples, args.out, batch_size=args.batch_size, overwrite=args.overwrite
    )
    with arguments.computing(args):
        for _ in tqdm(masks, total=len(samples), unit="image", desc="segment", disable=None):
            pass
    print(f"{args.out}: {_masks(len(samples))}")
    if there:
        print(f"kept from an earlier run: {there}; --overwrite makes all anew with this network")
    if args.zip:
        print(f"{args.zip}: {_masks(segmentation.write_submission(args.out, args.zip))} for submission")


def _check_places(args: argparse.Namespace, samples: list[isic2017.Sample]) -> None:
    arguments.check_folder(args.out)
    if args.zip:
        arguments.check_file(args.zip)
        if not any(scoring.ISIC_NAME.match(sample.id) for sample in samples):
            raise ValueError(
                f"{args.zip}: there is nothing to submit, as no image is named ISIC_nnnnnnn in {args.images}"
            )


def _segmenter(args: argparse.Namespace) -> segmentation.Segmenter:
    net = netfile.load(args.net)
    if args.gpu:
        net.move("gpu")
    try:
        return segmentation.Segmenter(net)
    except ValueError as error:
        raise ValueError(f"{args.net}: {error}") from error


def _masks(count: int) -> str:
    return "1 mask" if count == 1 else f"{count} masks"

"""Write the lesion masks of images: ISIC_nnnnnnn_segmentation.png, 0 and 255, each of its image's own size.

IMAGES is a folder of images or one image. A run that was interrupted goes on where it was: masks that are there are kept.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from dagnet.data import isic2017
from dagnet.evaluation import segmentation
from dagnet.files import netfile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("net", type=Path, help="a trained network or checkpoint, such as runs/lesion/net-epoch-20.mat")
    parser.add_argument("images", type=Path, help="a folder of images, or one image")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument("--zip", type=Path, metavar="FILE", help="also write the challenge's submission archive")
    parser.add_argument("--batch-size", type=int, default=6, metavar="N", help="images at a time (default %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="make masks anew that are there already")
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")


def run(args: argparse.Namespace) -> None:
    """Segment, with a progress bar."""
    samples = isic2017.images_in(args.images)
    if args.batch_size < 1:
        raise ValueError(f"--batch-size: it is {args.batch_size}; a whole number from 1 on is right")
    net = netfile.load(args.net)
    if args.gpu:
        net.move("gpu")
    there = 0 if args.overwrite else len(segmentation.masks_there(samples, args.out))
    masks = segmentation.segment_files(
        segmentation.Segmenter(net), samples, args.out, batch_size=args.batch_size, overwrite=args.overwrite
    )
    for _ in tqdm(masks, total=len(samples), unit="image", desc="segment", disable=None):
        pass
    print(f"{args.out}: {len(samples)} masks")
    if there:
        print(f"{there} masks were there already and are kept; --overwrite makes them anew with this network")
    if args.zip:
        print(f"{args.zip}: {segmentation.write_submission(args.out, args.zip)} masks for submission")

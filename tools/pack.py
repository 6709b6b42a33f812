"""Pack the ISIC 2017 images, their masks and VGG-16's weights into files below 60 MB, for a machine without a network.

    dagnet pack --data ISIC --vgg imagenet-vgg-verydeep-16.mat -o PACK
    dagnet pack --check PACK                                            are all files there as they were written?
    dagnet train --data PACK --vgg PACK/vgg16.mat ...                   there

PACK holds images-1.zip, images-2.zip ... (unzipped into one folder they are the challenge's folders), vgg16.mat and pack.json
with the checksums, which `dagnet train` looks at first. A packing that was interrupted goes on with the same command. All
that is to be done on such a machine, in its order: docs/measured/gpu.md.

Nothing is lost for training: an image and its mask are kept as they are, or, where that is shorter, resized to --size as
`dagnet train` would resize them, without further loss. Such an image is scored at that size and not at its own. Of VGG-16 the
convolutions are kept, bit for bit: fc6, fc7 and fc8 are no part of what the paper starts from.
"""

import argparse
from pathlib import Path

from dagnet.data import isic2017, pack
from dagnet.files import netfile
from dagnet.models import vgg16

from . import arguments, train

WEIGHTS = "vgg16.mat"
AFTER_POOL5 = ("fc6", "relu6", "fc7", "relu7", "fc8", "prob")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="the folder with the challenge's folders")
    add("--vgg", type=Path, metavar="FILE", help="imagenet-vgg-verydeep-16.mat (31 or 37 layers); without: no weights")
    add("-o", "--out", type=Path, metavar="PACK", help="where the pack goes")
    add(
        "--size",
        type=arguments.positive,
        default=384,
        metavar="N",
        help="resize to N x N what is shorter so (default %(default)s)",
    )
    add("--on-bad", choices=("error", "skip"), default="error", help="what to do with bad files (default %(default)s)")
    add("--check", type=Path, metavar="PACK", help="only look whether a pack is whole")


def run(args: argparse.Namespace) -> None:
    """Pack, then read all of it again; or read alone."""
    if args.check:
        _tell(args.check, pack.check(args.check))
        return
    if not (args.data and args.out):
        raise ValueError("pack: --data DIR and --out PACK are right, or --check PACK")
    arguments.check_folder(args.out)
    found = {split: train.find(args.data, split, args.on_bad) for split in isic2017.SPLITS}
    splits = {split: isic2017.check(samples, decode=True, on_bad=args.on_bad) for split, samples in found.items()}
    pack.write(args.out, splits, args.size)
    if args.vgg:
        net = vgg16.load(args.vgg)
        net.remove_layer([name for name in AFTER_POOL5 if name in net.layers])
        netfile.save(net, args.out / WEIGHTS)
        pack.add(args.out, WEIGHTS)
    _tell(args.out, pack.check(args.out))


def _tell(folder: Path, index: pack.Index) -> None:
    for name, file in index["files"].items():
        print(f"{folder / name}: {file['bytes'] / 1e6:.1f} MB")
    held = pack.entries(index)
    print(f"{folder}: whole, {len(held)} images, of which {sum(e.resized for e in held)} resized to {index['size']}")

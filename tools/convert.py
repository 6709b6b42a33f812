"""Convert a network's file or a checkpoint: SimpleNN to DagNN, MAT v7.3 (HDF5) to v7 and back, for another release.

The result is a DagNN in the layout that MatConvNet's own saveobj writes; load it in MATLAB with
    net = dagnn.DagNN.loadobj(load('NET.mat'))
A checkpoint (net-epoch-N.mat) stays a checkpoint, with the solver's state and the statistics, so that training can go on
from it in either version; --network takes the network alone.
The file is of version 7, and of 7.3 where that holds it no more (2 GB a variable) or --v7.3 asks for it.
"""

import argparse
from pathlib import Path

from dagnet.files import checkpoint, matfile, netfile, releases
from dagnet.training import profile

from . import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", type=Path, help="the network or checkpoint to read, .mat")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="where to write the DagNN, .mat")
    version = parser.add_mutually_exclusive_group()
    for choice in ("7", "7.3"):
        version.add_argument(
            f"--v{choice}",
            dest="version",
            action="store_const",
            const=choice,
            help=f"write MAT version {choice}" + (", or refuse where it is too large" if choice == "7" else " (HDF5)"),
        )
    parser.add_argument("--network", action="store_true", help="of a checkpoint take the network alone")
    parser.add_argument(
        "--release",
        choices=releases.RELEASES,
        help="write what this release of MatConvNet can load, and no later properties (default: those that the file has)",
    )
    parser.add_argument(
        "--canonical-names",
        action="store_true",
        help="name a SimpleNN's variables input, prediction, prob, objective where it has such, not x0, x1 ...",
    )


def run(args: argparse.Namespace) -> None:
    """Read, write, say so."""
    arguments.check_file(args.out, args.file)
    kept = ""
    if not args.network and checkpoint.is_whole(args.file):
        read = checkpoint.load(args.file, args.canonical_names)
        net, field = read.net, profile.find(args.release).state_field if args.release else read.state_field
        options = {"state_field": field, "profile": read.profile, "version": args.version, "release": args.release}
        checkpoint.save(args.out, net, read.state, read.stats, **options)
        kept = f", {f'state.{field}' if field else 'no state'}, statistics of {read.epoch} epochs"
    else:
        net = netfile.load(args.file, canonical_names=args.canonical_names)
        netfile.save(net, args.out, version=args.version, release=args.release)
    version = matfile.version(args.out)
    print(f"{args.out}: {len(net.layers)} layers, {len(net.params)} parameters{kept}, MAT version {version}")

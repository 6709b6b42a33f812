"""Convert a network's file or a checkpoint: SimpleNN to DagNN, MAT v7.3 (HDF5) to v7 and back, for another release.
Run a MATLAB script that defines a network (FILE.m), without MATLAB, and write what it builds: a .mat file, or Python.

The result is a DagNN in the layout that MatConvNet's own saveobj writes; load it in MATLAB with
    net = dagnn.DagNN.loadobj(load('NET.mat'))
A checkpoint (net-epoch-N.mat) stays a checkpoint, with the solver's state and the statistics, so that training can go on
from it in either version; --network takes the network alone.
The file is of version 7, and of 7.3 where that holds it no more (2 GB a variable) or --v7.3 asks for it.
Of a script, a SimpleNN stays a SimpleNN.
"""

import argparse
from pathlib import Path

from dagnet.files import checkpoint, matfile, netfile, releases
from dagnet.training import profile

from . import arguments, scripts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", type=Path, help="the network or checkpoint to read, .mat, or the script to run, .m")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="where to write: .mat, or of a script also .py")
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
    scripts.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read, write, say so."""
    script = args.file.suffix == scripts.SUFFIX
    if args.out is None and not (script and args.check):
        raise ValueError("-o FILE is missing: it says where to write the network")
    if not script and (given := [name for name, default in scripts.OPTIONS.items() if getattr(args, name) != default]):
        raise ValueError(f"--{given[0]}: {args.file} is no script; of a file NAME.m it is right")
    if args.out is not None:
        arguments.check_file(args.out, args.file)
    if script:
        if given := [name for name in ("network", "canonical_names") if getattr(args, name)]:
            raise ValueError(
                f"--{given[0].replace('_', '-')}: {args.file} is a script, which itself says what its network is"
            )
        return scripts.run(args)
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
    return 0

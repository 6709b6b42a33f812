"""Convert a network's file: SimpleNN to DagNN, MAT v7.3 (HDF5) to v7.

The result is a DagNN in the layout that MatConvNet's own saveobj writes; load it in MATLAB with
    net = dagnn.DagNN.loadobj(load('NET.mat'))
Of a checkpoint the network alone is converted, without the solver's state and the statistics.
"""

import argparse
from pathlib import Path

from dagnet.files import netfile

from . import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", type=Path, help="the network to read, .mat")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="where to write the DagNN, .mat")
    parser.add_argument(
        "--canonical-names",
        action="store_true",
        help="name a SimpleNN's variables input, prediction, prob, objective where it has such, not x0, x1 ...",
    )


def run(args: argparse.Namespace) -> None:
    """Read, write, say so."""
    arguments.check_file(args.out)
    if args.out.exists() and args.file.exists() and args.out.samefile(args.file):
        raise ValueError(f"{args.out}: it is the file to read; another name is right, so that nothing is lost")
    net = netfile.load(args.file, canonical_names=args.canonical_names)
    netfile.save(net, args.out)
    print(f"{args.out}: {len(net.layers)} layers, {len(net.params)} parameters")

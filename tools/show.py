"""Show what is in a network's .mat file: layers, sizes, parameters, memory, receptive fields; and draw it.

SimpleNN and DagNN networks and whole checkpoints are read, MAT v5 to v7.3, old layouts included.
"""

import argparse
from pathlib import Path

from dagnet import summary
from dagnet.files import atomic, netfile
from dagnet.summary import dot, plans

from . import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("file", type=Path, help="a network or checkpoint, .mat")
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="N",
        help="size of the input: height width [channels [images]] (default: what the file says)",
    )
    parser.add_argument(
        "--format",
        choices=["ascii", "latex", "csv", "dot"],
        help="print all that MatConvNet's net.print knows in this form, in place of the tables for a terminal",
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="print which algorithm each convolution will run on the CPU, in each pass, and why, in place of the tables",
    )
    parser.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw the network: layers, data and their sizes, skips"
    )
    parser.add_argument(
        "--dot",
        type=Path,
        metavar="FILE",
        help="the graph with all variables and parameters: FILE.dot or .gv is text for graphviz; FILE.pdf, .png, .svg is "
        "drawn by graphviz where that is installed",
    )


def run(args: argparse.Namespace) -> None:
    """Print the tables, and write the pictures asked for."""
    for path in (args.svg, args.dot):
        if path:
            arguments.check_file(path, args.file)
    net = netfile.load(args.file)
    sizes = summary.input_sizes(net, tuple(args.size) if args.size else None)
    if args.plan:
        print(plans.plan(net, sizes))
    elif args.format:
        print(summary.report(net, sizes, format=args.format, all=True))
    else:
        print(summary.table(net, sizes))
    if not args.format and not sizes:
        print("\nThe file does not say how large an input is; --size H W, such as --size 224 224, shows the sizes.")
    if args.svg:
        _write(args.svg, f"{summary.svg(net, sizes)}\n".encode())
    if args.dot:
        digraph, form = summary.report(net, sizes, format="dot"), args.dot.suffix.removeprefix(".")
        _write(args.dot, f"{digraph}\n".encode() if form in ("", "dot", "gv") else dot.drawn(digraph, form))


def _write(path: Path, contents: bytes) -> None:
    with atomic.replacing(path) as part:
        part.write_bytes(contents)

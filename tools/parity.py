"""Where a run of dagnet and a run of MatConvNet part, layer by layer, and why.

In MATLAB, with the function that `dagnet parity --matlab` prints:
    dagnet_dump(net, {'input', im, 'label', c}, {'objective', 1}, 'dump.mat')
Then here
    dagnet parity net.mat dump.mat --html parity.html
runs the network on the dumped inputs, in the dumped mode, and compares every dumped variable, every derivative of a variable
(d x1) and of a parameter (d conv1f) with ours:
    max abs    max|a - b|, a ours, b MATLAB's         relative   max|a - b| / max|b|
    1-cos      1 - cosine of the angle between them   ulp        max|a - b| in units in the last place of max|b|
    alone      relative, when the layer alone is run on MATLAB's own inputs, so that an earlier layer's error is not seen
    off        what is out of tolerance: the layer alone, the run end to end, or both
Where a layer is off, known mistakes are tried on it (floor or ceil, border, channel order, mean, moments as variance, LRN's
power, mode, transposed, labels from 0, release, parameters), and those that explain the difference are named.

Tolerances, relative to max|b|:
    alone        2e-6 in single, 1e-13 in double precision, times sqrt(n) / 32 for sums of n > 1024 products
    end to end   that times the number of layers through which an array came, forward and back
A parameter's derivative is a sum that may cancel (a bias before a batch normalisation): it is measured against what its terms
would come to if they did not. Where rounding made a ReLU or a maximum decide otherwise than MATLAB's, which is counted, the
derivatives end to end are judged by their direction: 1 - cosine at most 1e-5.
A GPU's libraries may sum in other ways than these: dump on the CPU (net.move('cpu')), or give --tolerance 1e-4.

Exit code 0: all is within tolerance; 1: it is not; 2: the files cannot be read or run.
"""

import argparse
from pathlib import Path

from dagnet.files import atomic, matvalues, netfile
from dagnet.parity import compare, dump, hints, page, report
from dagnet.training import profile

from . import arguments

MATLAB = Path(__file__).parent / "matlab" / "dagnet_dump.m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("net", type=Path, nargs="?", help="the network or checkpoint, .mat")
    parser.add_argument("dump", type=Path, nargs="?", help="what dagnet_dump.m wrote, .mat")
    parser.add_argument("--matlab", action="store_true", help="print dagnet_dump.m, the MATLAB side, and stop")
    parser.add_argument(
        "--tolerance", type=arguments.tolerance, metavar="T", help="in place of 2e-6 and 1e-13, such as 5e-3 with LRN"
    )
    parser.add_argument(
        "--profile",
        choices=[*profile.PROFILES, *profile.ALIASES],
        default="beta25",
        help="the release that made the dump (default %(default)s)",
    )
    parser.add_argument("--mode", choices=("normal", "test"), help="in place of the mode that the dump names")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE",
        help="your own inputs by name, .mat or .npz: compared with the dump's, and run",
    )
    parser.add_argument("--define", **arguments.DEFINE)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers here")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with a bar a layer here")


def run(args: argparse.Namespace) -> int:
    """Compare, print, write; 0 where all is within tolerance, else 1."""
    if args.matlab:
        print(MATLAB.read_text(), end="")
        return 0
    if args.net is None or args.dump is None:
        raise ValueError(
            "a network and a dump are right: dagnet parity net.mat dump.mat; --matlab prints what makes one"
        )
    for path in (args.json, args.html):
        if path:
            arguments.check_file(path, args.net, args.dump, args.inputs)
    if args.json and args.json == args.html:
        raise ValueError(f"--json, --html: both are {args.json}; two files are right")
    arguments.define(args.define)
    theirs = dump.load(args.dump)
    theirs.mode = args.mode or theirs.mode
    net = netfile.load(args.net, own_epsilon=True)  # since dagnet_dump.m runs a SimpleNN as what it is
    profile.apply(net, args.profile)
    inputs = arguments.arrays(args.inputs) if args.inputs else {}
    if args.inputs and not inputs:
        raise ValueError(f"{args.inputs}: it holds no arrays; some of {', '.join(theirs.inputs)} are right")
    if strangers := [name for name in inputs if name not in theirs.inputs]:
        raise ValueError(
            f"{args.inputs}: it holds '{strangers[0]}'; inputs of the dump ({', '.join(theirs.inputs)}) are right"
        )
    result = compare.compare(net, theirs, inputs, args.tolerance)
    made = report.Report(
        f"{args.net.name} and what MATLAB dumped in {args.dump.name}",
        _settings(args, theirs),
        result,
        hints.find(net, theirs, result, inputs),
    )
    print(report.text(made))
    for path, write in ((args.json, report.as_json), (args.html, page.write)):
        if path:
            with atomic.replacing(path) as part:
                part.write_text(write(made), encoding="utf-8")
    return 0 if result.ok else 1


def _settings(args: argparse.Namespace, theirs: dump.Dump) -> dict[str, str]:
    return {
        "mode": theirs.mode,
        "precision": " and ".join(sorted({matvalues.class_of(value) for value in theirs.values.values()})),
        "profile": args.profile,
        "derivatives of": ", ".join(theirs.der_outputs) or "nothing",
        "inputs": str(args.inputs or "the dump's"),
    }

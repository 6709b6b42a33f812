"""dagnet convert DEFINITION.m: a lab's own script becomes the network that it defines, as a .mat file or as Python."""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from dagnet import DagNN, mscript
from dagnet.files import atomic, matfile, netfile
from dagnet.mscript import topython
from dagnet.simplenn import SimpleNN

from . import arguments

SUFFIX = ".m"
DEFINE = "NAME=MODULE:FUNCTION"
# Options that mean something for scripts alone: their defaults.
OPTIONS: dict[str, Any] = {"call": None, "weights": None, "define": [], "check": False, "seed": 0, "to": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options for scripts."""
    group = parser.add_argument_group("of a script (FILE.m)")
    group.add_argument(
        "--call",
        metavar="TEXT",
        help="what to call, in MATLAB: \"f(arg, 'name', value)\" (default: the file's own function, without arguments)",
    )
    group.add_argument("--weights", type=Path, metavar="FILE", help="the .mat that stands for the one the script loads")
    group.add_argument(
        "--define",
        action="append",
        default=[],
        metavar=DEFINE,
        help="a function, or a block's class, that the script uses and dagnet does not know, found from the current folder "
        "(may be repeated)",
    )
    group.add_argument("--check", action="store_true", help="list all in the file that would not run, and run nothing")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the script's random numbers (default 0)")
    group.add_argument(
        "--to", choices=["python"], help="write a Python function that builds the network, layer by layer"
    )


def run(args: argparse.Namespace) -> int:
    """Check the script, or run it and write what it gives."""
    define = arguments.places(args.define, DEFINE, "bias=mine:bias")
    if args.check:
        return _check(args.file, define)
    python = args.to == "python" or args.out.suffix == ".py"
    if python and args.out.suffix != ".py":
        raise ValueError(f"{args.out}: it becomes Python; a name that ends in .py is right")
    if args.weights and args.out.exists() and args.out.samefile(args.weights):
        raise ValueError(f"{args.out}: it is the file with the weights; another name is right, so that nothing is lost")
    made = mscript.execute(args.file, args.call, define=define, weights=args.weights, seed=args.seed)
    if python:
        text = topython.source(made.network, args.out.stem, args.file.name, _loaded(made.loaded), made.draws)
        with atomic.replacing(args.out) as part:
            part.write_text(text, encoding="utf-8")
        print(f"{args.out}: {_told(made.network)}, the function {args.out.stem}")
    else:
        netfile.save(made.network, args.out, version=args.version, release=args.release)
        print(f"{args.out}: {_told(made.network)}, MAT version {matfile.version(args.out)}")
    return 0


def _loaded(paths: list[Path]) -> DagNN | None:
    """The network among the files that the script loaded, None where there is none. Raises ValueError for several."""
    found = {}
    for path in paths:
        with contextlib.suppress(ValueError):  # a file without a network: what came of it is said in full
            found[path.resolve()] = netfile.load(path, canonical_names=True)
    if len(found) > 1:
        raise ValueError(f"Python can take values from one network, and the script loaded {', '.join(map(str, found))}")
    return next(iter(found.values()), None)


def _check(path: Path, define: dict[str, str]) -> int:
    found = mscript.check.check(path, define)
    for finding in found:
        print(finding)
    wrong = sum(not finding.condition for finding in found)
    print(f"{path}: {f'{wrong} of its lines would not run' if wrong else 'all that it needs is known'}")
    return 1 if wrong else 0


def _told(net: Any) -> str:
    if isinstance(net, SimpleNN):
        return f"a SimpleNN of {len(net.layers)} layers"
    return f"{len(net.layers)} layers, {len(net.params)} parameters"

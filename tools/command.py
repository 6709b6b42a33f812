"""dagnet VERB: finds the verb's file, reads the arguments, and turns errors into one line.

Exit code 0: done; 1: done, and what was looked at (parity, gradcheck) is not right; 2: bad input or a machine that cannot, one
line on stderr says which; 3: stopped at the time limit that was asked for, the same command goes on; 130: interrupted.
"""

import argparse
import importlib
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

VERBS = {
    "demo": "train on generated lesions, segment unseen ones, score them, write a report",
    "train": "train the paper's network on ISIC 2017 from VGG-16's .mat, then segment and score",
    "segment": "write the lesion masks of images",
    "evaluate": "score masks against the truth: SE, SP, AC, JA, DI, pictures, report",
    "show": "what is in a .mat network: layers, sizes, parameters, memory, receptive fields; pictures of it",
    "convert": "SimpleNN to DagNN, MAT v7.3 to v7 and back, networks and checkpoints; MATLAB scripts to networks",
    "parity": "where a run of dagnet and a run of MatConvNet part, layer by layer, and why",
    "gradcheck": "is backward the slope of forward: of any block, of yours, of a network",
    "bench": "time and memory beside PyTorch",
    "pack": "the images and VGG-16's weights in files below 60 MB, for a machine without a network",
}
# What a user can cause, with a sentence that was written for the user; anything else is our fault and shows its traceback.
FORESEEN = (ValueError, OSError, KeyError, RuntimeError, FloatingPointError, MemoryError, ImportError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dagnet argv...`; returns the exit code. Raises SystemExit after --help, and (2) for words that it cannot parse."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = _parser(arguments).parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        # errstate: what is not finite the trainer finds and names
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.showwarning = lambda message, *_, **__: print(f"dagnet: note: {message}", file=sys.stderr)
            return args.run(args) or 0
    except KeyboardInterrupt as stop:
        print(f"dagnet {args.verb}: interrupted{f'; {stop}' if str(stop) else ''}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has left
        sys.stderr.close()
        return 0
    except FORESEEN as error:
        if args.debug:
            raise
        print(f"dagnet {args.verb}: {sentence(error)}", file=sys.stderr)
        return 2


def sentence(error: BaseException) -> str:
    """An error and its notes in one line."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, MemoryError):
        text = f"out of memory ({text or 'no size known'}); a smaller batch, image or network needs less"
    elif isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    notes = getattr(error, "__notes__", ())
    return " ".join("; ".join([text or type(error).__name__, *notes]).split())


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse would put the whole usage, up to eleven lines, before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help tells more\n")


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dagnet", description="MatConvNet's DagNN in Python.", epilog="dagnet VERB --help tells more of each."
    )
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, tells in VERBS.items():
        if name not in arguments[:1]:
            verbs.add_parser(name, help=tells)
            continue
        module = importlib.import_module(f"dagnet.tools.{name}")
        verb = verbs.add_parser(
            name, help=tells, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(verb)
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.set_defaults(run=module.run)
    return parser


def _version() -> str:
    import dagnet

    return f"dagnet {dagnet.__version__}"

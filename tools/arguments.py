"""What the verbs' arguments have in common: numbers, arrays, users' blocks, places to write to, looked at before work."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from dagnet.files import matfile
from dagnet.layers import catalogue, settings


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse. Raises ArgumentTypeError."""
    return _whole(text, 1)


def whole(text: str) -> int:
    """A whole number from 0 on, for argparse. Raises ArgumentTypeError."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"it is {text!r}; a whole number from {least} on is right")
    return number


def duration(text: str) -> float:
    """Seconds, from 90s, 8m or 1.5h, for argparse. Raises ArgumentTypeError."""
    try:
        seconds = float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1:]]
    except (ValueError, KeyError):
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"it is {text!r}; a time such as 90s, 8m or 1.5h is right")
    return seconds


def check_folder(path: Path) -> None:
    """Raises OSError where files could not be written in folder `path`, which need not be there yet. Makes nothing."""
    place = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{path}: it cannot be a folder, as {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: it cannot be written, as you may not write in {place}")


def check_file(path: Path, *read: Path | None) -> None:
    """Raises OSError where file `path` could not be written, or replaced where it is there. Makes nothing.

    Raises ValueError where it is one of the files that are read.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: it is a folder; the name of a file is right")
    if any(other and other.exists() and path.exists() and path.samefile(other) for other in read):
        raise ValueError(f"{path}: it is the file to read; another name is right, so that nothing is lost")
    check_folder(path.parent)


def tolerance(text: str) -> float:
    """A positive number, for argparse. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"it is {text!r}; a positive number such as 1e-5 is right")
    return number


def add_computing(parser: argparse.ArgumentParser) -> None:
    """The options of how the CPU computes, which computing() obeys."""
    parser.add_argument("--threads", type=positive, metavar="N", help="on the CPU (default: one for each core)")
    parser.add_argument(
        "--exact",
        action="store_true",
        help="convolutions by matrix products alone: slower, and nearer to what MatConvNet computes",
    )


def computing(args: argparse.Namespace) -> AbstractContextManager[None]:
    """While it is entered, the CPU computes as the options say: `with arguments.computing(args): ...`."""
    return settings.using(exact=args.exact, threads=args.threads or settings.current().threads)


# The option --define of the verbs that run blocks of the user's own.
DEFINE: dict[str, Any] = {
    "action": "append",
    "default": [],
    "metavar": "TYPE=MODULE:CLASS",
    "help": "a block of your own: its type in the file, and the class, found from the current folder (may be repeated)",
}


def define(texts: Sequence[str]) -> None:
    """Registers the blocks that --define names. Raises ValueError for another form, ImportError for what is not there."""
    for matlab_type, place in places(texts, DEFINE["metavar"], "Brighten=blocks:Brighten").items():
        module, _, name = place.partition(":")
        found: Any = getattr(importlib.import_module(module), name, None)
        try:
            catalogue.register(matlab_type, found)
        except TypeError as error:
            raise ValueError(f"--define {matlab_type}={place}: {error}") from error


def places(texts: Sequence[str], form: str, example: str) -> dict[str, str]:
    """name: "module:what" of each text name=module:what; modules will be found from the current folder.

    Raises ValueError for another form, which says the right one.
    """
    found = {}
    for text in texts:
        name, _, place = text.partition("=")
        module, _, what = place.partition(":")
        if not (name and module and what):
            raise ValueError(f"--define: it is {text!r}; {form}, such as {example}, is right")
        if "" not in sys.path:
            sys.path.insert(0, "")
        found[name] = place
    return found


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .mat or .npz file. Raises OSError or ValueError."""
    if path.suffix != ".npz":
        return {name: value for name, value in matfile.read(path).items() if isinstance(value, np.ndarray)}
    try:
        with np.load(path) as file:
            return dict(file)
    except OSError:
        raise
    except Exception as error:  # damage shows as half a dozen kinds of error
        raise ValueError(f"{path}: it is no .npz file of plain arrays ({error})") from error

"""What the verbs' arguments have in common: whole numbers, and places to write to that are looked at before long work."""

import argparse
import os
from pathlib import Path


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse. Raises ArgumentTypeError."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"it is {text!r}; a whole number from 1 on is right")
    return number


def check_folder(path: Path) -> None:
    """Raises OSError where files could not be written in folder `path`, which need not be there yet. Makes nothing."""
    place = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{path}: it cannot be a folder, as {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: it cannot be written, as you may not write in {place}")


def check_file(path: Path) -> None:
    """Raises OSError where file `path` could not be written, or replaced where it is there. Makes nothing."""
    if path.is_dir():
        raise IsADirectoryError(f"{path}: it is a folder; the name of a file is right")
    check_folder(path.parent)

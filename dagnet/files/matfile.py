"""Reads and writes MATLAB's .mat files: versions 5, 6 and 7 (level 5), and 7.3 (an HDF5 file).

What a file holds comes as the plain values that matvalues lists, the same from every version.
"""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from . import atomic, hdf5reader, hdf5writer, level5reader, level5writer

Version = Literal["7", "7.3"]
HDF5_START = b"\x89HDF\r\n\x1a\n"
REMEDY = "what MATLAB or Octave saves with '-v7' is right"


def read(path: str | os.PathLike, names: Collection[str] | None = None) -> dict[str, Any]:
    """The variables of a .mat file by name, or only those of names that it holds.

    Raises FileNotFoundError or another OSError where there is no file or it may not be read, ValueError where it is no
    MAT-file of version 5 to 7.3 or is damaged.
    """
    return _from(Path(path), lambda reader, path: reader.read(path, names))


def names(path: str | os.PathLike) -> list[str]:
    """The names of a file's variables, without reading their values. Raises as read does."""
    return _from(Path(path), lambda reader, path: reader.names(path))


def version(path: str | os.PathLike) -> Version:
    """ "7.3", or "7" for versions 5, 6 and 7, which are one format. Raises as read does for what is no MAT-file."""
    path = Path(path)
    start = _start_of(path)
    if HDF5_START in (start[:8], start[512:520]):
        return "7.3"
    if start[126:128] not in (b"IM", b"MI"):
        raise ValueError(
            f"{path}: this is no MAT-file of version 5, 6, 7 or 7.3 (it begins with {start[:16]!r}); {REMEDY}"
        )
    return "7"


def write(path: str | os.PathLike, variables: Mapping[str, Any], version: Version | None = None) -> None:
    """Writes the variables (values as in matvalues) as a MAT-file of version 7, of 7.3 where one takes more than 2 GB.

    version asks for one of the two. The file is written beside its place and renamed when whole: whatever happens, path
    holds the old file or the new. Raises OSError where path cannot be written, ValueError for values that a MAT-file (of
    that version) cannot hold.
    """
    if version not in (None, "7", "7.3"):
        raise ValueError(f"{path}: version is {version!r}; '7' or '7.3' is right")
    with atomic.replacing(path) as part:
        try:
            if version == "7.3" or not _write_level5(part, variables, or_raise=version == "7"):
                hdf5writer.write(part, variables)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _write_level5(path: Path, variables: Mapping[str, Any], or_raise: bool) -> bool:
    """Whether it could be written: it is not (or_raise: raises TooLarge) where a variable takes too much."""
    try:
        with path.open("wb") as file:
            level5writer.write(file, variables)
    except level5writer.TooLarge:
        if or_raise:
            raise
        return False
    return True


def _from(path: Path, ask: Callable[[ModuleType, Path], Any]) -> Any:
    """What a reader says of a file, its errors made one kind."""
    reader = hdf5reader if version(path) == "7.3" else level5reader
    try:
        return ask(reader, path)
    except MemoryError:
        raise
    except hdf5reader.NotMatlab as error:
        raise ValueError(f"{path}: {error}; {REMEDY}") from error
    except Exception as error:  # damage shows as a dozen kinds of error, from zlib's to TypeError
        raise ValueError(f"{path}: the file is damaged or cut short ({type(error).__name__}: {error})") from error


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except OSError as error:
        raise type(error)(f"{path}: it cannot be read ({error.strerror})") from error

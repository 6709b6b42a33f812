"""Writing a file whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A place beside `path` to write to, which takes the place of path when the block ends without an error.

    The folder is made where it is missing. Whatever happens, path holds the
    old file or the whole new one. Raises OSError, naming path, where it cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # a rename may otherwise outlive the contents when the power fails
        part.replace(path)
    except OSError as error:
        raise type(error)(f"{path}: it cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):  # the part is there only where something went wrong
            part.unlink()

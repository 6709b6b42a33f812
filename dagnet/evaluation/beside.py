"""Files that are whole or not there: written beside their place under another name, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden path in the same folder to write to; the file there replaces `path` when the block ends well.

    The folder is created where it is missing. An error in the block leaves `path` as it was, and nothing beside it.
    OSError: the folder cannot be made or written to, the disk is full, ...
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{path}: it cannot be written ({error.strerror or error})") from error

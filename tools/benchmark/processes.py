"""Measurements in processes of their own, one after another; what has finished is kept, so that a run that stopped goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from dagnet.files import atomic

TUNED_BY_HAND = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # these would make OpenBLAS slower or faster than a user's
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Task(NamedTuple):
    """A module of this folder that prints a line of JSON, its arguments, on how many threads, and the how manieth time."""

    module: str
    words: tuple[str, ...]
    threads: int
    round: int = 1

    @property
    def key(self) -> str:
        """The task in a line."""
        return f"{' '.join((self.module, *self.words))}; {self.threads} threads; round {self.round}"


class Finished:
    """What the finished processes printed, by their tasks' keys; kept in a file where one is named.

    settings is all that the figures depend on beside the task: what another run left under other settings is not used.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self._path, self._settings = path, settings
        self._found: dict[str, Any] = {}
        if path and path.exists():
            kept = json.loads(path.read_text())
            if kept["settings"] == settings:
                self._found = kept["finished"]

    def __len__(self) -> int:
        return len(self._found)

    def get(self, task: Task) -> Any | None:
        """What its process printed; None where it has not run."""
        return self._found.get(task.key)

    def add(self, task: Task, figures: Any) -> None:
        """Keep what its process printed."""
        self._found[task.key] = figures
        if self._path:
            with atomic.replacing(self._path) as part:
                part.write_text(json.dumps({"settings": self._settings, "finished": self._found}))

    def forget(self) -> None:
        """Remove the file: the next run measures anew."""
        if self._path:
            self._path.unlink(missing_ok=True)


def run(tasks: Iterable[Task], finished: Finished) -> dict[Task, Any]:
    """What each task's process prints. Raises RuntimeError with its last words where one fails."""
    found, todo = {}, []
    for task in tasks:
        known = finished.get(task)
        if known is None:
            todo.append(task)
        else:
            found[task] = known
    with tqdm(todo, unit="process", desc="bench", disable=None) as bar:
        for task in bar:
            bar.set_postfix_str(" ".join(task.words)[:40])
            found[task] = output(task)
            finished.add(task, found[task])
    return found


def output(task: Task) -> Any:
    """What the task's process prints. Raises RuntimeError with its last words where it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in TUNED_BY_HAND}
    environment |= dict.fromkeys(THREADS, str(task.threads))
    command = [sys.executable, "-m", f"{__package__}.{task.module}", *task.words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it was ended with code {done.returncode} and said nothing"]
        raise RuntimeError(f"bench: the process of {' '.join(task.words)} failed: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])

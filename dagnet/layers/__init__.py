"""A door: in a checkout, dagnet.layers is the folder layers/ at its top.

setup.py installs that folder in this place, so no installed dagnet has this file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

__path__ = [str(Path(__file__).resolve().parents[2] / "layers")]

if TYPE_CHECKING:  # the way in for those who read and never run: mypy, pyright, editors
    from layers import *

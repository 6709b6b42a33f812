"""What `dagnet bench` measures, against what, and how it shows it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a contender's process imports what it runs, not its rivals
    from . import torch_networks as torch_networks

"""What `dagnet bench` measures, against what, and how it shows it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a contender's process imports what it runs, not its rivals
    from . import chart as chart
    from . import contenders as contenders
    from . import convolutions as convolutions
    from . import curves as curves
    from . import figures as figures
    from . import goals as goals
    from . import growth as growth
    from . import layers as layers
    from . import machine as machine
    from . import memory as memory
    from . import networks as networks
    from . import other_layers as other_layers
    from . import processes as processes
    from . import tables as tables
    from . import torch_networks as torch_networks
    from . import work as work
    from . import works as works

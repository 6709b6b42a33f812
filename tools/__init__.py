"""The command line: dagnet VERB, or python -m dagnet.tools VERB."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a verb is imported when it is called, not before
    from . import arguments as arguments
    from . import bench as bench
    from . import benchmark as benchmark
    from . import command as command
    from . import convert as convert
    from . import demo as demo
    from . import evaluate as evaluate
    from . import gpubench as gpubench
    from . import gradcheck as gradcheck
    from . import pack as pack
    from . import parity as parity
    from . import scripts as scripts
    from . import segment as segment
    from . import show as show
    from . import train as train

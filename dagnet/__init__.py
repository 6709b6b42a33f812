"""dagnet: MatConvNet's DagNN in Python, forward and backward by hand, on NumPy or CuPy."""

from dagnet.dagnn import DagNN as DagNN
from dagnet.layers import settings as settings
from dagnet.simplenn import SimpleNN as SimpleNN

__version__ = "0.1.0"


def set_threads(n: int) -> None:
    """Let n threads share the work on the CPU (at first as many as cores, or as OMP_NUM_THREADS says).

    Raises ValueError unless n is a whole number from 1.
    """
    settings.change(threads=n)

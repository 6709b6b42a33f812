"""dagnet: MatConvNet's DagNN in Python, forward and backward by hand, on NumPy or CuPy."""

from dagnet.dagnn import DagNN as DagNN
from dagnet.simplenn import SimpleNN as SimpleNN

__version__ = "0.1.0"

"""Networks in files: MATLAB's .mat, MatConvNet's layouts inside it, and checkpoints of training."""

from . import atomic as atomic
from . import checkpoint as checkpoint
from . import fields as fields
from . import hdf5reader as hdf5reader
from . import hdf5writer as hdf5writer
from . import infile as infile
from . import level5reader as level5reader
from . import level5writer as level5writer
from . import matfile as matfile
from . import matvalues as matvalues
from . import netfile as netfile
from . import releases as releases
from . import simplenn as simplenn
from . import writable as writable

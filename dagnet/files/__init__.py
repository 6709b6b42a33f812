"""Networks in files: MATLAB's .mat, MatConvNet's layouts inside it, and checkpoints of training."""

from . import atomic as atomic
from . import checkpoint as checkpoint
from . import fields as fields
from . import matfile as matfile
from . import matvalues as matvalues
from . import matwriter as matwriter
from . import netfile as netfile
from . import simplenn as simplenn

"""Networks, each defined layer by layer as its MATLAB script does."""

from . import fcn as fcn
from . import initial as initial
from . import lesion_fcn as lesion_fcn
from . import vgg16 as vgg16

"""A lab's own .m scripts, read and run without MATLAB: what defines a network in MatConvNet becomes the network."""

from . import failures as failures
from . import handle as handle

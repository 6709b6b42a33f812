"""A lab's own .m scripts, read and run without MATLAB: what defines a network in MatConvNet becomes the network.

    from dagnet import mscript

    net = mscript.run("lesion_net.m")                              # the file's main function, or its script
    net = mscript.run("lesion_net.m", None, "width", 64, weights="vgg.mat")

check.check(path) lists all that would not run. A parser (parser) makes a tree (syntax) of a file, which an interpreter
(interpreter over assigning over evaluator over calling) runs with MATLAB's rules (operators, indexing, printf, builtins). What
is not known stops the run with file, line and text (failures); what no stranger's script may do is refused (refused, limits).
MatConvNet's functions and objects are dagnet's (matconvnet_api, networks, blocks); a script that trains ends there (training).
topython writes a network as a Python function.
"""

from . import check as check
from . import failures as failures
from . import handle as handle
from . import limits as limits
from . import topython as topython
from .failures import LimitReached as LimitReached
from .failures import MatlabError as MatlabError
from .failures import NotMatlab as NotMatlab
from .failures import NotSupported as NotSupported
from .failures import Refused as Refused
from .failures import ScriptError as ScriptError
from .limits import Limits as Limits
from .running import Executed as Executed
from .running import execute as execute
from .running import run as run

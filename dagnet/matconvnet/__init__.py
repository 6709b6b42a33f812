"""MatConvNet's names and call forms: vl_nn*, a DagNN with camelCase methods, cnn_train_dag; for code that comes from MATLAB.

    from dagnet.matconvnet import dagnn, vl_nnconv, vl_nnpool

    y = vl_nnconv(x, f, b, "stride", 2, "pad", [1, 1, 1, 1])          # y = vl_nnconv(x, f, b, 'stride', 2, 'pad', [1 1 1 1]);
    dx, df, db = vl_nnconv(x, f, b, dzdy, "stride", 2, "pad", 1)      # [dx, df, db] = vl_nnconv(x, f, b, dzdy, ...);

All of it is a thin layer over dagnet's own functions, which docs/matconvnet.md names beside MatConvNet's. What calls look like,
and what several outputs become: calling.py.
"""

from . import dagnn as dagnn
from .calling import gather as gather
from .calling import gpuArray as gpuArray
from .calling import release as release
from .calling import rng as rng
from .calling import vl_argparse as vl_argparse
from .functions import vl_nnbilinearsampler as vl_nnbilinearsampler
from .functions import vl_nnbnorm as vl_nnbnorm
from .functions import vl_nnconcat as vl_nnconcat
from .functions import vl_nnconv as vl_nnconv
from .functions import vl_nnconvt as vl_nnconvt
from .functions import vl_nncrop as vl_nncrop
from .functions import vl_nndropout as vl_nndropout
from .functions import vl_nnloss as vl_nnloss
from .functions import vl_nnnoffset as vl_nnnoffset
from .functions import vl_nnnormalize as vl_nnnormalize
from .functions import vl_nnnormalizelp as vl_nnnormalizelp
from .functions import vl_nnpdist as vl_nnpdist
from .functions import vl_nnpool as vl_nnpool
from .functions import vl_nnrelu as vl_nnrelu
from .functions import vl_nnroipool as vl_nnroipool
from .functions import vl_nnsigmoid as vl_nnsigmoid
from .functions import vl_nnsoftmax as vl_nnsoftmax
from .functions import vl_nnsoftmaxloss as vl_nnsoftmaxloss
from .functions import vl_nnspnorm as vl_nnspnorm
from .functions import vl_taccum as vl_taccum
from .images import vl_imreadjpeg as vl_imreadjpeg
from .simple import vl_simplenn as vl_simplenn
from .simple import vl_simplenn_display as vl_simplenn_display
from .simple import vl_simplenn_move as vl_simplenn_move
from .simple import vl_simplenn_tidy as vl_simplenn_tidy
from .training import cnn_train as cnn_train
from .training import cnn_train_dag as cnn_train_dag

# matconvnet-fcn's blocks, which have no package before their names.
SegmentationAccuracy = dagnn.constructor("SegmentationAccuracy")
SegmentationLoss = dagnn.constructor("SegmentationLoss")

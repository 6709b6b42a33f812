"""The layers: what each computes, forward and backward, by hand, on NumPy or CuPy arrays."""

from . import array as array
from . import block as block
from . import bnorm as bnorm
from . import catalogue as catalogue
from . import concat as concat
from . import conv as conv
from . import convt as convt
from . import crop as crop
from . import dropout as dropout
from . import geometry as geometry
from . import gradcheck as gradcheck
from . import loss as loss
from . import lrn as lrn
from . import noffset as noffset
from . import normalizelp as normalizelp
from . import pdist as pdist
from . import pool as pool
from . import relu as relu
from . import scale as scale
from . import segmentation as segmentation
from . import sigmoid as sigmoid
from . import softmax as softmax
from . import spnorm as spnorm
from . import sum as sum
from . import taccum as taccum

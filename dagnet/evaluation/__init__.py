"""Lesion masks and how good they are: segmentation, the challenge's scores, pictures and the report."""

from . import assessment as assessment
from . import metrics as metrics
from . import otsu as otsu
from . import overlay as overlay
from . import plots as plots
from . import report as report
from . import scoring as scoring
from . import segmentation as segmentation

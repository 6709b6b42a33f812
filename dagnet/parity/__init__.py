"""Parity: where a run of dagnet and a run of MatConvNet part, and why.

dump      what MATLAB computed, from the file that dagnet_dump.m writes
runs      the same network run here, end to end and layer by layer
measures  how far two arrays are apart
compare   every dumped array beside ours, and how far apart they may be
changes   what a known mistake would change in a layer
hints     known mistakes, each tried on the layer that is off
report    the comparison as text and JSON
page      the comparison as an HTML page
"""

from . import changes as changes
from . import compare as compare
from . import dump as dump
from . import hints as hints
from . import measures as measures
from . import page as page
from . import report as report
from . import runs as runs

"""Parity: where a run of dagnet and a run of MatConvNet part, and why.

dump      what MATLAB computed, from the file that dagnet_dump.m writes
runs      the same network run here, end to end and layer by layer
compare   every dumped array beside ours, and how far apart they may be
hints     known mistakes, each tried on the layer that is off
report    the comparison as text and JSON
page      the comparison as an HTML page
"""

from . import compare as compare
from . import dump as dump
from . import hints as hints
from . import page as page
from . import report as report
from . import runs as runs

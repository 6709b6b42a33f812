"""A network in words, tables and pictures: what `dagnet show` prints and draws. All of them ask facts.py.

    table                   the house's own view, a row a layer, for a terminal
    report                  MatConvNet's net.print: ascii, latex, csv, dot
    display                 MatConvNet's vl_simplenn_display, for a SimpleNN
    svg                     a picture
    diagnosis.diagnose      MatConvNet's vl_simplenn_diagnose: the ranges of a run's values (a module to import by itself: it
                            brings matplotlib)
    plans.plan              the algorithms of the convolutions
    input_sizes, peaks      what a file says of its input's size; the memory that a pass takes

Sizes are (H, W, C, N).
"""

from .columns import report as report
from .drawing import svg as svg
from .facts import input_sizes as input_sizes
from .memory import peaks as peaks
from .overview import table as table
from .simple import display as display

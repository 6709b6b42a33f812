"""What scripts can call by name, by topic. Importing this enters everything into the table."""

from . import arrays as arrays
from . import classes as classes
from . import containers as containers
from . import errors as errors
from . import files as files
from . import functions as functions
from . import maths as maths
from . import output as output
from . import randoms as randoms
from . import reductions as reductions
from . import regexps as regexps
from . import sets as sets
from . import table as table
from . import texts as texts

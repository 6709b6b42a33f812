"""python -m dagnet.tools VERB: the command line without an installed `dagnet` command."""

import sys

from .command import main

sys.exit(main())

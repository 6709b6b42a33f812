"""Training as MatConvNet's cnn_train_dag and cnn_train do it: epochs, passes, the rule of update, what releases changed."""

from . import arguments as arguments
from . import chain as chain
from . import divergence as divergence
from . import passes as passes
from . import pausing as pausing
from . import plots as plots
from . import profile as profile
from . import progress as progress
from . import resuming as resuming
from . import solvers as solvers
from . import stepping as stepping
from . import trainer as trainer

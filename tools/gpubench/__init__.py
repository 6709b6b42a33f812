"""What `dagnet bench --gpu` measures and how: counts, the two sides, their processes, the table and the roofline."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a contender's process imports its own side alone
    from . import contenders as contenders
    from . import counts as counts
    from . import ours as ours
    from . import report as report
    from . import roofline as roofline
    from . import running as running
    from . import theirs as theirs
    from . import work as work

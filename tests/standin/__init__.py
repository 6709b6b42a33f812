"""A stand-in for CuPy, for tests on machines without a GPU: its arrays are NumPy's inside and obey CuPy's rules outside.

    with standin.installed() as xp:     import cupy gives the stand-in until the block ends
        y = relu.forward(xp.asarray(x))

What it refuses, as CuPy 14 does: to become a NumPy array unasked; NumPy's arrays and lists beside its own, in operators and
functions; names, methods, keywords, dtypes that CuPy lacks (cupy14.json, see freeze.py); an `out` that is not its own.
What it refuses beyond CuPy, since here it can only be a slip: np.add(x, x) and all of np on its arrays but shape, ndim and
size; NumPy's arrays as indices, and after zeros_like and the like; indices out of range, which CuPy wraps round.
What it does as CuPy does: results are in C order, whatever the operands' order, but for those of modules.KEEPS_ORDER and views;
a reduction gives an array without dimensions. No kernel can be launched: RawModule and its kin raise NotImplementedError.

standin.waits counts what makes the host wait for a device: {"get": 3, "bool": 1, ...}, by the name of what waited.
A function that CuPy has and NumPy lacks is not served: it raises NotImplementedError and says so.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from dagnet.layers import kernels

from . import calls, modules

waits = calls.waits


@contextmanager
def installed() -> Iterator[ModuleType]:
    """The module `cupy`, which is the stand-in as long as the block runs; the counts of `waits` start at nothing.

    No kernel can be launched, and so kernels.serving has no twins for its arrays: the plain code runs.
    """
    made, serving = modules.made(), kernels.serving
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("cupy", "cupyx")}
    for name in before:
        del sys.modules[name]
    sys.modules.update(made)
    waits.clear()
    kernels.serving = lambda op, *arrays: None if calls.arrays_in(arrays) else serving(op, *arrays)
    try:
        yield made["cupy"]
    finally:
        kernels.serving = serving
        for name in made:
            sys.modules.pop(name, None)
        sys.modules.update(before)

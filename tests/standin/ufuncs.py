"""The stand-in's ufuncs: those that CuPy has, with the loops that it has, computed by NumPy's."""

import functools
from typing import Any

import numpy as np

from .calls import NUMBERS, Held, run
from .freeze import frozen

FROZEN = frozen()["ufuncs"]
OPERANDS = (Held, *NUMBERS)


class Ufunc:
    """A ufunc of CuPy's: `out`, `dtype` and `casting` are its keywords, and only what CuPy has loops for is computed."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.name = name
        self.nin, self.nout, types = FROZEN[name]
        self.nargs, self.types = self.nin + self.nout, types.split()
        self._numpys = getattr(np, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if wrong := set(kwargs) - {"out", "dtype", "casting"}:
            raise TypeError(f"Wrong arguments {wrong}")
        if len(args) > self.nin and "out" not in kwargs:
            args, kwargs = args[: self.nin], kwargs | {"out": args[self.nin]}
        if len(args) != self.nin:
            raise TypeError(f"{self.name}() takes {self.nin} operands and {len(args)} were given")
        for operand in args:
            if not isinstance(operand, OPERANDS):
                raise TypeError(f"Unsupported type {type(operand)}")
        if kwargs.get("dtype") is None:
            self._check_types(*(a._held.dtype if isinstance(a, Held) else type(a) for a in args))
        if kwargs.get("out") is None:
            kwargs = {name: value for name, value in kwargs.items() if name != "out"}
        return run(self.name, self._numpys, args, kwargs)

    @functools.cache  # noqa: B019  the ufuncs live as long as the tests
    def _check_types(self, *kinds: np.dtype | type) -> None:
        kinds = tuple(np.result_type(kind) for kind in kinds)
        if not any(all(map(np.can_cast, kinds, loop)) for loop in self.types):
            raise TypeError(f"{self.name}: there is no loop of CuPy's for {', '.join(map(str, kinds))}")

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        """As NumPy's, of the few ufuncs for which CuPy has it."""
        if self.name not in ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        run(f"{self.name}.at", self._numpys.at, (a, indices, b), {})


class Matmul:
    """cupy.matmul, which is no ufunc."""

    __name__ = "matmul"

    def __call__(self, a: Any, b: Any, out: Any = None, **kwargs: Any) -> Any:
        for operand in (a, b):
            if not isinstance(operand, Held):
                raise TypeError(f"Unsupported type {type(operand)}")
        return run("matmul", np.matmul, (a, b), kwargs if out is None else kwargs | {"out": out})


@functools.cache
def named(name: str) -> Any:
    """The ufunc of that name, of CuPy's spelling or NumPy's. Raises AttributeError where CuPy has none."""
    if name == "matmul":
        return Matmul()
    if name not in FROZEN:
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    return Ufunc(name)

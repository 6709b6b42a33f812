"""rand, randn, randi, randperm, rng: one stream from a seed, in MATLAB's column-major order.

rand's doubles are MATLAB's own for rng(seed, 'twister'), since both are the Mersenne Twister with 53 bits; randn has the right
distribution, but not MATLAB's numbers.
"""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import limits
from ..draws import Draw
from ..failures import MatlabError
from ..values import is_struct, is_text, number, numbers, text, trimmed, whole
from .table import builtin

if TYPE_CHECKING:
    from ..interpreter import Interpreter


class Stream:
    """Random numbers; `seed` is the run's, which rng('shuffle') goes back to, so that a run can be repeated.

    draws   what was drawn, by which topython recognises it in a network
    """

    def __init__(self, seed: int) -> None:
        self.first = seed
        self.draws: list[Draw] = []
        self.start(seed)

    def start(self, seed: int) -> None:
        self.seed = seed
        self._state = np.random.RandomState(seed or 5489)

    def rand(self, count: int) -> np.ndarray:
        return self.noted("uniform", self._state.random_sample(count))

    def randn(self, count: int) -> np.ndarray:
        return self.noted("normal", self._state.standard_normal(count))

    def generator(self) -> np.random.Generator:
        """A generator that starts where this stream has come to."""
        return np.random.default_rng(self._state.randint(2**32, size=4, dtype=np.uint32))

    def noted(self, kind: str, values: np.ndarray) -> np.ndarray:
        """The values, which are remembered as drawn."""
        self.draws.append(Draw.of(kind, values))
        return values


def sizes(args: Sequence[Any], who: str) -> tuple[tuple[int, ...], str, Any]:
    """What zeros, rand and their like take: sizes, a class, and the array after 'like'."""
    numeric = [a for a in args if not is_text(a)]
    words = [text(a, who).lower() for a in args if is_text(a)]
    like = None
    if "like" in words:
        like, numeric = numeric[-1], numeric[:-1]
        words.remove("like")
    if len(numeric) == 1:
        found = [int(n) for n in numbers(numeric[0]).ravel(order="F").tolist()]
        found = found * 2 if len(found) == 1 else found
    else:
        found = [max(0, whole(n, who)) for n in numeric] or [1, 1]
    return trimmed([max(0, n) for n in found]), words[0] if words else "", like


def _drawn(draw: Any, args: Sequence[Any], who: str) -> list[Any]:
    size, name, like = sizes(args, who)
    name = name or ("single" if like is not None and like.dtype == np.float32 else "double")
    if name not in ("single", "double"):
        raise MatlabError(f"{who}: 'single' or 'double' is right, '{name}' came")
    limits.room(size, 16)
    return [draw(prod(size)).astype(np.float32 if name == "single" else np.float64).reshape(size, order="F")]


@builtin("rand")
def rand(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return _seeded(interpreter, args) or _drawn(interpreter.random.rand, args, "rand")


@builtin("randn")
def randn(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    return _seeded(interpreter, args) or _drawn(interpreter.random.randn, args, "randn")


def _seeded(interpreter: "Interpreter", args: list[Any]) -> list[Any]:
    """rand('seed', 0), rand('state', 0), rand('twister', 0): the old forms of rng(0)."""
    if len(args) == 2 and is_text(args[0]) and text(args[0], "rand").lower() in ("seed", "state", "twister"):
        interpreter.random.start(whole(args[1], "rand"))
        return [np.zeros((0, 0))]
    return []


@builtin("randi")
def randi(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    ends = numbers(args[0]).ravel().tolist()
    low, high = ends if len(ends) == 2 else (1, ends[0])
    size, name, _ = sizes(args[1:], "randi")
    limits.room(size, 16)
    drawn = low + np.floor(interpreter.random.rand(prod(size)) * (high - low + 1))
    return [drawn.astype(np.dtype(name or "double") if name != "single" else np.float32).reshape(size, order="F")]


@builtin("randperm")
def randperm(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    n = whole(args[0], "randperm")
    limits.room((1, n))
    k = whole(args[1], "randperm") if len(args) > 1 else n
    order = np.argsort(interpreter.random.rand(n), kind="stable")[:k]
    return [(order + 1.0).reshape(1, -1)]


@builtin("rng")
def rng(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """rng(seed), rng('default'), rng('shuffle') (the run's seed), s = rng, rng(s)."""
    stream = interpreter.random
    before = {"Type": "twister", "Seed": number(stream.seed), "State": np.zeros((625, 1), np.uint32)}
    if args and is_struct(args[0]):
        stream.start(whole(args[0]["Seed"], "rng"))
    elif args and is_text(args[0]):
        stream.start(0 if text(args[0], "rng") == "default" else stream.first)
    elif args:
        stream.start(whole(args[0], "rng"))
    return [before] if nargout else []

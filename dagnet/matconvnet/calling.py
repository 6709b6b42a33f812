"""How MATLAB calls functions: fixed arguments first, then names and values in any case, structs of them, and flags.

    vl_nnconv(x, f, b, dzdy, 'Stride', 2, 'NoDerData')         in MATLAB
    vl_nnconv(x, f, b, dzdy, "Stride", 2, "NoDerData")         here; stride=2 is also right

Empty    [] (None, or an array without elements) stands for an argument that is not given: with dzdy = [] forward is run
Flags    an option whose default is false may stand without a value
Numbers  MATLAB holds every number in an array; a number, list or array is right wherever numbers are
Outputs  MATLAB's nargout has no like in Python: a function with several outputs returns all of them, always, as a tuple
Source    MatConvNet manual, 4; vl_argparse.m of 1.0-beta25
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

import numpy as np

from dagnet.layers import array
from dagnet.training import profile

# They choose among programs on a GPU, or make it talk: every function takes them, no result depends on them.
WITHOUT_EFFECT: dict[str, Any] = {"verbose": False, "cudnn": False, "nocudnn": False, "cudnnworkspacelimit": 0}

_release = profile.find("beta25")
_streams: dict[str, Any] = {}
_seed = 0


class release:  # it is called like a function
    """Which MatConvNet the functions follow from here on: "beta25", the last release, unless another is named.

    `with release("master"):` holds for its block alone. What differs, and which releases there are, stands in
    dagnet.training.profile: for one, master's vl_nnloss divides by the number of images and the releases' does not. Raises
    ValueError for a release that is not known.
    """

    def __init__(self, name: str) -> None:
        global _release
        self._before, _release = _release, profile.find(name)

    def __enter__(self) -> profile.Profile:
        return _release

    def __exit__(self, *failure: object) -> None:
        global _release
        _release = self._before


def current_release() -> profile.Profile:
    """The rules of the release that is followed now."""
    return _release


def rng(seed: int) -> None:
    """Starts the random numbers of all functions here and of initParams anew (they are not MATLAB's); the first seed is 0."""
    global _seed
    _seed = seed
    _streams.clear()


def stream(*arrays: array.Array) -> Any:
    """The generator of the module whose arrays these are."""
    xp = array.module_of(*arrays)
    return _streams.setdefault(xp.__name__, xp.random.default_rng(_seed))


def gather(x: array.Array) -> Any:
    """MATLAB's gather: x on the CPU, an array of NumPy."""
    return array.to_numpy(x)


def gpuArray(x: array.Array) -> array.Array:
    """MATLAB's gpuArray: x on the GPU, an array of CuPy. Raises RuntimeError where CuPy or a GPU is missing."""
    return array.to_gpu(x)


def beside(value: Any, x: array.Array) -> array.Array:
    """A number or list as an array of the module whose array x is; an array as it is."""
    return value if hasattr(value, "dtype") else array.module_of(x).asarray(value)


def is_empty(value: Any) -> bool:
    """Whether it is MATLAB's [] or {}: None, or something of no elements."""
    if value is None:
        return True
    if hasattr(value, "size"):
        return value.size == 0
    return isinstance(value, Sized) and not isinstance(value, str) and len(value) == 0


def numbers(value: Any) -> list[Any]:
    """A number, list or array of them as a list, column by column as MATLAB counts; whole ones as int.

    Raises ValueError for anything else.
    """
    flat = array.to_numpy(value) if hasattr(value, "dtype") else np.asarray(value)
    if flat.dtype.kind not in "biuf":
        raise ValueError(f"an argument: {_described(value)} came where numbers are right")
    return [int(v) if float(v).is_integer() else v for v in flat.ravel(order="F").tolist()]


def number(value: Any) -> Any:
    """The only one of them. Raises ValueError where there are others."""
    found = numbers(value)
    if len(found) != 1:
        raise ValueError(f"an argument: {found} came where one number is right")
    return found[0]


def matlab(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a function MATLAB's call forms. Its own signature says it all.

    Parameters that may stand by position are MATLAB's fixed arguments; those of them that have a default end where a name
    comes. Keyword parameters are the options. Empty values give way to defaults.
    """
    parameters = inspect.signature(function).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    options = {p.name.rstrip("_"): p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    ours = {p.name.rstrip("_"): p.name for p in parameters}

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        count = 0
        for p in positional[: len(args)]:
            if p.default is not p.empty and isinstance(args[count], str | Mapping):
                break
            count += 1
        fixed = {
            p.name: value
            for p, value in zip(positional, args[:count], strict=False)
            if p.default is p.empty or not is_empty(value)
        }
        named = {p.name: keywords.pop(p.name) for p in positional if p.name in keywords and p.name not in fixed}
        found = pairs(function.__name__, [keywords, *args[count:]], options | WITHOUT_EFFECT)
        given = {ours[name]: value for name, value in found.items() if name in options and not is_empty(value)}
        return function(**fixed, **named, **given)

    return call


def pairs(who: str, args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """MATLAB's list name, value, ... (structs and flags in between) as a dict under the names that `options` has.

    `options` are the names and defaults. Raises ValueError, naming `who`, for an unknown name and for a missing value.
    """
    known = {name.lower(): name for name in options}
    found: dict[str, Any] = {}
    waiting = list(args)
    while waiting:
        head = waiting.pop(0)
        if isinstance(head, Mapping):
            waiting[:0] = [part for pair in head.items() for part in pair]
            continue
        if not isinstance(head, str):
            raise ValueError(f"{who}: where the name of an option is right, {_described(head)} came")
        name = known.get(head.lower())
        if name is None:
            names = [n for n in options if n not in WITHOUT_EFFECT]
            listed = f"one of {', '.join(names)} is right" if names else "it has none"
            raise ValueError(f"{who}: it has no option {head!r}; {listed}")
        if options[name] is False and (not waiting or isinstance(waiting[0], str)):
            found[name] = True
        elif waiting:
            found[name] = waiting.pop(0)
        else:
            raise ValueError(f"{who}: the option {head!r} came without a value; name, value, ... is right")
    return found


def vl_argparse(opts: Mapping[str, Any], args: Sequence[Any], *flags: str, rest: bool = False) -> Any:
    """opts with the values that args, a list of names and values or dicts, gives them; opts itself stays as it is.

    Names count in any case; "a.b" sets b in the dict a; a dict for a dict is merged into it ("nonrecursive": replaces it).
    With rest=True (MATLAB: two outputs) the pair of opts and a list of what is unknown; else that raises ValueError.
    "merge" adds what is unknown to opts.
    """
    for flag in flags:
        if flag not in ("nonrecursive", "merge"):
            raise ValueError(f"vl_argparse: {flag!r} came; 'nonrecursive' or 'merge' is right")
    result, left = copy.copy(dict(opts)), []
    waiting = list(args)
    while waiting:
        head = waiting.pop(0)
        if isinstance(head, Mapping):
            waiting[:0] = [part for pair in head.items() for part in pair]
            continue
        if not isinstance(head, str) or not waiting:
            raise ValueError(f"vl_argparse: {_described(head)} came; pairs of a name and a value are right")
        value, (first, _, within) = waiting.pop(0), head.partition(".")
        name = next((n for n in result if n.lower() == first.lower()), None)
        deep = isinstance(value, Mapping) and "nonrecursive" not in flags
        if name is not None and isinstance(result[name], Mapping) and (within or deep):
            inner = [within, value] if within else [value]
            if not rest:
                result[name] = vl_argparse(result[name], inner, *flags)
                continue
            result[name], unknown = vl_argparse(result[name], inner, *flags, rest=True)
            left += [f"{first}.{part}" if i % 2 == 0 else part for i, part in enumerate(unknown)]
        elif name is not None or "merge" in flags:
            result[name or first] = value
        elif rest:
            left += [head, value]
        else:
            raise ValueError(f"vl_argparse: there is no option {head!r}; one of {', '.join(opts)} is right")
    return (result, left) if rest else result


def _described(value: Any) -> str:
    return f"{value!r}" if isinstance(value, str | int | float) else f"a {type(value).__name__}"

"""Functions of each element: rounding, roots, powers, remainders, and the operators by their names."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import operators
from ..failures import MatlabError
from ..values import is_char, is_text, numbers, scalar, text
from .table import pure


def floating(value: Any, who: str) -> np.ndarray:
    """Numbers as double or single. Raises MatlabError for others, and for integer classes."""
    x = operators.operand(value, who)
    if x.dtype.kind in "iu":
        raise MatlabError(
            f"{who}: it is not defined for the class {x.dtype.name}; double() makes it one that is right."
        )
    return x.astype(np.float64) if x.dtype.kind == "b" else x


def _elementwise(
    name: str, function: Callable[[np.ndarray], np.ndarray], below: float | None = None, above: float | None = None
) -> None:
    """Enters a function of a floating number; outside of [below, above] its values are complex."""

    def called(value: Any) -> Any:
        x = floating(value, name)
        outside = (below is not None and (x.real < below).any()) or (above is not None and (x.real > above).any())
        with np.errstate(all="ignore"):
            if x.dtype.kind == "f" and outside:
                return function(x.astype(np.result_type(x, np.complex64)))
            return function(x)

    pure(name)(called)


for _name, _function in {
    "exp": np.exp,
    "expm1": np.expm1,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
}.items():
    _elementwise(_name, _function)
for _name, _function in {"sqrt": np.sqrt, "log": np.log, "log10": np.log10}.items():
    _elementwise(_name, _function, below=0)
_elementwise("log1p", np.log1p, below=-1)
_elementwise("asin", np.arcsin, below=-1, above=1)
_elementwise("acos", np.arccos, below=-1, above=1)


@pure("log2")
def log2(value: Any) -> Any:
    x = floating(value, "log2")
    with np.errstate(all="ignore"):
        return np.log2(x.astype(np.result_type(x, np.complex64)) if (x.real < 0).any() else x)


def _rounding(name: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    def called(value: Any) -> Any:
        x = operators.positive(value)
        return x if x.dtype.kind in "iu" else function(x)

    pure(name)(called)


_rounding("floor", np.floor)
_rounding("ceil", np.ceil)
_rounding("fix", np.trunc)


def half_away(x: np.ndarray) -> np.ndarray:
    """Rounded, halves away from zero."""
    whole = np.trunc(x)
    return whole + np.sign(x) * (np.abs(x - whole) >= 0.5)


@pure("round")
def rounded(value: Any, digits: Any = None) -> Any:
    x = operators.positive(value)
    if x.dtype.kind in "iu":
        return x
    if digits is None:
        return half_away(x)
    scale = 10.0 ** scalar(digits, "round")
    return half_away(x * scale) / scale


@pure("abs")
def absolute(value: Any) -> Any:
    x = operators.positive(value)
    return operators.saturated(np.abs(x.astype(np.longdouble)), x.dtype) if x.dtype.kind in "iu" else np.abs(x)


@pure("sign")
def sign(value: Any) -> Any:
    return np.sign(operators.positive(value))


@pure("real")
def real(value: Any) -> Any:
    return operators.positive(value).real


@pure("imag")
def imag(value: Any) -> Any:
    return operators.positive(value).imag


@pure("conj")
def conj(value: Any) -> Any:
    return operators.positive(value).conj()


def _test(name: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    def called(value: Any) -> Any:
        x = operators.operand(value, name)
        return function(x) if x.dtype.kind in "fc" else np.full(x.shape, name == "isfinite")

    pure(name)(called)


_test("isnan", np.isnan)
_test("isinf", np.isinf)
_test("isfinite", np.isfinite)


def _of_two(name: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    def called(a: Any, b: Any) -> Any:
        return operators.elementwise(operators.operand(a, name), operators.operand(b, name), name, function)

    pure(name)(called)


def modulus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """mod: b's sign; a where b is 0. Quotients that are whole up to rounding leave nothing."""
    quotient = np.floor(a / np.where(b == 0, 1, b))
    exact = np.mod(a, np.where(b == 0, 1, b))
    near = np.abs(a / np.where(b == 0, 1, b) - np.round(a / np.where(b == 0, 1, b))) < np.finfo(float).eps * np.abs(
        quotient
    )
    fractional = (a != np.floor(a)) | (b != np.floor(b))
    return np.where(b == 0, a, np.where(fractional & near, 0, np.where(np.isinf(b) & (a * b >= 0), a, exact)))


def remainder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """rem: a's sign; NaN where b is 0."""
    return np.where(b == 0, np.nan, np.where(np.isinf(b), a, np.fmod(a, np.where(b == 0, 1, b))))


TWO: dict[str, Callable[..., Any]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "times": operator.mul,
    "rdivide": operator.truediv,
    "ldivide": lambda a, b: b / a,
    "power": operators.power,
    "mod": modulus,
    "rem": remainder,
    "atan2": np.arctan2,
    "hypot": np.hypot,
}
for _name, _of in TWO.items():
    _of_two(_name, _of)

NAMES = {
    "mtimes": "*",
    "mrdivide": "/",
    "mldivide": "\\",
    "mpower": "^",
    "eq": "==",
    "ne": "~=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "&",
    "or": "|",
}
for _name, _sign in NAMES.items():
    pure(_name)(lambda a, b, *, _sign=_sign: operators.binary(_sign, a, b))
pure("uminus")(operators.negative)
pure("uplus")(operators.positive)
pure("not")(operators.negation)
pure("transpose")(operators.transpose)
pure("ctranspose")(lambda value: operators.transpose(value, True))


@pure("xor")
def xor(a: Any, b: Any) -> Any:
    return operators.binary("~=", operators.negation(a), operators.negation(b))


@pure("colon")
def colon(start: Any, step: Any, stop: Any = None) -> Any:
    return operators.colon(start, np.ones((1, 1)), step) if stop is None else operators.colon(start, step, stop)


@pure("idivide")
def idivide(a: Any, b: Any, how: Any = "fix") -> Any:
    ways: dict[str, Callable[..., Any]] = {"fix": np.trunc, "round": half_away, "floor": np.floor, "ceil": np.ceil}
    way = ways[text(how, "idivide")]
    return operators.elementwise(numbers(a), numbers(b), "idivide", lambda x, y: way(x / y))


def _whole(name: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    def called(a: Any, b: Any) -> Any:
        return operators.elementwise(
            operators.operand(a, name),
            operators.operand(b, name),
            name,
            lambda x, y: function(x.astype(np.int64), y.astype(np.int64)).astype(float),
        )

    pure(name)(called)


_whole("gcd", np.gcd)
_whole("lcm", np.lcm)
_whole("bitand", np.bitwise_and)
_whole("bitor", np.bitwise_or)
_whole("bitxor", np.bitwise_xor)


@pure("bitshift")
def bitshift(a: Any, by: Any) -> Any:
    return operators.elementwise(numbers(a), numbers(by), "bitshift", lambda x, k: np.trunc(x * 2.0**k))


@pure("factorial")
def factorial(value: Any) -> Any:
    from scipy.special import factorial as exact

    return exact(floating(value, "factorial"))


@pure("isprime")
def isprime(value: Any) -> Any:
    x = numbers(value)
    return np.array([n > 1 and all(n % d for d in range(2, int(n**0.5) + 1)) for n in x.ravel().tolist()]).reshape(
        x.shape
    )


@pure("nextpow2")
def nextpow2(value: Any) -> Any:
    x = np.abs(floating(value, "nextpow2"))
    return np.where(x > 0, np.ceil(np.log2(np.where(x > 0, x, 1))), 0.0)


@pure("eps")
def eps(value: Any = "double") -> Any:
    if is_text(value):
        return np.array([[np.finfo(np.float32 if text(value, "eps") == "single" else np.float64).eps]])
    return np.spacing(np.abs(value)) if not is_char(value) else np.spacing(numbers(value))

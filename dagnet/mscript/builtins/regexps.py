"""regexp, regexpi, regexprep: MATLAB's expressions, which are nearly Python's.

Named tokens (?<name>...) are written (?P<name>...) there, $1 in a replacement \\g<1>, \\< and \\> are word boundaries. Repeated
groups whose inside can match in several ways can take for ever and are refused; several repeats side by side cost what they may
take at worst.
"""

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from .. import limits, printf
from ..failures import MatlabError, Refused
from ..values import cell, empty, is_cell, number, row, text, texts
from .table import builtin

if TYPE_CHECKING:
    from ..interpreter import Interpreter

LONGEST = 100_000  # characters that are searched
FEW = 8  # repeats that are no danger
REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
KINDS = ("start", "end", "tokenExtents", "match", "tokens", "names", "split")
FLAGS = {
    "ignorecase": re.IGNORECASE,
    "matchcase": 0,
    "lineanchors": re.MULTILINE,
    "stringanchors": 0,
    "dotall": re.DOTALL,
    "freespacing": re.VERBOSE,
    "literalspacing": 0,
}


def compiled(pattern: str, flags: int = re.DOTALL) -> re.Pattern[str]:
    """The expression. Raises MatlabError for what is none, Refused for one that could run for ever."""
    words = re.sub(r"\(\?<(?![=!])", "(?P<", pattern).replace("\\<", r"\b(?=\w)").replace("\\>", r"\b(?<=\w)")
    words = re.sub(r"\\o\{?([0-7]+)\}?", lambda m: f"\\x{int(m[1], 8):02x}", words)
    try:
        if _explosive(_parser.parse(words, flags), False):
            raise Refused(f"the expression {pattern!r} repeats what is repeated inside, which can take for ever")
        return re.compile(words, flags)
    except (re.error, RecursionError) as error:
        raise MatlabError(
            f"regexp: {pattern!r} is no regular expression: {error}", "MATLAB:regexp:invalidExpr"
        ) from None


def _explosive(parsed: Any, repeated: bool) -> bool:
    """Whether what is repeated without end can itself match in several ways: repeats or alternatives stand within it."""
    for kind, inside in parsed:
        if repeated and kind == _constants.BRANCH:
            return True
        if kind in REPEATS:
            least, most, body = inside
            if (repeated and least != most) or _explosive(body, repeated or most > FEW):
                return True
        elif isinstance(inside, tuple):
            parts = [p for item in inside for p in (item if isinstance(item, list) else [item])]
            if any(_explosive(p, repeated) for p in parts if isinstance(p, _parser.SubPattern)):
                return True
    return False


def _endless(expression: re.Pattern[str]) -> int:
    """How many repeats without end stand in it: a search may take the text's length to that power."""

    def count(parsed: Any) -> int:
        total = 0
        for kind, inside in parsed:
            total += kind in REPEATS and inside[1] > FEW
            parts = (
                [p for item in inside for p in (item if isinstance(item, list) else [item])]
                if isinstance(inside, tuple)
                else []
            )
            total += sum(count(p) for p in parts if isinstance(p, _parser.SubPattern))
        return total

    return count(_parser.parse(expression.pattern, expression.flags))


def _options(args: list[Any], ignore_case: bool, who: str) -> tuple[list[str], bool, int]:
    """The outputs in the order in which they are asked for, whether only the first match counts, the flags."""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    wanted, once = [], False
    known = {k.lower(): k for k in KINDS}
    for arg in args:
        word = text(arg, who)
        if word.lower() in known:
            wanted.append(known[word.lower()])
        elif word.lower() == "once":
            once = True
        elif word.lower() == "dotexceptnewline":
            flags &= ~re.DOTALL
        elif word.lower() in FLAGS:
            flags |= FLAGS[word.lower()]
        else:
            raise MatlabError(f"{who}: the option {word!r} is not known here")
    return wanted, once, flags


def _searched(words: str, pattern: str, order: list[str], once: bool, flags: int) -> list[Any]:
    if len(words) > LONGEST:
        raise Refused(f"regexp searches {LONGEST} characters at most, {len(words)} came")
    expression = compiled(pattern, flags)
    limits.spend(float(len(words)) ** max(1, _endless(expression)) / 100)
    found = [m for m in expression.finditer(words) if m.end() > m.start()]
    if once:
        found = found[:1]
    made = {kind: _output(kind, found, once, expression, words) for kind in KINDS}
    return [made[kind] for kind in order]


def _tokens(match: re.Match[str], extents: bool = False) -> Any:
    """The texts, or places, of the groups that took part; without groups, of the whole match."""
    groups = [g for g in range(1, (match.re.groups or 0) + 1) if match.start(g) >= 0] or (
        [0] if not match.re.groups else []
    )
    if extents:
        import numpy as np

        return np.array([[match.start(g) + 1.0, float(match.end(g))] for g in groups]).reshape(-1, 2)
    return cell([match[g] for g in groups])


def _output(kind: str, found: list[re.Match[str]], once: bool, expression: re.Pattern[str], words: str) -> Any:
    if kind == "names":
        names = expression.groupindex
        return {name: found[0][name] or "" for name in names} if found else {}
    if kind == "split":
        edges = [0, *(p for m in found for p in m.span()), len(words)]
        return cell([words[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)])
    makers = {
        "start": lambda m: m.start() + 1.0,
        "end": lambda m: float(m.end()),
        "match": lambda m: m[0],
        "tokens": _tokens,
        "tokenExtents": lambda m: _tokens(m, True),
    }
    made = [makers[kind](m) for m in found]
    if once:
        if not made:
            return "" if kind == "match" else cell([], (0, 0)) if kind == "tokens" else empty()
        return number(made[0]) if kind in ("start", "end") else made[0]
    if kind in ("start", "end"):
        return row(made) if made else cell([], (1, 0)).astype(float)
    return cell(made, (1, len(made)))


def _regexp(name: str, ignore_case: bool) -> None:
    def called(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
        wanted, once, flags = _options(args[2:], ignore_case, name)
        order = [*wanted, *(k for k in KINDS if k not in wanted)][: max(1, nargout)]
        if is_cell(args[0]) or is_cell(args[1]):
            shaped = args[0] if is_cell(args[0]) else args[1]
            items = texts(args[0], name) if is_cell(args[0]) else [text(args[0], name)] * shaped.size
            patterns = texts(args[1], name) if is_cell(args[1]) else [text(args[1], name)] * shaped.size
            found = [_searched(t, p, order, once, flags) for t, p in zip(items, patterns, strict=True)]
            return [cell([f[k] for f in found], shaped.shape) for k in range(len(order))]
        return _searched(text(args[0], name), text(args[1], name), order, once, flags)

    builtin(name)(called)


_regexp("regexp", False)
_regexp("regexpi", True)


@builtin("regexprep")
def regexprep(interpreter: "Interpreter", args: list[Any], nargout: int) -> list[Any]:
    """regexprep(text, expression, replacement, 'once', 'ignorecase'); $1 is the first token, $0 the whole match."""
    _, once, flags = _options(args[3:], False, "regexprep")
    patterns, replacements = texts(args[1], "regexprep"), texts(args[2], "regexprep")
    if len(replacements) == 1:
        replacements = replacements * len(patterns)

    def replaced(words: str) -> str:
        for pattern, replacement in zip(patterns, replacements, strict=True):
            if len(words) > LONGEST:
                raise Refused(f"regexprep searches {LONGEST} characters at most, {len(words)} came")
            expression = compiled(pattern, flags)
            limits.spend(float(len(words)) ** max(1, _endless(expression)) / 100)
            limits.room((1, len(words) * (len(replacement) + 1)), 1)
            words = expression.sub(lambda m, r=replacement: _replacement(m, r), words, count=1 if once else 0)
        return words

    if is_cell(args[0]):
        return [cell([replaced(t) for t in texts(args[0], "regexprep")], args[0].shape)]
    return [replaced(text(args[0], "regexprep"))]


def _replacement(match: re.Match[str], template: str) -> str:
    def part(found: re.Match[str]) -> str:
        if found[1] is not None:
            group = int(found[1])
            return (match[group] or "") if group <= match.re.groups else ""
        if found[2] is not None:
            return match[found[2]] or ""
        escape = found[0]
        return printf.escaped(escape) if escape[1] in printf.ESCAPES else escape[1]

    return re.sub(r"\$(\d)|\$<(\w+)>|\\.", part, template, flags=re.DOTALL)

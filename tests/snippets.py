"""Snippets of MATLAB that leave a value in r: run by the interpreter, and where it is installed by Octave, all in one process.

Where Octave is known to differ from MATLAB there is no snippet here; the tests of each module hold MATLAB's own values.
"""

import itertools
import random
import shutil
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from dagnet.files import matfile
from dagnet.files.matvalues import StructArray
from dagnet.mscript import interpreter, parser
from dagnet.mscript.failures import MatlabError
from dagnet.mscript.values import chars

OCTAVE = shutil.which("octave-cli")
FAILED = "an error"

RUNNER = """
function compare_
  snippets = {};
%s
  results = cell(size(snippets));
  for k = 1:numel(snippets)
    try
      r = one_(snippets{k});
      if ischar(r) && size(r, 1) > 1  %% Octave writes some of these wrong
        r = {'char', double(r)};
      end
      results{k} = {r};
    catch err
      results{k} = {};
    end
  end
  save('-v7', '%s', 'results');
end
function r = one_(code)
  eval(code);
end
compare_
"""


def run(code: str, **options: Any) -> Any:
    """What the snippet leaves in r; FAILED if it raises an error that MATLAB raises."""
    file = parser.parse_text(code, "snippet.m")
    machine = interpreter.Interpreter(Path(), output=StringIO(), **options)
    try:
        return machine.run_script(file.main).get("r")
    except MatlabError:
        return FAILED


def same(code: str, expected: Any) -> bool:
    """Whether the snippet leaves that value: an array, a text, or a list of rows of doubles."""
    return alike(run(code), double(expected) if isinstance(expected, (list, int, float)) else expected)


def double(rows: Any) -> np.ndarray:
    """A number, a row or rows of them as a double matrix."""
    return np.atleast_2d(np.asarray(rows, np.float64))


def cell(*items: Any) -> np.ndarray:
    """A row of values as a cell; numbers and lists are doubles."""
    made = np.empty((1, len(items)), object)
    for k, item in enumerate(items):
        made[0, k] = double(item) if isinstance(item, (list, int, float)) else item
    return made


def in_octave(snippets: list[str], folder: Path) -> list[Any]:
    """The same of Octave, for all snippets in one process."""
    codes = [code.replace("'", "''").replace("\n", "' 10 '") for code in snippets]
    quoted = "\n".join(f"  snippets{{end+1}} = ['{code}'];" for code in codes)
    script, results = folder / "compare_.m", folder / "results.mat"
    script.write_text("1;\n" + RUNNER % (quoted, results))
    subprocess.run([OCTAVE, "--norc", "-q", str(script)], check=True, capture_output=True, timeout=120)
    found = matfile.read(results)["results"].ravel(order="F")
    return [_read(cell.item()) if cell.size else FAILED for cell in found]


def _read(value: Any) -> Any:
    is_char = (
        isinstance(value, np.ndarray) and value.dtype == object and value.size == 2 and isinstance(value[0, 0], str)
    )
    return chars(value[0, 1]) if is_char and value[0, 0] == "char" else value


def alike(a: Any, b: Any) -> bool:
    """Whether two values are of one class, size and content; numbers up to rounding."""
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, StructArray) and isinstance(b, StructArray):
        return a.shape == b.shape and a.fields == b.fields and all(map(alike, a.records, b.records))
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype == object:
        return all(map(alike, a.flat, b.flat))
    if a.dtype.kind in "fc":
        return bool(np.allclose(a, b, rtol=1e-5 if a.dtype == np.float32 else 1e-12, atol=0, equal_nan=True))
    return bool((a == b).all())


VALUES = {
    "double": ["3", "-2.5", "[1 2 3]", "[0; 4]", "[]"],
    "single": ["single(3.5)", "single([1 2 3])"],
    "int8": ["int8(100)", "int8([-128 3 127])"],
    "uint8": ["uint8(7)", "uint8([0 200 255])"],
    "logical": ["true", "[true false true]"],
    "char": ["'a'", "'abc'"],
}
OPERATORS = ["+", "-", ".*", "./", ".\\", ".^", "==", "~=", "<", ">=", "&", "|"]


def classes_meet() -> list[str]:
    """Every operator between values of all classes."""
    values = [v for group in VALUES.values() for v in group]
    pairs = list(itertools.product(values, values))
    chosen = random.Random(1).sample(pairs, 90)
    return [
        f"r = {a} {o} {b};" for o in OPERATORS for a, b in chosen[: 90 if o in "+" else 25] if not _differs(o, a, b)
    ]


def _differs(o: str, a: str, b: str) -> bool:
    """Where Octave's rule is not MATLAB's: powers of integers, & and | of two integer classes."""
    return (o == ".^" and ("int8" in a + b or "-2.5" in a + b)) or (o in "&|" and "int8" in a and "int8" in b)


INDEXED = {
    "x = magic_(3,4);": 12,
    "x = 1:6;": 6,
    "x = (1:6)';": 6,
    "x = 5;": 1,
    "x = reshape(1:24,2,3,4);": 24,
    "x = 'abcdef';": 6,
}
INDEX = [
    "1",
    "end",
    ":",
    "[]",
    "[2 1]",
    "[1;2]",
    "[1 2;2 1]",
    "end:-1:1",
    "logical([1 0 1])",
    "zeros(1,0)",
    "1:2:end",
    "7",
]


def indices() -> list[str]:
    """Reading with one, two and three indices of every kind."""
    snippets = []
    for make in INDEXED:
        make = make.replace("magic_(3,4)", "reshape(1:12,3,4)")
        snippets += [f"{make} r = x({i});" for i in INDEX]
        snippets += [
            f"{make} r = x({i},{j});"
            for i, j in itertools.product(["1", ":", "end", "[1 1]"], ["1", ":", "end", "[]", "2"])
        ]
    snippets += [
        f"x = reshape(1:24,2,3,4); r = x({i},{j},{k});"
        for i in ("1", ":")
        for j in ("2", ":", "[3 1]")
        for k in ("end", ":", "[1 2]")
    ]
    return snippets


def growing() -> list[str]:
    """Assignment into places that are there, that are not, and deletion."""
    starts = [
        "r = [];",
        "r = 1:3;",
        "r = (1:3)';",
        "r = [8 1 6;3 5 7;4 9 2];",
        "r = {};",
        "r = {1,2};",
        "r = 'abc';",
        "r = zeros(0,3);",
    ]
    numbers = [
        "(2) = 9",
        "(end+1) = 9",
        "(2,3) = 9",
        "(:,end+1) = 7",
        "(end+1,:) = 8",
        "(:) = 4",
        "([1 3]) = [5 6]",
        "(1,1,2) = 3",
    ]
    cells = ["{2} = 9", "{end+1} = 'x'", "{2,2} = []", "(end+1) = {4}", "(1) = []"]
    deletions = ["(1) = []", "(:,1) = []", "(end,:) = []", "([]) = []", "(:) = []", "(:,:) = []"]
    snippets = [f"{s} r{n};" for s in starts if "{" not in s and "'abc'" not in s for n in numbers + deletions]
    snippets += [f"{s} r{n};" for s in starts if "{" in s for n in cells]
    return snippets


def precedence(count: int = 120) -> list[str]:
    """Random expressions, whose value depends on how operators bind."""
    draw = random.Random(2)

    def expression(depth: int) -> str:
        kind = draw.random()
        if depth == 0 or kind < 0.2:
            return draw.choice(["2", "3", "0.5", "a", "b", "c(2)", "1"])
        if kind < 0.3:
            return draw.choice(["- ", "~ ", "+ "]) + expression(depth - 1)
        if kind < 0.4:
            return f"({expression(depth - 1)})"
        if kind < 0.45:
            return expression(0) + draw.choice(["'", ".'"])
        o = draw.choice(["+", "-", "*", "/", "^", ".^", ".*", "==", "<", "&", "|", "&&", "||", ">=", "~=", "\\"])
        return f"{expression(depth - 1)} {o} {expression(depth - 1)}"

    return [f"a = 4; b = -3; c = [5 2]; r = {expression(4)};" for _ in range(count)]


RANGES = [
    f"r = {x};"
    for x in (
        "1:0",
        "1:5",
        "0:0.1:1",
        "5:-2:0",
        "-1:0.25:1",
        "1:3.7",
        "3:3",
        "int8(1):int8(4)",
        "single(1):0.5:2",
        "0:0.3:1",
        "10:-3:-10",
    )
]
FORMATS = [
    "%d",
    "%i",
    "%5d",
    "%-5d|",
    "%05d",
    "%+d",
    "%f",
    "%.2f",
    "%8.3f",
    "%e",
    "%.3e",
    "%g",
    "%G",
    "%10.4g",
    "%s",
    "%5s",
    "%x",
    "%o",
    "%c",
]
FORMATTED = [
    "3",
    "-7",
    "2.5",
    "1e10",
    "1e-5",
    "pi",
    "NaN",
    "Inf",
    "-Inf",
    "[1 2 3]",
    "'ab'",
    "true",
    "uint8(200)",
    "single(0.5)",
    "0",
    "[]",
]


def formats() -> list[str]:
    """Every conversion with numbers of every kind; Octave has its own way with fractions in %d and with []."""
    snippets = []
    for form, value in itertools.product(FORMATS, FORMATTED):
        fraction = value in ("2.5", "1e-5", "pi", "single(0.5)") and form[-1] not in "feEgG"
        odd = (
            value == "[]"
            or (form, value) in (("%+d", "NaN"), ("%5s", "[1 2 3]"))
            or (form[-1] in "xocs" and value[0] in "-NI")
            or (form[-1] in "cs" and value in ("uint8(200)", "1e10"))
        )
        if not fraction and not odd:
            snippets.append(f"r = sprintf('{form}', {value});")
    return snippets


def by_hand() -> list[str]:
    """Those of snippets.m."""
    lines = Path(__file__).with_name("snippets.m").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("%")]

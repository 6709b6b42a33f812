"""docs/backprop.md says what dagnet does: its examples run, its worked lines add up, its quotations stand in the code.

The document's fenced blocks are of four kinds:
  python, with >>> prompts               examples: one long doctest
  python, with "# layers/conv.py, name"  quotations: lines of that function, in its order; a comment at the end is ours
  worked                                 equations with numbers, recomputed where they stand among the examples
  text                                   formulas and drawings, not looked at
"""

import doctest
import importlib
import inspect
import math
import re
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "backprop.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """(kind, number of its first line from 0, lines) of each fenced block."""
    lines = text.splitlines()
    fences = [i for i, line in enumerate(lines) if line.startswith("```")]
    for first, last in zip(fences[::2], fences[1::2], strict=True):
        content = lines[first + 1 : last]
        kind = lines[first][3:]
        if kind == "python":
            kind = "examples" if content[0].startswith(">>>") else "quotations"
        yield kind, first + 1, content


def agree(line: str, *values: float) -> None:
    """Raises AssertionError unless the values are equal, up to the decimals that the last one is written with."""
    decimals = len(line.rpartition(".")[2]) if re.search(r"\d\.\d+$", line) else 9
    *others, last = (float(np.asarray(value).item()) for value in values)
    assert all(abs(value - last) <= 0.5001 * 10**-decimals for value in others), f"{line}: {[*others, last]}"


def as_check(line: str) -> str:
    """A worked line as a doctest example: all sides of its equations agree."""
    sides = line.replace("·", "*").replace("\N{MINUS SIGN}", "-").split("=")
    assert len(sides) > 1, f"this worked line has no two sides: {line}"
    return f">>> agree({line!r}, {', '.join(side.strip() for side in sides)})"


def run(text: str) -> tuple[doctest.TestResults, str]:
    """The results of the document's examples and worked lines, and what doctest reports of those that fail."""
    script = [""] * len(text.splitlines())  # so that reports name the document's own lines
    for kind, first, lines in blocks(text):
        if kind in ("examples", "worked"):
            script[first : first + len(lines)] = lines if kind == "examples" else map(as_check, lines)
    names = {"agree": agree, "log": math.log}
    test = doctest.DocTestParser().get_doctest("\n".join(script), names, DOCUMENT.name, str(DOCUMENT), 0)
    report: list[str] = []
    with np.printoptions():  # the document sets its own, and they end with it
        results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    return results, "".join(report)


def module(path: str) -> ModuleType:
    """layers/conv.py -> dagnet.layers.conv; dagnet/execution.py -> dagnet.execution."""
    return importlib.import_module(".".join(["dagnet", *path.removeprefix("dagnet/").removesuffix(".py").split("/")]))


def misquotations(text: str) -> list[str]:
    """The quoted lines that do not stand, in this order, in the function named above them."""
    missing = []
    for kind, _, lines in blocks(text):
        source: list[str] = []
        for line in lines if kind == "quotations" else []:
            if title := re.fullmatch(r"# (\S+\.py), (\w+)", line):
                source = inspect.getsource(getattr(module(title[1]), title[2])).splitlines()
                source = [code.split("  # ")[0].strip() for code in source]
            elif (code := line.split("  # ")[0].strip()) in source:
                source = source[source.index(code) + 1 :]
            else:
                missing.append(line)
    return missing


def test_every_example_and_worked_line_is_true():
    results, report = run(TEXT)
    assert not results.failed, report
    assert results.attempted > 60


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[37. 42.]]", "[37. 43.]]"),
        ("y[0,0] = 10 + 1·1", "y[0,0] = 10 + 1·2"),
        ("log(4) = 1.3863", "log(4) = 1.3864"),
    ],
)
def test_a_wrong_number_would_be_found(right, wrong):
    assert right in TEXT
    results, report = run(TEXT.replace(right, wrong, 1))
    assert results.failed == 1, report


def test_every_quoted_line_stands_in_the_function_it_is_quoted_from():
    assert sum(kind == "quotations" for kind, _, _ in blocks(TEXT)) >= 6
    assert misquotations(TEXT) == []


def test_a_misquoted_line_would_be_found():
    line = "    slope /= total"
    assert misquotations(TEXT.replace(line, line.replace("/", "*")))[0].startswith(line.replace("/", "*"))


def test_every_file_and_name_that_the_prose_mentions_exists():
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    words = re.findall(r"`([^`\n]+)`", prose)
    files = [word for word in words if word.endswith((".py", ".md"))]
    assert len(files) >= 4
    assert [path for path in files if not (ROOT / path).is_file()] == []

    names = [match for word in words if (match := re.fullmatch(r"(\w+)\.([A-Za-z_.]+)", word)) and word not in files]
    layers = {path.stem for path in (ROOT / "layers").glob("[!_]*.py")}
    named = [(match[1], match[2]) for match in names if match[1] in layers]
    assert len(named) >= 8
    for layer, attributes in named:
        value = module(f"layers/{layer}.py")
        for attribute in attributes.split("."):
            value = getattr(value, attribute)


def test_every_block_is_of_a_known_kind():
    assert {kind for kind, _, _ in blocks(TEXT)} == {"examples", "quotations", "worked", "text"}

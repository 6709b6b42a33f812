"""A comparison in words and numbers: as text for a terminal of 120 columns, and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any

from .compare import Comparison, Row
from .hints import Hint
from .measures import Measure, times

NONE = "-"
MOST_NAMES = 6  # of arrays that have the same problem
HEAD = ["layer", "type", "array", "size", "max abs", "relative", "1-cos", "ulp", "allowed", "alone", "allowed", "off"]


@dataclass
class Report:
    """A comparison with its hints; title and settings (name: value) say what was compared, and how."""

    title: str
    settings: dict[str, str]
    result: Comparison
    hints: Sequence[Hint]

    def verdict(self) -> list[str]:
        """Sentences: whether all agrees; if not, where it begins, and the hints."""
        rows, bad = self.result.rows, self.result.bad
        if not bad:
            worst = max((row.whole.max_abs / row.scale for row in rows if row.scale), default=0.0)
            lines = [f"All {len(rows)} arrays are within tolerance; the furthest, end to end, is off by {worst:.2g}."]
        else:
            lines = [f"{len(bad)} of {len(rows)} arrays are out of tolerance. {self._where()}"]
        if self.result.stopped:
            lines.append(f"End to end the run stopped: {self.result.stopped}".rstrip("?.") + ".")
        if flips := self.result.flips:
            named = ", ".join(f"{name} {count}" for name, count in flips.items())
            lines.append(f"ReLUs and maxima that decided otherwise end to end: {named}.")
        problems: dict[str, list[str]] = {}
        for row in bad:
            if row.problem and not (row.type and row.alone_ok):
                problems.setdefault(row.problem, []).append(row.label)
        lines += [f"{_some(labels)}: {problem}." for problem, labels in problems.items()]
        lines += [f"Hint: {hint}." for hint in self.hints]
        if bad and not self.hints and any(not row.alone_ok for row in bad):
            lines.append("No mistake that is known here explains it.")
        if self.result.not_dumped:
            lines.append(f"Not in the dump: {_some(self.result.not_dumped)}.")
        return lines

    def _where(self) -> str:
        first = self.result.first_bad()
        if first is None or not first.layer:
            return f"The first is {first.label}: it is not the layers." if first else ""
        place = f"layer '{first.layer}' ({first.type}), in {first.label}"
        if not first.alone_ok:
            return f"The first layer that leaves its tolerance by itself is {place}."
        return f"Every layer by itself is within tolerance; end to end the first to leave it is {place}."


def _some(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_NAMES
    return ", ".join(labels[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def text(report: Report) -> str:
    """The table and the verdict."""
    settings = "; ".join(f"{name} {value}" for name, value in report.settings.items())
    lines, last = [], None
    for row in report.result.rows:
        lines.append(line(row, row.place != last))
        last = row.place
    widths = [max(len(line[i]) for line in [HEAD, *lines]) for i in range(len(HEAD))]
    for i, most in ((0, 16), (1, 9), (2, 16), (3, 14)):
        widths[i] = min(widths[i], most)
    cells = [HEAD, ["-" * width for width in widths], *lines]
    table = "\n".join(
        " ".join(fit(c, w, i < 4) for i, (c, w) in enumerate(zip(r, widths, strict=True))).rstrip() for r in cells
    )
    return "\n".join([report.title, settings, "", table, "", *report.verdict()])


def as_json(report: Report) -> str:
    """Everything, for programs; infinite numbers are null."""
    rows = [
        {
            "layer": row.layer,
            "type": row.type,
            "kind": row.kind,
            "name": row.name,
            "size": list(row.shape),
            "end_to_end": _numbers(row, row.whole, row.allowed_whole, row.whole_ok),
            "alone": row.alone and _numbers(row, row.alone, row.allowed_alone, row.alone_ok),
            "decided_otherwise": row.decided,
            "ok": row.ok,
        }
        for row in report.result.rows
    ]
    first = report.result.first_bad()
    found = {
        "title": report.title,
        "settings": report.settings,
        "ok": report.result.ok,
        "first": None if first is None else {"layer": first.layer, "array": first.label},
        "hints": [{k: _finite(v) for k, v in asdict(hint).items()} for hint in report.hints],
        "verdict": report.verdict(),
        "decided_otherwise": report.result.flips,
        "not_dumped": report.result.not_dumped,
        "arrays": rows,
    }
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


# ---------------------------------------------------------------- text


def line(row: Row, first: bool) -> list[str]:
    """The row's cells; the layer's name and type only where it is the layer's first row."""
    whole, alone = row.whole, row.alone
    numbers = [short(whole.max_abs), short(whole.relative), short(whole.off_cosine), short(whole.ulps)]
    verdict = {(True, True): "", (False, True): "alone", (True, False): "end", (False, False): "both"}
    where = [row.place, row.type] if first else ["", ""]
    by_itself = ["", ""] if alone is None else [short(alone.relative), short(allowed_relative(row, row.allowed_alone))]
    return [
        *where,
        row.label,
        times(row.shape),
        *numbers,
        short(allowed_relative(row, row.allowed_whole)),
        *by_itself,
        verdict[row.alone_ok, row.whole_ok],
    ]


def fit(cell: str, width: int, left: bool) -> str:
    """The cell in that width, cut with an ellipsis where it is longer."""
    cut = cell if len(cell) <= width else cell[: width - 1] + "…"
    return f"{cut:{width}}" if left else f"{cut:>{width}}"


def short(value: float | None) -> str:
    """At most seven characters: 0, 3.4, 120, 3.4e-7; - where there is no number."""
    if value is None or value == inf:
        return NONE
    if value == 0 or 10 <= value < 1e4:
        return f"{value:.0f}"
    return f"{value:.1f}" if 1 <= value < 10 else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+")


def allowed_relative(row: Row, allowed: float) -> float | None:
    """The allowed difference relative to max|b|, as differences are shown; None where max|b| is 0."""
    return allowed * row.scale / row.largest if row.largest else None


# ---------------------------------------------------------------- JSON


def _numbers(row: Row, far: Measure, allowed: float, ok: bool) -> dict[str, Any]:
    found = asdict(far) | {"cosine": 1 - far.off_cosine, "allowed": allowed_relative(row, allowed), "ok": ok}
    return {name: _finite(value) for name, value in found.items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value

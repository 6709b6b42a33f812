"""A comparison as one HTML page with a bar a layer. It stands alone: style and picture are inside, nothing is fetched."""

import html
from math import inf, log10

from dagnet import webpage

from .compare import Comparison, Row
from .measures import Measure
from .report import HEAD, Report, allowed_relative, fit, line, short


def write(report: Report) -> str:
    """One HTML page."""
    good, verdict = report.result.ok, report.verdict()
    body = f"""<h1>{html.escape(report.title)}</h1>
<p class="verdict {"good" if good else "bad"}"><b>{"&#10003;" if good else "&#10007;"}</b> {html.escape(verdict[0])}</p>
{"".join(f"<p>{html.escape(line)}</p>" for line in verdict[1:])}
<h2>Layers</h2>
<p class="note">How far each layer is from MATLAB's, max|a &minus; b| / max|b| of its worst array.
<i class="alone"></i>alone, given MATLAB's inputs <i class="whole"></i>end to end <i class="off"></i>out of tolerance
<i class="tick"></i>allowed</p>
<div class="wide">{_bars(report.result)}</div>
<h2>Arrays</h2>
<div class="wide">{_table(report.result)}</div>
<h2>How it was made</h2>
{webpage.settings(report.settings)}"""
    return webpage.page(report.title, body, STYLE)


LOWEST, HIGHEST = -17, 1  # powers of ten that the bars span
LEFT, WIDTH, STEP = 190, 560, 26  # the picture's names, bars, and height of a layer, in pixels


def _bars(result: Comparison) -> str:
    """The picture: for each layer two bars on a logarithmic axis, with ticks at what is allowed."""
    layers: dict[str, list[Row]] = {}
    for row in result.rows:
        layers.setdefault(row.layer or row.name, []).append(row)
    height = STEP * len(layers) + 30
    grid = "".join(
        f'<line class="grid" x1="{_x(10.0**p):.1f}" x2="{_x(10.0**p):.1f}" y1="0" y2="{height - 24}"/>'
        f'<text class="axis" x="{_x(10.0**p):.1f}" y="{height - 8}">{"1" if p == 0 else f"1e{p}"}</text>'
        for p in range(LOWEST + 1, HIGHEST + 1, 2)
    )
    bars = "".join(_layer_bars(name, rows, STEP * i) for i, (name, rows) in enumerate(layers.items()))
    size = f'viewBox="0 0 {LEFT + WIDTH + 160} {height}" width="{LEFT + WIDTH + 160}" height="{height}"'
    label = "Relative difference of every layer from MATLAB, on a logarithmic axis; the table below has the numbers"
    return f'<svg {size} role="img" aria-label="{label}">{grid}{bars}</svg>'


def _layer_bars(name: str, rows: list[Row], top: int) -> str:
    """A layer's name, the bars of its worst arrays, and in words what is out of tolerance."""
    alone = [(r, r.alone, r.allowed_alone, r.alone_ok) for r in rows if r.alone is not None]
    whole = [(r, r.whole, r.allowed_whole, r.whole_ok) for r in rows]
    text = f'<text class="name" x="{LEFT - 8}" y="{top + 17}">{html.escape(fit(name, 24, True).strip())}</text>'
    words = []
    for css, word, down, some in (("alone", "alone", 4, alone), ("whole", "end to end", 13, whole)):
        if some:
            ok = all(s[3] for s in some)
            words += [] if ok else [word]
            text += _bar(css if ok else "off", f"{name}, {word}", top + down, some)
    if words:
        text += f'<text class="mark" x="{LEFT + WIDTH + 6}" y="{top + 17}">&#10007; {" and ".join(words)}</text>'
    return text


def _bar(css: str, title: str, top: int, some: list[tuple[Row, Measure, float, bool]]) -> str:
    """The bar of the array that is nearest to its tolerance or furthest out of it, with a tick where that lies."""
    row, far, allowed, _ = max(some, key=lambda s: (not s[3], s[1].max_abs / (s[2] * s[0].scale or 1)))
    tick = allowed_relative(row, allowed)
    says = f"{title}: {row.label} {far.problem or f'{far.relative:.3g}'}, allowed {short(tick)}"
    mark = f'<rect class="tick" x="{_x(tick):.1f}" y="{top - 1}" width="2" height="10"/>' if tick else ""
    width = max(_x(far.relative) - LEFT, 2)
    bar = f'<rect class="{css}" x="{LEFT}" y="{top}" height="8" width="{width:.1f}"/>'
    return f"<g><title>{html.escape(says)}</title>{bar}{mark}</g>"


def _x(value: float) -> float:
    power = LOWEST if value <= 0 else HIGHEST if value == inf else min(max(log10(value), LOWEST), HIGHEST)
    return LEFT + WIDTH * (power - LOWEST) / (HIGHEST - LOWEST)


def _table(result: Comparison) -> str:
    lines = []
    for row in result.rows:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in line(row, True)[1:])
        css = "" if row.ok else ' class="bad"'
        lines.append(f"<tr{css}><th>{html.escape(row.place)}</th>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in HEAD)
    return f'<table class="arrays"><tr>{head}</tr>{"".join(lines)}</table>'


STYLE = """
.verdict { padding: .6rem .8rem; border-radius: .5rem; background: #e6f1f8; }
.verdict.bad, tr.bad { background: #fdebdc; }
.note i { height: .5rem; }
.arrays th, .arrays td { padding: .2rem .55rem; font-size: .85rem; }
.arrays th:nth-child(-n+4), .arrays td:nth-child(-n+4) { text-align: left; }
.note i.alone { background: #0b3c5d; } .note i.whole { background: #4a94c4; } .note i.off { background: #d55e00; }
.note i.tick { background: #222; width: 2px; height: .8rem; }
rect.alone { fill: #0b3c5d; } rect.whole { fill: #4a94c4; } rect.off { fill: #d55e00; } rect.tick { fill: #222; }
svg text { font: 12px system-ui, sans-serif; fill: #222; }
svg .name { text-anchor: end; } svg .axis { text-anchor: middle; fill: #555; } svg .mark { fill: #a34700; }
.grid { stroke: #e5e5e5; }
"""

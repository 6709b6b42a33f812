"""A picture of the network as SVG, drawn without any other program: data flow down, skips run at the side.

Where graphviz is at hand, dot.py's text gives a picture that shows every variable and parameter.
"""

import re
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from dagnet.dagnn import DagNN

from . import boxes, facts, layout

COLOURS = {  # of boxes, by what their first layer does
    "convolution": "#d6e6f5",
    "transposed convolution": "#d3efdf",
    "pooling": "#fde6c4",
    "joining": "#e6ddf4",
    "loss or measure": "#f8d5d5",
    "other": "#ececec",
    "not known": "#ffffff",
}
LINE = 15  # from one line of text to the next
MARGIN = 20
MIN_WIDTH = 360  # for the legend
ROUND = 5  # of corners
STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;font-size:12px;fill:#222}"
    ".name{font-weight:bold}.small{font-size:10px;fill:#444}.data{font-style:italic}"
    "rect{stroke:#6b7785}path{fill:none;stroke:#6b7785;stroke-width:1.3}"
)
TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" style="fill:#6b7785;stroke:none"/></marker></defs>'
)


def svg(net: DagNN, sizes: Mapping[str, Sequence[int]] | None = None) -> str:
    """The text of an SVG file. Sizes are (H, W, C, N) of inputs; without any, they are as input_sizes(net) says.

    Raises KeyError for an input that the net does not have, ValueError for sizes that do not fit.
    """
    made = net.get_var_sizes(sizes or facts.input_sizes(net))
    found, lines = boxes.graph(net, made)
    places = [_room(box) for box in found]
    inner, height = layout.arrange(places, lines)
    width = max(inner, MIN_WIDTH)
    head, top = _head(net, found, width)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 2 * MARGIN:.0f}" height="{top + height + 2 * MARGIN:.0f}">',
        f"<style>{STYLE}</style>",
        TIP,
        '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>',
        f'<g transform="translate({MARGIN} {MARGIN})">{head}</g>',
        f'<g transform="translate({MARGIN + (width - inner) / 2:.1f} {MARGIN + top:.1f})">',
    ]
    for line in lines:
        name = found[line.source].makes[line.port]
        parts.append(_path(line.points, f"{name} {boxes.size_of(made[name])}"))
    parts += [_drawn(box, place) for box, place in zip(found, places, strict=True)]
    return "\n".join([*parts, "</g>", "</svg>"])


def _room(box: boxes.Box) -> layout.Box:
    words = [*box.inside, *box.beneath]
    return layout.Box(16 + max(map(_width, words)), 8 + LINE * len(words))


def _width(words: boxes.Words) -> float:
    """Of a line of text, at most, in pixels."""
    gap = 7 if words.name and words.told else 0
    return 7.9 * len(words.name) + gap + (6.1 if words.small else 7.3) * len(words.told)


def _head(net: DagNN, found: Sequence[boxes.Box], width: float) -> tuple[str, float]:
    """Numbers of the whole and the meaning of the colours that occur, and how high that is."""
    params, _ = facts.memory_of(net, {})
    told = f"{len(net.layers)} layers, {params // facts.BYTES:,} values in {len(net.params)} parameters"
    parts = [f'<text y="{LINE - 4}">{_escaped(told)}</text>']
    x, y = 0.0, 1.6 * LINE
    present = {box.kind for box in found if box.layers}
    for kind in (kind for kind in COLOURS if kind in present):
        room = 18 + 6.1 * len(kind)
        if x and x + room > width:
            x, y = 0.0, y + LINE + 3
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="13" height="11" rx="2" style="{_fill(kind)}"/>')
        parts.append(f'<text x="{x + 18:.0f}" y="{y + 10:.0f}">{kind}</text>')
        x += room + 18
    return "".join(parts), y + 2.2 * LINE


def _fill(kind: str) -> str:
    return f"fill:{COLOURS[kind]}" + (";stroke-dasharray:4 2" if kind == "not known" else "")


def _drawn(box: boxes.Box, place: layout.Box) -> str:
    height = place.height - LINE * len(box.beneath)
    look = f'rx="4" style="{_fill(box.kind)}"' if box.layers else f'rx="{height / 2:.0f}" style="fill:#fff"'
    left = place.x - place.width / 2
    parts = [
        f'<rect x="{left:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{height:.1f}" {look}/>',
        *(_text(place.x, place.y + LINE * i, words, "small") for i, words in enumerate(box.inside, 1)),
        *(
            _text(place.x, place.y + height + LINE * i - 3, words, "small data")
            for i, words in enumerate(box.beneath, 1)
        ),
    ]
    return "".join(parts)


def _text(x: float, y: float, words: boxes.Words, small: str) -> str:
    name = f'<tspan class="name">{_escaped(words.name)}</tspan> ' if words.name else ""
    style = f' class="{small}"' if words.small else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{style}>{name}{_escaped(words.told)}</text>'


def _path(points: Sequence[layout.Point], told: str) -> str:
    """A line with rounded corners and a tip, which tells what it leads to who points at it."""
    steps = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, (x, y), after in zip(points, points[1:], points[2:], strict=False):
        (x0, y0), (x1, y1) = (_towards((x, y), other) for other in (before, after))
        steps.append(f"L{x0:.1f} {y0:.1f}Q{x:.1f} {y:.1f} {x1:.1f} {y1:.1f}")
    steps.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    return f'<path d="{"".join(steps)}" marker-end="url(#tip)"><title>{_escaped(told)}</title></path>'


def _towards(corner: layout.Point, other: layout.Point) -> layout.Point:
    """A little way from a corner along an axis, at most half of it."""
    way = max(abs(other[0] - corner[0]), abs(other[1] - corner[1]), 1e-9)
    part = min(ROUND, way / 2) / way
    return corner[0] + (other[0] - corner[0]) * part, corner[1] + (other[1] - corner[1]) * part


def _escaped(text: str) -> str:
    """As XML may hold it: a control character, which it may not, becomes a question mark."""
    return escape(re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text))

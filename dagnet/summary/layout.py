"""Where the boxes of a drawing stand and how the lines between them run.

    rows      a box stands above all that follow it and as low as it can, which is the order in which a DagNN runs its layers
    columns   the longest path is the trunk, in column 0. What leaves it and comes back, with boxes on its way or without (a
              skip), is a strand in a column of its own rows; shorter strands stand nearer to the trunk, so that nested ones
              do not cross
    lines     run down in columns where no box stands, and sideways only in the gaps between rows, each on its own track

Nothing here knows of networks.
"""

from bisect import bisect, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

COLUMN_GAP = 26
ROW_GAP = 20  # between rows where nothing runs sideways
TRACK = 9  # from one sideways line to the next
END = 14  # from one line's end at a box to the next
PORT = 9  # from one line's start at a box to the next
LANE = 6  # width of a column without boxes

Point = tuple[float, float]


@dataclass
class Box:
    """Its size is given; x (of the centre) and y (of the top) are found, and it is widened for many lines."""

    width: float
    height: float
    row: int = 0
    column: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass
class Line:
    """From a box to a later one, by numbers; port tells apart the things that a box makes. Points are found."""

    source: int
    target: int
    port: int = 0
    column: int = 0
    points: list[Point] = field(default_factory=list)


@dataclass
class _Strand:
    """The boxes and lines that a column shall hold; from top to bottom it takes rows (even numbers) and gaps (odd ones)."""

    boxes: list[int]
    lines: list[Line]
    top: int
    bottom: int


def arrange(boxes: Sequence[Box], lines: Sequence[Line]) -> Point:
    """Place the boxes and route the lines, which lead from a box to a later one. Returns the width and the height of all."""
    _set_rows(boxes, lines)
    _set_columns(boxes, lines)
    ends = _set_ends(boxes, lines)
    centres, width = _set_x(boxes, lines)
    return width, _route(boxes, lines, ends, centres)


def _set_rows(boxes: Sequence[Box], lines: Sequence[Line]) -> None:
    """By the longest way to an end."""
    below = [0] * len(boxes)
    for line in sorted(lines, key=lambda line: -line.source):
        below[line.source] = max(below[line.source], 1 + below[line.target])
    last = max(below, default=0)
    for box, rows in zip(boxes, below, strict=True):
        box.row = last - rows


def _set_columns(boxes: Sequence[Box], lines: Sequence[Line]) -> None:
    trunk, *others = _strands(boxes, lines) or [_Strand([], [], 0, 0)]
    taken: list[list[tuple[int, int]]] = []
    for strand in [trunk, *sorted(others, key=lambda strand: (strand.bottom - strand.top, strand.top))]:
        span = strand.top, strand.bottom
        column = next((c for c, spans in enumerate(taken) if not _meets(span, spans)), len(taken))
        if column == len(taken):
            taken.append([])
        insort(taken[column], span)
        for i in strand.boxes:
            boxes[i].column = column
        for line in strand.lines:
            line.column = column
    for line in lines:
        if line.column < 0:  # to the next row, and in no strand: it leaves straight down
            line.column = boxes[line.source].column


def _meets(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    """Whether a span touches one of others, which are sorted and apart."""
    place = bisect(others, span)
    return (place > 0 and others[place - 1][1] >= span[0]) or (place < len(others) and others[place][0] <= span[1])


def _strands(boxes: Sequence[Box], lines: Sequence[Line]) -> list[_Strand]:
    """Paths that share out the boxes, the longest first; then the lines that pass rows by and are in none of these."""
    after, before = defaultdict(list), defaultdict(list)
    for line in lines:
        line.column = -1
        after[line.source].append(line)
        before[line.target].append(line)
    found: list[_Strand] = []
    placed: set[int] = set()
    used: set[int] = set()
    for start in sorted(range(len(boxes)), key=lambda i: boxes[i].row):
        if start in placed:
            continue
        entry = max(before[start], key=lambda line: boxes[line.source].row, default=None)
        path, way, leaving = [start], [entry] if entry else [], None
        placed.add(start)
        while after[path[-1]]:
            nearest = sorted(after[path[-1]], key=lambda line: boxes[line.target].row)
            onward = next((line for line in nearest if line.target not in placed), None)
            if onward is None:
                leaving = nearest[0]
                way.append(leaving)
                break
            path.append(onward.target)
            way.append(onward)
            placed.add(onward.target)
        top = 2 * boxes[entry.source].row + 1 if entry else 2 * boxes[start].row
        bottom = 2 * boxes[leaving.target].row - 1 if leaving else 2 * boxes[path[-1]].row
        found.append(_Strand(path, way, top, bottom))
        used.update(map(id, way))
    for line in lines:
        top, bottom = 2 * boxes[line.source].row + 1, 2 * boxes[line.target].row - 1
        if id(line) not in used and top < bottom:
            found.append(_Strand([], [line], top, bottom))
    return found


def _set_ends(boxes: Sequence[Box], lines: Sequence[Line]) -> dict[int, float]:
    """Where, from its target's centre, each line (by its place in the list) ends; widens boxes that need it.

    Lines that come straight from above end as they come; the others beside these, on the side from which they come.
    """
    ends: dict[int, float] = {}
    arriving = defaultdict(list)
    for i, line in enumerate(lines):
        source = boxes[line.source]
        arriving[line.target].append(i)
        source.width = max(source.width, 2 * PORT * (line.port + 1))
    for number, came in arriving.items():
        target = boxes[number]
        came.sort(key=lambda i: lines[i].column)
        left = [i for i in came if lines[i].column < target.column]
        right = [i for i in came if lines[i].column > target.column]
        straight = came[len(left) : len(came) - len(right)]
        for i in straight:
            ends[i] = PORT * lines[i].port if boxes[lines[i].source].column == target.column else 0.0
        first = END if straight else END / 2
        ends |= {i: -first - END * k for k, i in enumerate(reversed(left))}
        ends |= {i: max([0.0, *(ends[j] for j in straight)]) + first + END * k for k, i in enumerate(right)}
        target.width = max(target.width, 2 * max(abs(ends[i]) for i in came) + 2 * END)
    return ends


def _set_x(boxes: Sequence[Box], lines: Sequence[Line]) -> tuple[dict[int, float], float]:
    """Columns are as wide as their widest box. Returns their centres and the width of all."""
    widths: dict[int, float] = defaultdict(lambda: LANE)
    for box in boxes:
        widths[box.column] = max(widths[box.column], box.width)
    columns = range(1 + max([*(box.column for box in boxes), *(line.column for line in lines)], default=0))
    left, centres = 0.0, {}
    for column in columns:
        centres[column] = left + widths[column] / 2
        left += widths[column] + COLUMN_GAP
    for box in boxes:
        box.x = centres[box.column]
    return centres, left - COLUMN_GAP


def _route(boxes: Sequence[Box], lines: Sequence[Line], ends: dict[int, float], centres: dict[int, float]) -> float:
    """Rows' heights follow from the tracks between them. Returns the height of all."""
    ways = []  # of each line: x where it starts, where it runs down, where it ends
    leaving: dict[int, dict[tuple[int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    arriving: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for i, line in enumerate(lines):
        source, target = boxes[line.source], boxes[line.target]
        start, end = source.x + line.port * PORT, target.x + ends[i]
        down = start if line.column == source.column else centres[line.column]
        ways.append((start, down, end))
        if down != start:
            leaving[source.row][line.source, line.port] += [start, down]
        if down != end:
            arriving[target.row].append((down, end, i))
    outer = {row: _outer_tracks(spans) for row, spans in leaving.items()}
    inner = {row: _inner_tracks(spans) for row, spans in arriving.items()}

    forks, joins, height = _set_y(
        boxes, *({row: 1 + max(tracks.values()) for row, tracks in side.items()} for side in (outer, inner))
    )
    for i, (line, (start, down, end)) in enumerate(zip(lines, ways, strict=True)):
        source, target = boxes[line.source], boxes[line.target]
        line.points = [(start, source.y + source.height)]
        if down != start:
            fork = forks[source.row] + TRACK * (0.5 + outer[source.row][line.source, line.port])
            line.points += [(start, fork), (down, fork)]
        if down != end:
            join = joins[target.row] + TRACK * (0.5 + inner[target.row][i])
            line.points += [(down, join), (end, join)]
        line.points.append((end, target.y))
    return height


def _set_y(
    boxes: Sequence[Box], below: dict[int, int], above: dict[int, int]
) -> tuple[dict[int, float], dict[int, float], float]:
    """From how many tracks lie below and above which rows. Returns where these tracks begin, and the height of all."""
    heights: dict[int, float] = defaultdict(float)
    for box in boxes:
        heights[box.row] = max(heights[box.row], box.height)
    forks, tops, joins, y = {}, {}, {}, 0.0
    for row in range(len(heights)):
        joins[row] = y
        tops[row] = y + TRACK * above.get(row, 0) + (ROW_GAP if row else 0)
        forks[row] = tops[row] + heights[row]
        y = forks[row] + TRACK * below.get(row, 0)
    for box in boxes:
        box.y = tops[box.row] + (heights[box.row] - box.height) / 2
    return forks, joins, y


def _outer_tracks(spans: dict[tuple[int, int], list[float]]) -> dict[tuple[int, int], int]:
    """The first free track for each thing that runs sideways below its box."""
    free: list[float] = []  # where each track's last span ends
    tracks = {}
    for key, xs in sorted(spans.items(), key=lambda item: min(item[1])):
        tracks[key] = next((track for track, end in enumerate(free) if end < min(xs)), len(free))
        free[tracks[key] : tracks[key] + 1] = [max(xs)]
    return tracks


def _inner_tracks(spans: Sequence[tuple[float, float, int]]) -> dict[int, int]:
    """Above their boxes, lines from near columns run higher than those from far ones, so that neither crosses the other."""
    tracks: dict[int, int] = {}
    laid: list[tuple[float, float, int]] = []
    for down, end, i in sorted(spans, key=lambda span: abs(span[0] - span[1])):
        low, high = min(down, end), max(down, end)
        tracks[i] = 1 + max((track for a, b, track in laid if a <= high and low <= b), default=-1)
        laid.append((low, high, tracks[i]))
    return tracks

"""One HTML file that tells how good a network is: scores, curves, histogram, pictures, and how it was made.

The file stands alone: style and pictures are inside, nothing is fetched, so that it can be mailed or kept.
"""

import base64
import html
import io
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import imageio.v3 as iio
import numpy as np

from dagnet import webpage
from dagnet.files import atomic

from . import metrics, overlay, plots, scoring

MEANING = {
    "JA": "Jaccard index",
    "DI": "Dice",
    "AC": "accuracy",
    "SE": "sensitivity",
    "SP": "specificity",
    "TJ": "thresholded Jaccard",
}


@dataclass
class Report:
    """What goes into the report; what is empty is left out of it.

    methods   scores of every image by method, the network first: {"lesion_fcn": [...], "Otsu's threshold": [...]}
    stats     the trainer's statistics, {"train": [...], "val": [...]}
    worst, best   pictures of the network's worst and best images, in their order
    command   the command line that made the result
    settings  name and value of everything the run was set to; the versions used are added
    csv       files of scores to link to, by what the link says; links are relative to the report
    """

    title: str
    methods: Mapping[str, Sequence[scoring.ImageScores]]
    summary: str = ""
    stats: plots.Stats = field(default_factory=dict)
    worst: Sequence[overlay.Picture] = ()
    best: Sequence[overlay.Picture] = ()
    command: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    csv: Mapping[str, Path] = field(default_factory=dict)


def write(path: Path, report: Report) -> None:
    """Write the report as one HTML file; it replaces an old one only when whole. ValueError: no method was scored."""
    if not any(report.methods.values()):
        raise ValueError(f"{path}: no scores to report; score at least one image")
    body = "\n".join(section for section in _sections(path, report) if section)
    page = webpage.page(report.title, body, STYLE)
    with atomic.replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def versions() -> dict[str, str]:
    """Versions of Python, of dagnet and of what it computes with, and the machine's kind."""
    found = {"Python": platform.python_version()}
    for package in ("dagnet", "numpy", "scipy", "imageio", "matplotlib", "cupy-cuda12x", "cupy-cuda13x"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # a bare checkout has no metadata for dagnet, most machines have no CuPy
    return {**found, "machine": f"{sys.platform} {platform.machine()}"}


def _sections(path: Path, report: Report) -> list[str]:
    return [
        f"<h1>{html.escape(report.title)}</h1>",
        f"<p>{html.escape(report.summary)}</p>" if report.summary else "",
        _headline(report),
        _training(report),
        _histogram(report),
        _pictures("Worst", report.worst),
        _pictures("Best", report.best),
        _made(path, report),
    ]


def _headline(report: Report) -> str:
    means = {name: metrics.mean(row.scores for row in rows) for name, rows in report.methods.items() if rows}
    first = next(iter(means.values()))
    cards = "".join(
        f'<div class="card"><b>{_number(getattr(first, name))}</b>{name}<br><small>{meaning}</small></div>'
        for name, meaning in MEANING.items()
        if name != "TJ"
    )
    head = "".join(f'<th title="{meaning}">{name}</th>' for name, meaning in MEANING.items())
    lines = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{len(report.methods[name])}</td>"
        + "".join(f"<td>{_number(getattr(scores, key))}</td>" for key in MEANING)
        + "</tr>"
        for name, scores in means.items()
    )
    note = (
        "Means over the images, each image counting the same; the ISIC 2017 challenge ranks by JA. "
        "TJ, which counts a JA below .65 as 0, is the ranking of 2018 and after."
    )
    return f"""<h2>Scores</h2>
<div class="cards">{cards}</div>
<div class="wide"><table><tr><th>method</th><th>images</th>{head}</tr>{lines}</table></div>
<p class="note">{note}</p>"""


def _training(report: Report) -> str:
    curves = plots.training_curves(report.stats)
    plotted = "".join(
        f"<figure>{_plot(svg, name)}<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, svg in curves.items()
    )
    return f'<h2>Training</h2>\n<div class="curves">{plotted}</div>' if plotted else ""


def _histogram(report: Report) -> str:
    values = {
        name: [row.scores.JA for row in rows if row.scores.JA is not None]
        for name, rows in report.methods.items()
        if rows
    }
    return "<h2>JA over the images</h2>\n" + _plot(plots.histogram(values), "Histogram of JA over the images")


def _plot(svg: str, alt: str) -> str:
    source = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{source}">'


def _pictures(title: str, pictures: Sequence[overlay.Picture]) -> str:
    if not pictures:
        return ""
    cells = "".join(
        f'<figure><img loading="lazy" alt="" src="{_jpeg(picture.pixels)}">'
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    legend = "".join(
        f'<i style="background:rgb{colour}"></i>{name}'
        for name, colour in (("truth", overlay.BLUE), ("prediction", overlay.RED))
    )
    return f'<h2>{title}</h2>\n<p class="note">{legend}</p>\n<div class="pictures">{cells}</div>'


def _made(path: Path, report: Report) -> str:
    rows = {**report.settings, **versions()}
    links = "".join(
        f'<li><a href="{html.escape(_relative(file, path.parent))}">{html.escape(name)}</a></li>'
        for name, file in report.csv.items()
    )
    command = f"<pre>{html.escape(report.command)}</pre>" if report.command else ""
    files = f"<p>Scores of every image:</p><ul>{links}</ul>" if links else ""
    return f"<h2>How it was made</h2>\n{command}\n{files}\n{webpage.settings(rows)}"


def _jpeg(pixels: np.ndarray) -> str:
    # Without chroma subsampling: with it thin blue and red lines blur.
    data = io.BytesIO()
    iio.imwrite(data, pixels, plugin="pillow", extension=".jpg", quality=90, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _relative(file: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(file, folder)).as_posix())


def _number(value: float | None) -> str:
    return "&ndash;" if value is None else f"{value:.3f}"


STYLE = """
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(5.4rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.card { background: #f4f6fa; border-radius: .5rem; padding: .6rem; text-align: center; line-height: 1.25; }
.card:first-child { background: #dfe8ff; }
.card b { display: block; font-size: 1.6rem; }
img { width: 100%; height: auto; display: block; }
.pictures, .curves { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(12rem, 42vw), 1fr)); }
.curves { grid-template-columns: repeat(auto-fit, minmax(min(20rem, 90vw), 1fr)); }
.curves figcaption { text-align: center; }
figure { margin: 0; }
.pictures img { border-radius: .25rem; }
"""

"""From masks and truth to what people look at: scores, CSV, pictures of the worst and best, the report.

Written to a folder: scores.csv (and otsu.csv, the baseline), worst.png, best.png, report.html.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from dagnet.data import images, isic2017

from . import metrics, overlay, plots, report, scoring

SHOWN = 12  # pictures on each sheet and in each part of the report


@dataclass
class Story:
    """What the report tells besides the scores: title, curves of the training, command and settings that made it."""

    title: str
    stats: plots.Stats = field(default_factory=dict)
    command: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)


def assess(
    pairs: Sequence[scoring.Pair],
    samples: Sequence[isic2017.Sample],
    out: Path,
    story: Story,
    *,
    rule: metrics.Rule = "2017",
) -> dict[str, metrics.Scores]:
    """Score masks against their true ones, and write all of the above to folder `out`.

    samples are the images of these pairs; with none there are neither pictures nor the baseline.
    Returns the mean scores by method: "network" and, where there are images, "Otsu's threshold" on them.
    Raises ValueError as scoring.score_pair does, naming the file.
    """
    scored = scoring.score_pairs(pairs, rule)
    methods = {"network": list(tqdm(scored, total=len(pairs), unit="image", desc="score", disable=None))}
    csv = {"network": out / "scores.csv"}
    if samples:
        scored = scoring.score_otsu(samples, rule)
        methods["Otsu's threshold"] = list(tqdm(scored, total=len(pairs), unit="image", desc="Otsu", disable=None))
        csv["Otsu's threshold"] = out / "otsu.csv"
    for name, rows in methods.items():
        scoring.write_csv(csv[name], rows)
    means = {name: metrics.mean(row.scores for row in rows) for name, rows in methods.items()}

    by_id = {sample.id: sample for sample in samples}
    masks = {pair.image: pair.prediction for pair in pairs}
    worst, best = (
        [_picture(by_id[row.image], masks[row.image], row.scores, rule) for row in rows if row.image in by_id]
        for rows in scoring.worst_and_best(methods["network"], SHOWN)
    )
    for name, pictures in (("worst", worst), ("best", best)):
        if pictures:
            overlay.contact_sheet(
                out / f"{name}.png", pictures, title=f"{story.title}: {name} first (truth blue, prediction red)"
            )
    report.write(
        out / "report.html",
        report.Report(
            title=story.title,
            methods=methods,
            stats=story.stats,
            worst=worst,
            best=best,
            command=story.command,
            settings=story.settings,
            csv=csv,
        ),
    )
    return means


def table(means: Mapping[str, metrics.Scores]) -> str:
    """The mean scores as lines of text, a method each, JA first."""
    names = ("JA", "DI", "AC", "SE", "SP")
    width = max(len(name) for name in means)
    lines = [" " * width + "".join(f"{name:>8}" for name in names)]
    for method, scores in means.items():
        values = (getattr(scores, name) for name in names)
        lines.append(f"{method:<{width}}" + "".join("       -" if v is None else f"{v:8.3f}" for v in values))
    return "\n".join(lines)


def _picture(sample: isic2017.Sample, mask: Path, scores: metrics.Scores, rule: metrics.Rule) -> overlay.Picture:
    truth = None if sample.mask is None else scoring.read_mask(sample.mask)
    if truth is not None and rule == "2017":
        truth = (truth > 0) & (truth == truth.max())  # as scored: lesion is the larger value, even where it is 1
    drawn = overlay.draw(
        images.read_image(sample.image),
        None if truth is None else metrics.is_lesion(truth),
        metrics.is_lesion(scoring.read_mask(mask)),
    )
    return overlay.Picture(drawn, f"{sample.id}  JA {scores.JA:.3f}")
